import { COLOURS, button, calm, canvas, choice, drag, flexible, follow, frame, h, letters, line, normal, numbers, row, slider, spot, swatch, tables, uniform } from "./shared.js";
import { ddimStep, noised, timesteps } from "./samplers.js";

const REACH = 3.1; // half the smaller side of a picture
const [WIDTH, HEIGHT] = [350, 330];
const WALKERS = 120;
const TRAILS = { ancestral: 5, ddim: 24 }; // so many of them leave a trail
const CLOUD_SEED = 2; // of the noise that the points are given: the same at every t
const MOST = 400; // points that a reader can draw
const GAP = 0.09; // their least distance
const SECONDS = 4; // from one end of time to the other
const [WALK, CLOUD, PROBE, FIRST] = [COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[4]];
const NONE = "none";
const CLOUDS = {
  moons: "two moons",
  ring: "ring",
  letters: "letters",
  clover: "clover",
  own: "draw your own",
};
const RUN_KEYS = ["cloud", "schedule", "sampler", "steps", "seed"];
const KEYS = [...RUN_KEYS, "drawn", "t", "probe_x", "probe_y"];

// --- The mixture: x_0 is one of the points, x_t has the law of signal x_0 + sqrt(variance) noise ----

function mixture(cloud, schedule, t) {
  const [xs, ys] = [0, 1].map((k) => Float64Array.from(cloud, (point) => point[k]));
  const weights = new Float64Array(cloud.length);
  return { xs, ys, weights, signal: Math.sqrt(schedule.alphaBar[t - 1]), variance: schedule.oneMinusAlphaBar[t - 1] };
}

// The mean of the points, each weighed by how likely it makes x_t = (x, y): E[x_0 | x_t]. The
// weights, not yet divided by their sum, stay in law.weights.
function denoised(law, x, y) {
  const { xs, ys, weights, signal, variance } = law;
  let nearest = Infinity;
  for (let i = 0; i < xs.length; i++) {
    weights[i] = (x - signal * xs[i]) ** 2 + (y - signal * ys[i]) ** 2;
    if (weights[i] < nearest) nearest = weights[i];
  }
  let [sum, sumX, sumY] = [0, 0, 0];
  for (let i = 0; i < xs.length; i++) {
    // less the nearest one's exponent, so that one weight is 1 and not all of them are 0
    const weight = (weights[i] = Math.exp((nearest - weights[i]) / (2 * variance)));
    sum += weight;
    sumX += weight * xs[i];
    sumY += weight * ys[i];
  }
  const log = Math.log(sum / xs.length / (2 * Math.PI * variance)) - nearest / (2 * variance);
  return { x: sumX / sum, y: sumY / sum, sum, log };
}

// The gradient of log q(x_t), from Tweedie's formula.
function scoreAt(law, x, y) {
  const mean = denoised(law, x, y);
  return [(law.signal * mean.x - x) / law.variance, (law.signal * mean.y - y) / law.variance];
}

// Walkers from noise at T to time 0, as states at the sampler's times.
function walk(cloud, schedule, { sampler, steps, seed }) {
  const noise = normal(uniform(seed));
  const eta = sampler === "ancestral" ? 1 : 0;
  const times = timesteps(schedule.T, eta ? schedule.T : steps);
  let x = Float64Array.from({ length: 2 * WALKERS }, () => noise());
  return times.map((t, k) => {
    if (k === 0) return { t, x };
    const x0 = exactX0(cloud, schedule, x, times[k - 1]);
    x = ddimStep(schedule, x0, x, times[k - 1], t, eta, noise);
    return { t, x };
  });
}

function exactX0(cloud, schedule, x, t) {
  const law = mixture(cloud, schedule, t);
  const out = new Float64Array(x.length);
  for (let k = 0; k < x.length; k += 2) {
    const mean = denoised(law, x[k], x[k + 1]);
    [out[k], out[k + 1]] = [mean.x, mean.y];
  }
  return out;
}

