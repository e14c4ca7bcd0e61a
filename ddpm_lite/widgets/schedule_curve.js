// log SNR over time from 0 to 1, held by handles at equal distances, and what that makes of a density
// of t.

/**
 * @typedef {"uniform" | "logit_normal" | "early" | "late"} Density
 * @typedef {{ of: Scale, quantile: Scale }} Law
 */

const STEEPEST = 2.5; // times the flatter chord beside: from 3 on a cubic may turn
const FLATTEST = 0.2; // times the same, so that log SNR falls everywhere

// Slopes at the handles: those of the natural cubic spline, whose bends go over into each other, held
// back where the curve would turn (Hyman 1983).
/** @param {number[]} handles */
function slopes(handles) {
  const n = handles.length - 1;
  const chords = Array.from({ length: n }, (_, k) => (handles[k + 1] - handles[k]) * n);
  return spline(chords).map((slope, k) => {
    const flatter = Math.max(chords[Math.max(0, k - 1)], chords[Math.min(n - 1, k)]);
    return Math.max(STEEPEST * flatter, Math.min(FLATTEST * flatter, slope));
  });
}

// The natural spline's slopes d solve d[k-1] + 4 d[k] + d[k+1] = 3 (chord before + chord after), with
// 2 in the place of 4 and one chord at the ends: eliminated downwards, solved upwards.
/** @param {number[]} chords */
function spline(chords) {
  const n = chords.length;
  /** @type {[number[], number[]]} */
  const [pivots, rest] = [[], []];
  for (let k = 0; k <= n; k++) {
    const sum = 3 * ((chords[k - 1] ?? 0) + (chords[k] ?? 0));
    const before = k > 0 ? 1 / pivots[k - 1] : 0;
    pivots.push((k === 0 || k === n ? 2 : 4) - before);
    rest.push(sum - (k > 0 ? before * rest[k - 1] : 0));
  }
  const out = [rest[n] / pivots[n]];
  for (let k = n - 1; k >= 0; k--) out.unshift((rest[k] - out[0]) / pivots[k]);
  return out;
}

// The curve and its slope at time t.
/** @param {number[]} handles */
export function curve(handles) {
  const n = handles.length - 1;
  const d = slopes(handles);
  return (/** @type {number} */ t) => {
    const k = Math.min(n - 1, Math.max(0, Math.floor(t * n)));
    const s = t * n - k;
    const [a, b] = [handles[k], handles[k + 1]];
    const [p, q] = [d[k] / n, d[k + 1] / n];
    const [second, third] = [3 * (b - a) - 2 * p - q, 2 * (a - b) + p + q];
    return { value: a + s * (p + s * (second + s * third)), slope: n * (p + s * (2 * second + 3 * s * third)) };
  };
}

const logistic = (/** @type {number} */ z) => 1 / (1 + Math.exp(-z));
const logit = (/** @type {number} */ t) => Math.log(t / (1 - t));
const QUARTILE = 0.6744897501960817; // of N(0, 1): a quarter lies above

// Densities of t, and the t below which a share of them lies; that of N(0, 1) is known at quarters.
/** @type {Record<Density, Law>} */
export const LAWS = {
  uniform: { of: () => 1, quantile: (share) => share },
  logit_normal: {
    of: (t) => Math.exp(-(logit(t) ** 2) / 2) / Math.sqrt(2 * Math.PI) / (t * (1 - t)),
    quantile: (share) => logistic(share < 0.5 ? -QUARTILE : QUARTILE),
  },
  early: { of: (t) => 2 * (1 - t), quantile: (share) => 1 - Math.sqrt(1 - share) },
  late: { of: (t) => 2 * t, quantile: Math.sqrt },
};

// What follows at time t from the handles and the density of t.
/** @param {number[]} handles @param {Density} density @param {number} t */
export function facts(handles, density, t) {
  const at = curve(handles);
  const law = LAWS[density];
  const { value, slope } = at(t);
  return {
    log_snr: value,
    alpha_bar: logistic(value),
    slope,
    density: law.of(t),
    weight: law.of(t) / -slope,
    from: at(law.quantile(0.75)).value,
    to: at(law.quantile(0.25)).value,
  };
}
