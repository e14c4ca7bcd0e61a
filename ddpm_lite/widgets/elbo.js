import { COLOURS, axes, back, button, calm, canvas, drag, endOf, flexed, flexible, follow, frame, h, letters, line, numbers, row, scale, slider, spot, stateOf, two, within } from "./shared.js";

/**
 * @typedef {{ mean: number, deviation: number }} Guess
 * @typedef {Guess & { x: number, noise: number }} Setting
 * @typedef {{ mean: Interval, deviation: Interval }} Limits
 * @typedef {Setting & { limits: Limits }} State
 * @typedef {{ mean: number, variance: number }} Law
 */

const KEYS = /** @type {const} */ (["mean", "deviation"]);
const REACH = 4; // the bells are drawn from -4 to 4
const DEPTH = 8; // and the bar shows the 8 nats below log p(x)
const RATE = 0.05; // of a step of the climb
const PAINT = { q: COLOURS[0], gap: COLOURS[1], exact: COLOURS[2], log_p: COLOURS[4] };

// z is N(0, 1) and x given z is N(z, noise): everything is a formula.
/** @param {Setting} setting */
function bound({ mean, deviation, x, noise }) {
  const variance = deviation ** 2;
  const exact = { mean: x / (1 + noise), variance: noise / (1 + noise) };
  const reconstruction = -(Math.log(2 * Math.PI * noise) + ((x - mean) ** 2 + variance) / noise) / 2;
  const kl_prior = divergence({ mean, variance }, { mean: 0, variance: 1 });
  return {
    log_p: -(Math.log(2 * Math.PI * (1 + noise)) + x ** 2 / (1 + noise)) / 2,
    elbo: reconstruction - kl_prior,
    kl: divergence({ mean, variance }, exact),
    reconstruction,
    kl_prior,
    exact,
  };
}

/** @param {Law} q @param {Law} p */
function divergence(q, p) {
  const ratio = q.variance / p.variance;
  return (ratio - 1 - Math.log(ratio) + (q.mean - p.mean) ** 2 / p.variance) / 2;
}

// One step up the slope of the ELBO, in the mean and in the logarithm of the deviation.
/** @param {Setting} setting @param {Limits} limits */
function climbed({ mean, deviation, x, noise }, limits) {
  const { exact } = bound({ mean, deviation, x, noise });
  const inside = (/** @type {Interval} */ [low, high], /** @type {number} */ v) =>
    Math.min(high, Math.max(low, v));
  const growth = RATE * (1 - deviation ** 2 / exact.variance);
  return {
    mean: inside(limits.mean, mean - (RATE * (mean - exact.mean)) / exact.variance),
    deviation: inside(limits.deviation, deviation * Math.exp(Math.max(-0.15, growth))),
  };
}

/** @type {(z: number, law: Law) => number} */
const density = (z, { mean, variance }) =>
  Math.exp(-((z - mean) ** 2) / variance / 2) / Math.sqrt(2 * Math.PI * variance);

const ZS = Array.from({ length: 241 }, (_, k) => -REACH + (REACH * k) / 120);

/** @param {number} width @param {number} height */
const lawPlaces = (width, height) => {
  const bottom = height - 22;
  return { x: scale(-REACH, REACH, 6, width - 6), y: scale(0, 0.9, bottom, 20), bottom };
};

/** @type {Paint<Setting>} */
function paintLaws(context, width, height, ink, state) {
  const { x, y, bottom } = lawPlaces(width, height);
  const q = { mean: state.mean, variance: state.deviation ** 2 };
  const curve = (/** @type {Law} */ law) => ZS.map((z) => [x(z), y(density(z, law))]);
  const xTicks = [-3, -2, -1, 0, 1, 2, 3];
  axes(context, { x, y, xTicks, colour: ink, yLabel: "laws of the hidden z", left: 6, bottom });
  context.save();
  context.beginPath();
  context.rect(0, 18, width, bottom - 18);
  context.clip();
  context.save();
  context.setLineDash([4, 4]);
  context.globalAlpha = 0.6;
  line(context, curve({ mean: 0, variance: 1 }), ink, 1.25);
  context.restore();
  line(context, curve(bound(state).exact), PAINT.exact, 2.5);
  context.beginPath();
  curve(q).forEach(([px, py]) => context.lineTo(px, py));
  context.fillStyle = PAINT.q;
  context.globalAlpha = 0.3;
  context.fill();
  context.globalAlpha = 1;
  line(context, curve(q), PAINT.q, 2.5);
  context.restore();
  line(context, [[x(-REACH), bottom], [x(REACH), bottom]], ink, 1);
  const arm = bottom - 10;
  line(context, [[x(state.mean), arm], [x(state.mean + state.deviation), arm]], PAINT.q, 3);
  spot(context, x(state.mean), arm, 7, PAINT.q);
  spot(context, x(state.mean + state.deviation), arm, 5, PAINT.q);
}

