import { COLOURS, axes, button, canvas, choice, drag, endOf, flexed, flexible, follow, frame, h, legend, line, numbers, row, scale, slider, spot, stateOf, two, within } from "./shared.js";
import { border, dots, faintly, plane } from "./plane.js";
import { distance, drawn, factor, lawDistance, meansOf, momentsAt, moved } from "./frechet_law.js";

/**
 * @typedef {import("./frechet_law.js").Pair} Pair
 * @typedef {import("./frechet_law.js").Moments} Moments
 * @typedef {{ shift: number, width: number, n: number, d: number, seed: number }} Setting
 * @typedef {Setting & {
 *   sizes: number[], draws: [d: number, draws: number][], limits: Record<"shift" | "width", Interval>,
 * }} State
 * @typedef {ReturnType<typeof makeScene>} Scene
 * @typedef {ReturnType<Scene>} Found
 */

const KEYS = /** @type {const} */ (["shift", "width", "n", "d", "seed"]);
const [WIDTH, HEIGHT] = [350, 270];
const REACH = 4.2; // of the plane that is shown, upwards
const EDGE = 1.5; // deviations from the middle to an ellipse, as in the chapter's figure
const [LEAST, MOST] = [1e-3, 100]; // of the distances in the right picture
const INKS = { one: COLOURS[0], other: COLOURS[1], mean: COLOURS[3], floor: COLOURS[2], here: COLOURS[4] };

// All that follows from the state. Points and means are found anew only where something of theirs has
// changed.
/** @param {Model<State>} model */
function makeScene(model) {
  const [sizes, draws] = [model.get("sizes"), new Map(model.get("draws"))];
  /** @type {Map<number, ReturnType<typeof meansOf>>} */
  const means = new Map();
  /** @type {{ key: string, pair: Pair } | undefined} */
  let kept;
  const pairAt = (/** @type {number} */ d, /** @type {number} */ seed) => {
    const key = [d, seed].join();
    if (kept?.key !== key) kept = { key, pair: drawn(d, Math.max(...sizes), seed) };
    return kept.pair;
  };
  return () => {
    const { shift, width, n, d, seed } = stateOf(model, KEYS);
    const pair = pairAt(d, seed);
    const [[one], [plain]] = [momentsAt(pair.one, [n]), momentsAt(pair.other, [n])];
    const other = moved(plain, shift, width);
    const count = draws.get(d) ?? 1;
    const known = means.get(d) ?? meansOf(d, count, sizes);
    means.set(d, known);
    const at = sizes.indexOf(n);
    const mean = known.mean(shift, width);
    const told = {
      measured: distance(one, other),
      truth: lawDistance(shift, width),
      mean: mean[at],
      floor: known.floor[at],
    };
    return { pair, one, other, sizes, count, curves: { mean, floor: known.floor }, told };
  };
}

// --- Pictures --------------------------------------------------------------------------------------

// The ellipse of a mean and a covariance in the first two features.
/** @param {Moments} moments */
function outline({ mean, covariance }) {
  const d = mean.length;
  const [a, , b, c] = factor(Float64Array.of(covariance[0], covariance[1], covariance[d], covariance[d + 1]), 2);
  return Array.from({ length: 101 }, (_, k) => {
    const [x, y] = [EDGE * Math.cos((k * Math.PI) / 50), EDGE * Math.sin((k * Math.PI) / 50)];
    return /** @type {Place} */ ([mean[0] + a * x, mean[1] + b * x + c * y]);
  });
}

/** @param {number} shift @param {number} width @returns {Moments} */
const law = (shift, width) => ({ mean: Float64Array.of(shift, 0), covariance: Float64Array.of(width ** 2, 0, 0, 1) });

// Both clouds in their first two features; whole lines are the laws' ellipses, dashed the points' own.
/** @type {Paint<{ found: Found, setting: Setting }>} */
function paintClouds(context, width, height, colour, { found, setting }) {
  const view = plane(width, height, REACH);
  const clouds = /** @type {const} */ ([
    { points: found.pair.one, shift: 0, stretch: 1, fitted: found.one, ink: INKS.one },
    { points: found.pair.other, shift: setting.shift, stretch: setting.width, fitted: found.other, ink: INKS.other },
  ]);
  const places = (/** @type {Place[]} */ curve) => curve.map(([x, y]) => view.to(x, y));
  for (const { points, shift, stretch, ink } of clouds) {
    const flat = Array.from({ length: 2 * setting.n }, (_, k) =>
      k % 2 ? points[1][k >> 1] : shift + stretch * points[0][k >> 1],
    );
    const [alpha, radius] = setting.n > 300 ? [0.4, 1.4] : [0.6, 2.2];
    faintly(context, alpha, () => dots(context, view, flat, radius, ink));
  }
  for (const { shift, stretch, fitted, ink } of clouds) {
    line(context, places(outline(law(shift, stretch))), ink, 2.5);
    context.save();
    context.setLineDash([4, 4]);
    line(context, places(outline(fitted)), ink, 2);
    context.restore();
  }
  border(context, width, height, colour);
}

/** @param {number} width @param {readonly number[]} sizes */
function framed(width, sizes) {
  const [left, right, top, bottom] = [44, width - 12, 20, HEIGHT - 36];
  const across = scale(Math.log10(sizes[0]), Math.log10(sizes[sizes.length - 1]), left, right);
  const up = scale(Math.log10(LEAST), Math.log10(MOST), bottom, top);
  return {
    left,
    right,
    top,
    bottom,
    /** @type {Scale} */
    x: (n) => across(Math.log10(n)),
    /** @type {Scale} */
    y: (value) => up(Math.log10(Math.min(MOST, Math.max(LEAST, value)))),
  };
}

