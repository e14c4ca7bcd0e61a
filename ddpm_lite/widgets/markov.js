import { button, calm, canvas, choice, endOf, follow, frame, h, numbers, row, short, stateOf } from "./shared.js";
import { STATES, computed, edited, gap } from "./markov_chain.js";
import { paintBars, paintCrowd, paintRate } from "./markov_pictures.js";

/**
 * @typedef {import("./markov_chain.js").Law} Law
 * @typedef {import("./markov_chain.js").Matrix} Matrix
 * @typedef {import("./markov_chain.js").State} State
 * @typedef {import("./markov_chain.js").Computed} Computed
 * @typedef {import("./markov_pictures.js").Shown} Shown
 */

const KEYS = /** @type {const} */ (["matrix", "start", "day", "seed"]);
const ALL = /** @type {const} */ ([...KEYS, "names", "last", "walkers"]);
const SPEED = 550; // milliseconds of one step
/** @type {Record<string, [text: string, matrix: Matrix]>} */
const PRESETS = {
  slow: ["slow to change", [[0.95, 0.05, 0], [0.03, 0.94, 0.03], [0, 0.05, 0.95]]],
  round: ["turning round", [[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]]],
  ever: ["round for ever", [[0, 1, 0], [0, 0, 1], [1, 0, 0]]],
  trap: ["a trap", [[1, 0, 0], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7]]],
  apart: ["two worlds", [[1, 0, 0], [0, 0.6, 0.4], [0, 0.3, 0.7]]],
};

// --- The matrix ------------------------------------------------------------------------------

/** @param {string[]} names @param {(i: number, j: number, value: number) => void} change */
function matrixTable(names, change) {
  const style = { padding: ".15rem .4rem", fontWeight: "400", textAlign: "left", border: "0" };
  /** @type {(tag: "th" | "td", scope: string, text: string) => HTMLElement} */
  const cell = (tag, scope, text) => h(tag, { scope, textContent: text, style });
  const inputs = STATES.map((i) =>
    STATES.map((j) => {
      const input = h("input", { type: "number", min: 0, max: 1, step: 0.05 });
      input.dataset.name = `odds_${i}_${j}`;
      input.setAttribute("aria-label", `odds from ${names[i]} to ${names[j]}`);
      Object.assign(input.style, { width: "4.4rem", font: "inherit", fontSize: ".9rem" });
      Object.assign(input.style, { color: "inherit", background: "transparent", padding: ".15rem .3rem" });
      input.style.border = "1px solid var(--line)";
      input.addEventListener("change", () => change(i, j, input.value === "" ? NaN : +input.value));
      return input;
    }),
  );
  const top = ["from \\ to", ...names].map((name) => cell("th", "col", name));
  const body = STATES.map((i) => {
    const cells = inputs[i].map((input) => h("td", { style }, input));
    return h("tr", {}, cell("th", "row", names[i]), ...cells);
  });
  const node = h("table", { style: { fontSize: ".9rem", borderCollapse: "collapse", width: "auto" } });
  node.append(h("thead", {}, h("tr", {}, ...top)), h("tbody", {}, ...body));
  const set = (/** @type {Matrix} */ matrix) => {
    for (const i of STATES)
      for (const j of STATES) {
        inputs[i][j].value = String(+matrix[i][j].toFixed(4));
        inputs[i][j].dataset.number = String(matrix[i][j]);
      }
  };
  return Object.assign(node, { set });
}

/** @param {{ real: number, imaginary: number }} eigenvalue */
function lambda({ real, imaginary }) {
  return imaginary ? `${short(real)} ± ${short(imaginary)}i` : short(real);
}

// --- Put together ----------------------------------------------------------------------------

/** @param {() => Shown} shown */
function makePictures(shown) {
  /** @type {(paint: Paint<Shown>) => Draw} */
  const draw = (paint) => (context, width, height, colour) =>
    paint(context, width, height, colour, shown());
  const people = canvas({
    width: 320,
    height: 330,
    label: "Three states with arrows as thick as the odds; each dot is a walker",
    draw: draw(paintCrowd),
  });
  const bars = canvas({
    width: 330,
    height: 150,
    label: "Bars: the exact odds of each state today, beside the crowd and the long run",
    draw: draw(paintBars),
  });
  const chart = canvas({
    width: 330,
    height: 180,
    label: "The distance to the long run by day, falling beside a power of the second eigenvalue",
    draw: draw(paintRate),
  });
  return { people, bars, chart };
}

// The numbers below the pictures, a line for each law.
/** @param {string[]} names */
function makeNumbers(names) {
  /** @type {(key: string, law: Law | null) => Record<string, number | string>} */
  const values = (key, law) =>
    Object.fromEntries(STATES.map((i) => [`${key}_${i}`, law ? law[i] : "none"]));
  const three = (/** @type {string} */ key) =>
    numbers(Object.fromEntries(STATES.map((i) => [`${key}_${i}`, names[i]])));
  const [exact, crowd, settled] = ["exact", "crowd", "settled"].map(three);
  const words = { day: "day", second: "second eigenvalue λ₂", rate: "|λ₂|", distance: "distance" };
  const rate = numbers(words);
  const set = (/** @type {Computed} */ now) => {
    exact.set(values("exact", now.exact));
    crowd.set(values("crowd", now.crowd));
    settled.set(values("settled", now.settled));
    const distance = now.settled ? gap(now.exact, now.settled) : "none";
    rate.set({ day: now.day, second: lambda(now.second), rate: now.rate, distance });
  };
  const nodes = [rate, named("exact", exact), named("crowd", crowd), named("long run", settled)];
  return { nodes, set };
}

