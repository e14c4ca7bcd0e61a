// A chain of three states: its laws, its eigenvalues, its long run, and a crowd that walks it.
import { uniform } from "./shared.js";

/**
 * @typedef {number[]} Law
 * @typedef {Law[]} Matrix
 * @typedef {{ matrix: Matrix, start: string, day: number, seed: number }} Setting
 * @typedef {Setting & { names: string[], last: number, walkers: number }} State
 * @typedef {ReturnType<typeof computed>} Computed
 */

export const STATES = [0, 1, 2];

/** @type {(values: number[]) => number} */
const sum = (values) => values.reduce((a, b) => a + b, 0);
/** @type {(law: Law, matrix: Matrix) => Law} */
const times = (law, matrix) => STATES.map((j) => sum(STATES.map((i) => law[i] * matrix[i][j])));
/** @type {(index: number) => Law} */
const firstLaw = (index) => STATES.map((i) => (index < 0 ? 1 / 3 : +(i === index)));

// The law on each day: the start times the powers of the matrix.
/** @param {number} start @param {Matrix} matrix @param {number} last */
function laws(start, matrix, last) {
  const all = [firstLaw(start)];
  for (let day = 1; day <= last; day++) all.push(times(all[day - 1], matrix));
  return all;
}

// The eigenvalues beside 1. The trace is the sum of all three, the determinant their product.
/** @param {Matrix} m */
function eigenvalues(m) {
  const minor = (/** @type {number} */ a, /** @type {number} */ b) =>
    m[1][a] * m[2][b] - m[1][b] * m[2][a];
  const product = m[0][0] * minor(1, 2) - m[0][1] * minor(0, 2) + m[0][2] * minor(0, 1);
  const half = (m[0][0] + m[1][1] + m[2][2] - 1) / 2;
  const square = half * half - product;
  if (square < 0) return { real: half, imaginary: Math.sqrt(-square), size: Math.sqrt(product) };
  const larger = half < 0 ? half - Math.sqrt(square) : half + Math.sqrt(square);
  return { real: larger, imaginary: 0, size: Math.abs(larger) };
}

// The law of the long run, from the minors of I - P (all of them positive or 0); null where the
// eigenvalue 1 comes twice, and the long run depends on the start.
/** @param {Matrix} m */
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

/** @type {(law: Law, other: Law) => number} */
export const gap = (law, other) => sum(STATES.map((i) => Math.abs(law[i] - other[i]))) / 2;

// The state of each walker on each day. A seed repeats the whole walk.
/**
 * @param {number} start @param {Matrix} matrix @param {number} last @param {number} walkers
 * @param {number} seed
 */
function walk(start, matrix, last, walkers, seed) {
  const random = uniform(seed);
  const next = (/** @type {number} */ i) => {
    const u = random();
    if (u < matrix[i][0]) return 0;
    return u < matrix[i][0] + matrix[i][1] || matrix[i][2] === 0 ? 1 : 2;
  };
  const days = [Array.from({ length: walkers }, (_, k) => (start < 0 ? k % 3 : start))];
  for (let day = 1; day <= last; day++) days.push(days[day - 1].map(next));
  return days;
}

/** @type {(states: number[]) => Law} */
export const shares = (states) => STATES.map((i) => states.filter((s) => s === i).length / states.length);

// One entry set, the two others of its row share the rest as they did before.
/** @param {Matrix} matrix @param {number} i @param {number} j @param {number} value */
export function edited(matrix, i, j, value) {
  const others = STATES.filter((k) => k !== j);
  const old = sum(others.map((k) => matrix[i][k]));
  const part = (/** @type {number} */ k) => (old > 0 ? matrix[i][k] / old : 0.5);
  const changed = STATES.map((k) => (k === j ? value : (1 - value) * part(k)));
  return matrix.map((r, k) => (k === i ? changed : r));
}

// All that the pictures and the numbers show.
/** @param {State} state */
export function computed({ matrix, start, day, seed, names, last, walkers }) {
  const first = names.indexOf(start);
  const all = laws(first, matrix, last);
  const paths = walk(first, matrix, last, walkers, seed);
  const [settled, second] = [stationary(matrix), eigenvalues(matrix)];
  const now = { exact: all[day], crowd: shares(paths[day]) };
  const walked = { after: paths[day], before: paths[Math.max(0, day - 1)] };
  return { names, last, matrix, day, all, paths, ...now, ...walked, settled, second, rate: second.size };
}
