import { COLOURS, SCHEDULE_NAMES, axes, back, betasOf, button, canvas, choice, drag, endOf, follow, frame, h, letters, line, numbers, row, scale, slider, spot, stateOf, swatch, tables, two, within } from "./shared.js";

/**
 * @typedef {{
 *   x_0: number, x_t: number, t: number, schedule: string, T: number, beta: number | null,
 *   alike: boolean,
 * }} Setting
 * @typedef {Setting & { limits: Record<"x_0" | "x_t" | "beta", Interval> }} State
 * @typedef {{ mean: number, variance: number }} Law
 * @typedef {"prior" | "likelihood" | "posterior"} Name
 * @typedef {ReturnType<typeof laws>} Laws
 * @typedef {ReturnType<typeof places>} Places
 */

const KEYS = /** @type {const} */ (["x_0", "x_t", "t", "schedule", "T", "beta", "alike"]);
const STEPS = [25, 50, 100, 250, 1000];
const REACH = 3.2; // the picture runs from -3.2 to 3.2
const TOP = 26; // where x_t lies
const PAINT = { prior: COLOURS[0], likelihood: COLOURS[1], posterior: COLOURS[2] };
const NAMES = /** @type {Name[]} */ (Object.keys(PAINT));
const TITLES = { prior: "prior (x₀)", likelihood: "likelihood (xₜ)", posterior: "posterior" };
const COLUMNS = { mean: "mean", variance: "variance", precision: "1/variance" };

// The three laws of x_{t-1}. At t = 1 there is no earlier noise: the prior is the point x_0.
/** @param {Setting} setting */
function laws({ x_0, x_t, t, schedule, T, beta }) {
  const table = tables(betasOf(schedule, T));
  const own = beta ?? table.beta[t - 1];
  const [bar, noise] = t > 1 ? [table.alphaBar[t - 2], table.oneMinusAlphaBar[t - 2]] : [1, 0];
  const rest = noise + bar * own; // 1 - alpha_bar_t
  const alpha = 1 - own;
  const weights = {
    weight_x_0: (Math.sqrt(bar) * own) / rest,
    weight_x_t: (Math.sqrt(alpha) * noise) / rest,
  };
  const mean = weights.weight_x_0 * x_0 + weights.weight_x_t * x_t;
  return {
    facts: { beta: own, alpha_bar_prev: bar, alpha_bar: 1 - rest },
    weights,
    prior: { mean: Math.sqrt(bar) * x_0, variance: noise },
    likelihood: { mean: x_t / Math.sqrt(alpha), variance: own / alpha },
    posterior: { mean, variance: (own * noise) / rest },
  };
}

// --- Picture -------------------------------------------------------------------------------------


/** @param {number} width @param {number} height */
function places(width, height) {
  return { x: scale(-REACH, REACH, 30, width - 12), left: 30, bottom: height - 78, low: height - 22 };
}

/** @param {Law} law */
const highest = ({ variance }) => 1 / Math.sqrt(2 * Math.PI * variance);

// A bell as points, fine enough for a narrow one; a point mass is an upright line.
/** @param {Law} law @param {Places} places @param {Scale} y */
function bell({ mean, variance }, { x, bottom }, y) {
  if (!variance) return [[x(mean), bottom], [x(mean), y(1)]];
  const sigma = Math.sqrt(variance);
  const at = (/** @type {number} */ k) => [x(mean + sigma * k), y(Math.exp((-k * k) / 2))];
  return Array.from({ length: 241 }, (_, k) => at((k - 120) / 20));
}

/**
 * @param {Context} context @param {Law} law @param {string} colour @param {Places} place
 * @param {Scale} y @param {boolean} filled
 */
function paintLaw(context, law, colour, place, y, filled) {
  const points = bell(law, place, y);
  context.save();
  context.beginPath();
  context.rect(place.left, 0, place.x(REACH) - place.left, place.bottom);
  context.clip();
  if (filled && law.variance) {
    context.beginPath();
    points.forEach(([px, py]) => context.lineTo(px, py));
    context.globalAlpha = 0.3;
    context.fillStyle = colour;
    context.fill();
    context.globalAlpha = 1;
  }
  line(context, points, colour, filled ? 4 : 2);
  context.restore();
}