/** @param {string} text @param {HTMLElement} node */
function named(text, node) {
  const style = { fontSize: ".9rem", width: "3.8rem" };
  Object.assign(node.style, { columnGap: ".6rem", flex: "1 1 0", minWidth: 0 });
  const whole = row(h("span", { textContent: text, style }), node);
  Object.assign(whole.style, { columnGap: ".6rem", margin: ".15rem 0" });
  return whole;
}

// How time goes: a step, or one after another. `progress` says how far the walkers are on their way
// from one day to the next, which takes half a second; `redraw` is called while they go.
/**
 * @param {Model<State>} model @param {Put<State>} put @param {HTMLElement} el
 * @param {{ redraw: () => void, refresh: () => void }} pictures
 */
function makeClock(model, put, el, { redraw, refresh }) {
  const last = model.get("last");
  let frameId = 0;
  const clock = { progress: 1, running: false, step, jump, toggle, end };

  function walkOn() {
    cancelAnimationFrame(frameId);
    const begin = performance.now();
    const tick = (/** @type {number} */ now) => {
      if (!el.isConnected) return;
      clock.progress = Math.min(1, Math.max(0, (now - begin) / SPEED));
      redraw();
      if (clock.progress < 1) frameId = requestAnimationFrame(tick);
      else if (clock.running) step();
    };
    frameId = requestAnimationFrame(tick);
  }

  function step() {
    const day = model.get("day") + 1;
    if (day >= last || calm()) clock.running = false;
    clock.progress = calm() ? 1 : 0;
    if (day <= last) put({ day });
    if (!calm() && day <= last) walkOn();
  }

  /** @param {Partial<State>} changes */
  function jump(changes) {
    cancelAnimationFrame(frameId);
    [clock.running, clock.progress] = [false, 1];
    put(changes);
  }

  function toggle() {
    clock.running = !clock.running;
    if (clock.running) step();
    else refresh();
  }

  function end() {
    clock.running = false;
    cancelAnimationFrame(frameId);
  }
  return clock;
}

/** @param {Model<State>} model @param {ReturnType<typeof makeClock>} clock */
function makeButtons(model, clock) {
  const last = model.get("last");
  const step = button("step", clock.step);
  const jump = () => clock.jump({ day: Math.min(last, model.get("day") + 10) });
  const ten = button("ten steps", jump, "ten");
  const run = button("run", clock.toggle);
  const again = button(
    "start again",
    () => clock.jump({ day: 0, seed: model.get("seed") + 1 }),
    "again",
  );
  const set = (/** @type {number} */ day) => {
    for (const press of [step, ten]) press.disabled = day >= last;
    run.title = calm() ? "off, as your system asks for less motion" : "";
    run.disabled = calm() || day >= last;
    run.textContent = clock.running ? "stop" : "run";
    run.setAttribute("aria-pressed", String(clock.running));
  };
  return { nodes: [step, ten, run, again], set };
}

// Where all walkers begin, and the odds: ready ones, or a table to edit.
/** @param {Model<State>} model @param {ReturnType<typeof makeClock>} clock */
function makeChoices(model, clock) {
  const [names, given] = [model.get("names"), model.get("matrix")];
  const from = choice({
    label: "all start",
    name: "start",
    options: [...names, ["any", "a third each"]],
    value: model.get("start"),
    change: (start) => clock.jump({ start, day: 0 }),
  });
  const ready = Object.entries(PRESETS).map(([key, [text]]) => /** @type {const} */ ([key, text]));
  const preset = choice({
    label: "odds",
    name: "preset",
    options: [["given", "as given"], ...ready, ["own", "your own"]],
    value: "given",
    change: (key) => {
      if (key !== "own") clock.jump({ matrix: key === "given" ? given : PRESETS[key][1], day: 0 });
    },
  });
  const table = matrixTable(names, (i, j, value) => {
    if (!(value >= 0 && value <= 1)) return table.set(model.get("matrix"));
    preset.set("own");
    clock.jump({ matrix: edited(model.get("matrix"), i, j, value), day: 0 });
  });
  const set = () => {
    table.set(model.get("matrix"));
    from.set(model.get("start"));
  };
  return { nodes: [row(from, preset), table], set };
}

/** @param {View<State>} view */
function render({ model, el }) {
  let now = computed(stateOf(model, ALL));
  const refresh = () => {
    now = computed(stateOf(model, ALL));
    choices.set();
    shown.set(now);
    buttons.set(now.day);
    for (const picture of [people, bars, chart]) picture.redraw();
  };
  const put = follow(model, KEYS, refresh);
  const clock = makeClock(model, put, el, { redraw: () => people.redraw(), refresh });
  const { people, bars, chart } = makePictures(() => ({ ...now, progress: clock.progress }));
  const shown = makeNumbers(model.get("names"));
  const buttons = makeButtons(model, clock);
  const choices = makeChoices(model, clock);
  const left = h("div", { style: { flex: "1 1 280px", maxWidth: "320px" } }, people);
  const right = h("div", { style: { flex: "1 1 280px", maxWidth: "330px" } }, bars, chart);
  frame(el, model).append(
    row(...buttons.nodes),
    row(left, right),
    ...shown.nodes,
    ...choices.nodes,
  );
  refresh();
  return endOf(put, clock, people, bars, chart);
}

export default { render };
