// Two clouds of d features, and the squared Frechet distance of the normal laws that fit them. In the
// first feature the clouds are N(0, 1) and N(shift, width^2); in all others both are N(0, 1).
import { normal, uniform } from "./shared.js";

/**
 * @typedef {Float64Array[]} Cloud one array a feature, in it a number a point
 * @typedef {{ one: Cloud, other: Cloud }} Pair
 * @typedef {{ mean: Float64Array, covariance: Float64Array }} Moments the matrix row by row
 */

const MEANS_SEED = 7; // of the draws behind the means, so that they stay where a hand draws again
const MOST_SWEEPS = 30;

// --- Clouds ----------------------------------------------------------------------------------------

// Two clouds of standard normal numbers, feature by feature: more features leave the first as they are.
/** @param {number} d @param {number} count @param {() => number} noise @returns {Pair} */
export function pairOf(d, count, noise) {
  /** @type {Pair} */
  const pair = { one: [], other: [] };
  for (let k = 0; k < d; k++)
    for (const cloud of [pair.one, pair.other]) {
      const values = new Float64Array(count);
      for (let i = 0; i < count; i++) values[i] = noise();
      cloud.push(values);
    }
  return pair;
}

/** @param {number} d @param {number} count @param {number} seed */
export const drawn = (d, count, seed) => pairOf(d, count, normal(uniform(seed)));

// Means and unbiased covariances of the first n points, for each of some rising n in one go.
/** @param {Cloud} cloud @param {readonly number[]} sizes @returns {Moments[]} */
export function momentsAt(cloud, sizes) {
  const d = cloud.length;
  const ones = new Float64Array(cloud[0].length).fill(1);
  const sums = cloud.map((values) => products(values, ones, sizes));
  const found = sizes.map((n, s) => ({
    mean: Float64Array.from(sums, (sum) => sum[s] / n),
    covariance: new Float64Array(d * d),
  }));
  for (let j = 0; j < d; j++)
    for (let k = 0; k <= j; k++) {
      const sum = products(cloud[j], cloud[k], sizes);
      found.forEach(({ mean, covariance }, s) => {
        const value = (sum[s] - sizes[s] * mean[j] * mean[k]) / (sizes[s] - 1);
        covariance[j * d + k] = covariance[k * d + j] = value;
      });
    }
  return found;
}

// The sums of the first n products, for each n.
/** @param {Float64Array} left @param {Float64Array} right @param {readonly number[]} sizes */
function products(left, right, sizes) {
  const found = new Float64Array(sizes.length);
  let [sum, i] = [0, 0];
  for (let s = 0; s < sizes.length; s++) {
    for (; i < sizes[s]; i++) sum += left[i] * right[i];
    found[s] = sum;
  }
  return found;
}

// The moments of the same points when each first feature z is replaced by shift + width z.
/** @param {Moments} moments @param {number} shift @param {number} width @returns {Moments} */
export function moved({ mean, covariance }, shift, width) {
  const d = mean.length;
  const [middle, spread] = [mean.slice(), covariance.slice()];
  middle[0] = shift + width * mean[0];
  for (let k = 0; k < d; k++) {
    spread[k] *= width;
    spread[k * d] *= width; // with the line above twice for the variance, as it should be
  }
  return { mean: middle, covariance: spread };
}

// --- Matrices --------------------------------------------------------------------------------------

// The lower triangle L with L L^T = S (Cholesky). S may have no inverse, as where a cloud has fewer
// points than features: where nothing is left to share out, the column stays 0.
/** @param {Float64Array} S @param {number} d */
export function factor(S, d) {
  const L = new Float64Array(d * d);
  const left = (/** @type {number} */ j, /** @type {number} */ k) => {
    let rest = S[j * d + k];
    for (let i = 0; i < k; i++) rest -= L[j * d + i] * L[k * d + i];
    return rest;
  };
  for (let k = 0; k < d; k++) {
    const rest = left(k, k);
    if (rest <= 1e-12 * S[k * d + k]) continue;
    const pivot = (L[k * d + k] = Math.sqrt(rest));
    for (let j = k + 1; j < d; j++) L[j * d + k] = left(j, k) / pivot;
  }
  return L;
}

// L^T S L, which has the eigenvalues of S L L^T.
/** @param {Float64Array} L @param {Float64Array} S @param {number} d */
function sandwich(L, S, d) {
  const [half, out] = [new Float64Array(d * d), new Float64Array(d * d)];
  for (let j = 0; j < d; j++)
    for (let i = 0; i < d; i++)
      for (let k = 0; k <= i; k++) half[j * d + k] += S[j * d + i] * L[i * d + k];
  for (let i = 0; i < d; i++)
    for (let j = 0; j <= i; j++)
      for (let k = 0; k < d; k++) out[j * d + k] += L[i * d + j] * half[i * d + k];
  return out;
}

