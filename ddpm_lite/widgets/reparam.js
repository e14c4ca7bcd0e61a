import { COLOURS, axes, back, canvas, choice, drag, endOf, follow, frame, h, letters, line, numbers, row, scale, slider, stateOf, two, within } from "./shared.js";

/**
 * @typedef {{ mu: number, sigma: number, arrows: string }} Setting
 * @typedef {Setting & { eps: number[], limits: Record<"mu" | "sigma", Interval> }} State
 * @typedef {Setting & { eps: number[] } & ReturnType<typeof estimates>} Draws
 */

const REACH = 6; // both lines run from -6 to 6
const KEYS = /** @type {const} */ (["mu", "sigma", "arrows"]);
const ARROWS = {
  path: "slope by the path: 2x",
  score: "slope by the score: x² ε / σ",
  mu: "the move as μ grows by ½",
  sigma: "the move as σ grows by ½",
};
const SLOPE = 0.15; // the length of an arrow for a slope of 1
const PATH_COLOUR = COLOURS[2];
const SCORE_COLOUR = COLOURS[4];

/** @type {Scale} */
const bell = (z) => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);

// The estimates of the slope of E[x^2] in mu, one for each draw.
/** @param {number[]} eps @param {number} mu @param {number} sigma */
function estimates(eps, mu, sigma) {
  const xs = eps.map((e) => mu + sigma * e);
  return { xs, path: xs.map((x) => 2 * x), score: xs.map((x, k) => (x * x * eps[k]) / sigma) };
}

/** @param {number[]} values */
function meanAndVariance(values) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1);
  return [mean, variance];
}

/** @param {number} mu @param {number} sigma */
function exactVariances(mu, sigma) {
  return [4 * sigma ** 2, mu ** 4 / sigma ** 2 + 14 * mu ** 2 + 15 * sigma ** 2];
}

// A height for each draw that spreads the cloud under its curve; the same at every setting.
/** @type {(k: number, e: number) => number} */
const lift = (k, e) => ((k * 0.618034) % 1) * bell(e);

// From blue to orange with growing eps, so that each draw is known again where it lands.
/** @param {number} e */
function tint(e) {
  const share = Math.min(1, Math.max(0, (e + 2) / 4));
  /** @type {(from: number, to: number) => number} */
  const mix = (from, to) => Math.round(from + share * (to - from));
  return `rgb(${mix(0x2b, 0xcf)},${mix(0x7b, 0x6a)},${mix(0xba, 0x17)})`;
}

/** @param {number} width @param {number} height */
function places(width, height) {
  return {
    x: scale(-REACH, REACH, 8, width - 8),
    upper: 86, // the line of eps
    lower: height - 40, // the line of x
    high: 66 / bell(0), // pixels for the height of the noise's curve
  };
}

/** @param {Context} context @param {number} foot @param {Place[]} points @param {string} colour */
function curve(context, foot, points, colour) {
  line(context, points.map(([px, up]) => [px, foot - up]), colour, 2);
}

