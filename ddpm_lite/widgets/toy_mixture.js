// Points in the plane and their mixture: x_0 is one of the points, x_t has the law of
// signal x_0 + sqrt(variance) noise, and all of it is a formula.
import { normal, uniform } from "./shared.js";
import { ddimStep, extrapolate, heunStep, timesteps } from "./samplers.js";

/**
 * @typedef {[number, number]} Point
 * @typedef {"ancestral" | "ddim" | "heun" | "two_m"} Way
 * @typedef {ReturnType<typeof mixture>} Mixture
 * @typedef {{ t: number, x: Float64Array }[]} Run
 */

const WALKERS = 120;

/** @param {Point[]} cloud @param {Tables} schedule @param {number} t */
export function mixture(cloud, schedule, t) {
  const [xs, ys] = [0, 1].map((k) => Float64Array.from(cloud, (point) => point[k]));
  const weights = new Float64Array(cloud.length);
  return { xs, ys, weights, signal: Math.sqrt(schedule.alphaBar[t - 1]), variance: schedule.oneMinusAlphaBar[t - 1] };
}

// The mean of the points, each weighed by how likely it makes x_t = (x, y): E[x_0 | x_t]. The
// weights, not yet divided by their sum, stay in law.weights.
/** @param {Mixture} law @param {number} x @param {number} y */
export function denoised(law, x, y) {
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
/** @param {Mixture} law @param {number} x @param {number} y */
export function scoreAt(law, x, y) {
  const mean = denoised(law, x, y);
  return [(law.signal * mean.x - x) / law.variance, (law.signal * mean.y - y) / law.variance];
}

// Walkers from noise at T to time 0, as states at the sampler's times.
/**
 * @param {Point[]} cloud @param {Tables} schedule
 * @param {{ sampler: Way, steps: number, seed: number }} choices
 * @returns {Run}
 */
export function walk(cloud, schedule, { sampler, steps, seed }) {
  const noise = normal(uniform(seed));
  const times = timesteps(schedule.T, sampler === "ancestral" ? schedule.T : steps);
  const guess = (/** @type {Float64Array} */ x, /** @type {number} */ t) => exactX0(cloud, schedule, x, t);
  const next = stepper(sampler, schedule, guess, noise);
  /** @type {Float64Array} */
  let x = Float64Array.from({ length: 2 * WALKERS }, () => noise());
  return times.map((t, k) => {
    if (k > 0) x = next(x, times[k - 1], t);
    return { t, x };
  });
}

// One step of a sampler after the other; 2M remembers the guess before.
/**
 * @param {Way} sampler @param {Tables} schedule
 * @param {(x: Float64Array, t: number) => Float64Array} guess @param {() => number} noise
 */
function stepper(sampler, schedule, guess, noise) {
  /** @type {{ t: number, x0: Float64Array } | null} */
  let older = null;
  return (/** @type {Float64Array} */ x, /** @type {number} */ t, /** @type {number} */ before) => {
    if (sampler === "heun") return heunStep(schedule, guess, x, t, before);
    const x0 = guess(x, t);
    const bends = sampler === "two_m" && older && before > 0;
    const straight = bends && older ? extrapolate(schedule, x0, t, before, older) : x0;
    older = { t, x0 };
    return ddimStep(schedule, straight, x, t, before, sampler === "ancestral" ? 1 : 0, noise);
  };
}

// How often a sampler asks the denoiser: Heun twice in each step but the last.
/** @param {Way} sampler @param {number} T @param {number} steps */
export function evaluations(sampler, T, steps) {
  if (sampler === "ancestral") return T;
  return sampler === "heun" ? 2 * steps - 1 : steps;
}

// How far two runs from the same noise end from each other: the root mean square over the walkers.
/** @param {Run} one @param {Run} other */
export function apart(one, other) {
  const [x, y] = [one, other].map((run) => run[run.length - 1].x);
  return Math.sqrt((2 * x.reduce((sum, value, k) => sum + (value - y[k]) ** 2, 0)) / x.length);
}

/**
 * @param {Point[]} cloud @param {Tables} schedule @param {Float64Array} x @param {number} t
 */
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
/** @param {Point[]} cloud @param {Float64Array} x */
export function distance(cloud, x) {
  let sum = 0;
  for (let k = 0; k < x.length; k += 2)
    sum += Math.min(...cloud.map((point) => (x[k] - point[0]) ** 2 + (x[k + 1] - point[1]) ** 2));
  return Math.sqrt((2 * sum) / x.length);
}
