import { COLOURS, axes, back, button, canvas, choice, drag, endOf, flexed, flexible, follow, frame, h, line, normal, numbers, row, scale, slider, spot, stateOf, two, uniform, within } from "./shared.js";
import { picture } from "./sketch.js";
import { LAWS, curve, facts } from "./schedule_curve.js";

/**
 * @typedef {import("./schedule_curve.js").Density} Density
 * @typedef {{ handles: number[], density: Density, t: number, handle: number, seed: number }} Setting
 * @typedef {Setting & {
 *   presets: Record<string, number[]>, pixels: number[], limits: Record<"t" | "log_snr", Interval>, gap: number,
 * }} State
 * @typedef {{ x: Scale, y: Scale, left: number, right: number, top: number, bottom: number }} Frame
 */

const KEYS = /** @type {const} */ (["handles", "density", "t", "handle", "seed"]);
const [WIDTH, HEIGHT, DIGIT] = [300, 250, 168];
const [LOW, HIGH] = [-12.5, 12.5]; // of log SNR
const MOST = 0.4; // of its density: more is cut off
const GRAB = 22; // pixels
const SIDE = 28;
const INKS = { curve: COLOURS[0], handle: COLOURS[1], here: COLOURS[2] };
const OWN = "your own";
/** @type {[Density, string][]} */
const DENSITIES = [
  ["uniform", "uniform"],
  ["logit_normal", "logit-normal"],
  ["early", "falling, 2 (1 − t)"],
  ["late", "growing, 2 t"],
];

// --- Pictures --------------------------------------------------------------------------------------

/** @param {number} width @returns {Frame} */
function overTime(width) {
  const [left, right, top, bottom] = [34, width - 12, 20, HEIGHT - 36];
  return { left, right, top, bottom, x: scale(0, 1, left, right), y: scale(LOW, HIGH, bottom, top) };
}

/** @param {number} width @returns {Frame} */
function overLogSnr(width) {
  const [left, right, top, bottom] = [34, width - 12, 20, HEIGHT - 36];
  return { left, right, top, bottom, x: scale(LOW, HIGH, left, right), y: scale(0, MOST, bottom, top) };
}

/** @param {Context} context @param {Frame} view @param {string} colour */
function corner(context, { left, right, top, bottom }, colour) {
  line(context, [[left, top], [left, bottom], [right, bottom]], colour, 1);
}

/** @type {Paint<Setting>} */
function paintCurve(context, width, _, colour, { handles, t, handle }) {
  const view = overTime(width);
  const at = curve(handles);
  const marks = { xTicks: [0, 0.5, 1], yTicks: [-10, -5, 0, 5, 10] };
  axes(context, { ...view, ...marks, colour, xLabel: "t", yLabel: "log SNR: drag the handles" });
  corner(context, view, colour);
  const [px, py] = [view.x(t), view.y(at(t).value)];
  context.save();
  context.setLineDash([3, 3]);
  line(context, [[px, view.bottom], [px, py], [view.left, py]], INKS.here, 1.5);
  context.restore();
  const times = Array.from({ length: 201 }, (_, k) => k / 200);
  line(context, times.map((s) => [view.x(s), view.y(at(s).value)]), INKS.curve, 2.5);
  handles.forEach((value, k) => {
    const [x, y] = [view.x(k / (handles.length - 1)), view.y(value)];
    spot(context, x, y, k === handle ? 8 : 6, INKS.handle);
  });
  spot(context, px, py, 4.5, INKS.here);
}

