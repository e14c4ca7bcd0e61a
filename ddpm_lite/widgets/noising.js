import { COLOURS, SCHEDULE_NAMES, axes, betasOf, button, calm, canvas, choice, context2d, drag, endOf, flexed, flexible, follow, frame, h, line, normal, numbers, row, scale, slider, spot, stateOf, swatch, tables, uniform } from "./shared.js";

/**
 * @typedef {{ pixels: number[], channels: number, side: number }} Look
 * @typedef {{ picture: string, schedule: string, T: number, t: number }} Setting
 * @typedef {Setting & { pictures: Record<string, Look> }} State
 * @typedef {Setting & { pictures: Record<string, Look>, seed: number }} Choices
 * @typedef {ReturnType<ReturnType<typeof memory>>} Kept
 * @typedef {ReturnType<typeof noised>} Noised
 * @typedef {(table: Tables, t: number) => number} Of
 * @typedef {{ title: string, of: Of, range: Interval, ticks: number[], label: string }} Curve
 */

const KEYS = /** @type {const} */ (["picture", "schedule", "T", "t"]);
const STEPS = [25, 50, 100, 250, 1000];
const REACH = 3.5; // the histogram runs from -3.5 to 3.5
const BINS = 35;
const MARGIN = 18; // right of a curve
const WALK = 9; // seconds from t = 0 to T

/** @param {Values} values */
const mean = (values) => {
  let sum = 0;
  for (const v of values) sum += v;
  return sum / values.length;
};
/** @param {Values} values */
const spread = (values) => {
  const centre = mean(values);
  return Math.sqrt(mean(values.map((v) => (v - centre) ** 2)));
};

// One path of the chain: walk(t) gives x_t, each state made from the one before with fresh noise.
/** @param {Float64Array} clean @param {number[]} beta @param {number} seed */
function walker(clean, beta, seed) {
  /** @type {Values[]} */
  const states = [clean];
  const draw = normal(uniform(seed));
  return (/** @type {number} */ t) => {
    for (let s = states.length; s <= t; s++) {
      const [keep, add] = [Math.sqrt(1 - beta[s - 1]), Math.sqrt(beta[s - 1])];
      const [before, after] = [states[s - 1], new Float32Array(clean.length)];
      for (let k = 0; k < after.length; k++) after[k] = keep * before[k] + add * draw();
      states.push(after);
    }
    return states[t];
  };
}

// All that follows from the choices, kept until they change: the schedule, one path, one noise.
function memory() {
  /** @type {{ key: string, value: ReturnType<typeof make> } | undefined} */
  let kept;
  const make = (/** @type {Choices} */ { pictures, picture, schedule, T, seed }) => {
    const clean = Float64Array.from(pictures[picture].pixels, (v) => v / 127.5 - 1);
    const draw = normal(uniform(seed + 1000));
    const table = tables(betasOf(schedule, T));
    return { clean, table, eps: clean.map(draw), walk: walker(clean, table.beta, seed) };
  };
  return (/** @type {Choices} */ choices) => {
    const { picture, schedule, T, seed } = choices;
    const key = [picture, schedule, T, seed].join();
    if (kept?.key !== key) kept = { key, value: make(choices) };
    return kept.value;
  };
}

// What the formula says at time t, and both pictures.
/** @param {Kept} kept @param {number} t */
function noised({ clean, table, eps, walk }, t) {
  const [alpha_bar, rest] = t ? [table.alphaBar[t - 1], table.oneMinusAlphaBar[t - 1]] : [1, 0];
  const [signal, noise] = [Math.sqrt(alpha_bar), Math.sqrt(rest)];
  const jump = clean.map((v, k) => signal * v + noise * eps[k]);
  const facts = { alpha_bar, snr: t ? table.snr[t - 1] : Infinity, signal, noise };
  return { facts, jump, steps: walk(t) };
}

/** @param {Kept} kept @param {Noised} now */
function statistics({ clean }, { facts, jump, steps }) {
  const centre = facts.signal * mean(clean);
  const width = Math.sqrt(facts.alpha_bar * spread(clean) ** 2 + facts.noise ** 2);
  return {
    formula: { mean_formula: centre, sd_formula: width },
    steps: { mean_steps: mean(steps), sd_steps: spread(steps) },
    jump: { mean_jump: mean(jump), sd_jump: spread(jump) },
  };
}

// --- Pictures ------------------------------------------------------------------------------------

