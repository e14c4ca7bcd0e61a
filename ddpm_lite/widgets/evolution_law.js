// Data on a line: x_0 is one of some points, and the law of x_t is a mixture of as many bells.
import { normal, uniform } from "./shared.js";

export const PATHS = 6;
const [EDGE, CELLS] = [8, 3200]; // the integral's, far beyond all that is likely

/** @param {Scale} of */
const total = (of) => {
  const cell = (2 * EDGE) / CELLS;
  let sum = 0;
  for (let k = 0; k < CELLS; k++) sum += of(-EDGE + (k + 0.5) * cell);
  return sum * cell;
};

/** @param {number} x @param {number} mean @param {number} variance */
export const bell = (x, mean, variance) =>
  Math.exp(-((x - mean) ** 2) / (2 * variance)) / Math.sqrt(2 * Math.PI * variance);

// q(x_t) as a function of x; `blur` is more variance, for a picture whose cells would miss a peak.
/** @param {number[]} points @param {Tables} schedule @param {number} t @returns {Scale} */
export function densityOf(points, schedule, t, blur = 0) {
  const signal = Math.sqrt(schedule.alphaBar[t - 1]);
  const variance = schedule.oneMinusAlphaBar[t - 1] + blur;
  return (x) => points.reduce((sum, point) => sum + bell(x, signal * point, variance), 0) / points.length;
}

// Mean and variance of x_t: the data's own, shrunk, and the noise.
/** @param {number[]} points @param {Tables} schedule @param {number} t */
export function moments(points, schedule, t) {
  const mean = points.reduce((sum, point) => sum + point, 0) / points.length;
  const variance = points.reduce((sum, point) => sum + (point - mean) ** 2, 0) / points.length;
  const [alphaBar, noise] = [schedule.alphaBar[t - 1], schedule.oneMinusAlphaBar[t - 1]];
  return { mean: Math.sqrt(alphaBar) * mean, variance: alphaBar * variance + noise };
}

// How far a density is from N(0, 1): half of the area between them, 0 for the same and 1 for two that
// never meet.
/** @param {Scale} density */
export const distance = (density) => total((x) => Math.abs(density(x) - bell(x, 0, 1))) / 2;

// Some paths, each from a point, step by step; path j starts at point j, then from the first again.
/** @param {number[]} points @param {Tables} schedule @param {number} seed */
export function walks(points, schedule, seed) {
  const noise = normal(uniform(seed));
  const paths = Array.from({ length: PATHS }, (_, j) => [points[j % points.length]]);
  for (const beta of schedule.beta)
    for (const path of paths)
      path.push(Math.sqrt(1 - beta) * path[path.length - 1] + Math.sqrt(beta) * noise());
  return paths;
}