// The density of log SNR as a curve that t runs along; the place of the chosen t is marked.
/** @type {Paint<Setting>} */
function paintWeight(context, width, _, colour, { handles, density, t }) {
  const view = overLogSnr(width);
  const at = curve(handles);
  const weight = (/** @type {number} */ s) => LAWS[density].of(s) / -at(s).slope;
  const marks = { xTicks: [-10, -5, 0, 5, 10], yTicks: [0, 0.2, 0.4] };
  axes(context, { ...view, ...marks, colour, xLabel: "log SNR", yLabel: "how often training sees it" });
  const times = Array.from({ length: 399 }, (_, k) => (k + 1) / 400);
  const places = times.map((s) => [view.x(at(s).value), view.y(Math.min(1, weight(s)))]);
  const ends = [places[places.length - 1], places[0]].map(([x]) => [x, view.bottom]);
  context.save();
  context.beginPath();
  context.rect(view.left, view.top, view.right - view.left, view.bottom - view.top);
  context.clip();
  context.beginPath();
  for (const [x, y] of [...places, ...ends]) context.lineTo(x, y);
  context.globalAlpha = 0.25;
  context.fillStyle = INKS.curve;
  context.fill();
  context.globalAlpha = 1;
  line(context, places, INKS.curve, 2.5);
  context.restore();
  corner(context, view, colour);
  const [px, py] = [view.x(at(t).value), view.y(Math.min(MOST, weight(t)))];
  context.save();
  context.setLineDash([3, 3]);
  line(context, [[px, view.bottom], [px, py]], INKS.here, 1.5);
  context.restore();
  spot(context, px, py, 4.5, INKS.here);
}

// The digit at the chosen time, always with the same noise.
/** @param {Model<State>} model */
function noisedDigit(model) {
  const { handles, density, t, seed } = stateOf(model, KEYS);
  const { alpha_bar } = facts(handles, density, t);
  const noise = normal(uniform(seed));
  const [signal, rest] = [Math.sqrt(alpha_bar), Math.sqrt(1 - alpha_bar)];
  return model.get("pixels").map((level) => signal * (level / 127.5 - 1) + rest * noise());
}

/** @param {Model<State>} model */
function makePictures(model) {
  const size = { width: WIDTH, height: HEIGHT };
  const over = canvas({
    ...size,
    label: "log SNR over t, a falling curve with five handles, and a mark at the chosen t",
    draw: (context, width, height, colour) => paintCurve(context, width, height, colour, stateOf(model, KEYS)),
  });
  const weight = canvas({
    ...size,
    label: "The density of log SNR in training, with a mark at that of the chosen t",
    draw: (context, width, height, colour) => paintWeight(context, width, height, colour, stateOf(model, KEYS)),
  });
  const digit = canvas({
    width: DIGIT,
    height: DIGIT,
    label: "A digit with the noise of the chosen t",
    draw: (context) => {
      context.imageSmoothingEnabled = false;
      context.drawImage(picture(noisedDigit(model), SIDE), 0, 0, DIGIT, DIGIT);
    },
  });
  return { over, weight, digit };
}

// --- Hands -----------------------------------------------------------------------------------------

// One handle to a value, as far as its neighbours let it.
/** @param {Model<State>} model @param {Put<State>} put @param {number} k @param {number} value */
function pull(model, put, k, value) {
  const [handles, gap] = [model.get("handles"), model.get("gap")];
  const [low, high] = model.get("limits").log_snr;
  const least = k + 1 < handles.length ? handles[k + 1] + gap : low;
  const most = k > 0 ? handles[k - 1] - gap : high;
  const held = within([low, high], Math.min(most, Math.max(least, value)));
  put({ handle: k, handles: handles.with(k, held) });
}

// In the left picture a hand takes the nearest handle, or moves t where none is near.
/** @param {Picture} over @param {Model<State>} model @param {Put<State>} put */
function dragCurve(over, model, put) {
  drag(
    over,
    (px, py) => {
      const view = overTime(over.clientWidth);
      const handles = model.get("handles");
      const away = handles.map((value, k) => Math.hypot(view.x(k / (handles.length - 1)) - px, view.y(value) - py));
      const near = Math.min(...away);
      /** @type {{ k: number, loose: boolean, cursor: string }} */
      const taken = { k: -1, loose: true, cursor: "ew-resize" };
      if (near > GRAB) return taken;
      return { k: away.indexOf(near), loose: false, cursor: "ns-resize" };
    },
    ({ k }, px, py) => {
      const view = overTime(over.clientWidth);
      if (k < 0) put({ t: within(model.get("limits").t, back(view.x, px)) });
      else pull(model, put, k, back(view.y, py));
    },
  );
}

