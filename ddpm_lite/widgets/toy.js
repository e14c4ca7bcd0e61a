import { button, calm, canvas, choice, drag, endOf, flexible, follow, frame, h, legend, normal, numbers, row, slider, stateOf, tables, two, uniform } from "./shared.js";
import { noised } from "./samplers.js";
import { apart, denoised, distance, evaluations, mixture, scoreAt, walk } from "./toy_mixture.js";
import { plane } from "./plane.js";
import { INKS, paintBackward, paintForward } from "./toy_pictures.js";

/**
 * @typedef {import("./toy_mixture.js").Point} Point
 * @typedef {import("./toy_mixture.js").Way} Way
 * @typedef {{
 *   cloud: string, schedule: string, sampler: Way, steps: number, seed: number, drawn: Point[],
 *   t: number, probe_x: number, probe_y: number,
 * }} Setting
 * @typedef {Setting & {
 *   clouds: Record<string, Point[]>, schedules: Record<string, number[]>, step_choices: number[], T: number,
 *   limits: Record<"probe_x" | "probe_y", Interval>,
 * }} State
 * @typedef {ReturnType<typeof makeScene>} Scene
 */

const [WIDTH, HEIGHT] = [350, 330];
const CLOUD_SEED = 2; // of the noise that the points are given: the same at every t
const MOST = 400; // points that a reader can draw
const GAP = 0.09; // their least distance
const SECONDS = 4; // from one end of time to the other
const NONE = "none";
const CLOUDS = {
  moons: "two moons",
  ring: "ring",
  letters: "letters",
  clover: "clover",
  own: "draw your own",
};
/** @type {Record<Way, string>} */
const SAMPLERS = {
  ancestral: "ancestral",
  ddim: "DDIM",
  heun: "Heun",
  two_m: "DPM-Solver++(2M)",
};
/** @type {Record<string, string>} */
const CLOCKS = { flow: "flow matching" }; // other schedules go by their own names
const EXACT_KEYS = /** @type {const} */ (["cloud", "schedule", "seed", "drawn"]);
const RUN_KEYS = /** @type {const} */ ([...EXACT_KEYS, "sampler", "steps"]);
const KEYS = /** @type {const} */ ([...RUN_KEYS, "t", "probe_x", "probe_y"]);

// --- Controls --------------------------------------------------------------------------------------

// Two buttons that let time run; where motion is not wanted a press is one step.
/** @param {Model<State>} model @param {Put<State>} put @param {HTMLElement} el */
function players(model, put, el) {
  const T = model.get("T");
  let going = 0; // +1 forward, -1 backward
  let began = 0;
  const nodes = [1, -1].map((way) => {
    const [text, name] = way > 0 ? ["noise ▸", "forward"] : ["◂ denoise", "backward"];
    return button(text, () => press(way), name);
  });
  const set = (/** @type {number} */ way) => {
    going = way;
    nodes.forEach((node, k) => node.setAttribute("aria-pressed", String(going === [1, -1][k])));
  };
  const start = (/** @type {number} */ way) => {
    const t = model.get("t");
    return t === (way > 0 ? T : 0) ? T - t : t;
  };
  const press = (/** @type {number} */ way) => {
    if (calm()) return put({ t: Math.min(T, Math.max(0, start(way) + way * Math.ceil(T / 20))) });
    if (going === way) return set(0);
    began = performance.now() - (way > 0 ? start(way) : T - start(way)) * ((1000 * SECONDS) / T);
    set(way);
    requestAnimationFrame(next);
  };
  const next = (/** @type {number} */ now) => {
    if (!going || !el.isConnected) return set(0);
    const gone = Math.min(T, Math.max(0, Math.round(((now - began) * T) / (1000 * SECONDS))));
    put({ t: going > 0 ? gone : T - gone });
    if (gone < T) requestAnimationFrame(next);
    else set(0);
  };
  set(0);
  return { nodes, end: () => set(0) };
}

// Runs are kept until something that they depend on changes.
/**
 * @template Made
 * @param {() => Made} make
 */
function memory(make) {
  /** @type {{ key: unknown[], value: Made } | undefined} */
  let kept;
  return (/** @type {unknown[]} */ ...key) => {
    if (!kept?.key.every((value, k) => value === key[k])) kept = { key, value: make() };
    return kept.value;
  };
}