/** @param {string} title @param {string} name */
function tile(title, name) {
  const picture = h("canvas", {
    role: "img",
    dataset: { name },
    style: { width: "100%", aspectRatio: "1", imageRendering: "pixelated", borderRadius: "4px" },
  });
  const small = { fontSize: ".85rem", lineHeight: "1.25", minHeight: "2.5em", marginTop: ".3rem" };
  const caption = h("figcaption", { style: small });
  const style = { flex: "1 1 0", margin: "0", minWidth: "0", maxWidth: "200px" };
  const node = h("figure", { style }, picture, caption);
  /** @type {(values: Values, look: Look, note: string) => void} */
  const show = (values, { channels, side }, note) => {
    caption.replaceChildren(h("strong", { textContent: title }), h("br"), note);
    picture.setAttribute("aria-label", `${title}: ${note}`);
    paint(picture, values, channels, side);
  };
  return Object.assign(node, { show });
}

/**
 * @param {HTMLCanvasElement} picture @param {Values} values @param {number} channels
 * @param {number} side
 */
function paint(picture, values, channels, side) {
  if (picture.width !== side) picture.width = picture.height = side;
  const context = context2d(picture);
  const image = context.createImageData(side, side);
  const area = side * side;
  image.data.fill(255);
  for (let k = 0; k < area; k++)
    for (let c = 0; c < 3; c++) image.data[4 * k + c] = 127.5 * (values[k + (c % channels) * area] + 1);
  context.putImageData(image, 0, 0);
}

// --- Plots ---------------------------------------------------------------------------------------

/** @param {Values} values */
function histogram(values) {
  const counts = Array.from({ length: BINS }, () => 0);
  for (const v of values) {
    const bin = Math.floor(((v + REACH) / (2 * REACH)) * BINS);
    if (bin >= 0 && bin < BINS) counts[bin] += 1;
  }
  return counts.map((count) => (count * BINS) / (2 * REACH * values.length));
}

/** @type {Scale} */
const edge = (k) => -REACH + (2 * REACH * k) / BINS;

/** @type {Paint<Noised>} */
function paintHistogram(context, width, height, colour, { steps, jump }) {
  const [walked, jumped] = [histogram(steps), histogram(jump)];
  const bottom = height - 36;
  const x = scale(-REACH, REACH, 8, width - 8);
  const y = scale(0, Math.max(0.5, ...walked, ...jumped), bottom, 22);
  const xTicks = [-3, -2, -1, 0, 1, 2, 3];
  axes(context, { x, y, xTicks, colour, yLabel: "pixel values and N(0, 1)", left: 8, bottom });
  context.save();
  context.fillStyle = COLOURS[0];
  context.globalAlpha = 0.55;
  const wide = x(edge(1)) - x(edge(0)) - 1;
  walked.forEach((v, k) => context.fillRect(x(edge(k)) + 0.5, y(v), wide, bottom - y(v)));
  context.restore();
  const outline = jumped.flatMap((v, k) => [[x(edge(k)), y(v)], [x(edge(k + 1)), y(v)]]);
  line(context, outline, COLOURS[1], 1.75);
  const bell = Array.from({ length: 101 }, (_, k) => -REACH + (REACH * k) / 50);
  context.save();
  context.setLineDash([5, 4]);
  line(context, bell.map((v) => [x(v), y(Math.exp((-v * v) / 2) / Math.sqrt(2 * Math.PI))]), colour, 1.75);
  context.restore();
  line(context, [[x(-REACH), bottom], [x(REACH), bottom]], colour, 1);
}

// A curve over t for each schedule, the chosen one thick, with a marker at t.
/** @type {Paint<Setting & Curve & { table: (name: string) => Tables }>} */
function paintCurve(context, width, height, colour, { T, t, schedule, table, of, range, ticks, title }) {
  const [left, bottom] = [30, height - 36];
  const x = scale(0, T, left, width - MARGIN);
  const y = scale(...range, bottom, 22);
  const marks = { xTicks: [0, T / 2, T], yTicks: ticks };
  axes(context, { x, y, ...marks, colour, xLabel: "t", yLabel: title, left, bottom });
  context.save();
  context.beginPath();
  context.rect(left, 18, width - left, bottom - 18);
  context.clip();
  for (const name of SCHEDULE_NAMES) {
    const chosen = name === schedule;
    context.globalAlpha = chosen ? 1 : 0.5;
    line(context, sampled(table(name), of, T, x, y), chosen ? COLOURS[2] : colour, chosen ? 2.5 : 1);
  }
  context.restore();
  line(context, [[left, bottom], [width - MARGIN, bottom]], colour, 1);
  const at = of(table(schedule), t);
  if (at > range[1]) return; // the SNR of a clean picture
  const [px, py] = [x(t), Math.min(bottom, y(at))];
  context.save();
  context.setLineDash([3, 3]);
  line(context, [[px, bottom], [px, py], [left, py]], colour, 1);
  context.restore();
  spot(context, px, py, 5, COLOURS[1]);
}