// The bar: filled up to the ELBO, hatched from there to log p(x), in the colours of fig-elbo-bar.
/** @type {Paint<Setting>} */
function paintBar(context, width, height, ink, state) {
  const { log_p, elbo, kl } = bound(state);
  const y = scale(log_p - DEPTH, log_p, height - 10, 34);
  const [left, right] = [12, Math.min(62, width - 76)];
  const level = Math.min(y(log_p - DEPTH), y(elbo));
  context.save();
  context.fillStyle = PAINT.q;
  context.globalAlpha = 0.75;
  context.fillRect(left, level, right - left, y(log_p - DEPTH) - level);
  context.restore();
  hatch(context, left, y(log_p), right, level, PAINT.gap);
  context.save();
  context.strokeStyle = ink;
  context.globalAlpha = 0.6;
  context.strokeRect(left, y(log_p), right - left, y(log_p - DEPTH) - y(log_p));
  context.restore();
  context.save();
  context.setLineDash([6, 3]);
  line(context, [[left - 6, y(log_p)], [right + 8, y(log_p)]], PAINT.log_p, 2);
  context.restore();
  context.fillStyle = ink;
  letters(context, 12);
  context.fillText(`log p(x) = ${log_p.toFixed(2)}`, left - 6, y(log_p) - 8);
  const at = Math.min(y(log_p - DEPTH) - 4, level + 16);
  context.fillText(elbo < log_p - DEPTH ? "ELBO far below" : `ELBO ${elbo.toFixed(2)}`, right + 8, at);
  if (level - y(log_p) > 24) context.fillText(`KL ${kl.toFixed(2)}`, right + 8, (y(log_p) + level) / 2 + 4);
}

/**
 * @param {Context} context @param {number} left @param {number} top @param {number} right
 * @param {number} bottom @param {string} colour
 */
function hatch(context, left, top, right, bottom, colour) {
  context.save();
  context.beginPath();
  context.rect(left, top, right - left, bottom - top);
  context.clip();
  for (let k = top; k < bottom + right - left; k += 8)
    line(context, [[left, k], [right, k - (right - left)]], colour, 2);
  context.restore();
}

const MAP = { left: 30, right: 6, top: 20, bottom: 32 };

/** @param {number} width @param {number} height @param {Limits} limits */
function mapPlaces(width, height, limits) {
  return {
    x: scale(...limits.mean, MAP.left, width - MAP.right),
    y: scale(...limits.deviation, height - MAP.bottom, MAP.top),
  };
}

// Where the divergence is `level`: for each deviation the two means that have it, by the formula.
/** @param {number} level @param {Law} exact @param {Limits} limits */
function contour(level, exact, limits) {
  const [low, high] = limits.deviation;
  /** @type {{ deviation: number, away: number }[]} */
  const found = [];
  for (let k = 0; k <= 400; k++) {
    const deviation = low + ((high - low) * k) / 400;
    const ratio = deviation ** 2 / exact.variance;
    const square = exact.variance * (2 * level + 1 - ratio + Math.log(ratio));
    if (square >= 0) found.push({ deviation, away: Math.sqrt(square) });
  }
  const side = (/** @type {number} */ sign) =>
    found.map(({ deviation, away }) => ({ mean: exact.mean + sign * away, deviation }));
  return [...side(1), ...side(-1).reverse()];
}