// The means over n on two logarithmic scales, the true distance, and what these clouds have.
/** @type {Paint<{ found: Found, setting: Setting }>} */
function paintCurves(context, width, _, colour, { found, setting }) {
  const { sizes, curves, told } = found;
  const view = framed(width, sizes);
  const marks = { xTicks: [10, 100, 1000], yTicks: [0.001, 0.01, 0.1, 1, 10, 100] };
  axes(context, { ...view, ...marks, colour, xLabel: "n", yLabel: "Frechet distance" });
  line(context, [[view.left, view.top], [view.left, view.bottom], [view.right, view.bottom]], colour, 1);
  context.save();
  context.setLineDash([3, 3]);
  line(context, [[view.x(setting.n), view.bottom], [view.x(setting.n), view.top]], INKS.here, 1);
  context.setLineDash([6, 4]);
  if (told.truth > LEAST) line(context, [[view.left, view.y(told.truth)], [view.right, view.y(told.truth)]], colour, 1.5);
  context.restore();
  for (const name of /** @type {const} */ (["floor", "mean"]))
    line(context, sizes.map((n, k) => [view.x(n), view.y(curves[name][k])]), INKS[name], 2.5);
  spot(context, view.x(setting.n), view.y(told.measured), 5, INKS.here);
}

/** @param {Model<State>} model @param {() => Found} found */
function makePictures(model, found) {
  const size = { width: WIDTH, height: HEIGHT };
  const shown = () => ({ found: found(), setting: stateOf(model, KEYS) });
  const clouds = canvas({
    ...size,
    label: "The points of both clouds in their first two features, with the ellipses of their laws and their own",
    draw: (context, width, height, colour) => paintClouds(context, width, height, colour, shown()),
  });
  const curves = canvas({
    ...size,
    label: "The mean Frechet distance and the floor over n, the true distance, and that of these clouds",
    draw: (context, width, height, colour) => paintCurves(context, width, height, colour, shown()),
  });
  return { clouds, curves };
}

// --- Controls --------------------------------------------------------------------------------------

/** @param {Model<State>} model @param {Put<State>} put */
function makeKnobs(model, put) {
  const value = stateOf(model, KEYS);
  const sizes = model.get("sizes");
  const limited = (/** @type {"shift" | "width"} */ key, /** @type {string} */ label, /** @type {number} */ step) => {
    const [min, max] = model.get("limits")[key];
    const change = (/** @type {number} */ to) => put({ [key]: to });
    return slider({ label, name: key, min, max, step, value: value[key], show: two, change });
  };
  return {
    shift: limited("shift", "second's shift", 0.01),
    width: limited("width", "its width", 0.05),
    n: slider({
      label: "points n",
      name: "n",
      min: 0,
      max: sizes.length - 1,
      step: 1,
      value: sizes.indexOf(value.n),
      show: (k) => String(sizes[k]),
      change: (k) => put({ n: sizes[k] }),
    }),
    d: choice({
      label: "features d",
      name: "d",
      options: model.get("draws").map(([d]) => d),
      value: value.d,
      change: (d) => put({ d: +d }),
    }),
  };
}

// --- Put together ----------------------------------------------------------------------------------

/** @param {View<State>} view */
function render({ model, el }) {
  const scene = makeScene(model);
  let found = scene();
  const { clouds, curves } = makePictures(model, () => found);
  const means = h("p", { className: "w-note" });
  const shown = numbers({
    measured: "of these points",
    truth: "of the laws, true",
    mean: "mean of draws",
    floor: "floor",
  });
  const refresh = () => {
    const { shift, width, n, d } = stateOf(model, KEYS);
    knobs.shift.set(shift);
    knobs.width.set(width);
    knobs.n.set(model.get("sizes").indexOf(n));
    knobs.d.set(d);
    found = scene();
    shown.set(found.told);
    means.textContent = `Over n, means of ${found.count} draws; dashed: the true one`;
    clouds.redraw();
    curves.redraw();
  };
  const put = follow(model, KEYS, refresh);
  const knobs = makeKnobs(model, put);
  const again = button("draw again", () => put({ seed: model.get("seed") + 1 }), "again");
  drag(
    clouds,
    () => ({ loose: true, cursor: "ew-resize" }),
    (_, px, py) => put({ shift: within(model.get("limits").shift, plane(clouds.clientWidth, HEIGHT, REACH).from(px, py)[0]) }),
  );
  const titled = (/** @type {Node} */ title, /** @type {Picture} */ picture) =>
    flexible(h("div", {}, title, picture), 300, 1);
  frame(el, model).append(
    row(knobs.n, knobs.d, again),
    row(knobs.shift, knobs.width),
    flexed(
      titled(h("p", { className: "w-note" }, "Two features; whole: the laws, dashed: the points"), clouds),
      titled(means, curves),
    ),
    legend([
      [INKS.one, "first cloud"],
      [INKS.other, "second cloud"],
      [INKS.here, "these points"],
      [INKS.mean, "mean of draws"],
      [INKS.floor, "floor, both of the first law"],
    ]),
    shown,
  );
  refresh();
  return endOf(put, clouds, curves);
}

export default { render };
