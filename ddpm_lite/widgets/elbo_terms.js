import { COLOURS, axes, canvas, drag, endOf, flexed, flexible, follow, frame, h, letters, line, numbers, row, scale, slider, spot } from "./shared.js";

/**
 * @typedef {{ spans: Interval[], per_step: number[], prior: number, stretch: number }} State
 * @typedef {ReturnType<typeof accounts>} Parts
 */

// For each stretch of times: one step's term, and what all steps up to its end cost together.
/** @param {{ spans: Interval[], per_step: number[], prior: number }} bound */
function accounts({ spans, per_step, prior }) {
  let so_far = 0;
  const parts = spans.map(([first, last], k) => {
    so_far += (last - first + 1) * per_step[k];
    return { first, last, term: per_step[k], so_far };
  });
  const total = so_far + prior;
  return parts.map((part) => ({ ...part, total, share: part.so_far / total }));
}

/** @param {{ first: number, last: number }} stretch */
const middle = ({ first, last }) => Math.sqrt(first * last);
const PLOT = { left: 46, right: 20, top: 22, bottom: 34 };

// Times on a logarithmic axis, as most of the bound lies at the first few.
/** @param {number} width @param {number} height @param {Parts} parts */
function termPlaces(width, height, parts) {
  const T = parts[parts.length - 1].last;
  const x = scale(0, Math.log10(T), PLOT.left, width - PLOT.right);
  const powers = Array.from({ length: Math.floor(Math.log10(T)) + 1 }, (_, k) => k);
  const log = (/** @type {number} */ t) => x(Math.log10(t));
  return { x: log, powers, bottom: height - PLOT.bottom, right: width - PLOT.right };
}

/** @param {Context} context @param {ReturnType<typeof termPlaces>} place @param {string} ink */
function paintTimes(context, { x, powers, bottom, right }, ink) {
  context.save();
  context.fillStyle = ink;
  context.globalAlpha = 0.8;
  letters(context, 12);
  context.textAlign = "center";
  for (const k of powers) context.fillText(String(10 ** k), x(10 ** k), bottom + 16);
  context.textAlign = "right";
  context.fillText("t", right, bottom + 30);
  context.restore();
  line(context, [[PLOT.left, bottom], [right, bottom]], ink, 1);
}

/** @type {Paint<{ parts: Parts, chosen: number }>} */
function paintTerms(context, width, height, ink, { parts, chosen }) {
  const place = termPlaces(width, height, parts);
  const { x, bottom } = place;
  const sizes = parts.map(({ term }) => Math.log10(Math.max(term, 1e-9)));
  const [low, high] = [Math.floor(Math.min(...sizes)), Math.ceil(Math.max(...sizes))];
  const y = scale(low, high, bottom, PLOT.top);
  const ticks = Array.from({ length: high - low + 1 }, (_, k) => low + k);
  const title = "log₁₀ of one step's term";
  axes(context, { x, y, yTicks: ticks, colour: ink, left: PLOT.left, bottom, yLabel: title });
  paintTimes(context, place, ink);
  for (const [k, { first, last }] of parts.entries()) {
    const [from, to] = [x(Math.max(1, first - 0.5)), Math.min(place.right, x(last + 0.5))];
    line(context, [[from, y(sizes[k])], [to, y(sizes[k])]], COLOURS[0], 3);
  }
  line(context, parts.map((part, k) => [x(middle(part)), y(sizes[k])]), COLOURS[0], 1.25);
  spot(context, x(middle(parts[chosen])), y(sizes[chosen]), 6, COLOURS[1]);
}