// A map of the ELBO: contours at equal divergences, the best place, and the way so far.
/** @type {Paint<Setting & { limits: Limits, trail: Guess[] }>} */
function paintMap(context, width, height, ink, { limits, trail, ...state }) {
  const { x, y } = mapPlaces(width, height, limits);
  const { exact } = bound(state);
  const [right, bottom] = [width - MAP.right, height - MAP.bottom];
  const ticks = { xTicks: [-2, 0, 2], yTicks: [0.5, 1, 1.5, 2, 2.5] };
  const title = width < 210 ? "ELBO: mean and σ of q" : "ELBO over the mean and σ of q";
  axes(context, { x, y, ...ticks, colour: ink, left: MAP.left, bottom, yLabel: title });
  context.save();
  context.beginPath();
  context.rect(MAP.left, MAP.top, right - MAP.left, bottom - MAP.top);
  context.clip();
  context.fillStyle = PAINT.exact;
  context.globalAlpha = 0.17;
  for (const level of [0.1, 0.3, 0.7, 1.5, 3, 6]) {
    context.beginPath();
    for (const { mean, deviation } of contour(level, exact, limits)) context.lineTo(x(mean), y(deviation));
    context.fill();
  }
  context.restore();
  context.save();
  context.strokeStyle = ink;
  context.globalAlpha = 0.4;
  context.strokeRect(MAP.left, MAP.top, right - MAP.left, bottom - MAP.top);
  context.restore();
  const [px, py] = [x(exact.mean), y(Math.sqrt(exact.variance))];
  line(context, [[px - 5, py], [px + 5, py]], ink, 1.5);
  line(context, [[px, py - 5], [px, py + 5]], ink, 1.5);
  line(context, trail.map(({ mean, deviation }) => [x(mean), y(deviation)]), PAINT.q, 2);
  spot(context, x(state.mean), y(state.deviation), 7, PAINT.q);
}

// --- Put together --------------------------------------------------------------------------------

// The button that climbs to the best q; where motion is not wanted it takes one step a press.
/** @param {HTMLElement} el @param {() => boolean} step One step up; tells whether the top is reached. */
function climber(el, step) {
  /** @type {ReturnType<typeof setInterval> | undefined} */
  let timer;
  const press = () => void (calm() ? step() : timer === undefined ? start() : stop());
  const node = button("Climb", press, "climb");
  const label = () => (timer !== undefined ? "Stop" : calm() ? "One step up" : "Climb");
  const start = () => {
    timer = setInterval(() => (el.isConnected && !step() ? null : stop()), 40);
    node.textContent = label();
  };
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    node.textContent = label();
  };
  node.style.minWidth = "8em";
  stop();
  return Object.assign(node, { end: stop });
}

/** @param {Model<State>} model @param {(changes: Partial<State>) => void} byHand */
function makeKnobs(model, byHand) {
  const knob = (/** @type {keyof Guess} */ key, /** @type {string} */ label) => {
    const [min, max] = model.get("limits")[key];
    const change = (/** @type {number} */ v) => byHand({ [key]: v });
    return slider({ label, name: key, min, max, step: 0.01, value: model.get(key), show: two, change });
  };
  return { mean: knob("mean", "mean of q"), deviation: knob("deviation", "σ of q") };
}

// The three pictures of what `shown` gives.
/** @param {() => Setting & { limits: Limits, trail: Guess[] }} shown */
function makePictures(shown) {
  /** @type {(width: number, paint: Paint<ReturnType<typeof shown>>, label: string) => Picture} */
  const picture = (width, paint, label) => {
    /** @type {Draw} */
    const draw = (context, wide, height, ink) => paint(context, wide, height, ink, shown());
    return canvas({ width, height: 250, label, draw });
  };
  return {
    laws: picture(330, paintLaws, "Bell curves over z: the guess q, the exact posterior and the prior"),
    bar: picture(150, paintBar, "A bar filled up to the ELBO; hatched, the divergence up to log p(x)"),
    map: picture(300, paintMap, "The ELBO over the mean and deviation of q, with q and its best place"),
  };
}