// How far the walkers are from the points: the root mean square of the way to the nearest one.
function distance(cloud, x) {
  let sum = 0;
  for (let k = 0; k < x.length; k += 2)
    sum += Math.min(...cloud.map((point) => (x[k] - point[0]) ** 2 + (x[k + 1] - point[1]) ** 2));
  return Math.sqrt((2 * sum) / x.length);
}

// --- Pictures --------------------------------------------------------------------------------------

// From the plane to pixels and back.
function plane(width, height) {
  const unit = Math.min(width, height) / 2 / REACH;
  return {
    unit,
    to: (x, y) => [width / 2 + unit * x, height / 2 - unit * y],
    from: (px, py) => [(px - width / 2) / unit, (height / 2 - py) / unit],
  };
}

const faintly = (context, alpha, draw) => {
  context.save();
  context.globalAlpha = alpha;
  draw();
  context.restore();
};

// The density of x_t as shades of one colour. A cell averages over its own width, so that sharp
// peaks do not fall between cells; the Gaussians are products of one factor a column and one a row.
function shade(context, width, height, law) {
  const cell = 5;
  const { from, unit } = plane(width, height);
  const [columns, rows] = [Math.ceil(width / cell), Math.ceil(height / cell)];
  const variance = law.variance + (cell / unit / 2) ** 2;
  const factors1d = (count, centre, coordinate) =>
    Float64Array.from({ length: count }, (_, k) => Math.exp(-((coordinate(k) - centre) ** 2) / 2 / variance));
  const density = new Float64Array(columns * rows);
  law.xs.forEach((x, i) => {
    const across = factors1d(columns, law.signal * x, (k) => from((k + 0.5) * cell, 0)[0]);
    const down = factors1d(rows, law.signal * law.ys[i], (k) => from(0, (k + 0.5) * cell)[1]);
    for (let r = 0, k = 0; r < rows; r++) {
      for (let c = 0; c < columns; c++, k++) density[k] += across[c] * down[r];
    }
  });
  const highest = density.reduce((a, b) => Math.max(a, b), 0);
  const image = new ImageData(columns, rows);
  const colour = [1, 3, 5].map((k) => parseInt(WALK.slice(k, k + 2), 16));
  density.forEach((value, k) => image.data.set([...colour, 150 * Math.sqrt(value / highest)], 4 * k));
  const small = h("canvas", { width: columns, height: rows });
  small.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, columns * cell, rows * cell);
}

function arrow(context, [px, py], [dx, dy], colour, width = 1.25) {
  const length = Math.hypot(dx, dy);
  if (length < 1.5) return spot(context, px, py, 1, colour);
  const [ux, uy, tip] = [dx / length, dy / length, Math.min(5, length / 2)];
  const end = [px + dx, py + dy];
  line(context, [[px, py], end], colour, width);
  const side = (s) => [end[0] - tip * ux + s * 0.6 * tip * uy, end[1] - tip * uy - s * 0.6 * tip * ux];
  line(context, [side(1), end, side(-1)], colour, width);
}

// Arrows of the score; their length, as the noise they point against, grows slowly.
function field(context, width, height, law, colour) {
  const { from } = plane(width, height);
  const step = 24;
  const [offX, offY] = [width, height].map((size) => ((size % step) + step) / 2);
  for (let py = offY; py < height; py += step)
    for (let px = offX; px < width; px += step) {
      const [sx, sy] = scoreAt(law, ...from(px, py));
      const size = Math.hypot(sx, sy) * Math.sqrt(law.variance);
      const length = (step * 0.85 * Math.tanh(size / 2)) / (Math.hypot(sx, sy) || 1);
      arrow(context, [px - (sx * length) / 2, py + (sy * length) / 2], [sx * length, -sy * length], colour);
    }
}

function dots(context, { to }, pairsOfNumbers, radius, colour) {
  context.beginPath();
  for (let k = 0; k < pairsOfNumbers.length; k += 2) {
    const [px, py] = to(pairsOfNumbers[k], pairsOfNumbers[k + 1]);
    context.moveTo(px + radius, py);
    context.arc(px, py, radius, 0, 2 * Math.PI);
  }
  context.fillStyle = colour;
  context.fill();
}

