import { COLOURS, axes, canvas, choice, drag, follow, frame, h, letters, line, numbers, row, scale, slider } from "./shared.js";

const REACH = 6; // both lines run from -6 to 6
const KEYS = ["mu", "sigma", "arrows"];
const ARROWS = {
  path: "slope by the path: 2x",
  score: "slope by the score: x² ε / σ",
  mu: "the move as μ grows by ½",
  sigma: "the move as σ grows by ½",
};
const SLOPE = 0.15; // the length of an arrow for a slope of 1
const PATH_COLOUR = COLOURS[2];
const SCORE_COLOUR = COLOURS[4];

const bell = (z) => Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI);

// The estimates of the slope of E[x^2] in mu, one for each draw.
function estimates(eps, mu, sigma) {
  const xs = eps.map((e) => mu + sigma * e);
  return { xs, path: xs.map((x) => 2 * x), score: xs.map((x, k) => (x * x * eps[k]) / sigma) };
}

function meanAndVariance(values) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / (values.length - 1);
  return [mean, variance];
}

function exactVariances(mu, sigma) {
  return [4 * sigma ** 2, mu ** 4 / sigma ** 2 + 14 * mu ** 2 + 15 * sigma ** 2];
}

// A height for each draw that spreads the cloud under its curve; the same at every setting.
const lift = (k, e) => ((k * 0.618034) % 1) * bell(e);

// From blue to orange with growing eps, so that each draw is known again where it lands.
function tint(e) {
  const share = Math.min(1, Math.max(0, (e + 2) / 4));
  const mix = (from, to) => Math.round(from + share * (to - from));
  return `rgb(${mix(0x2b, 0xcf)},${mix(0x7b, 0x6a)},${mix(0xba, 0x17)})`;
}

function places(width, height) {
  return {
    x: scale(-REACH, REACH, 8, width - 8),
    upper: 86, // the line of eps
    lower: height - 40, // the line of x
    high: 66 / bell(0), // pixels for the height of the noise's curve
  };
}

function curve(context, foot, points, colour) {
  line(context, points.map(([px, up]) => [px, foot - up]), colour, 2);
}

