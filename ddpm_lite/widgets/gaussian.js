import { COLOURS, axes, back, button, canvas, drag, endOf, follow, frame, letters, line, numbers, row, scale, slider, stateOf, two } from "./shared.js";

/**
 * @typedef {{ mu: number, sigma: number, a: number, b: number }} Setting
 * @typedef {Setting & { limits: Record<keyof Setting, Interval> }} State
 * @typedef {ReturnType<typeof places>} Places
 */

const REACH = 8; // the picture runs from -8 to 8
const PEAK = 0.7; // and as high as the narrowest curve
const KEYS = /** @type {const} */ (["mu", "sigma", "a", "b"]);
const GRID = Array.from({ length: 401 }, (_, k) => -REACH + (k * REACH) / 200);

/** @type {(x: number, mu: number, sigma: number) => number} */
const density = (x, mu, sigma) => Math.exp(-(((x - mu) / sigma) ** 2) / 2) / sigma / Math.sqrt(2 * Math.PI);
/** @type {Scale} */
const inside = (x) => Math.min(REACH, Math.max(-REACH, Math.round(x * 100) / 100));

// The area of the standard normal density to the right of z >= 0: a series whose terms are all
// positive, or, far out, where 1/2 minus the series would lose digits, a continued fraction.
/** @param {number} z */
function tail(z) {
  const height = density(z, 0, 1);
  if (z > 3) {
    let below = z;
    for (let k = 100; k > 0; k--) below = z + k / below;
    return height / below;
  }
  let [term, sum] = [z, z];
  for (let k = 3; term > 1e-17 * sum; k += 2) sum += term *= (z * z) / k;
  return 0.5 - height * sum;
}

/** @type {Scale} */
const below = (z) => (z < 0 ? tail(-z) : 1 - tail(z));

// The area from a to b; on one side of the middle as a difference of tails, which are exact there.
/** @param {number} a @param {number} b */
function between(a, b) {
  if (a > 0) return tail(a) - tail(b);
  return b < 0 ? tail(-b) - tail(-a) : 1 - tail(-a) - tail(b);
}

/** @param {Setting} setting */
function measured({ mu, sigma, a, b }) {
  const [z_a, z_b] = [(a - mu) / sigma, (b - mu) / sigma];
  return { area: between(z_a, z_b), left: below(z_a), right: below(-z_b), z_a, z_b };
}

// Where things lie in a picture of this size.
/** @param {number} width @param {number} height */
function places(width, height) {
  const bottom = height - 26;
  return { x: scale(-REACH, REACH, 14, width - 14), y: scale(0, PEAK, bottom, 20), bottom };
}

/** @param {Context} context @param {Places} places @param {Setting} setting */
function shade(context, { x, y }, { mu, sigma, a, b }) {
  const steps = Array.from({ length: 101 }, (_, k) => a + ((b - a) * k) / 100);
  context.save();
  context.beginPath();
  context.moveTo(x(a), y(0));
  for (const at of steps) context.lineTo(x(at), y(density(at, mu, sigma)));
  context.lineTo(x(b), y(0));
  context.fillStyle = COLOURS[0];
  context.globalAlpha = 0.35;
  context.fill();
  context.restore();
}

// The mean, and one, two and three standard deviations to both sides.
/** @param {Context} context @param {Places} places @param {Setting} setting @param {string} colour */
function rulers(context, { x, y, bottom }, { mu, sigma }, colour) {
  context.save();
  context.globalAlpha = 0.45;
  context.setLineDash([3, 3]);
  line(context, [[x(mu), bottom], [x(mu), y(density(mu, mu, sigma))]], colour, 1.5);
  context.setLineDash([]);
  for (const k of [-3, -2, -1, 1, 2, 3]) {
    const [at, top] = [x(mu + k * sigma), Math.min(y(density(k * sigma, 0, sigma)), bottom - 5)];
    line(context, [[at, bottom], [at, top]], colour, 0.75);
  }
  context.restore();
}

