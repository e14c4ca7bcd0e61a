// The pictures of the chain: the crowd on its way, the odds of a day, and the way to the long run.
import { COLOURS, axes, letters, line, scale, short } from "./shared.js";
import { STATES, gap, shares } from "./markov_chain.js";

/**
 * @typedef {import("./markov_chain.js").Computed & { progress: number }} Shown
 * @typedef {ReturnType<typeof layout>[number]} Disc
 */

const STATE_COLOURS = [COLOURS[1], COLOURS[5], COLOURS[0]];
const RATE_COLOUR = COLOURS[3];
const FLOOR = 1e-4; // the chart of distances ends here

// --- The crowd -------------------------------------------------------------------------------

// The three states on a circle, the first at the top; each is a disc of radius `size`.
/** @param {number} width @param {number} height */
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
/** @param {number[]} states @param {Disc[]} discs */
function standing(states, discs) {
  const seen = [0, 0, 0];
  const room = 39 / Math.sqrt(states.length);
  return states.map((s) => {
    const [rank, { x, y }] = [seen[s]++, discs[s]];
    const [radius, angle] = [room * Math.sqrt(rank + 0.5), rank * 2.39996];
    return [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
  });
}

/** @param {Context} context @param {Place} tip @param {number} angle @param {number} size */
function head(context, [px, py], angle, size) {
  context.beginPath();
  context.moveTo(px, py);
  for (const side of [2.6, -2.6])
    context.lineTo(px + size * Math.cos(angle + side), py + size * Math.sin(angle + side));
  context.fill();
}

/** @param {Context} context @param {string} text @param {number} px @param {number} py */
function label(context, text, px, py) {
  context.globalAlpha = 1;
  context.fillText(text, px, py + 4);
}

// An arrow from one disc to another, beside the one that comes back; as thick as it is likely.
/**
 * @param {Context} context @param {Disc} from @param {Disc} to @param {number} odds
 * @param {string} colour
 */
function arrow(context, from, to, odds, colour) {
  const angle = Math.atan2(to.y - from.y, to.x - from.x);
  const beside = [-9 * Math.sin(angle), 9 * Math.cos(angle)];
  /** @type {(disc: Disc, way: number) => Place} */
  const end = (disc, way) => [
    disc.x + beside[0] + way * (disc.size + 4) * Math.cos(angle),
    disc.y + beside[1] + way * (disc.size + 4) * Math.sin(angle),
  ];
  const [start, tip] = [end(from, 1), end(to, -1)];
  const size = 8 + 4 * odds;
  const foot = [tip[0] - 0.7 * size * Math.cos(angle), tip[1] - 0.7 * size * Math.sin(angle)];
  context.globalAlpha = 0.55;
  line(context, [start, foot], colour, 1 + 5 * odds);
  head(context, tip, angle, size);
  const middle = [(start[0] + tip[0]) / 2, (start[1] + tip[1]) / 2];
  label(context, short(+odds.toFixed(2)), middle[0] + 1.6 * beside[0], middle[1] + 1.6 * beside[1]);
}

// The arrow back to the same state, on the outer side of the disc.
/** @param {Context} context @param {Disc} disc @param {number} odds */
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

/** @type {Paint<Shown>} */
export function paintCrowd(context, width, height, colour, { matrix, names, day, before, after, progress }) {
  const discs = layout(width, height);
  context.fillStyle = context.strokeStyle = colour;
  letters(context, 15, "600");
  context.fillText(`day ${day}`, 4, 18);
  letters(context, 12);
  context.textAlign = "center";
  for (const i of STATES)
    for (const j of STATES)
      if (matrix[i][j] > 0 && i !== j) arrow(context, discs[i], discs[j], matrix[i][j], colour);
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
  paintWalkers(context, discs, { before, after, progress });
}

/**
 * @param {Context} context @param {Disc[]} discs
 * @param {{ before: number[], after: number[], progress: number }} walk
 */
function paintWalkers(context, discs, { before, after, progress }) {
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
/** @type {Paint<Shown>} */
export function paintBars(context, width, height, colour, { names, exact, crowd, settled }) {
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
    if (settled) {
      const level = y(settled[i]);
      line(context, [[from - 8, level], [from + wide + 8, level]], colour, 2);
    }
    context.setLineDash([]);
    context.fillStyle = colour;
    context.textAlign = "center";
    context.fillText(names[i], from + wide / 2, bottom + 16);
  }
  line(context, [[left, bottom], [width, bottom]], colour, 1);
}

// The distance to the long run on each day, on a logarithmic scale, and the rate beside it.
/** @type {Paint<Shown>} */
export function paintRate(context, width, height, colour, { day, last, all, paths, settled, rate }) {
  const [left, bottom] = [46, height - 34];
  const x = scale(0, last, left, width - 8);
  const log = scale(Math.log10(FLOOR), 0, bottom, 24);
  const y = (/** @type {number} */ value) => log(Math.log10(Math.max(value, 1e-300)));
  const yTicks = [1, 0.1, 0.01, 0.001];
  axes(context, {
    x,
    y,
    xTicks: [0, 5, 10, 15, 20],
    yTicks,
    colour,
    left,
    bottom,
    xLabel: "day",
    yLabel: settled ? "distance to the long run" : "no single long run",
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
  const entries = [["exact", COLOURS[4]], ["|λ₂|ⁿ", RATE_COLOUR]];
  entries.forEach(([text, paint], k) => {
    line(context, [[width - 96, 32 + 16 * k], [width - 76, 32 + 16 * k]], paint, 3);
    context.fillText(text, width - 70, 36 + 16 * k);
  });
  context.fillText("rings: crowd", width - 96, 68);
}