// All that follows from the state: the points, their law at time t, and the walkers' run. While a hand
// draws there is no run, as each point would begin another.
/** @param {Model<State>} model */
function makeScene(model) {
  const get = /** @type {Model<State>["get"]} */ ((key) => model.get(key));
  const made = Object.entries(get("schedules")).map(([name, betas]) => [name, tables(betas)]);
  /** @type {Record<string, Tables>} */
  const schedules = Object.fromEntries(made);
  const schedule = () => schedules[get("schedule")];
  const own = () => get("cloud") === "own";
  const cloud = () => (own() ? get("drawn") : get("clouds")[get("cloud")]);
  const remembered = memory(() => {
    const [sampler, steps, seed] = [get("sampler"), +get("steps"), get("seed")];
    return walk(cloud(), schedule(), { sampler, steps, seed });
  });
  // The same walkers on the flow itself, as exactly as the schedule's times allow.
  const exactly = memory(() => walk(cloud(), schedule(), { sampler: "heun", steps: get("T"), seed: get("seed") }));
  const scene = {
    drawing: false,
    schedule,
    own,
    cloud,
    /** @returns {Point} */
    probe: () => [get("probe_x"), get("probe_y")],
    run: () => (scene.drawing || !cloud().length ? null : remembered(...RUN_KEYS.map(get))),
    // How far a run without fresh noise ends from that flow.
    error: () => {
      const run = get("sampler") === "ancestral" ? null : scene.run();
      return run ? apart(run, exactly(...EXACT_KEYS.map(get))) : NONE;
    },
    evaluations: () => evaluations(get("sampler"), get("T"), +get("steps")),
    law: () => (get("t") > 0 && cloud().length ? mixture(cloud(), schedule(), get("t")) : null),
    noisy: () => {
      if (get("t") === 0) return cloud().flat();
      return noised(schedule(), cloud().flat(), get("t"), normal(uniform(CLOUD_SEED)));
    },
  };
  return scene;
}

/** @param {Model<State>} model @param {Scene} scene */
function makePictures(model, scene) {
  const forward = canvas({
    width: WIDTH,
    height: HEIGHT,
    label: "The noisy points at time t, their density in shades, the score as arrows, and the probe",
    draw: (context, width, height, colour) => {
      const { cloud, noisy, law, probe, own } = scene;
      const shown = { cloud: cloud(), noisy: noisy(), law: law(), probe: probe(), own: own() };
      paintForward(context, width, height, colour, shown);
    },
  });
  const backward = canvas({
    width: WIDTH,
    height: HEIGHT,
    label: "Walkers on their way from noise to the points, with the trails of some",
    draw: (context, width, height, colour) => {
      const { t, sampler } = stateOf(model, KEYS);
      const shown = { cloud: scene.cloud(), run: scene.run(), t, sampler };
      paintBackward(context, width, height, colour, shown);
    },
  });
  return { forward, backward };
}

// --- Numbers ---------------------------------------------------------------------------------------

function makeNumbers() {
  const here = numbers({
    alpha_bar: "ᾱ",
    score_x: "score x",
    score_y: "score y",
    x0_x: "E[x₀|xₜ] x",
    x0_y: "E[x₀|xₜ] y",
    log_q: "log q(xₜ)",
  });
  const walkers = numbers({
    walker_t: "walkers at t",
    walker_x: "the red one: x",
    walker_y: "y",
    distance: "distance from the points",
    evaluations: "guesses asked for",
    error: "error at the end",
  });
  return { here, walkers };
}

// What the probe reads.
/** @param {number} t @param {Scene} scene */
function measured(t, scene) {
  const law = scene.law();
  const alpha_bar = t > 0 ? scene.schedule().alphaBar[t - 1] : 1;
  const none = { score_x: NONE, score_y: NONE, x0_x: NONE, x0_y: NONE, log_q: NONE };
  if (!law) return { alpha_bar, ...none };
  const [score_x, score_y] = scoreAt(law, ...scene.probe());
  const { x: x0_x, y: x0_y, log: log_q } = denoised(law, ...scene.probe());
  return { alpha_bar, score_x, score_y, x0_x, x0_y, log_q };
}

/** @param {number} t @param {Scene} scene */
function measuredWalkers(t, scene) {
  const last = scene.run()?.findLast((state) => state.t >= t);
  const cost = { evaluations: scene.evaluations(), error: scene.error() };
  if (!last) return { walker_t: NONE, walker_x: NONE, walker_y: NONE, distance: NONE, ...cost };
  const [walker_x, walker_y] = last.x;
  return { walker_t: last.t, walker_x, walker_y, distance: distance(scene.cloud(), last.x), ...cost };
}

// --- Put together ----------------------------------------------------------------------------------

// The knobs for time and the points; each of them stops time.
/** @param {Model<State>} model @param {Put<State>} put @param {(changes: Partial<State>) => void} still */
function makeKnobs(model, put, still) {
  const value = stateOf(model, KEYS);
  const axis = (/** @type {"probe_x" | "probe_y"} */ key, /** @type {string} */ label) => {
    const [min, max] = model.get("limits")[key];
    const change = (/** @type {number} */ to) => put({ [key]: to });
    return slider({ label, name: key, min, max, step: 0.01, value: value[key], show: two, change });
  };
  return {
    cloud: choice({
      label: "points",
      name: "cloud",
      options: Object.entries(CLOUDS),
      value: value.cloud,
      change: (cloud) => still(cloud === "own" ? { t: 0, cloud } : { cloud }),
    }),
    schedule: choice({
      label: "schedule",
      options: Object.keys(model.get("schedules")).map((name) => [name, CLOCKS[name] ?? name]),
      value: value.schedule,
      change: (schedule) => put({ schedule }),
    }),
    t: slider({
      label: "time t",
      name: "t",
      min: 0,
      max: model.get("T"),
      step: 1,
      value: value.t,
      change: (t) => still({ t }),
    }),
    probe_x: axis("probe_x", "probe x"),
    probe_y: axis("probe_y", "probe y"),
    ...samplerKnobs(model, put),
  };
}