// A rail with a knob, and the way from the knob to the middle of the law that it makes.
/**
 * @param {Context} context
 * @param {{ name: string, height: number, value: number, law: Law, place: Places, ink: string }} rail
 * @param {string} colour
 */
function paintRail(context, { name, height, value, law, place, ink }, colour) {
  const { x, left, bottom } = place;
  context.save();
  context.globalAlpha = 0.4;
  line(context, [[left, height], [x(REACH), height]], ink, 1);
  context.restore();
  context.save();
  context.beginPath();
  context.rect(left, 0, x(REACH) - left, 2 * bottom);
  context.clip();
  context.setLineDash([4, 4]);
  line(context, [[x(value), height], [x(law.mean), bottom]], colour, 1.25);
  context.restore();
  spot(context, x(value), height, 8, colour);
  context.fillStyle = ink;
  letters(context, 15, "italic");
  context.fillText(name, 4, height + 5);
}

/** @type {Paint<Setting>} */
function paint(context, width, height, ink, state) {
  const place = places(width, height);
  const { x, left, bottom, low } = place;
  const { x_0, x_t, alike } = state;
  const found = laws(state);
  axes(context, { x, y: x, xTicks: [-3, -2, -1, 0, 1, 2, 3], colour: ink, left, bottom });
  const names = [...NAMES].reverse(); // the posterior lies below, as it may cover the others
  const top = Math.max(...names.map((name) => (found[name].variance ? highest(found[name]) : 0)));
  const [upper, lower] = [{ name: "xₜ", height: TOP, value: x_t }, { name: "x₀", height: low, value: x_0 }];
  paintRail(context, { ...upper, law: found.likelihood, place, ink }, PAINT.likelihood);
  paintRail(context, { ...lower, law: found.prior, place, ink }, PAINT.prior);
  for (const name of names) {
    const tall = alike || !found[name].variance ? 1 : highest(found[name]) / top;
    const y = scale(0, 1, bottom, bottom - tall * (bottom - TOP - 22));
    paintLaw(context, found[name], PAINT[name], place, y, name === "posterior");
  }
  line(context, [[left, bottom], [x(REACH), bottom]], ink, 1);
  context.fillStyle = ink;
  letters(context, 15, "italic");
  context.fillText("xₜ₋₁", 0, bottom + 5);
}

/**
 * @param {number} py @param {Places} place
 * @returns {{ key: "x_0" | "x_t" } | null}
 */
function grab(py, place) {
  if (Math.abs(py - TOP) < 18) return { key: "x_t" };
  return Math.abs(py - place.low) < 18 ? { key: "x_0" } : null;
}

// --- Put together --------------------------------------------------------------------------------

// The numbers of all three laws as a table, of which only the posterior speaks when it changes. A
// grid, because the pages of a book give tables of their own a look.
function lawTable() {
  const columns = /** @type {(keyof typeof COLUMNS)[]} */ (Object.keys(COLUMNS));
  const labels = NAMES.flatMap((name) => columns.map((key) => [`${name}_${key}`, ""]));
  const cells = numbers(Object.fromEntries(labels));
  const contents = { role: "row", style: { display: "contents" } };
  const found = (/** @type {string} */ name) => cells.querySelector(`[data-name=${name}]`) ?? "";
  const cell = (/** @type {string} */ name) => h("span", { role: "cell" }, found(name));
  const lawRow = (/** @type {Name} */ name) => {
    const live = { ...contents, "aria-live": name === "posterior" ? "polite" : "off" };
    return h("div", live, lawTitle(name), ...columns.map((key) => cell(`${name}_${key}`)));
  };
  const heads = ["law of xₜ₋₁", ...Object.values(COLUMNS)];
  const faint = { role: "columnheader", style: { opacity: 0.8 } };
  const head = heads.map((text) => h("span", faint, text));
  const rows = [h("div", contents, ...head), ...NAMES.map(lawRow)];
  const style = { display: "grid", gridTemplateColumns: "max-content repeat(3, minmax(4.6em, max-content))" };
  const node = h("div", { role: "table", "aria-label": "the three laws", style }, ...rows);
  Object.assign(node.style, { gap: ".15rem .9rem", fontSize: ".9rem", margin: ".4rem 0" });
  const set = (/** @type {Laws} */ found) => {
    for (const name of NAMES) {
      const { mean, variance } = found[name];
      const values = { mean, variance, precision: 1 / variance };
      cells.set(Object.fromEntries(columns.map((key) => [`${name}_${key}`, values[key]])));
    }
  };
  return Object.assign(node, { set });
}

