// Two classes, each a mixture of bells of one variance, and what guidance makes of their scores.
import { normal, uniform } from "./shared.js";
import { ddimStep, timesteps } from "./samplers.js";

/**
 * @typedef {"upper" | "lower"} Class
 * @typedef {Record<Class, Place[]>} Centres
 * @typedef {{ centres: Centres, deviation: number }} Classes
 * @typedef {ReturnType<typeof lawAt>} Law
 * @typedef {{ x: number, y: number, log: number }} Guess
 */

export const DRAWN = 200;

// What noise makes of the classes: of a bell at m one at signal m, with another variance.
/** @param {Classes} classes @param {Tables} schedule @param {number} t */
export function lawAt({ centres, deviation }, schedule, t) {
  const [alphaBar, noise] = t ? [schedule.alphaBar[t - 1], schedule.oneMinusAlphaBar[t - 1]] : [1, 0];
  const variance = alphaBar * deviation ** 2 + noise;
  return { centres, signal: Math.sqrt(alphaBar), noise, variance, clean: deviation ** 2 };
}

// E[x_0 | x_t = (x, y)] over some of the bells, and the logarithm of their mean density there. Each
// bell says where in it x_0 may lie, and counts as much as it makes (x, y) likely.
/** @param {Law} law @param {Place[]} bells @param {number} x @param {number} y @returns {Guess} */
export function denoised({ signal, variance, clean }, bells, x, y) {
  const squares = bells.map(([a, b]) => (x - signal * a) ** 2 + (y - signal * b) ** 2);
  const nearest = Math.min(...squares);
  const gain = (signal * clean) / variance;
  let [sum, sumX, sumY] = [0, 0, 0];
  bells.forEach(([a, b], i) => {
    const weight = Math.exp((nearest - squares[i]) / (2 * variance));
    sum += weight;
    sumX += weight * (a + gain * (x - signal * a));
    sumY += weight * (b + gain * (y - signal * b));
  });
  const log = Math.log(sum / bells.length / (2 * Math.PI * variance)) - nearest / (2 * variance);
  return { x: sumX / sum, y: sumY / sum, log };
}

// The two guesses of x_0, with the label and without, and the guided one.
/**
 * @param {Law} law @param {Class} asked @param {number} w @param {number} x @param {number} y
 */
export function guesses(law, asked, w, x, y) {
  const labelled = denoised(law, law.centres[asked], x, y);
  const plain = denoised(law, [...law.centres.upper, ...law.centres.lower], x, y);
  const between = (/** @type {"x" | "y"} */ k) => plain[k] + w * (labelled[k] - plain[k]);
  return { labelled, plain, guided: { x: between("x"), y: between("y") } };
}

// The same as scores, by Tweedie's formula: a guess of x_0 is one of the gradient of log q(x_t).
/**
 * @param {Law} law @param {Class} asked @param {number} w @param {number} x @param {number} y
 */
export function scores(law, asked, w, x, y) {
  const { labelled, plain, guided } = guesses(law, asked, w, x, y);
  /** @type {(guess: { x: number, y: number }) => Place} */
  const score = (guess) => [(law.signal * guess.x - x) / law.noise, (law.signal * guess.y - y) / law.noise];
  return { labelled: score(labelled), plain: score(plain), guided: score(guided) };
}

// Points that DDIM draws from noise with the guided denoiser, as pairs of numbers, step by step.
/**
 * @param {Classes} classes @param {Tables} schedule
 * @param {{ asked: Class, w: number, steps: number, seed: number }} choices
 */
export function draw(classes, schedule, { asked, w, steps, seed }) {
  const noise = normal(uniform(seed));
  const times = timesteps(schedule.T, steps);
  let x = Float64Array.from({ length: 2 * DRAWN }, () => noise());
  return times.map((t, k) => {
    if (k === 0) return x;
    const law = lawAt(classes, schedule, times[k - 1]);
    const x0 = new Float64Array(x.length);
    for (let i = 0; i < x.length; i += 2) {
      const { guided } = guesses(law, asked, w, x[i], x[i + 1]);
      [x0[i], x0[i + 1]] = [guided.x, guided.y];
    }
    return (x = ddimStep(schedule, x0, x, times[k - 1], t, 0));
  });
}

// Points of a class itself, to compare with.
/** @param {Classes} classes @param {Class} asked @param {number} count @param {number} seed */
export function sample({ centres, deviation }, asked, count, seed) {
  const noise = normal(uniform(seed));
  const bells = centres[asked];
  return Float64Array.from({ length: 2 * count }, (_, k) => bells[(k >> 1) % bells.length][k % 2] + deviation * noise());
}

// The share of the points where the asked class is likelier than the other one.
/** @param {Classes} classes @param {Tables} schedule @param {Class} asked @param {Float64Array} x */
export function share(classes, schedule, asked, x) {
  const law = lawAt(classes, schedule, 0);
  const other = asked === "upper" ? "lower" : "upper";
  let hits = 0;
  for (let i = 0; i < x.length; i += 2) {
    const [own, rest] = [law.centres[asked], law.centres[other]];
    if (denoised(law, own, x[i], x[i + 1]).log > denoised(law, rest, x[i], x[i + 1]).log) hits++;
  }
  return (2 * hits) / x.length;
}

// How far points lie from their middle: the root of the mean square of the distance.
/** @param {Float64Array} x */
export function spread(x) {
  const n = x.length / 2;
  const middle = [0, 0];
  x.forEach((value, k) => (middle[k % 2] += value / n));
  return Math.sqrt(x.reduce((sum, value, k) => sum + (value - middle[k % 2]) ** 2 / n, 0));
}

// The same of a whole class, by a formula: between its bells and within them.
/** @param {Classes} classes @param {Class} asked */
export function spreadOf({ centres, deviation }, asked) {
  return Math.sqrt(spread(Float64Array.from(centres[asked].flat())) ** 2 + 2 * deviation ** 2);
}