function dot(context, px, py, colour, radius = 2) {
  context.beginPath();
  context.arc(px, py, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
}

function ring(context, px, py, colour) {
  context.beginPath();
  context.arc(px, py, 5, 0, 2 * Math.PI);
  context.strokeStyle = colour;
  context.lineWidth = 2;
  context.stroke();
}

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
function lengths(arrows, { eps, path, score }) {
  if (arrows === "mu") return eps.map(() => 0.5);
  if (arrows === "sigma") return eps.map((e) => 0.5 * e);
  return (arrows === "path" ? path : score).map((slope) => SLOPE * slope);
}

// Three draws that are followed from line to line: one left, one in the middle, one right.
function followed(eps) {
  const nearest = (goal) =>
    eps.reduce((best, e, k) => (Math.abs(e - goal) < Math.abs(eps[best] - goal) ? k : best), 0);
  return [-1.3, 0, 1.3].map(nearest);
}

function paintCloud(context, width, height, colour, { mu, sigma, arrows, eps, ...found }) {
  const { x, upper, lower, high } = places(width, height);
  // a narrow cloud would stand higher than there is room: then the curve is pressed down
  const squeeze = Math.min(1 / sigma, 1.6);
  const heights = eps.map((e, k) => high * lift(k, e));
  const grid = Array.from({ length: 121 }, (_, k) => -4 + k / 15);
  const ticks = [-6, -4, -2, 0, 2, 4, 6];
  axes(context, { x, xTicks: ticks, colour, left: 8, bottom: lower });
  context.fillStyle = colour;
  letters(context, 14, "600");
  context.fillText("ε", 4, 30);
  context.fillText("x = μ + σε", 4, lower - 92);
  for (const level of [upper, lower]) line(context, [[x(-REACH), level], [x(REACH), level]], colour, 1);
  context.globalAlpha = 0.2;
  for (let k = 0; k < eps.length; k += 2)
    line(context, [[x(eps[k]), upper], [x(found.xs[k]), lower - heights[k] * squeeze]], tint(eps[k]), 1);
  context.globalAlpha = 1;
  eps.forEach((e, k) => {
    dot(context, x(e), upper - heights[k], tint(e));
    dot(context, x(found.xs[k]), lower - heights[k] * squeeze, tint(e));
  });
  curve(context, upper, grid.map((z) => [x(z), high * bell(z)]), colour);
  curve(context, lower, grid.map((z) => [x(mu + sigma * z), high * squeeze * bell(z)]), COLOURS[0]);
  const shift = lengths(arrows, { eps, ...found });
  const paint = { path: PATH_COLOUR, score: SCORE_COLOUR }[arrows] ?? COLOURS[3];
  for (let k = 0; k < eps.length; k += 10) {
    const at = found.xs[k];
    arrow(context, x(at), x(at + shift[k]), lower - heights[k] * squeeze, paint);
  }
  for (const k of followed(eps)) {
    const ends = [[x(eps[k]), upper - heights[k]], [x(found.xs[k]), lower - heights[k] * squeeze]];
    line(context, ends, colour, 1.5);
    for (const [px, py] of ends) ring(context, px, py, colour);
  }
  dot(context, x(mu), lower, COLOURS[0], 7);
  dot(context, x(mu + sigma), lower, COLOURS[1], 7);
  context.fillStyle = colour;
  letters(context, 12);
  context.textAlign = "center";
  context.fillText("μ", x(mu), lower + 32);
  context.fillText("μ + σ", Math.max(x(mu + sigma), x(mu) + 36), lower + 32);
}

// Both estimates of all draws on one axis, with their mean and one standard deviation each way.
function paintSlopes(context, width, height, colour, { mu, sigma, eps, path, score }) {
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
  const rows = [["pathwise 2x", path, PATH_COLOUR, 40], ["score x² ε / σ", score, SCORE_COLOUR, 98]];
  for (const [text, values, paint, middle] of rows) {
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

function render({ model, el }) {
  const [limits, eps] = [model.get("limits"), model.get("eps")];
  const state = () => {
    const [mu, sigma, arrows] = KEYS.map((key) => model.get(key));
    return { mu, sigma, arrows, eps, ...estimates(eps, mu, sigma) };
  };
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
  const about = { slope: "exact slope 2μ =", ratio: "variances, score / path" };
  const kinds = (key) => ({
    [`mean_${key}`]: "mean",
    [`var_${key}`]: "variance",
    [`exact_${key}`]: "exactly",
  });
  const [whole, byPath, byScore] = [about, kinds("path"), kinds("score")].map(numbers);
  const knobs = {};
  const refresh = () => {
    const { mu, sigma, arrows, path, score } = state();
    const exact = exactVariances(mu, sigma);
    const [[mean_path, var_path], [mean_score, var_score]] = [path, score].map(meanAndVariance);
    byPath.set({ mean_path, var_path, exact_path: exact[0] });
    byScore.set({ mean_score, var_score, exact_score: exact[1] });
    whole.set({ slope: 2 * mu, ratio: exact[1] / exact[0] });
    knobs.mu.set(mu);
    knobs.sigma.set(sigma);
    shown.set(arrows);
    for (const picture of [cloud, slopes]) picture.redraw();
  };
  const put = follow(model, KEYS, refresh);
  for (const [name, label] of Object.entries({ mu: "mean μ", sigma: "width σ" })) {
    const [min, max] = limits[name];
    const [value, digits] = [model.get(name), (v) => v.toFixed(2)];
    const change = (v) => put({ [name]: v });
    knobs[name] = slider({ label, name, min, max, step: 0.01, value, show: digits, change });
    knobs[name].input.style.width = "min(11rem, 45vw)"; // two of them fit in a row
  }
  const shown = choice({
    label: "arrows",
    options: Object.entries(ARROWS),
    value: model.get("arrows"),
    change: (arrows) => put({ arrows }),
  });
  const within = (v, [low, high]) => Math.min(high, Math.max(low, Math.round(v * 100) / 100));
  drag(
    cloud,
    (px, py) => {
      const { x, lower } = places(cloud.clientWidth, cloud.clientHeight);
      const [mu, sigma] = [model.get("mu"), model.get("sigma")];
      const near = (at) => Math.hypot(px - x(at), py - lower);
      if (Math.min(near(mu), near(mu + sigma)) > 20) return null;
      return { name: near(mu) < near(mu + sigma) ? "mu" : "sigma" };
    },
    ({ name }, px) => {
      const { x } = places(cloud.clientWidth, cloud.clientHeight);
      const value = (px - x(0)) / (x(1) - x(0)) - (name === "mu" ? 0 : model.get("mu"));
      put({ [name]: within(value, limits[name]) });
    },
  );
  const named = (text, node) => {
    const whole = row(h("span", { textContent: text, style: { fontSize: ".9rem", width: "3rem" } }), node);
    Object.assign(whole.style, { columnGap: "0", margin: ".15rem 0" });
    node.style.columnGap = ".8rem";
    return whole;
  };
  frame(el, model).append(
    row(knobs.mu, knobs.sigma, shown),
    cloud,
    slopes,
    whole,
    named("path", byPath),
    named("score", byScore),
  );
  refresh();
  return put.end;
}

export default { render };