function makeNumbers() {
  const all = numbers({ log_p: "log p(x)", elbo: "= ELBO", kl: "+ KL(q‖posterior)" });
  const inner = numbers({ reconstruction: "ELBO = mean of log p(x|z)", kl_prior: "− KL(q‖prior)" });
  inner.removeAttribute("role");
  inner.style.margin = ".2rem 0 .5rem";
  return { all, inner };
}

/** @param {View<State>} view */
function render({ model, el }) {
  const limits = model.get("limits");
  const state = () => stateOf(model, [...KEYS, "x", "noise"]);
  /** @type {Guess[]} */
  let trail = []; // the way of the climb
  const put = follow(model, KEYS, () => refresh());
  const climb = climber(el, () => {
    trail.push(state());
    put(climbed(state(), limits));
    trail.push(state());
    return bound(state()).kl < 1e-6;
  });
  const byHand = (/** @type {Partial<State>} */ changes) => {
    climb.end();
    trail = [];
    put(changes);
  };
  const knobs = makeKnobs(model, byHand);
  const { laws, bar, map } = makePictures(() => ({ ...state(), limits, trail }));
  const { all, inner } = makeNumbers();
  const refresh = () => {
    const { log_p, elbo, kl, reconstruction, kl_prior } = bound(state());
    for (const key of KEYS) knobs[key].set(model.get(key));
    all.set({ log_p, elbo, kl });
    inner.set({ reconstruction, kl_prior });
    [laws, bar, map].forEach((node) => node.redraw());
  };
  dragLaws(laws, model, byHand);
  dragMap(map, model, byHand);
  frame(el, model).append(
    row(knobs.mean, knobs.deviation, climb),
    all,
    inner,
    legend(),
    flexed(flexible(laws, 290, 3), flexible(bar, 130, 1), flexible(map, 190, 2)),
  );
  refresh();
  return endOf(put, climb, laws, bar, map);
}

function legend() {
  const entry = (/** @type {string} */ border, /** @type {string} */ textContent) =>
    h("span", { textContent, style: { borderBottom: border } });
  return h(
    "div",
    { className: "w-numbers", style: { marginBottom: ".5rem" } },
    entry(`3px solid ${PAINT.q}`, "guess q(z)"),
    entry(`3px solid ${PAINT.exact}`, "exact posterior p(z|x)"),
    entry("2px dashed", "prior p(z)"),
  );
}

// Dragging the bell moves its mean, its right-hand knob its width.
/** @param {Picture} laws @param {Model<State>} model @param {(changes: Partial<State>) => void} byHand */
function dragLaws(laws, model, byHand) {
  const places = () => lawPlaces(laws.clientWidth, laws.clientHeight);
  /** @type {(px: number, py: number) => { key: keyof Guess, from: number, loose: boolean } | null} */
  const pick = (px, py) => {
    const { x, bottom } = places();
    const loose = py < bottom - 30;
    const [mean, end] = [model.get("mean"), model.get("mean") + model.get("deviation")];
    const [to_mean, to_end] = [Math.abs(px - x(mean)), Math.abs(px - x(end))];
    if (to_end < 14 && to_end < to_mean) return { key: "deviation", from: mean, loose };
    return to_mean < 40 ? { key: "mean", from: 0, loose } : null;
  };
  drag(laws, pick, ({ key, from }, px) =>
    byHand({ [key]: within(model.get("limits")[key], back(places().x, px) - from) }));
}

// On the map a hand moves both at once.
/** @param {Picture} map @param {Model<State>} model @param {(changes: Partial<State>) => void} byHand */
function dragMap(map, model, byHand) {
  const limits = model.get("limits");
  const places = () => mapPlaces(map.clientWidth, map.clientHeight, limits);
  const near = (/** @type {number} */ px, /** @type {number} */ py) =>
    Math.hypot(px - places().x(model.get("mean")), py - places().y(model.get("deviation"))) < 24;
  drag(
    map,
    (px, py) => ({ loose: !near(px, py) }),
    (_, px, py) => {
      const mean = within(limits.mean, back(places().x, px));
      byHand({ mean, deviation: within(limits.deviation, back(places().y, py)) });
    },
  );
}

export default { render };
