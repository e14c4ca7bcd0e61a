import { COLOURS, axes, back, button, canvas, drag, endOf, follow, frame, h, line, normal, numbers, row, scale, slider, stateOf, two, uniform, within } from "./shared.js";

/**
 * @typedef {{ mu_x: number, mu_y: number, sigma_x: number, sigma_y: number, rho: number }} Law
 * @typedef {Law & { samples: number, seed: number }} Setting
 * @typedef {Setting & { limits: Record<keyof Law, Interval> }} State
 * @typedef {ReturnType<typeof places>} Places
 */

const REACH = 5; // the picture runs from -5 to 5 both ways
const STRIP = 66; // room for a marginal, in pixels
const EDGE = 30; // room for the numbers at the axes
const PEAK = 0.67; // the height of the narrowest marginal
const KNOBS = {
  mu_x: "mean of x",
  mu_y: "mean of y",
  sigma_x: "σ of x",
  sigma_y: "σ of y",
  rho: "correlation ρ",
};
const NAMES = /** @type {(keyof Law)[]} */ (Object.keys(KNOBS));
const KEYS = /** @type {const} */ ([...NAMES, "samples", "seed"]);

// The samples: a fixed cloud of noise, moved by a triangular matrix with the chosen covariance.
/** @param {Setting} setting */
function cloud({ mu_x, mu_y, sigma_x, sigma_y, rho, samples, seed }) {
  const draw = normal(uniform(seed));
  const rest = Math.sqrt(1 - rho * rho);
  return Array.from({ length: samples }, /** @returns {Place} */ () => {
    const [first, second] = [draw(), draw()];
    return [mu_x + sigma_x * first, mu_y + sigma_y * (rho * first + rest * second)];
  });
}

// The two axes of the ellipse: standard deviations along them, and the turn of the longer one.
/** @param {Law} law */
function ellipse({ sigma_x, sigma_y, rho }) {
  const [xx, yy, xy] = [sigma_x ** 2, sigma_y ** 2, rho * sigma_x * sigma_y];
  const middle = (xx + yy) / 2;
  const apart = Math.hypot((xx - yy) / 2, xy);
  const long = Math.sqrt(middle + apart);
  // the product of both variances is the determinant: no digits are lost for thin ellipses
  const short = (sigma_x * sigma_y * Math.sqrt(1 - rho * rho)) / long;
  return { long, short, turn: Math.atan2(2 * xy, xx - yy) / 2, xy };
}

/** @param {Setting} state @param {Place[]} points */
function measured(state, points) {
  const { long, short, turn, xy } = ellipse(state);
  const n = points.length;
  const mean = [0, 1].map((k) => points.reduce((sum, p) => sum + p[k], 0) / n);
  const product = (/** @type {Place} */ p) => (p[0] - mean[0]) * (p[1] - mean[1]);
  const within = points.filter((p) => distance(state, p) <= 2).length;
  return {
    covariance: xy,
    sampled: points.reduce((sum, p) => sum + product(p), 0) / (n - 1),
    long,
    short,
    turn: (turn * 180) / Math.PI,
    within: within / n,
    expected: 1 - Math.exp(-2),
  };
}

// How many standard deviations a point lies from the mean, in its own direction.
/** @param {Law} law @param {Place} point */
function distance({ mu_x, mu_y, sigma_x, sigma_y, rho }, [px, py]) {
  const [u, v] = [(px - mu_x) / sigma_x, (py - mu_y) / sigma_y];
  return Math.sqrt((u * u - 2 * rho * u * v + v * v) / (1 - rho * rho));
}

/** @param {number} width @param {number} height */
function places(width, height) {
  const side = Math.min(width - EDGE - STRIP, height - EDGE - STRIP);
  const [left, bottom] = [EDGE, STRIP + side];
  return {
    side,
    left,
    bottom,
    x: scale(-REACH, REACH, left, left + side),
    y: scale(-REACH, REACH, bottom, STRIP),
    high: scale(0, PEAK, 4, STRIP - 4), // pixels above a marginal's foot
  };
}

/** @type {(x: number, mu: number, sigma: number) => number} */
const bell = (x, mu, sigma) => Math.exp(-(((x - mu) / sigma) ** 2) / 2) / sigma / Math.sqrt(2 * Math.PI);

// A marginal curve over the histogram of one coordinate; place(value, height) says where.
/**
 * @param {Context} context @param {number[]} values @param {number} mu @param {number} sigma
 * @param {(v: number, height: number) => Place} place @param {string} colour
 */
function marginal(context, values, mu, sigma, place, colour) {
  const width = 0.5;
  context.save();
  context.fillStyle = colour;
  context.globalAlpha = 0.3;
  for (let low = -REACH; low < REACH; low += width) {
    const share = values.filter((v) => v >= low && v < low + width).length / values.length / width;
    const [from, to] = [place(low, 0), place(low + width, share)];
    const size = [Math.abs(to[0] - from[0]), Math.abs(to[1] - from[1])];
    context.fillRect(Math.min(from[0], to[0]), Math.min(from[1], to[1]), size[0], size[1]);
  }
  context.restore();
  const grid = Array.from({ length: 201 }, (_, k) => -REACH + (k * 2 * REACH) / 200);
  line(context, grid.map((v) => place(v, bell(v, mu, sigma))), colour, 2);
}