// The eigenvalues of a symmetric matrix (Jacobi): turn two axes at a time so that what stands between
// them vanishes, until nothing stands beside the diagonal.
/** @param {Float64Array} S @param {number} d */
export function eigenvalues(S, d) {
  const A = S.slice();
  const nothing = 1e-28 * A.reduce((sum, x) => sum + x * x, 0);
  let turned = true;
  for (let sweep = 0; turned && sweep < MOST_SWEEPS; sweep++) {
    turned = false;
    for (let p = 0; p < d; p++)
      for (let q = p + 1; q < d; q++)
        if (A[p * d + q] ** 2 > nothing) {
          turn(A, d, p, q);
          turned = true;
        }
  }
  return Float64Array.from({ length: d }, (_, k) => A[k * d + k]);
}

/** @param {Float64Array} A @param {number} d @param {number} p @param {number} q */
function turn(A, d, p, q) {
  const [row, other] = [p * d, q * d];
  const entry = A[row + q];
  const slope = (A[other + q] - A[row + p]) / (2 * entry);
  const tangent = (slope < 0 ? -1 : 1) / (Math.abs(slope) + Math.hypot(slope, 1));
  const cosine = 1 / Math.hypot(tangent, 1);
  const sine = tangent * cosine;
  for (let k = 0; k < d; k++) {
    if (k === p || k === q) continue;
    const [a, b] = [A[row + k], A[other + k]];
    A[row + k] = A[k * d + p] = cosine * a - sine * b;
    A[other + k] = A[k * d + q] = sine * a + cosine * b;
  }
  A[row + p] -= tangent * entry;
  A[other + q] += tangent * entry;
  A[row + q] = A[other + p] = 0;
}

// --- The distance ----------------------------------------------------------------------------------

// Of the two laws: the middles' and the deviations' differences, squared, as in one dimension.
/** @param {number} shift @param {number} width */
export const lawDistance = (shift, width) => shift ** 2 + (1 - width) ** 2;

// |m - c|^2 + tr(S + R) - 2 tr((S^1/2 R S^1/2)^1/2), for means m, c and covariances S, R.
/** @param {Moments} one @param {Moments} other */
export const distance = (one, other) =>
  betweenMiddles(one.mean, other.mean) + betweenWidths(one.covariance, other.covariance, one.mean.length);

/** @param {Float64Array} m @param {Float64Array} c */
const betweenMiddles = (m, c) => m.reduce((sum, value, k) => sum + (value - c[k]) ** 2, 0);

// The last trace is also the sum of the roots of the eigenvalues of S R. A factor L of S may be at hand.
/** @param {Float64Array} S @param {Float64Array} R @param {number} d */
function betweenWidths(S, R, d, L = factor(S, d)) {
  let sum = 0;
  for (let k = 0; k < d; k++) sum += S[k * d + k] + R[k * d + k];
  for (const value of eigenvalues(sandwich(L, R, d), d)) sum -= 2 * Math.sqrt(Math.max(0, value));
  return Math.max(0, sum);
}

// Means over many pairs of clouds at each number of points: what clouds of one law are apart, the
// floor, and what those of two laws are. The part of the widths is kept, so that a hand can move the
// shift quickly.
/** @param {number} d @param {number} draws @param {readonly number[]} sizes */
export function meansOf(d, draws, sizes) {
  const noise = normal(uniform(MEANS_SEED));
  const most = Math.max(...sizes);
  const found = Array.from({ length: draws }, () => {
    const pair = pairOf(d, most, noise);
    const [ones, others] = [momentsAt(pair.one, sizes), momentsAt(pair.other, sizes)];
    return ones.map((one, k) => ({ one, other: others[k], L: factor(one.covariance, d) }));
  });
  const over = (/** @type {(pair: typeof found[number][number]) => number} */ of) =>
    sizes.map((_, k) => found.reduce((sum, pairs) => sum + of(pairs[k]), 0) / draws);
  const widths = (/** @type {number} */ width) =>
    over(({ one, other, L }) => betweenWidths(one.covariance, moved(other, 0, width).covariance, d, L));
  const middles = (/** @type {number} */ shift, /** @type {number} */ width) =>
    over(({ one, other }) => betweenMiddles(one.mean, moved(other, shift, width).mean));
  let kept = { width: 1, parts: widths(1) };
  const mean = (/** @type {number} */ shift, /** @type {number} */ width) => {
    if (kept.width !== width) kept = { width, parts: widths(width) };
    return middles(shift, width).map((value, k) => value + kept.parts[k]);
  };
  return { floor: mean(0, 1), mean };
}