/** @param {Model<State>} model @param {Put<State>} put */
function samplerKnobs(model, put) {
  return {
    sampler: choice({
      label: "sampler",
      options: Object.entries(SAMPLERS),
      value: model.get("sampler"),
      change: (sampler) => put({ sampler: /** @type {Way} */ (sampler) }),
    }),
    steps: choice({
      label: "steps",
      name: "steps",
      options: model.get("step_choices").map(String),
      value: String(model.get("steps")),
      change: (steps) => put({ steps: +steps }),
    }),
  };
}

// A point of the reader's own, if it is not too near to another.
/** @param {Model<State>} model @param {Put<State>} put @param {Point} point */
function add(model, put, [x, y]) {
  const drawn = model.get("drawn");
  const close = drawn.some((point) => Math.hypot(point[0] - x, point[1] - y) < GAP);
  if (!close && drawn.length < MOST) put({ t: 0, drawn: [...drawn, [x, y]] });
}

// In the left picture a hand moves the probe, or draws; `drawn` is called when it has drawn.
/**
 * @param {Picture} forward @param {Model<State>} model @param {Put<State>} put @param {Scene} scene
 * @param {() => void} drawn
 */
function dragForward(forward, model, put, scene, drawn) {
  const inside = (/** @type {number} */ value) =>
    Math.min(3, Math.max(-3, Math.round(value * 100) / 100));
  /** @type {(px: number, py: number) => { draws?: boolean, cursor?: string, loose?: boolean }} */
  const pick = (px, py) => {
    const draws = scene.own() && (model.get("t") === 0 || !scene.cloud().length);
    if (draws) return { draws, cursor: "crosshair" };
    const [x, y] = plane(forward.clientWidth, HEIGHT).to(...scene.probe());
    return { loose: Math.hypot(px - x, py - y) > 18 };
  };
  drag(forward, pick, ({ draws }, px, py) => {
    const [x, y] = plane(forward.clientWidth, HEIGHT).from(px, py).map(inside);
    scene.drawing = Boolean(draws);
    if (draws) add(model, put, [x, y]);
    else put({ probe_x: x, probe_y: y });
  });
  for (const end of ["pointerup", "pointercancel"])
    forward.addEventListener(end, () => {
      if (!scene.drawing) return;
      scene.drawing = false;
      drawn();
    });
}

// A picture under its title.
/** @param {string} text @param {Picture} picture */
function panel(text, picture) {
  return flexible(h("div", {}, h("p", { className: "w-note" }, text), picture), 300, 1);
}

/** @param {View<State>} view */
function render({ model, el }) {
  const scene = makeScene(model);
  const { forward, backward } = makePictures(model, scene);
  const shown = makeNumbers();
  const refresh = () => {
    const [t, own] = [model.get("t"), scene.own()];
    showState();
    knobs.steps.select.disabled = model.get("sampler") === "ancestral";
    place.disabled = !own;
    clear.disabled = !own || !model.get("drawn").length;
    forward.style.cursor = own ? "crosshair" : "";
    shown.here.set(measured(t, scene));
    shown.walkers.set(measuredWalkers(t, scene));
    forward.redraw();
    backward.redraw();
  };
  const put = follow(model, KEYS, refresh);
  const play = players(model, put, el);
  const still = (/** @type {Partial<State>} */ changes) => {
    play.end();
    put(changes);
  };
  const knobs = makeKnobs(model, put, still);
  const showState = () => {
    for (const key of /** @type {const} */ (["t", "probe_x", "probe_y"])) knobs[key].set(model.get(key));
    for (const key of /** @type {const} */ (["cloud", "schedule", "sampler", "steps"]))
      knobs[key].set(model.get(key));
  };
  const clear = button("clear", () => still({ drawn: [], t: 0 }), "clear");
  const again = button("new noise", () => put({ seed: model.get("seed") + 1 }), "again");
  const place = button("add the probe", () => add(model, put, scene.probe()), "add");
  dragForward(forward, model, put, scene, refresh);
  frame(el, model).append(
    row(knobs.cloud, knobs.schedule, place, clear),
    row(knobs.t, ...play.nodes),
    row(
      panel("Noise added: points, density, score", forward),
      panel("Noise removed: walkers from t = T", backward),
    ),
    row(knobs.sampler, knobs.steps, again),
    row(knobs.probe_x, knobs.probe_y),
    legend([
      [INKS.cloud, "points"],
      [INKS.probe, "probe → E[x₀|xₜ]"],
      [INKS.walk, "density, walkers"],
      [INKS.first, "one walker"],
    ]),
    shown.here,
    shown.walkers,
  );
  refresh();
  return endOf(put, play, forward, backward);
}

export default { render };
