import { COLOURS, SCHEDULE_NAMES, axes, back, betasOf, button, canvas, choice, context2d, drag, endOf, flexed, flexible, follow, frame, h, legend, line, numbers, row, scale, slider, spot, stateOf, tables, two, within } from "./shared.js";
import { bell, densityOf, distance, moments, walks } from "./evolution_law.js";

/**
 * @typedef {{ points: number[], schedule: string, t: number, x: number, seed: number }} Setting
 * @typedef {Setting & { T: number, most: number, limits: Record<"x", Interval> }} State
 * @typedef {ReturnType<typeof makeScene>} Scene
 * @typedef {{ x: Scale, y: Scale, left: number, right: number, top: number, bottom: number }} Frame
 */

const KEYS = /** @type {const} */ (["points", "schedule", "t", "x", "seed"]);
const [MAP_WIDTH, CURVE_WIDTH, HEIGHT] = [430, 240, 260];
const REACH = 3.2; // the line is shown from -3.2 to 3.2
const NEAR = 12; // pixels within which a hand takes a point
const CELL = 3; // pixels
const INKS = { law: COLOURS[0], path: COLOURS[1], point: COLOURS[4], here: COLOURS[2] };

/** @param {Model<State>} model */
function makeScene(model) {
  const T = model.get("T");
  /** @type {Record<string, Tables>} */
  const known = {};
  /** @type {{ key: string, value: number[][] } | undefined} */
  let kept;
  const schedule = () => (known[model.get("schedule")] ??= tables(betasOf(model.get("schedule"), T)));
  const paths = () => {
    const { points, schedule: name, seed } = stateOf(model, KEYS);
    const key = [name, seed, ...points].join();
    if (kept?.key !== key) kept = { key, value: walks(points, schedule(), seed) };
    return kept.value;
  };
  return { T, schedule, paths };
}

// --- Pictures --------------------------------------------------------------------------------------

// Where time and place lie in the left picture; both pictures share the place.
/** @param {number} width @param {number} T @returns {Frame} */
function framed(width, T) {
  const [left, right, top, bottom] = [30, width - 10, 18, HEIGHT - 36];
  return { left, right, top, bottom, x: scale(0, T, left, right), y: scale(-REACH, REACH, bottom, top) };
}

// The density as shades of one colour, a column for each few times. From 0.7 on it is all dark, so that
// the sharp peaks of the beginning do not make the rest pale.
/** @param {Context} context @param {Frame} view @param {Scene} scene @param {number[]} points */
function shade(context, view, { schedule, T }, points) {
  const [columns, rows] = [view.right - view.left, view.bottom - view.top].map((n) => Math.ceil(n / CELL));
  const image = new ImageData(columns, rows);
  const colour = [1, 3, 5].map((k) => parseInt(INKS.law.slice(k, k + 2), 16));
  const blur = ((2 * REACH) / rows / 2) ** 2;
  for (let c = 0; c < columns; c++) {
    const t = Math.min(T, Math.max(1, Math.round(((c + 0.5) / columns) * T)));
    const density = densityOf(points, schedule(), t, blur);
    for (let r = 0; r < rows; r++) {
      const value = density(REACH - ((r + 0.5) / rows) * 2 * REACH);
      image.data.set([...colour, 230 * Math.min(1, value / 0.7) ** 0.7], 4 * (r * columns + c));
    }
  }
  const small = h("canvas", { width: columns, height: rows });
  context2d(small).putImageData(image, 0, 0);
  context.drawImage(small, view.left, view.top, view.right - view.left, view.bottom - view.top);
}

