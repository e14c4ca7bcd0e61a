// What the two pictures of the toy show.
import { COLOURS, context2d, h, letters, line, spot } from "./shared.js";
import { arrow, border, dots, faintly, plane } from "./plane.js";
import { denoised, scoreAt } from "./toy_mixture.js";

/**
 * @typedef {import("./toy_mixture.js").Point} Point
 * @typedef {import("./toy_mixture.js").Mixture} Mixture
 * @typedef {import("./toy_mixture.js").Run} Run
 * @typedef {import("./toy_mixture.js").Way} Way
 * @typedef {import("./plane.js").Plane} Plane
 */

/** @type {Record<Way, number>} */
const TRAILS = { ancestral: 5, ddim: 24, heun: 24, two_m: 24 }; // so many walkers leave a trail
export const INKS = { walk: COLOURS[0], cloud: COLOURS[1], probe: COLOURS[2], first: COLOURS[4] };

// The density of x_t as shades of one colour. A cell averages over its own width, so that sharp
// peaks do not fall between cells; the Gaussians are products of one factor a column and one a row.
/** @param {Context} context @param {number} width @param {number} height @param {Mixture} law */
function shade(context, width, height, law) {
  const cell = 5;
  const { from, unit } = plane(width, height);
  const [columns, rows] = [Math.ceil(width / cell), Math.ceil(height / cell)];
  const variance = law.variance + (cell / unit / 2) ** 2;
  /** @type {(count: number, centre: number, coordinate: Scale) => Float64Array} */
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
  const colour = [1, 3, 5].map((k) => parseInt(INKS.walk.slice(k, k + 2), 16));
  density.forEach((value, k) => image.data.set([...colour, 150 * Math.sqrt(value / highest)], 4 * k));
  const small = h("canvas", { width: columns, height: rows });
  context2d(small).putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, columns * cell, rows * cell);
}

// Arrows of the score; their length, as the noise they point against, grows slowly.
/**
 * @param {Context} context @param {number} width @param {number} height @param {Mixture} law
 * @param {string} colour
 */
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

// The probe, the points that it may have been, larger the likelier, and an arrow to their mean.
/** @param {Context} context @param {Plane} view @param {Mixture | null} law @param {Point} probe */
function probed(context, view, law, [x, y]) {
  const mean = law && denoised(law, x, y);
  faintly(context, 0.75, () => {
    if (!law || !mean) return;
    law.weights.forEach((weight, i) => {
      const share = weight / mean.sum;
      if (share > 1e-3) spot(context, ...view.to(law.xs[i], law.ys[i]), 1 + 9 * Math.sqrt(share), INKS.probe);
    });
  });
  const [px, py] = view.to(x, y);
  if (mean) {
    const [qx, qy] = view.to(mean.x, mean.y);
    arrow(context, [px, py], [qx - px, qy - py], INKS.probe, 3);
  }
  context.beginPath();
  context.arc(px, py, 7, 0, 2 * Math.PI);
  context.lineWidth = 3;
  context.strokeStyle = INKS.probe;
  context.stroke();
}

/**
 * @param {Context} context @param {string} text @param {number} width @param {number} y
 * @param {string} colour
 */
function words(context, text, width, y, colour) {
  context.fillStyle = colour;
  context.textAlign = "center";
  letters(context, 14);
  context.fillText(text, width / 2, y);
}

/**
 * @type {Paint<{
 *   cloud: Point[], noisy: number[], law: Mixture | null, probe: Point, own: boolean,
 * }>}
 */
export function paintForward(context, width, height, colour, { cloud, noisy, law, probe, own }) {
  const view = plane(width, height);
  if (law) shade(context, width, height, law);
  if (law) faintly(context, 0.5, () => field(context, width, height, law, colour));
  faintly(context, 0.8, () => dots(context, view, noisy, 2.1, INKS.cloud));
  if (cloud.length) probed(context, view, law, probe);
  const ask = "Draw here, with the mouse or a finger.";
  if (own && !cloud.length) words(context, ask, width, height / 2, colour);
  border(context, width, height, colour);
}

// The walkers at the last of their times that is not below t, and how they came there.
/** @type {Paint<{ cloud: Point[], run: Run | null, t: number, sampler: Way }>} */
export function paintBackward(context, width, height, colour, { cloud, run, t, sampler }) {
  const view = plane(width, height);
  border(context, width, height, colour);
  faintly(context, 0.5, () => dots(context, view, cloud.flat(), 2.1, INKS.cloud));
  if (!run) return words(context, "Walkers need points to walk to.", width, height / 2, colour);
  const past = run.filter((state) => state.t >= t);
  const trail = (/** @type {number} */ k) => past.map(({ x }) => view.to(x[2 * k], x[2 * k + 1]));
  faintly(context, 0.8, () => {
    for (let k = TRAILS[sampler]; k > 0; k--) line(context, trail(k), INKS.walk, 1);
  });
  dots(context, view, past[past.length - 1].x, 2.4, INKS.walk);
  const way = trail(0);
  line(context, way, INKS.first, 2);
  spot(context, ...way[way.length - 1], 4.5, INKS.first);
}