/**
 * @param {Tables} table @param {Of} of @param {number} T @param {Scale} x @param {Scale} y
 */
function sampled(table, of, T, x, y) {
  const stride = Math.max(1, Math.round(T / 125));
  const times = Array.from({ length: Math.floor(T / stride) + 1 }, (_, k) => k * stride);
  return times.map((t) => [x(t), y(Math.min(99, of(table, t)))]);
}

/** @type {Curve[]} */
const CURVES = [
  {
    title: "ᾱ over t",
    of: (table, t) => (t ? table.alphaBar[t - 1] : 1),
    range: [0, 1],
    ticks: [0, 0.5, 1],
    label: "alpha-bar over t, which falls from 1 to 0, with a marker at the chosen t",
  },
  {
    title: "log₁₀ SNR over t",
    of: (table, t) => (t ? Math.log10(table.snr[t - 1]) : Infinity),
    range: [-5, 5],
    ticks: [-4, -2, 0, 2, 4],
    label: "the logarithm of the signal-to-noise ratio over t, falling, with a marker at the chosen t",
  },
];

// --- Put together --------------------------------------------------------------------------------

/** @param {string} colour @param {string} text */
function dotted(colour, text) {
  return h("span", { style: { minWidth: "8.5em" } }, swatch(colour), text);
}

// The numbers of one line of the comparison; only the first block speaks.
/**
 * @template {HTMLElement} Node
 * @param {Node} node
 */
function silent(node) {
  node.removeAttribute("role");
  return node;
}

/**
 * @param {Model<State>} model @param {() => Noised} current
 * @param {(changes: Partial<State>) => void} put
 */
function plots(model, current, put) {
  /** @type {Record<string, Tables>} */
  const known = {};
  const table = (/** @type {string} */ name) =>
    (known[`${name} ${model.get("T")}`] ??= tables(betasOf(name, model.get("T"))));
  const bars = canvas({
    width: 400,
    height: 190,
    label: "Histograms of the pixel values of both pictures, and the standard normal density",
    draw: (context, width, height, colour) => paintHistogram(context, width, height, colour, current()),
  });
  const curves = CURVES.map((what) => {
    /** @type {Draw} */
    const draw = (context, width, height, colour) =>
      paintCurve(context, width, height, colour, { ...what, ...stateOf(model, KEYS), table });
    const node = canvas({ width: 300, height: 190, label: what.label, draw });
    const time = (/** @type {number} */ px) =>
      Math.round(((px - 30) / (node.clientWidth - 30 - MARGIN)) * model.get("T"));
    drag(
      node,
      (px) => (px > 20 ? { loose: true } : null),
      (_, px) => put({ t: Math.min(model.get("T"), Math.max(0, time(px))) }),
    );
    return node;
  });
  const node = flexed(flexible(bars, 270, 3), ...curves.map((curve) => flexible(curve, 150, 2)));
  node.style.marginTop = ".5rem";
  const redraw = () => [bars, ...curves].forEach((c) => c.redraw());
  return Object.assign(node, { redraw, end: endOf(bars, ...curves) });
}

// The button that lets time run; where motion is not wanted it takes one step a press.
/** @param {Model<State>} model @param {Put<State>} put @param {HTMLElement} el */
function player(model, put, el) {
  /** @type {number | null} */
  let start = null;
  const node = button("Play", () => (calm() ? step() : toggle()), "play");
  const step = () => put({ t: (model.get("t") + 1) % (model.get("T") + 1) });
  const toggle = () => {
    if (start !== null) return stop();
    const T = model.get("T");
    start = performance.now() - (model.get("t") >= T ? 0 : ((1000 * WALK) / T) * model.get("t"));
    node.textContent = "Stop";
    requestAnimationFrame(next);
  };
  const stop = () => {
    start = null;
    node.textContent = calm() ? "One step" : "Play";
  };
  const next = (/** @type {number} */ now) => {
    if (start === null || !el.isConnected) return stop();
    const T = model.get("T");
    const t = Math.min(T, Math.max(0, Math.floor(((now - start) * T) / (1000 * WALK))));
    put({ t });
    if (t < T) requestAnimationFrame(next);
    else stop();
  };
  node.style.minWidth = "6em";
  stop();
  return Object.assign(node, { end: stop });
}