/** @param {Context} context @param {Places} places @param {Law} state */
function rings(context, { x, y }, state) {
  const { long, short, turn } = ellipse(state);
  const [c, s] = [Math.cos(turn), Math.sin(turn)];
  /** @type {(u: number, v: number) => Place} */
  const at = (u, v) => [x(state.mu_x + c * u - s * v), y(state.mu_y + s * u + c * v)];
  for (const k of [1, 2]) {
    const angles = Array.from({ length: 101 }, (_, m) => (m * Math.PI) / 50);
    const points = angles.map((a) => at(k * long * Math.cos(a), k * short * Math.sin(a)));
    line(context, points, COLOURS[1], 2);
  }
  line(context, [at(0, 0), at(long, 0)], COLOURS[4], 2.5);
  line(context, [at(0, 0), at(0, short)], COLOURS[4], 2.5);
}

/** @param {Context} context @param {Place[]} points @param {Places} places */
function dots(context, points, { x, y, left, bottom, side }) {
  context.save();
  context.beginPath();
  context.rect(left, bottom - side, side, side);
  context.clip();
  context.fillStyle = COLOURS[0];
  context.globalAlpha = 0.6;
  for (const [px, py] of points) {
    context.beginPath();
    context.arc(x(px), y(py), 1.8, 0, 2 * Math.PI);
    context.fill();
  }
  context.restore();
}

/** @type {Paint<{ setting: Setting, points: Place[] }>} */
function paint(context, width, height, colour, { setting: state, points }) {
  const at = places(width, height);
  const { x, y, left, bottom, side, high } = at;
  const ticks = [-4, -2, 0, 2, 4];
  axes(context, { x, y, xTicks: ticks, yTicks: ticks, colour, left, bottom });
  context.save();
  context.globalAlpha = 0.4;
  context.strokeStyle = colour;
  context.strokeRect(left, bottom - side, side, side);
  context.restore();
  dots(context, points, at);
  const [across, up] = [points.map((p) => p[0]), points.map((p) => p[1])];
  /** @type {(v: number, height: number) => Place} */
  const top = (v, height) => [x(v), bottom - side - high(height)];
  /** @type {(v: number, height: number) => Place} */
  const beside = (v, height) => [left + side + high(height), y(v)];
  marginal(context, across, state.mu_x, state.sigma_x, top, COLOURS[2]);
  marginal(context, up, state.mu_y, state.sigma_y, beside, COLOURS[3]);
  rings(context, at, state);
  context.beginPath();
  context.arc(x(state.mu_x), y(state.mu_y), 6, 0, 2 * Math.PI);
  context.fillStyle = COLOURS[4];
  context.fill();
}

/** @param {Model<State>} model @param {Put<State>} put */
function makeKnobs(model, put) {
  const knob = (/** @type {keyof Law} */ name) => {
    const [min, max] = model.get("limits")[name];
    const change = (/** @type {number} */ v) => put({ [name]: v });
    const parts = { label: KNOBS[name], name, min, max, step: 0.01, value: model.get(name) };
    const made = slider({ ...parts, show: two, change });
    Object.assign(made.style, { display: "flex", margin: ".4rem 0", maxWidth: "24rem" });
    Object.assign(made.input.style, { flex: "1", width: "0" });
    return { name, made };
  };
  return NAMES.map(knob);
}

// A hand moves the mean.
/** @param {Picture} picture @param {Model<State>} model @param {Put<State>} put */
function dragMean(picture, model, put) {
  const at = () => places(picture.clientWidth, picture.clientHeight);
  drag(
    picture,
    (px, py) => {
      const { x, y } = at();
      const near = Math.hypot(px - x(model.get("mu_x")), py - y(model.get("mu_y"))) < 22;
      return near ? {} : null;
    },
    (_, px, py) => {
      const { mu_x, mu_y } = model.get("limits");
      put({ mu_x: within(mu_x, back(at().x, px)), mu_y: within(mu_y, back(at().y, py)) });
    },
  );
}

/** @param {View<State>} view */
function render({ model, el }) {
  const state = () => stateOf(model, KEYS);
  let points = cloud(state());
  const picture = canvas({
    width: 366,
    height: 366,
    label: "A cloud of points with two ellipses, and a bell curve for each coordinate",
    draw: (context, wide, high, colour) =>
      paint(context, wide, high, colour, { setting: state(), points }),
  });
  const show = numbers({
    covariance: "covariance",
    sampled: "in the samples",
    long: "long σ",
    short: "short σ",
    turn: "turned by (°)",
    within: "in the outer ellipse",
    expected: "expected",
  });
  const refresh = () => {
    points = cloud(state());
    for (const { name, made } of knobs) made.set(model.get(name));
    show.set(measured(state(), points));
    picture.redraw();
  };
  const put = follow(model, KEYS, refresh);
  const knobs = makeKnobs(model, put);
  dragMean(picture, model, put);
  const again = button("draw again", () => put({ seed: model.get("seed") + 1 }), "again");
  const left = h("div", { style: { flex: "0 1 366px", minWidth: "0" } }, picture);
  const sliders = knobs.map(({ made }) => made);
  const right = h("div", { style: { flex: "1 1 205px", minWidth: "0" } }, ...sliders, row(again), show);
  frame(el, model).append(row(left, right));
  refresh();
  return endOf(put, picture);
}

export default { render };