/** @param {Name} name */
function lawTitle(name) {
  return h("span", { role: "rowheader" }, swatch(PAINT[name]), TITLES[name]);
}

/** @param {Model<State>} model @param {Put<State>} put */
function makeControls(model, put) {
  const limits = model.get("limits");
  const { x_0, x_t, t, schedule, T } = stateOf(model, KEYS);
  const pixel = (/** @type {"x_0" | "x_t"} */ key, /** @type {string} */ label) => {
    const [min, max] = limits[key];
    const change = (/** @type {number} */ v) => put({ [key]: v });
    return slider({ label, name: key, min, max, step: 0.01, value: { x_0, x_t }[key], show: two, change });
  };
  const steps = [...new Set([...STEPS, T])].sort((a, b) => a - b);
  // The share of the way that has been gone stays the same; a beta set by hand is for one step only.
  const rescale = (/** @type {number} */ T) => {
    const t = Math.max(1, Math.round((model.get("t") / model.get("T")) * T));
    put({ t: Math.min(t, T), T, beta: null });
  };
  const time = { label: "t", min: 1, max: T, step: 1, value: t };
  return {
    x_0: pixel("x_0", "x₀"),
    x_t: pixel("x_t", "xₜ"),
    schedule: choice({
      label: "schedule",
      options: SCHEDULE_NAMES,
      value: schedule,
      change: (schedule) => put({ schedule, beta: null }),
    }),
    T: choice({ label: "T", options: steps, value: T, change: (T) => rescale(+T) }),
    t: slider({ ...time, change: (t) => put({ t, beta: null }) }),
    beta: slider({
      label: "β of this step",
      name: "beta",
      min: limits.beta[0],
      max: limits.beta[1],
      step: 0.001,
      value: limits.beta[0],
      change: (beta) => put({ beta }),
      show: () => "",
    }),
    reset: button("β of the schedule", () => put({ beta: null }), "reset"),
    alike: button("Equal heights", () => put({ alike: !model.get("alike") }), "alike"),
  };
}

// A hand moves either end along its rail.
/** @param {Picture} picture @param {Model<State>} model @param {Put<State>} put */
function dragRails(picture, model, put) {
  const place = () => places(picture.clientWidth, picture.clientHeight);
  drag(
    picture,
    (_, py) => grab(py, place()),
    ({ key }, px) => put({ [key]: within(model.get("limits")[key], back(place().x, px)) }),
  );
}

/** @param {View<State>} view */
function render({ model, el }) {
  const state = () => stateOf(model, KEYS);
  const picture = canvas({
    width: 680,
    height: 330,
    label: "Prior, likelihood and posterior of the pixel one step earlier, as three bell curves",
    draw: (context, width, height, ink) => paint(context, width, height, ink, state()),
  });
  const put = follow(model, KEYS, () => refresh());
  const controls = makeControls(model, put);
  const facts = numbers({ beta: "β", alpha_bar_prev: "ᾱ before", alpha_bar: "ᾱ after" });
  const weights = numbers({ weight_x_0: "In the posterior mean: factor of x₀", weight_x_t: "factor of xₜ" });
  for (const node of [facts, weights]) node.removeAttribute("role");
  const table = lawTable();
  const refresh = () => {
    const found = laws(state());
    controls.t.input.max = String(model.get("T"));
    for (const key of /** @type {const} */ (["x_0", "x_t", "t"])) controls[key].set(model.get(key));
    controls.schedule.set(model.get("schedule"));
    controls.T.set(model.get("T"));
    controls.beta.set(found.facts.beta);
    controls.reset.setAttribute("aria-pressed", String(model.get("beta") === null));
    controls.alike.setAttribute("aria-pressed", String(!!model.get("alike")));
    facts.set(found.facts);
    weights.set(found.weights);
    table.set(found);
    picture.redraw();
  };
  dragRails(picture, model, put);
  const { x_0, x_t, t, beta, schedule, T, reset, alike } = controls;
  frame(el, model).append(
    row(schedule, T, reset, alike),
    row(x_0, x_t),
    row(t, beta),
    facts,
    picture,
    table,
    weights,
  );
  refresh();
  return endOf(put, picture);
}

export default { render };
