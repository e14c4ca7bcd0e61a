import { COLOURS, axes, button, calm, canvas, choice, follow, frame, h, letters, line, numbers, row, scale, short, uniform } from "./shared.js";

const STATES = [0, 1, 2];
const STATE_COLOURS = [COLOURS[1], COLOURS[5], COLOURS[0]];
const RATE_COLOUR = COLOURS[3];
const KEYS = ["matrix", "start", "day", "seed"];
const SPEED = 550; // milliseconds of one step
const FLOOR = 1e-4; // the chart of distances ends here
const PRESETS = {
  slow: ["slow to change", [[0.95, 0.05, 0], [0.03, 0.94, 0.03], [0, 0.05, 0.95]]],
  round: ["turning round", [[0.1, 0.8, 0.1], [0.1, 0.1, 0.8], [0.8, 0.1, 0.1]]],
  ever: ["round for ever", [[0, 1, 0], [0, 0, 1], [1, 0, 0]]],
  trap: ["a trap", [[1, 0, 0], [0.3, 0.4, 0.3], [0.1, 0.2, 0.7]]],
  apart: ["two worlds", [[1, 0, 0], [0, 0.6, 0.4], [0, 0.3, 0.7]]],
};

const sum = (values) => values.reduce((a, b) => a + b, 0);
const times = (law, matrix) => STATES.map((j) => sum(STATES.map((i) => law[i] * matrix[i][j])));
const firstLaw = (index) => STATES.map((i) => (index < 0 ? 1 / 3 : +(i === index)));

// The law on each day: the start times the powers of the matrix.
function laws(start, matrix, last) {
  const all = [firstLaw(start)];
  for (let day = 1; day <= last; day++) all.push(times(all.at(-1), matrix));
  return all;
}

// The eigenvalues beside 1. The trace is the sum of all three, the determinant their product.
function eigenvalues(m) {
  const minor = (a, b) => m[1][a] * m[2][b] - m[1][b] * m[2][a];
  const product = m[0][0] * minor(1, 2) - m[0][1] * minor(0, 2) + m[0][2] * minor(0, 1);
  const half = (m[0][0] + m[1][1] + m[2][2] - 1) / 2;
  const square = half * half - product;
  if (square < 0) return { real: half, imaginary: Math.sqrt(-square), size: Math.sqrt(product) };
  const larger = half < 0 ? half - Math.sqrt(square) : half + Math.sqrt(square);
  return { real: larger, imaginary: 0, size: Math.abs(larger) };
}

// The law of the long run, from the minors of I - P (all of them positive or 0); null where the
// eigenvalue 1 comes twice, and the long run depends on the start.
function stationary(m) {
  const weights = STATES.map((i) => {
    const [a, b] = STATES.filter((k) => k !== i);
    // 1 - P_aa as the sum of the other odds in the row: exact for tiny odds too
    const [from_a, from_b] = [m[a][b] + m[a][i], m[b][a] + m[b][i]];
    return Math.max(0, from_a * from_b - m[a][b] * m[b][a]);
  });
  const total = sum(weights);
  return total > 1e-12 ? weights.map((w) => w / total) : null;
}

const gap = (law, other) => sum(STATES.map((i) => Math.abs(law[i] - other[i]))) / 2;

// The state of each walker on each day. A seed repeats the whole walk.
function walk(start, matrix, last, walkers, seed) {
  const random = uniform(seed);
  const next = (i) => {
    const u = random();
    if (u < matrix[i][0]) return 0;
    return u < matrix[i][0] + matrix[i][1] || matrix[i][2] === 0 ? 1 : 2;
  };
  const days = [Array.from({ length: walkers }, (_, k) => (start < 0 ? k % 3 : start))];
  for (let day = 1; day <= last; day++) days.push(days.at(-1).map(next));
  return days;
}

const shares = (states) => STATES.map((i) => states.filter((s) => s === i).length / states.length);