/** @type {Paint<{ parts: Parts, chosen: number }>} */
function paintSum(context, width, height, ink, { parts, chosen }) {
  const place = termPlaces(width, height, parts);
  const { x, bottom, right } = place;
  const { total } = parts[0];
  const y = scale(0, 1.08 * total, bottom, PLOT.top);
  const power = 10 ** Math.floor(Math.log10(total));
  const tick = total < 3 * power ? power / 2 : power;
  const ticks = Array.from({ length: Math.floor((1.05 * total) / tick) + 1 }, (_, k) => k * tick);
  const title = "sum of the terms up to t";
  axes(context, { x, y, yTicks: ticks, colour: ink, left: PLOT.left, bottom, yLabel: title });
  context.save();
  context.beginPath();
  context.moveTo(x(1), bottom);
  for (const part of parts.slice(0, chosen + 1)) context.lineTo(x(part.last), y(part.so_far));
  context.lineTo(x(parts[chosen].last), bottom);
  context.globalAlpha = 0.3;
  context.fillStyle = COLOURS[0];
  context.fill();
  context.restore();
  context.save();
  context.setLineDash([5, 4]);
  line(context, [[PLOT.left, y(total)], [right, y(total)]], ink, 1);
  context.restore();
  paintTimes(context, place, ink);
  line(context, parts.map((part) => [x(part.last), y(part.so_far)]), COLOURS[2], 2.5);
  spot(context, x(parts[chosen].last), y(parts[chosen].so_far), 6, COLOURS[1]);
}

/** @param {{ first: number, last: number }} stretch */
const called = ({ first, last }) => (first === last ? `t = ${first}` : `t = ${first} to ${last}`);

/** @param {Parts} parts @param {() => number} chosen */
function makePlots(parts, chosen) {
  /** @type {(paint: Paint<{ parts: Parts, chosen: number }>, label: string) => Picture} */
  const plot = (paint, label) => {
    /** @type {Draw} */
    const draw = (context, width, height, ink) =>
      paint(context, width, height, ink, { parts, chosen: chosen() });
    return canvas({ width: 420, height: 230, label, draw });
  };
  return [
    plot(paintTerms, "The size of each term of the bound over t, both on logarithmic axes, with a marker"),
    plot(paintSum, "The sum of the terms from t = 1 up to each t, with a marker"),
  ];
}

// The stretch of times nearest to a pixel.
/** @param {Picture} node @param {Parts} parts @param {number} px */
function nearest(node, parts, px) {
  const { x } = termPlaces(node.clientWidth, 0, parts);
  const away = parts.map((part) => Math.abs(x(middle(part)) - px));
  return away.indexOf(Math.min(...away));
}

/** @param {View<State>} view */
function render({ model, el }) {
  const [spans, per_step, prior] = [model.get("spans"), model.get("per_step"), model.get("prior")];
  const parts = accounts({ spans, per_step, prior });
  const chosen = () => model.get("stretch");
  const put = follow(model, ["stretch"], () => refresh());
  const plots = makePlots(parts, chosen);
  for (const node of plots)
    drag(node, () => ({ loose: true }), (_, px) => put({ stretch: nearest(node, parts, px) }));
  const knob = slider({
    label: "step",
    name: "stretch",
    min: 0,
    max: parts.length - 1,
    step: 1,
    value: chosen(),
    show: (k) => called(parts[k]),
    change: (stretch) => put({ stretch }),
  });
  /** @type {HTMLOutputElement} */ (knob.querySelector("output")).style.minWidth = "8.5em";
  const labels = { term: "one step's term", so_far: "sum up to here", share: "share", total: "whole bound" };
  const facts = numbers(labels);
  const refresh = () => {
    const { term, so_far, share, total } = parts[chosen()];
    knob.set(chosen());
    facts.set({ term, so_far, share, total });
    plots.forEach((node) => node.redraw());
  };
  facts.style.margin = ".2rem 0 .5rem";
  const note = h("p", { className: "w-note", textContent: "In bits per dimension; t on a logarithmic axis." });
  frame(el, model).append(row(knob), facts, flexed(...plots.map((node) => flexible(node, 260, 1))), note);
  refresh();
  return endOf(put, ...plots);
}

export default { render };