// The probe, the points that it may have been, larger the likelier, and an arrow to their mean.
function probed(context, view, law, [x, y]) {
  const mean = law && denoised(law, x, y);
  faintly(context, 0.75, () => {
    law?.weights.forEach((weight, i) => {
      const share = weight / mean.sum;
      if (share > 1e-3) spot(context, ...view.to(law.xs[i], law.ys[i]), 1 + 9 * Math.sqrt(share), PROBE);
    });
  });
  const [px, py] = view.to(x, y);
  if (mean) {
    const [qx, qy] = view.to(mean.x, mean.y);
    arrow(context, [px, py], [qx - px, qy - py], PROBE, 3);
  }
  context.beginPath();
  context.arc(px, py, 7, 0, 2 * Math.PI);
  context.lineWidth = 3;
  context.strokeStyle = PROBE;
  context.stroke();
}

function words(context, text, width, y, colour) {
  context.fillStyle = colour;
  context.textAlign = "center";
  letters(context, 14);
  context.fillText(text, width / 2, y);
}

function border(context, width, height, colour) {
  faintly(context, 0.3, () => {
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.strokeRect(0.5, 0.5, width - 1, height - 1);
  });
}

function paintForward(context, width, height, colour, { cloud, noisy, law, probe, own }) {
  const view = plane(width, height);
  if (law) shade(context, width, height, law);
  if (law) faintly(context, 0.5, () => field(context, width, height, law, colour));
  faintly(context, 0.8, () => dots(context, view, noisy, 2.1, CLOUD));
  if (cloud.length) probed(context, view, law, probe);
  const ask = "Draw here, with the mouse or a finger.";
  if (own && !cloud.length) words(context, ask, width, height / 2, colour);
  border(context, width, height, colour);
}

// The walkers at the last of their times that is not below t, and how they came there.
function paintBackward(context, width, height, colour, { cloud, run, t, sampler }) {
  const view = plane(width, height);
  border(context, width, height, colour);
  faintly(context, 0.5, () => dots(context, view, cloud.flat(), 2.1, CLOUD));
  if (!run) return words(context, "Walkers need points to walk to.", width, height / 2, colour);
  const past = run.filter((state) => state.t >= t);
  const trail = (k) => past.map(({ x }) => view.to(x[2 * k], x[2 * k + 1]));
  faintly(context, 0.8, () => {
    for (let k = TRAILS[sampler]; k > 0; k--) line(context, trail(k), WALK, 1);
  });
  dots(context, view, past.at(-1).x, 2.4, WALK);
  const way = trail(0);
  line(context, way, FIRST, 2);
  spot(context, ...way.at(-1), 4.5, FIRST);
}

// --- Controls --------------------------------------------------------------------------------------

// Two buttons that let time run; where motion is not wanted a press is one step.
function players(model, put, el) {
  const T = model.get("T");
  let going = 0; // +1 forward, -1 backward
  let began = 0;
  const nodes = [1, -1].map((way) => {
    const [text, name] = way > 0 ? ["noise ▸", "forward"] : ["◂ denoise", "backward"];
    return button(text, () => press(way), name);
  });
  const set = (way) => {
    going = way;
    nodes.forEach((node, k) => node.setAttribute("aria-pressed", String(going === [1, -1][k])));
  };
  const start = (way) => {
    const t = model.get("t");
    return t === (way > 0 ? T : 0) ? T - t : t;
  };
  const press = (way) => {
    if (calm()) return put({ t: Math.min(T, Math.max(0, start(way) + way * Math.ceil(T / 20))) });
    if (going === way) return set(0);
    began = performance.now() - (way > 0 ? start(way) : T - start(way)) * ((1000 * SECONDS) / T);
    set(way);
    requestAnimationFrame(next);
  };
  const next = (now) => {
    if (!going || !el.isConnected) return set(0);
    const gone = Math.min(T, Math.max(0, Math.round(((now - began) * T) / (1000 * SECONDS))));
    put({ t: going > 0 ? gone : T - gone });
    if (gone < T) requestAnimationFrame(next);
    else set(0);
  };
  set(0);
  return { nodes, stop: () => set(0) };
}