// One entry set, the two others of its row share the rest as they did before.
function edited(matrix, i, j, value) {
  const others = STATES.filter((k) => k !== j);
  const old = sum(others.map((k) => matrix[i][k]));
  const part = (k) => (old > 0 ? matrix[i][k] / old : 0.5);
  const changed = STATES.map((k) => (k === j ? value : (1 - value) * part(k)));
  return matrix.map((r, k) => (k === i ? changed : r));
}

// --- The crowd -------------------------------------------------------------------------------

// The three states on a circle, the first at the top; each is a disc of radius `size`.
function layout(width, height) {
  const middle = [width / 2, height / 2 + 27];
  const size = 44;
  return STATES.map((i) => {
    const angle = -Math.PI / 2 + (i * 2 * Math.PI) / 3;
    const away = [Math.cos(angle), Math.sin(angle)];
    return { x: middle[0] + 98 * away[0], y: middle[1] + 98 * away[1], away, size };
  });
}

// Where each walker stands: a spiral in its state's disc, in the order of the walkers.
function standing(states, discs) {
  const seen = [0, 0, 0];
  const room = 39 / Math.sqrt(states.length);
  return states.map((s) => {
    const [rank, { x, y }] = [seen[s]++, discs[s]];
    const [radius, angle] = [room * Math.sqrt(rank + 0.5), rank * 2.39996];
    return [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
  });
}

function head(context, [px, py], angle, size) {
  context.beginPath();
  context.moveTo(px, py);
  for (const side of [2.6, -2.6])
    context.lineTo(px + size * Math.cos(angle + side), py + size * Math.sin(angle + side));
  context.fill();
}

function label(context, text, px, py) {
  context.globalAlpha = 1;
  context.fillText(text, px, py + 4);
}

// An arrow from one disc to another, beside the one that comes back; as thick as it is likely.
function arrow(context, from, to, odds) {
  const angle = Math.atan2(to.y - from.y, to.x - from.x);
  const beside = [-9 * Math.sin(angle), 9 * Math.cos(angle)];
  const end = (disc, way) => [
    disc.x + beside[0] + way * (disc.size + 4) * Math.cos(angle),
    disc.y + beside[1] + way * (disc.size + 4) * Math.sin(angle),
  ];
  const [start, tip] = [end(from, 1), end(to, -1)];
  const size = 8 + 4 * odds;
  const foot = [tip[0] - 0.7 * size * Math.cos(angle), tip[1] - 0.7 * size * Math.sin(angle)];
  context.globalAlpha = 0.55;
  line(context, [start, foot], context.fillStyle, 1 + 5 * odds);
  head(context, tip, angle, size);
  const middle = [(start[0] + tip[0]) / 2, (start[1] + tip[1]) / 2];
  label(context, short(+odds.toFixed(2)), middle[0] + 1.6 * beside[0], middle[1] + 1.6 * beside[1]);
}

// The arrow back to the same state, on the outer side of the disc.
function loop(context, { x, y, away, size }, odds) {
  const [px, py] = [x + (size + 8) * away[0], y + (size + 8) * away[1]];
  const outward = Math.atan2(away[1], away[0]);
  context.globalAlpha = 0.55;
  context.beginPath();
  context.arc(px, py, 15, outward - 2.1, outward + 1.8);
  context.lineWidth = 1 + 5 * odds;
  context.stroke();
  const end = outward + 2.1;
  head(context, [px + 15 * Math.cos(end), py + 15 * Math.sin(end)], end + 1.7, 8 + 4 * odds);
  label(context, short(+odds.toFixed(2)), px + 2 * away[0], py + 2 * away[1]);
}

function paintCrowd(context, width, height, colour, { matrix, names, day, before, after, progress }) {
  const discs = layout(width, height);
  context.fillStyle = context.strokeStyle = colour;
  letters(context, 15, "600");
  context.fillText(`day ${day}`, 4, 18);
  letters(context, 12);
  context.textAlign = "center";
  for (const i of STATES)
    for (const j of STATES)
      if (matrix[i][j] > 0 && i !== j) arrow(context, discs[i], discs[j], matrix[i][j]);
  for (const i of STATES) {
    if (matrix[i][i] > 0) loop(context, discs[i], matrix[i][i]);
    context.globalAlpha = 0.6;
    context.beginPath();
    context.arc(discs[i].x, discs[i].y, discs[i].size, 0, 2 * Math.PI);
    context.lineWidth = 1;
    context.stroke();
    context.globalAlpha = 1;
    const [dx, dy] = i === 0 ? [discs[i].size + 24, -26] : [0, discs[i].size + 18];
    context.fillText(names[i], discs[i].x + dx, discs[i].y + dy);
  }
  const [here, there] = [standing(before, discs), standing(after, discs)];
  context.globalAlpha = 0.9;
  here.forEach(([px, py], k) => {
    context.fillStyle = STATE_COLOURS[progress < 0.5 ? before[k] : after[k]];
    context.beginPath();
    context.arc(px + progress * (there[k][0] - px), py + progress * (there[k][1] - py), 1.7, 0, 2 * Math.PI);
    context.fill();
  });
  context.globalAlpha = 1;
}

// --- The charts ------------------------------------------------------------------------------

// For each state: a bar for the exact odds, a ring for the crowd, a dash for the long run.
function paintBars(context, width, height, colour, { names, exact, crowd, settled }) {
  const [left, bottom] = [34, height - 22];
  const y = scale(0, 1, bottom, 20);
  const slot = (width - left) / 3;
  axes(context, { x: scale(0, 1, left, width), y, yTicks: [0, 0.5, 1], colour, left, bottom });
  letters(context, 12);
  context.fillStyle = colour;
  context.fillText("bars: exact   rings: crowd   dashes: long run", left, 12);
  for (const i of STATES) {
    const [from, wide] = [left + slot * (i + 0.2), slot * 0.6];
    context.fillStyle = STATE_COLOURS[i];
    context.globalAlpha = 0.75;
    context.fillRect(from, y(exact[i]), wide, bottom - y(exact[i]));
    context.globalAlpha = 1;
    context.beginPath();
    context.arc(from + wide / 2, y(crowd[i]), 5, 0, 2 * Math.PI);
    context.strokeStyle = colour;
    context.lineWidth = 2;
    context.stroke();
    context.setLineDash([5, 3]);
    const level = settled && y(settled[i]);
    if (settled) line(context, [[from - 8, level], [from + wide + 8, level]], colour, 2);
    context.setLineDash([]);
    context.fillStyle = colour;
    context.textAlign = "center";
    context.fillText(names[i], from + wide / 2, bottom + 16);
  }
  line(context, [[left, bottom], [width, bottom]], colour, 1);
}

// The distance to the long run on each day, on a logarithmic scale, and the rate beside it.
function paintRate(context, width, height, colour, { day, last, all, paths, settled, rate }) {
  const [left, bottom] = [46, height - 34];
  const x = scale(0, last, left, width - 8);
  const log = scale(Math.log10(FLOOR), 0, bottom, 24);
  const y = (value) => log(Math.log10(Math.max(value, 1e-300)));
  const yTicks = [1, 0.1, 0.01, 0.001];
  axes(context, {
    ...{ x, y, xTicks: [0, 5, 10, 15, 20], yTicks, colour, left, bottom },
    ...{ xLabel: "day", yLabel: settled ? "distance to the long run" : "no single long run" },
  });
  line(context, [[left, 24], [left, bottom], [width - 8, bottom]], colour, 1);
  if (!settled) return;
  context.save();
  context.beginPath();
  context.rect(left, 18, width - left, bottom - 18);
  context.clip();
  const gaps = all.map((law) => gap(law, settled));
  context.setLineDash([6, 4]);
  line(context, gaps.map((_, n) => [x(n), y(rate ** n)]), RATE_COLOUR, 2);
  context.setLineDash([]);
  line(context, gaps.map((d, n) => [x(n), y(d)]), COLOURS[4], 2);
  context.fillStyle = COLOURS[4];
  context.strokeStyle = colour;
  for (let n = 0; n <= day; n++) {
    context.beginPath();
    context.arc(x(n), y(gap(shares(paths[n]), settled)), 3, 0, 2 * Math.PI);
    context.stroke();
  }
  context.beginPath();
  context.arc(x(day), y(gaps[day]), 5, 0, 2 * Math.PI);
  context.fill();
  context.restore();
  letters(context, 12);
  context.fillStyle = colour;
  [["exact", COLOURS[4]], ["|λ₂|ⁿ", RATE_COLOUR]].forEach(([text, paint], k) => {
    line(context, [[width - 96, 32 + 16 * k], [width - 76, 32 + 16 * k]], paint, 3);
    context.fillText(text, width - 70, 36 + 16 * k);
  });
  context.fillText("rings: crowd", width - 96, 68);
}

// --- The matrix ------------------------------------------------------------------------------

function matrixTable(names, change) {
  const style = { padding: ".15rem .4rem", fontWeight: "400", textAlign: "left", border: "0" };
  const cell = (tag, scope, text) => h(tag, { scope, textContent: text, style });
  const inputs = STATES.map((i) =>
    STATES.map((j) => {
      const input = h("input", { type: "number", min: 0, max: 1, step: 0.05 });
      input.dataset.name = `odds_${i}_${j}`;
      input.setAttribute("aria-label", `odds from ${names[i]} to ${names[j]}`);
      Object.assign(input.style, { width: "4.4rem", font: "inherit", fontSize: ".9rem" });
      Object.assign(input.style, { color: "inherit", background: "transparent", padding: ".15rem .3rem" });
      input.style.border = "1px solid var(--line)";
      input.addEventListener("change", () => change(i, j, input.value === "" ? NaN : +input.value));
      return input;
    }),
  );
  const top = ["from \\ to", ...names].map((name) => cell("th", "col", name));
  const body = STATES.map((i) => {
    const cells = inputs[i].map((input) => h("td", { style }, input));
    return h("tr", {}, cell("th", "row", names[i]), ...cells);
  });
  const node = h("table", { style: { fontSize: ".9rem", borderCollapse: "collapse", width: "auto" } });
  node.append(h("thead", {}, h("tr", {}, ...top)), h("tbody", {}, ...body));
  node.set = (matrix) => {
    for (const i of STATES)
      for (const j of STATES) {
        inputs[i][j].value = +matrix[i][j].toFixed(4);
        inputs[i][j].dataset.number = matrix[i][j];
      }
  };
  return node;
}

function lambda({ real, imaginary }) {
  return imaginary ? `${short(real)} ± ${short(imaginary)}i` : short(real);
}

function render({ model, el }) {
  const [names, last, walkers] = ["names", "last", "walkers"].map((key) => model.get(key));
  const given = model.get("matrix");
  let [view, progress, frameId, running] = [{}, 1, 0, false];

  function recompute() {
    const [matrix, day, seed] = ["matrix", "day", "seed"].map((key) => model.get(key));
    const start = names.indexOf(model.get("start"));
    const all = laws(start, matrix, last);
    const paths = walk(start, matrix, last, walkers, seed);
    const [settled, second] = [stationary(matrix), eigenvalues(matrix)];
    const crowd = shares(paths[day]);
    const now = { exact: all[day], crowd, after: paths[day], before: paths[Math.max(0, day - 1)] };
    const known = { names, last, matrix, day, all, paths };
    view = { ...known, ...now, settled, second, rate: second.size };
  }

  const three = (key) => Object.fromEntries(STATES.map((i) => [`${key}_${i}`, names[i]]));
  const values = (key, law) =>
    Object.fromEntries(STATES.map((i) => [`${key}_${i}`, law ? law[i] : "none"]));
  const exact = numbers(three("exact"));
  const crowd = numbers(three("crowd"));
  const settled = numbers(three("settled"));
  const words = { day: "day", second: "second eigenvalue λ₂", rate: "|λ₂|", distance: "distance" };
  const rate = numbers(words);

  const draw = (paint) => (context, width, height, colour) =>
    paint(context, width, height, colour, { ...view, progress });
  const people = canvas({
    width: 320,
    height: 330,
    label: "Three states with arrows as thick as the odds; each dot is a walker",
    draw: draw(paintCrowd),
  });
  const bars = canvas({
    width: 330,
    height: 150,
    label: "Bars: the exact odds of each state today, beside the crowd and the long run",
    draw: draw(paintBars),
  });
  const chart = canvas({
    width: 330,
    height: 180,
    label: "The distance to the long run by day, falling beside a power of the second eigenvalue",
    draw: draw(paintRate),
  });

  function refresh() {
    recompute();
    table.set(view.matrix);
    from.set(model.get("start"));
    exact.set(values("exact", view.exact));
    crowd.set(values("crowd", view.crowd));
    settled.set(values("settled", view.settled));
    const distance = view.settled ? gap(view.exact, view.settled) : "none";
    rate.set({ day: view.day, second: lambda(view.second), rate: view.rate, distance });
    for (const press of [step, ten]) press.disabled = view.day >= last;
    run.title = calm() ? "off, as your system asks for less motion" : "";
    run.disabled = calm() || view.day >= last;
    run.textContent = running ? "stop" : "run";
    run.setAttribute("aria-pressed", running);
    for (const picture of [people, bars, chart]) picture.redraw();
  }

  // The walkers go their way in half a second; then, if the chain runs, the next step begins.
  function walkOn() {
    cancelAnimationFrame(frameId);
    const begin = performance.now();
    const tick = (now) => {
      if (!el.isConnected) return;
      progress = Math.min(1, Math.max(0, (now - begin) / SPEED));
      people.redraw();
      if (progress < 1) frameId = requestAnimationFrame(tick);
      else if (running) stepOn();
    };
    frameId = requestAnimationFrame(tick);
  }

  function stepOn() {
    const day = model.get("day") + 1;
    if (day >= last || calm()) running = false;
    progress = calm() ? 1 : 0;
    if (day <= last) put({ day });
    if (!calm() && day <= last) walkOn();
  }

  function jump(changes) {
    cancelAnimationFrame(frameId);
    [running, progress] = [false, 1];
    put(changes);
  }

  function toggle() {
    running = !running;
    if (running) stepOn();
    else refresh();
  }

  function edit(i, j, value) {
    if (!(value >= 0 && value <= 1)) return table.set(model.get("matrix"));
    preset.set("own");
    jump({ matrix: edited(model.get("matrix"), i, j, value), day: 0 });
  }

  const step = button("step", stepOn);
  const ten = button("ten steps", () => jump({ day: Math.min(last, model.get("day") + 10) }), "ten");
  const run = button("run", toggle);
  const again = button("start again", () => jump({ day: 0, seed: model.get("seed") + 1 }), "again");
  const from = choice({
    label: "all start",
    name: "start",
    options: [...names, ["any", "a third each"]],
    value: model.get("start"),
    change: (start) => jump({ start, day: 0 }),
  });
  const ready = Object.entries(PRESETS).map(([key, [text]]) => [key, text]);
  const preset = choice({
    label: "odds",
    name: "preset",
    options: [["given", "as given"], ...ready, ["own", "your own"]],
    value: "given",
    change: (key) => key !== "own" && jump({ matrix: key === "given" ? given : PRESETS[key][1], day: 0 }),
  });
  const table = matrixTable(names, edit);
  const put = follow(model, KEYS, refresh);

  const named = (text, node) => {
    const style = { fontSize: ".9rem", width: "3.8rem" };
    Object.assign(node.style, { columnGap: ".6rem", flex: "1 1 0", minWidth: 0 });
    const whole = row(h("span", { textContent: text, style }), node);
    Object.assign(whole.style, { columnGap: ".6rem", margin: ".15rem 0" });
    return whole;
  };
  const left = h("div", { style: { flex: "1 1 280px", maxWidth: "320px" } }, people);
  const right = h("div", { style: { flex: "1 1 280px", maxWidth: "330px" } }, bars, chart);
  frame(el, model).append(
    row(step, ten, run, again),
    row(left, right),
    rate,
    named("exact", exact),
    named("crowd", crowd),
    named("long run", settled),
    row(from, preset),
    table,
  );
  refresh();
  return () => {
    running = false;
    cancelAnimationFrame(frameId);
    put.end();
  };
}

export default { render };