/** @type {Paint<{ scene: Scene, setting: Setting }>} */
function paintMap(context, width, _, colour, { scene, setting }) {
  const { T } = scene;
  const view = framed(width, T);
  const { points, t } = setting;
  shade(context, view, scene, points);
  const marks = { xTicks: [0, T / 2, T], yTicks: [-2, 0, 2] };
  axes(context, { ...view, ...marks, colour, xLabel: "t", yLabel: "xₜ" });
  context.save();
  context.beginPath();
  context.rect(view.left, view.top, view.right - view.left, view.bottom - view.top);
  context.clip();
  for (const path of scene.paths()) line(context, path.map((x, s) => [view.x(s), view.y(x)]), INKS.path, 1);
  context.setLineDash([4, 3]);
  line(context, [[view.x(t), view.top], [view.x(t), view.bottom]], INKS.here, 2);
  context.restore();
  line(context, [[view.left, view.top], [view.left, view.bottom], [view.right, view.bottom]], colour, 1);
  for (const point of points) spot(context, view.left, view.y(point), 5.5, INKS.point);
}

// The law at time t, turned so that it stands beside the map: the place runs upwards.
/** @type {Paint<{ scene: Scene, setting: Setting }>} */
function paintCurve(context, width, _, colour, { scene, setting }) {
  const { points, t, x: place } = setting;
  const view = framed(width, 1);
  const density = densityOf(points, scene.schedule(), t);
  const places = Array.from({ length: 321 }, (_, k) => -REACH + (REACH * k) / 160);
  const values = places.map(density);
  const highest = Math.max(0.5, ...values);
  const across = scale(0, highest, view.left, view.right - 12);
  const xTicks = [0, highest > 1 ? Math.floor(highest) : 0.5];
  const marks = { xTicks, yTicks: [-2, 0, 2], yLabel: `density at t = ${t}` };
  axes(context, { ...view, ...marks, x: across, colour });
  context.save();
  context.setLineDash([5, 4]);
  line(context, places.map((x) => [across(bell(x, 0, 1)), view.y(x)]), colour, 1.5);
  context.restore();
  line(context, places.map((x, k) => [across(values[k]), view.y(x)]), INKS.law, 2.5);
  line(context, [[view.left, view.top], [view.left, view.bottom], [view.right, view.bottom]], colour, 1);
  for (const point of points) spot(context, view.left, view.y(point), 3, INKS.point);
  spot(context, across(density(place)), view.y(place), 5, INKS.here);
}

/** @param {Model<State>} model @param {Scene} scene */
function makePictures(model, scene) {
  const shown = () => ({ scene, setting: stateOf(model, KEYS) });
  const map = canvas({
    width: MAP_WIDTH,
    height: HEIGHT,
    label: "The density of x at each time as shades, single paths over it, and the data points at t = 0",
    draw: (context, width, height, colour) => paintMap(context, width, height, colour, shown()),
  });
  const curve = canvas({
    width: CURVE_WIDTH,
    height: HEIGHT,
    label: "The density at the chosen time, beside the standard normal one",
    draw: (context, width, height, colour) => paintCurve(context, width, height, colour, shown()),
  });
  return { map, curve };
}

// --- The reader's points ---------------------------------------------------------------------------

// Points are kept as slider values, and no two lie at one place.
/** @param {Model<State>} model @param {Put<State>} put */
function makePoints(model, put) {
  const limits = model.get("limits").x;
  const nearest = (/** @type {number} */ x) => {
    const away = model.get("points").map((point) => Math.abs(point - x));
    return away.indexOf(Math.min(...away));
  };
  const add = (/** @type {number} */ x) => {
    const points = model.get("points");
    const place = within(limits, x);
    if (points.length < model.get("most") && !points.includes(place)) put({ points: [...points, place], x: place });
  };
  const remove = () => {
    const points = model.get("points");
    const gone = nearest(model.get("x"));
    if (points.length > 1) put({ points: points.filter((_, k) => k !== gone) });
  };
  const shift = (/** @type {number} */ k, /** @type {number} */ x) => {
    const place = within(limits, x);
    const points = model.get("points");
    if (!points.includes(place)) put({ points: points.with(k, place), x: place });
  };
  return { add, remove, shift, nearest };
}