/** @param {Context} context @param {number} px @param {number} py @param {string} colour */
function dot(context, px, py, colour, radius = 2) {
  context.beginPath();
  context.arc(px, py, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
}

/** @param {Context} context @param {number} px @param {number} py @param {string} colour */
function ring(context, px, py, colour) {
  context.beginPath();
  context.arc(px, py, 5, 0, 2 * Math.PI);
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.stroke();
}

/**
 * @param {Context} context @param {number} from @param {number} to @param {number} py
 * @param {string} colour
 */
function arrow(context, from, to, py, colour) {
  const way = Math.sign(to - from);
  if (Math.abs(to - from) < 1) return;
  const size = Math.min(6, Math.abs(to - from));
  line(context, [[from, py], [to, py]], colour, 1.5);
  context.beginPath();
  context.moveTo(to + way, py);
  context.lineTo(to - way * size, py - size / 2);
  context.lineTo(to - way * size, py + size / 2);
  context.fillStyle = colour;
  context.fill();
}

// The arrows' lengths, in units of x.
/** @param {string} arrows @param {Pick<Draws, "eps" | "path" | "score">} draws */
function lengths(arrows, { eps, path, score }) {
  if (arrows === "mu") return eps.map(() => 0.5);
  if (arrows === "sigma") return eps.map((e) => 0.5 * e);
  return (arrows === "path" ? path : score).map((slope) => SLOPE * slope);
}

// Three draws that are followed from line to line: one left, one in the middle, one right.
/** @param {number[]} eps */
function followed(eps) {
  const nearest = (/** @type {number} */ goal) =>
    eps.reduce((best, e, k) => (Math.abs(e - goal) < Math.abs(eps[best] - goal) ? k : best), 0);
  return [-1.3, 0, 1.3].map(nearest);
}

// Where each draw stands: on the line of eps, and on the line of x. A narrow cloud would stand higher
// than there is room: then the curve is pressed down.
/** @param {number} width @param {number} height @param {Draws} draws */
function standing(width, height, { sigma, eps, xs }) {
  const { x, upper, lower, high } = places(width, height);
  const squeeze = Math.min(1 / sigma, 1.6);
  const heights = eps.map((e, k) => high * lift(k, e));
  return {
    x,
    upper,
    lower,
    high,
    pressed: high * squeeze,
    before: eps.map((e, k) => /** @type {Place} */ ([x(e), upper - heights[k]])),
    after: xs.map((at, k) => /** @type {Place} */ ([x(at), lower - heights[k] * squeeze])),
  };
}

/** @type {Paint<Draws>} */
function paintCloud(context, width, height, colour, draws) {
  const at = standing(width, height, draws);
  const { x, upper, lower } = at;
  axes(context, { x, xTicks: [-6, -4, -2, 0, 2, 4, 6], colour, left: 8, bottom: lower });
  context.fillStyle = colour;
  letters(context, 14, "600");
  context.fillText("ε", 4, 30);
  context.fillText("x = μ + σε", 4, lower - 92);
  for (const level of [upper, lower]) line(context, [[x(-REACH), level], [x(REACH), level]], colour, 1);
  paintDraws(context, at, draws, colour);
  paintArrows(context, at, draws);
  paintFollowed(context, at, draws, colour);
  paintKnobs(context, at, draws, colour);
}

/**
 * @param {Context} context @param {ReturnType<typeof standing>} at @param {Draws} draws
 * @param {string} colour
 */
function paintDraws(context, { x, upper, lower, before, after, high, pressed }, { mu, sigma, eps }, colour) {
  context.globalAlpha = 0.2;
  for (let k = 0; k < eps.length; k += 2)
    line(context, [[before[k][0], upper], after[k]], tint(eps[k]), 1);
  context.globalAlpha = 1;
  eps.forEach((e, k) => {
    dot(context, ...before[k], tint(e));
    dot(context, ...after[k], tint(e));
  });
  const grid = Array.from({ length: 121 }, (_, k) => -4 + k / 15);
  curve(context, upper, grid.map((z) => [x(z), high * bell(z)]), colour);
  curve(context, lower, grid.map((z) => [x(mu + sigma * z), pressed * bell(z)]), COLOURS[0]);
}

/** @param {Context} context @param {ReturnType<typeof standing>} at @param {Draws} draws */
function paintArrows(context, { x, after }, { arrows, xs, ...found }) {
  const shift = lengths(arrows, found);
  const paint = arrows === "path" ? PATH_COLOUR : arrows === "score" ? SCORE_COLOUR : COLOURS[3];
  for (let k = 0; k < xs.length; k += 10)
    arrow(context, after[k][0], x(xs[k] + shift[k]), after[k][1], paint);
}

/**
 * @param {Context} context @param {ReturnType<typeof standing>} at @param {Draws} draws
 * @param {string} colour
 */
function paintFollowed(context, { before, after }, { eps }, colour) {
  for (const k of followed(eps)) {
    const ends = [before[k], after[k]];
    line(context, ends, colour, 1.5);
    for (const [px, py] of ends) ring(context, px, py, colour);
  }
}

/**
 * @param {Context} context @param {ReturnType<typeof standing>} at @param {Draws} draws
 * @param {string} colour
 */
function paintKnobs(context, { x, lower }, { mu, sigma }, colour) {
  dot(context, x(mu), lower, COLOURS[0], 7);
  dot(context, x(mu + sigma), lower, COLOURS[1], 7);
  context.fillStyle = colour;
  letters(context, 12);
  context.textAlign = "center";
  context.fillText("μ", x(mu), lower + 32);
  context.fillText("μ + σ", Math.max(x(mu + sigma), x(mu) + 36), lower + 32);
}

// Both estimates of all draws on one axis, with their mean and one standard deviation each way.
/** @type {Paint<Draws>} */
function paintSlopes(context, width, height, colour, { mu, sigma, path, score }) {
  const [left, bottom] = [8, height - 36];
  const reach = 3 * Math.sqrt(exactVariances(mu, sigma)[1]);
  const x = scale(2 * mu - reach, 2 * mu + reach, left, width - 8);
  const unit = 10 ** Math.floor(Math.log10(reach));
  const apart = [1, 2, 5].map((k) => (k * unit) / 2).find((d) => reach / d < 5) ?? 5 * unit;
  const first = Math.ceil((2 * mu - 0.9 * reach) / apart);
  const count = Math.floor((2 * mu + 0.9 * reach) / apart) - first + 1;
  const ticks = Array.from({ length: count }, (_, k) => +((first + k) * apart).toPrecision(6));
  axes(context, { x, xTicks: ticks, colour, left, bottom });
  context.fillStyle = colour;
  letters(context, 12);
  context.textAlign = "right";
  context.fillText("estimated slope, one for each draw", width - 8, bottom + 32);
  context.textAlign = "left";
  line(context, [[left, bottom], [width - 8, bottom]], colour, 1);
  context.setLineDash([4, 3]);
  line(context, [[x(2 * mu), 8], [x(2 * mu), bottom]], colour, 1.5);
  context.setLineDash([]);
  const rows = [
    { text: "pathwise 2x", values: path, paint: PATH_COLOUR, middle: 40 },
    { text: "score x² ε / σ", values: score, paint: SCORE_COLOUR, middle: 98 },
  ];
  for (const { text, values, paint, middle } of rows) {
    context.globalAlpha = 0.5;
    values.forEach((v, k) => dot(context, x(v), middle + 20 * (((k * 0.618034) % 1) - 0.5), paint));
    context.globalAlpha = 1;
    const [mean, variance] = meanAndVariance(values);
    const ends = [mean - Math.sqrt(variance), mean + Math.sqrt(variance)];
    line(context, ends.map((v) => [x(v), middle + 16]), colour, 3);
    dot(context, x(mean), middle + 16, colour, 4.5);
    context.fillStyle = colour;
    context.fillText(text, left, middle - 16);
  }
}

const KINDS = /** @type {const} */ (["path", "score"]);

// The numbers of both estimates, and those of the whole.
function makeNumbers() {
  const whole = numbers({ slope: "exact slope 2μ =", ratio: "variances, score / path" });
  const kinds = KINDS.map((key) =>
    numbers({ [`mean_${key}`]: "mean", [`var_${key}`]: "variance", [`exact_${key}`]: "exactly" }));
  /** @type {(draws: Draws) => void} */
  const set = ({ mu, sigma, ...found }) => {
    const exact = exactVariances(mu, sigma);
    KINDS.forEach((key, k) => {
      const [mean, variance] = meanAndVariance(found[key]);
      kinds[k].set({ [`mean_${key}`]: mean, [`var_${key}`]: variance, [`exact_${key}`]: exact[k] });
    });
    whole.set({ slope: 2 * mu, ratio: exact[1] / exact[0] });
  };
  return { nodes: [whole, ...kinds.map((node, k) => named(KINDS[k], node))], set };
}

/** @param {string} text @param {HTMLElement} node */
function named(text, node) {
  const whole = row(h("span", { textContent: text, style: { fontSize: ".9rem", width: "3rem" } }), node);
  Object.assign(whole.style, { columnGap: "0", margin: ".15rem 0" });
  node.style.columnGap = ".8rem";
  return whole;
}

/** @param {Model<State>} model @param {Put<State>} put */
function makeKnobs(model, put) {
  const knob = (/** @type {"mu" | "sigma"} */ name, /** @type {string} */ label) => {
    const [min, max] = model.get("limits")[name];
    const change = (/** @type {number} */ v) => put({ [name]: v });
    const parts = { label, name, min, max, step: 0.01, value: model.get(name) };
    const made = slider({ ...parts, show: two, change });
    made.input.style.width = "min(11rem, 45vw)"; // two of them fit in a row
    return made;
  };
  const arrows = choice({
    label: "arrows",
    options: Object.entries(ARROWS),
    value: model.get("arrows"),
    change: (kind) => put({ arrows: kind }),
  });
  return { mu: knob("mu", "mean μ"), sigma: knob("sigma", "width σ"), arrows };
}

// A hand moves the two dots on the line of x.
/** @param {Picture} cloud @param {Model<State>} model @param {Put<State>} put */
function dragKnobs(cloud, model, put) {
  const at = () => places(cloud.clientWidth, cloud.clientHeight);
  /** @type {(px: number, py: number) => { name: "mu" | "sigma" } | null} */
  const pick = (px, py) => {
    const [mu, sigma] = [model.get("mu"), model.get("sigma")];
    const near = (/** @type {number} */ value) => Math.hypot(px - at().x(value), py - at().lower);
    if (Math.min(near(mu), near(mu + sigma)) > 20) return null;
    return { name: near(mu) < near(mu + sigma) ? "mu" : "sigma" };
  };
  drag(cloud, pick, ({ name }, px) => {
    const value = back(at().x, px) - (name === "mu" ? 0 : model.get("mu"));
    put({ [name]: within(model.get("limits")[name], value) });
  });
}

/** @param {View<State>} view */
function render({ model, el }) {
  const eps = model.get("eps");
  const state = () => {
    const { mu, sigma, arrows } = stateOf(model, KEYS);
    return { mu, sigma, arrows, eps, ...estimates(eps, mu, sigma) };
  };
  /** @type {(paint: Paint<Draws>) => Draw} */
  const draw = (paint) => (context, width, height, colour) =>
    paint(context, width, height, colour, state());
  const cloud = canvas({
    width: 680,
    height: 290,
    label: "Above, a fixed cloud of noise; below, the same points moved by μ and stretched by σ",
    draw: draw(paintCloud),
  });
  const slopes = canvas({
    width: 680,
    height: 166,
    label: "The slopes that single draws give: close together by the path, wide apart by the score",
    draw: draw(paintSlopes),
  });
  const shown = makeNumbers();
  const refresh = () => {
    shown.set(state());
    knobs.mu.set(model.get("mu"));
    knobs.sigma.set(model.get("sigma"));
    knobs.arrows.set(model.get("arrows"));
    for (const picture of [cloud, slopes]) picture.redraw();
  };
  const put = follow(model, KEYS, refresh);
  const knobs = makeKnobs(model, put);
  dragKnobs(cloud, model, put);
  frame(el, model).append(row(knobs.mu, knobs.sigma, knobs.arrows), cloud, slopes, ...shown.nodes);
  refresh();
  return endOf(put, cloud, slopes);
}

export default { render };