/** @param {Context} context @param {number} px @param {number} py @param {string} colour */
function knob(context, px, py, colour) {
  context.beginPath();
  context.arc(px, py, 7, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
}

/** @param {number} area */
function percent(area) {
  const share = 100 * area;
  if (share > 99.99 && share < 100) return "> 99.99 %";
  return share > 0 && share < 0.01 ? "< 0.01 %" : `${share.toFixed(2)} %`;
}

// The share of all draws, in the middle of the shaded area and above it.
/** @param {Context} context @param {Places} places @param {Setting} setting @param {string} colour */
function caption(context, { x, y }, { mu, sigma, a, b }, colour) {
  const highest = density(Math.min(b, Math.max(a, mu)), mu, sigma);
  const [from, to] = [x(a), x(b)];
  const level = Math.min(y(highest) - 12, y(0.12));
  const middle = Math.min(x(REACH) - 40, Math.max(x(-REACH) + 40, (from + to) / 2));
  context.save();
  line(context, [[from, y(0)], [from, level]], COLOURS[1], 1.5);
  line(context, [[to, y(0)], [to, level]], COLOURS[1], 1.5);
  line(context, [[from, level], [to, level]], COLOURS[1], 1.5);
  context.fillStyle = colour;
  context.textAlign = "center";
  letters(context, 15, "600");
  context.fillText(percent(measured({ mu, sigma, a, b }).area), middle, Math.max(14, level - 7));
  context.restore();
}

/** @type {Paint<Setting>} */
function paint(context, width, height, colour, state) {
  const at = places(width, height);
  const { x, y, bottom } = at;
  const ticks = width < 480 ? [-8, -4, 0, 4, 8] : [-8, -6, -4, -2, 0, 2, 4, 6, 8];
  axes(context, { x, y, xTicks: ticks, colour, left: 14, bottom });
  shade(context, at, state);
  rulers(context, at, state, colour);
  context.save();
  context.setLineDash([5, 4]);
  context.globalAlpha = 0.65;
  context.fillStyle = colour;
  letters(context, 12);
  context.fillText("dashed: μ = 0, σ = 1", 2, 12);
  line(context, GRID.map((v) => [x(v), y(density(v, 0, 1))]), colour, 1.25);
  context.restore();
  line(context, GRID.map((v) => [x(v), y(density(v, state.mu, state.sigma))]), COLOURS[0], 2.5);
  line(context, [[x(-REACH), bottom], [x(REACH), bottom]], colour, 1);
  caption(context, at, state, colour);
  for (const end of [state.a, state.b]) knob(context, x(end), bottom, COLOURS[1]);
}

// What stays in its place during the drag: the other end, if one was hit; else a new area begins.
// Only the knobs keep a finger from scrolling.
/** @param {number} px @param {number} py @param {Element} picture @param {Setting} setting */
function grip(px, py, { clientWidth, clientHeight }, { a, b }) {
  const { x, bottom } = places(clientWidth, clientHeight);
  const [to_a, to_b] = [Math.abs(px - x(a)), Math.abs(px - x(b))];
  if (Math.min(to_a, to_b) < 16) return { fixed: to_a < to_b ? b : a, loose: py < bottom - 20 };
  return { fixed: valueAt(px, clientWidth), loose: true };
}

/** @param {number} px @param {number} width */
function valueAt(px, width) {
  return inside(back(places(width, 0).x, px));
}

const LABELS = { mu: "mean μ", sigma: "width σ", a: "from a", b: "to b" };

/** @param {Model<State>} model @param {Put<State>} put @returns {Record<keyof Setting, Slider>} */
function makeKnobs(model, put) {
  // Neither end passes the other: it takes it along.
  /** @type {Record<keyof Setting, (value: number) => void>} */
  const move = {
    mu: (mu) => put({ mu }),
    sigma: (sigma) => put({ sigma }),
    a: (a) => put({ a, b: Math.max(a, model.get("b")) }),
    b: (b) => put({ b, a: Math.min(b, model.get("a")) }),
  };
  const knob = (/** @type {keyof Setting} */ name) => {
    const [min, max] = model.get("limits")[name];
    const parts = { label: LABELS[name], name, min, max, step: 0.01, value: model.get(name) };
    const made = slider({ ...parts, show: two, change: move[name] });
    made.input.style.width = "min(11rem, 45vw)"; // two of them fit in a row
    return made;
  };
  return { mu: knob("mu"), sigma: knob("sigma"), a: knob("a"), b: knob("b") };
}

// Buttons for one, two and three standard deviations to both sides.
/** @param {Model<State>} model @param {Put<State>} put */
function makeSpans(model, put) {
  const around = (/** @type {number} */ k) => {
    const { mu, sigma } = stateOf(model, KEYS);
    put({ a: inside(mu - k * sigma), b: inside(mu + k * sigma) });
  };
  return [1, 2, 3].map((k) => button(`μ ± ${k > 1 ? k : ""}σ`, () => around(k), `within_${k}`));
}

/** @param {View<State>} view */
function render({ model, el }) {
  const state = () => stateOf(model, KEYS);
  const picture = canvas({
    width: 680,
    height: 250,
    label: "A bell curve with the area between two ends shaded; a dashed curve is the standard one",
    draw: (context, width, height, colour) => paint(context, width, height, colour, state()),
  });
  const show = numbers({
    area: "area from a to b",
    left: "left of a",
    right: "right of b",
    z_a: "a standardised",
    z_b: "b standardised",
  });
  const put = follow(model, KEYS, () => {
    for (const key of KEYS) knobs[key].set(model.get(key));
    show.set(measured(state()));
    picture.redraw();
  });
  const knobs = makeKnobs(model, put);
  drag(
    picture,
    (px, py) => grip(px, py, picture, state()),
    ({ fixed }, px) => {
      const value = valueAt(px, picture.clientWidth);
      if (value === fixed) return; // a click alone empties no area
      put({ a: Math.min(value, fixed), b: Math.max(value, fixed) });
    },
  );
  const spans = makeSpans(model, put);
  frame(el, model).append(row(knobs.mu, knobs.sigma), picture, row(knobs.a, knobs.b), row(...spans), show);
  show.set(measured(state()));
  picture.redraw();
  return endOf(put, picture);
}

export default { render };