/** @param {Model<State>} model @param {Put<State>} put @param {(changes: Partial<State>) => void} byHand */
function makeControls(model, put, byHand) {
  const { picture, schedule, T, t } = stateOf(model, KEYS);
  const steps = [...new Set([...STEPS, T])].sort((a, b) => a - b);
  // The share of the way that has been gone stays the same.
  const rescale = (/** @type {number} */ to) =>
    byHand({ t: Math.min(to, Math.round((model.get("t") / model.get("T")) * to)), T: to });
  return {
    picture: choice({
      label: "picture",
      options: Object.keys(model.get("pictures")),
      value: picture,
      change: (name) => put({ picture: name }),
    }),
    schedule: choice({
      label: "schedule",
      options: SCHEDULE_NAMES,
      value: schedule,
      change: (name) => put({ schedule: name }),
    }),
    T: choice({ label: "T", options: steps, value: T, change: (to) => rescale(+to) }),
    t: slider({ label: "t", min: 0, max: T, step: 1, value: t, change: (to) => byHand({ t: to }) }),
  };
}

// The three pictures: clean, noised step by step, noised in one jump.
function makeTiles() {
  const tiles = [tile("x₀", "clean"), tile("step by step", "steps"), tile("in one jump", "jump")];
  const node = h("div", { style: { display: "flex", gap: "12px", margin: ".5rem 0" } }, ...tiles);
  /** @type {(now: Noised & { kept: Kept }, look: Look, t: number) => void} */
  const show = (now, look, t) => {
    tiles[0].show(now.kept.clean, look, "clean");
    tiles[1].show(now.steps, look, t === 1 ? "1 small step" : `${t} small steps`);
    tiles[2].show(now.jump, look, "one formula");
  };
  return { node, show };
}

// Mean and deviation of the pixels, in a line each.
function makeLines() {
  const steps = silent(numbers({ mean_steps: "mean", sd_steps: "σ" }));
  const jump = silent(numbers({ mean_jump: "mean", sd_jump: "σ" }));
  const formula = silent(numbers({ mean_formula: "mean", sd_formula: "σ" }));
  const whole = (/** @type {string} */ colour, /** @type {string} */ text, /** @type {Node} */ node) =>
    h("div", { className: "w-numbers" }, dotted(colour, text), node);
  const nodes = [
    whole(COLOURS[0], "step by step", steps),
    whole(COLOURS[1], "in one jump", jump),
    whole("transparent", "by the formula", formula),
  ];
  const set = (/** @type {ReturnType<typeof statistics>} */ found) => {
    steps.set(found.steps);
    jump.set(found.jump);
    formula.set(found.formula);
  };
  return { nodes, set };
}

/** @param {View<State>} view */
function render({ model, el }) {
  const pictures = model.get("pictures");
  const recall = memory();
  let seed = 1;
  const compute = () => {
    const kept = recall({ ...stateOf(model, KEYS), pictures, seed });
    return { ...noised(kept, model.get("t")), kept };
  };
  let now = compute();
  const put = follow(model, KEYS, () => refresh());
  const byHand = (/** @type {Partial<State>} */ changes) => {
    play.end();
    put(changes);
  };
  const play = player(model, put, el);
  const controls = makeControls(model, put, byHand);
  const again = button("New noise", () => ((seed += 1), refresh()), "noise");
  const tiles = makeTiles();
  const facts = numbers({ alpha_bar: "ᾱ", snr: "SNR", signal: "√ᾱ", noise: "√(1−ᾱ)" });
  const lines = makeLines();
  const drawn = plots(model, () => now, byHand);
  const refresh = () => {
    now = compute();
    controls.t.input.max = String(model.get("T"));
    controls.picture.set(model.get("picture"));
    controls.schedule.set(model.get("schedule"));
    controls.T.set(model.get("T"));
    controls.t.set(model.get("t"));
    tiles.show(now, pictures[model.get("picture")], model.get("t"));
    facts.set(now.facts);
    lines.set(statistics(now.kept, now));
    drawn.redraw();
  };
  const hint = "Thin lines: the other schedules. Drag in a curve to move t.";
  frame(el, model).append(
    row(controls.picture, controls.schedule, controls.T),
    row(controls.t, play, again),
    tiles.node,
    facts,
    drawn,
    h("p", { className: "w-note", textContent: hint }),
    ...lines.nodes,
  );
  refresh();
  return endOf(put, play, drawn);
}

export default { render };