// --- Put together ----------------------------------------------------------------------------------

// The name of the known schedule that has these handles.
/** @param {Model<State>} model */
function nameOf(model) {
  const same = (/** @type {number[]} */ curve) => String(curve) === String(model.get("handles"));
  return Object.entries(model.get("presets")).find(([, curve]) => same(curve))?.[0] ?? OWN;
}

/** @param {Model<State>} model @param {Put<State>} put */
function makeKnobs(model, put) {
  const { handles, density, t, handle } = stateOf(model, KEYS);
  const [presets, limits] = [model.get("presets"), model.get("limits")];
  const times = handles.map((_, k) => /** @type {const} */ ([k, `t = ${k / (handles.length - 1)}`]));
  return {
    preset: choice({
      label: "schedule",
      name: "preset",
      options: [...Object.keys(presets), OWN],
      value: nameOf(model),
      change: (name) => put({ handles: presets[name] ?? model.get("handles") }),
    }),
    density: choice({
      label: "t is drawn",
      name: "density",
      options: DENSITIES,
      value: density,
      change: (name) => put({ density: /** @type {Density} */ (name) }),
    }),
    t: slider({
      label: "time t",
      name: "t",
      min: limits.t[0],
      max: limits.t[1],
      step: 0.01,
      value: t,
      show: two,
      change: (to) => put({ t: to }),
    }),
    handle: choice({
      label: "handle at",
      name: "handle",
      options: times,
      value: handle,
      change: (k) => put({ handle: +k }),
    }),
    log_snr: slider({
      label: "its log SNR",
      name: "log_snr",
      min: limits.log_snr[0],
      max: limits.log_snr[1],
      step: 0.05,
      value: handles[handle],
      show: two,
      change: (value) => pull(model, put, model.get("handle"), value),
    }),
  };
}

function makeNumbers() {
  const first = numbers({
    log_snr: "log SNR",
    alpha_bar: "ᾱ",
    slope: "slope",
    density: "density of t",
    weight: "of log SNR",
  });
  const halves = numbers({ from: "half of training: log SNR from", to: "to" });
  return { first, halves };
}

/** @param {View<State>} view */
function render({ model, el }) {
  const { over, weight, digit } = makePictures(model);
  const shown = makeNumbers();
  const refresh = () => {
    const { handles, density, t, handle } = stateOf(model, KEYS);
    knobs.preset.set(nameOf(model));
    knobs.density.set(density);
    knobs.t.set(t);
    knobs.handle.set(handle);
    knobs.log_snr.set(handles[handle]);
    const { from, to, ...first } = facts(handles, density, t);
    shown.first.set(first);
    shown.halves.set({ from, to });
    for (const node of [over, weight, digit]) node.redraw();
  };
  const put = follow(model, KEYS, refresh);
  const knobs = makeKnobs(model, put);
  const again = button("new noise", () => put({ seed: model.get("seed") + 1 }), "again");
  dragCurve(over, model, put);
  const middle = h("div", {}, digit);
  middle.style.flex = `0 0 ${DIGIT}px`;
  frame(el, model).append(
    row(knobs.preset, knobs.density),
    row(knobs.handle, knobs.log_snr),
    row(knobs.t, again),
    flexed(flexible(over, 220, 1), middle, flexible(weight, 220, 1)),
    shown.first,
    shown.halves,
  );
  refresh();
  return endOf(put, over, weight, digit);
}

export default { render };