// A hand in the map takes the point at its height if there is one near, and puts a new one otherwise.
/** @param {Picture} map @param {Model<State>} model @param {ReturnType<typeof makePoints>} points */
function dragPoints(map, model, points) {
  const view = () => framed(map.clientWidth, model.get("T"));
  drag(
    map,
    (px, py) => {
      const { left, right, top, bottom, y } = view();
      if (px < left - NEAR || px > right || py < top || py > bottom) return null;
      const k = points.nearest(back(y, py));
      const near = Math.abs(y(model.get("points")[k]) - py) <= NEAR;
      /** @type {{ k: number | null, cursor: string, loose: boolean }} */
      const taken = { k: near ? k : null, cursor: near ? "ns-resize" : "crosshair", loose: true };
      return taken;
    },
    (taken, _, py) => {
      const x = back(view().y, py);
      if (taken.k !== null) return points.shift(taken.k, x);
      const before = model.get("points").length;
      points.add(x);
      if (model.get("points").length > before) taken.k = before; // and now it is held
    },
  );
}

// --- Put together ----------------------------------------------------------------------------------

/** @param {Model<State>} model @param {Put<State>} put */
function makeKnobs(model, put) {
  const { schedule, t, x } = stateOf(model, KEYS);
  const [min, max] = model.get("limits").x;
  return {
    schedule: choice({
      label: "schedule",
      options: SCHEDULE_NAMES,
      value: schedule,
      change: (name) => put({ schedule: name }),
    }),
    t: slider({ label: "time t", name: "t", min: 1, max: model.get("T"), step: 1, value: t, change: (to) => put({ t: to }) }),
    x: slider({ label: "place x", name: "x", min, max, step: 0.01, value: x, show: two, change: (to) => put({ x: to }) }),
  };
}

/** @param {Scene} scene @param {Setting} setting */
function measured(scene, { points, t, x }) {
  const schedule = scene.schedule();
  const density = densityOf(points, schedule, t);
  return {
    count: points.length,
    alpha_bar: schedule.alphaBar[t - 1],
    ...moments(points, schedule, t),
    density: density(x),
    distance: distance(density),
    path: scene.paths()[0][t],
  };
}

/** @param {View<State>} view */
function render({ model, el }) {
  const scene = makeScene(model);
  const { map, curve } = makePictures(model, scene);
  const shown = numbers({
    count: "points",
    alpha_bar: "ᾱ",
    mean: "mean of xₜ",
    variance: "variance",
    density: "density at x",
    distance: "distance from N(0, 1)",
    path: "first path at t",
  });
  const refresh = () => {
    for (const key of /** @type {const} */ (["t", "x"])) knobs[key].set(model.get(key));
    knobs.schedule.set(model.get("schedule"));
    const { length } = model.get("points");
    add.disabled = length >= model.get("most");
    remove.disabled = length < 2;
    shown.set(measured(scene, stateOf(model, KEYS)));
    map.redraw();
    curve.redraw();
  };
  const put = follow(model, KEYS, refresh);
  const points = makePoints(model, put);
  const knobs = makeKnobs(model, put);
  const add = button("add a point", () => points.add(model.get("x")), "add");
  const remove = button("remove the nearest", points.remove, "remove");
  const again = button("new paths", () => put({ seed: model.get("seed") + 1 }), "again");
  dragPoints(map, model, points);
  frame(el, model).append(
    row(knobs.schedule, knobs.t, again),
    row(knobs.x, add, remove),
    flexed(flexible(map, 300, 2), flexible(curve, 180, 1)),
    legend(
      [
        [INKS.point, "data points"],
        [INKS.law, "density"],
        [INKS.path, "six paths"],
        [INKS.here, "t and x"],
      ],
      "dashed: N(0, 1). Click in the shades to put a point there, or move one.",
    ),
    shown,
  );
  refresh();
  return endOf(put, map, curve);
}

export default { render };