// Runs are kept until something that they depend on changes.
function memory(make) {
  let [key, kept] = [null, null];
  return (...depends) => {
    if (!key || depends.some((value, k) => value !== key[k])) [key, kept] = [depends, make()];
    return kept;
  };
}

function render({ model, el }) {
  const get = (key) => model.get(key);
  const made = Object.entries(get("schedules")).map(([name, betas]) => [name, tables(betas)]);
  const schedules = Object.fromEntries(made);
  const schedule = () => schedules[get("schedule")];
  const own = () => get("cloud") === "own";
  const cloud = () => (own() ? get("drawn") : get("clouds")[get("cloud")]);
  const probe = () => [get("probe_x"), get("probe_y")];
  let drawing = false;
  const remembered = memory(() => {
    const [sampler, steps, seed] = [get("sampler"), +get("steps"), get("seed")];
    return walk(cloud(), schedule(), { sampler, steps, seed });
  });
  const run = () => {
    if (drawing || !cloud().length) return null;
    return remembered(...RUN_KEYS.map(get), get("drawn"));
  };
  const law = () => (get("t") > 0 && cloud().length ? mixture(cloud(), schedule(), get("t")) : null);
  const noisy = () => {
    if (get("t") === 0) return cloud().flat();
    return noised(schedule(), cloud().flat(), get("t"), normal(uniform(CLOUD_SEED)));
  };

  const forward = canvas({
    width: WIDTH,
    height: HEIGHT,
    label: "The noisy points at time t, their density in shades, the score as arrows, and the probe",
    draw: (context, width, height, colour) =>
      paintForward(context, width, height, colour, {
        cloud: cloud(), noisy: noisy(), law: law(), probe: probe(), own: own(),
      }),
  });
  const backward = canvas({
    width: WIDTH,
    height: HEIGHT,
    label: "Walkers on their way from noise to the points, with the trails of some",
    draw: (context, width, height, colour) =>
      paintBackward(context, width, height, colour, {
        cloud: cloud(), run: run(), t: get("t"), sampler: get("sampler"),
      }),
  });

  const show = numbers({
    alpha_bar: "ᾱ",
    score_x: "score x",
    score_y: "score y",
    x0_x: "E[x₀|xₜ] x",
    x0_y: "E[x₀|xₜ] y",
    log_q: "log q(xₜ)",
  });
  const walkers = numbers({
    walker_t: "walkers at t",
    walker_x: "the red one: x",
    walker_y: "y",
    distance: "distance from the points",
  });

  function measure() {
    const here = law();
    const alpha_bar = get("t") > 0 ? schedule().alphaBar[get("t") - 1] : 1;
    const none = { score_x: NONE, score_y: NONE, x0_x: NONE, x0_y: NONE, log_q: NONE };
    if (!here) return { alpha_bar, ...none };
    const [score_x, score_y] = scoreAt(here, ...probe());
    const { x: x0_x, y: x0_y, log: log_q } = denoised(here, ...probe());
    return { alpha_bar, score_x, score_y, x0_x, x0_y, log_q };
  }

  function measureWalkers() {
    const last = run()?.findLast((state) => state.t >= get("t"));
    if (!last) return { walker_t: NONE, walker_x: NONE, walker_y: NONE, distance: NONE };
    const [walker_x, walker_y] = last.x;
    return { walker_t: last.t, walker_x, walker_y, distance: distance(cloud(), last.x) };
  }

  function refresh() {
    for (const [key, node] of Object.entries(knobs)) node.set(get(key));
    knobs.steps.select.disabled = get("sampler") === "ancestral";
    place.disabled = !own();
    clear.disabled = !own() || !get("drawn").length;
    forward.style.cursor = own() ? "crosshair" : "";
    show.set(measure());
    walkers.set(measureWalkers());
    forward.redraw();
    backward.redraw();
  }
  const put = follow(model, KEYS, refresh);
  const play = players(model, put, el);
  const still = (changes) => {
    play.stop();
    put(changes);
  };

  const digits = (value) => value.toFixed(2);
  const axis = (key, label) => {
    const [min, max] = get("limits")[key];
    const change = (value) => put({ [key]: value });
    return slider({ label, name: key, min, max, step: 0.01, value: get(key), show: digits, change });
  };
  const knobs = {
    cloud: choice({
      label: "points",
      name: "cloud",
      options: Object.entries(CLOUDS),
      value: get("cloud"),
      change: (value) => still(value === "own" ? { t: 0, cloud: value } : { cloud: value }),
    }),
    schedule: choice({
      label: "schedule",
      options: Object.keys(schedules),
      value: get("schedule"),
      change: (value) => put({ schedule: value }),
    }),
    t: slider({
      label: "time t",
      name: "t",
      min: 0,
      max: get("T"),
      step: 1,
      value: get("t"),
      change: (t) => still({ t }),
    }),
    probe_x: axis("probe_x", "probe x"),
    probe_y: axis("probe_y", "probe y"),
    sampler: choice({
      label: "sampler",
      options: [["ancestral", "ancestral"], ["ddim", "DDIM"]],
      value: get("sampler"),
      change: (value) => put({ sampler: value }),
    }),
    steps: choice({
      label: "DDIM steps",
      name: "steps",
      options: get("step_choices").map(String),
      value: String(get("steps")),
      change: (value) => put({ steps: +value }),
    }),
  };
  const clear = button("clear", () => still({ drawn: [], t: 0 }), "clear");
  const again = button("new noise", () => put({ seed: get("seed") + 1 }), "again");

  // In the left picture a hand moves the probe, or draws.
  const inside = (value) => Math.min(3, Math.max(-3, Math.round(value * 100) / 100));
  const pick = (px, py) => {
    if (own() && (get("t") === 0 || !cloud().length)) return { draws: true, cursor: "crosshair" };
    const [x, y] = plane(forward.clientWidth, HEIGHT).to(...probe());
    return { loose: Math.hypot(px - x, py - y) > 18 };
  };
  const add = ([x, y]) => {
    const drawn = get("drawn");
    const close = drawn.some((point) => Math.hypot(point[0] - x, point[1] - y) < GAP);
    if (!close && drawn.length < MOST) put({ t: 0, drawn: [...drawn, [x, y]] });
  };
  const place = button("add the probe", () => add(probe()), "add");
  drag(forward, pick, ({ draws }, px, py) => {
    const at = plane(forward.clientWidth, HEIGHT).from(px, py).map(inside);
    drawing = Boolean(draws);
    if (draws) add(at);
    else put({ probe_x: at[0], probe_y: at[1] });
  });
  for (const end of ["pointerup", "pointercancel"])
    forward.addEventListener(end, () => {
      if (!drawing) return;
      drawing = false;
      refresh();
    });

  const legend = (colour, text) => h("span", { style: { whiteSpace: "nowrap" } }, swatch(colour), text);
  const panel = (text, picture) =>
    flexible(h("div", {}, h("p", { className: "w-note" }, text), picture), 300, 1);
  frame(el, model).append(
    row(knobs.cloud, knobs.schedule, place, clear),
    row(knobs.t, ...play.nodes),
    row(
      panel("Noise added: points, density, score", forward),
      panel("Noise removed: walkers from t = T", backward),
    ),
    row(knobs.sampler, knobs.steps, again),
    row(knobs.probe_x, knobs.probe_y),
    h(
      "p",
      { className: "w-note w-row" },
      legend(CLOUD, "points"),
      legend(PROBE, "probe → E[x₀|xₜ]"),
      legend(WALK, "density, walkers"),
      legend(FIRST, "one walker"),
    ),
    show,
    walkers,
  );
  refresh();
  return () => (play.stop(), put.end());
}

export default { render };
