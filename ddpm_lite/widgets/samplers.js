// The samplers of ddpm_lite/sample.py, for one image as a Float32Array. Same times, same formulas;
// only the network is asked asynchronously, and noise comes from a function that gives one number. A
// schedule is what `tables` of shared.js makes of its betas; time t lies at index t - 1.

/**
 * @typedef {(x: Float32Array, t: number, labels: number[]) => Promise<Float32Array>} Evaluate
 * @typedef {(x: Float32Array, t: number) => Promise<Float32Array>} Denoise
 * @typedef {{ t: number, x: Float32Array, x0: Float32Array }} State
 */

// `steps` + 1 times from `from` down to 0, as evenly spaced as integers can be.
/** @param {number} from @param {number} steps */
export function timesteps(from, steps) {
  if (!(steps >= 1 && steps <= from)) throw new RangeError(`steps must lie in 1..${from}, not ${steps}`);
  return Array.from({ length: steps + 1 }, (_, i) => roundHalfEven((from * (steps - i)) / steps));
}

// As Python rounds: halves go to the even neighbour.
/** @param {number} x */
export function roundHalfEven(x) {
  const below = Math.floor(x);
  if (x - below !== 0.5) return Math.round(x);
  return below % 2 === 0 ? below : below + 1;
}

// x_t = sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) eps.
/**
 * @template {Values} V
 * @param {Tables} schedule @param {V} x0 @param {number} t @param {() => number} noise
 * @returns {V}
 */
export function noised(schedule, x0, t, noise) {
  const [signal, rest] = factors(schedule, t);
  return /** @type {V} */ (x0.map((x) => signal * x + rest * noise()));
}

// The predicted x_0 from what a network trained on `target` puts out.
/**
 * @param {Tables} schedule @param {Float32Array} output @param {Float32Array} x @param {number} t
 * @param {string} target
 */
export function predictX0(schedule, output, x, t, target) {
  const [signal, rest] = factors(schedule, t);
  if (target === "v") return output.map((v, i) => signal * x[i] - rest * v);
  if (target === "flow") return output.map((u, i) => (x[i] - rest * u) / (signal + rest));
  return target === "eps" ? output.map((eps, i) => (x[i] - rest * eps) / signal) : output;
}

// The function (x, t) -> predicted x_0 of a network, guided towards `label`. `evaluate(x, t, labels)`
// gives the network's output for x once for each label, one after another; `none` is the label of
// no class. Both halves of a guided prediction come out of one run.
/**
 * @param {{
 *   schedule: Tables, evaluate: Evaluate, target: string, label: number, none: number,
 *   guidance?: number, clip?: boolean,
 * }} options
 * @returns {Denoise}
 */
export function makeDenoiser({ schedule, evaluate, target, label, none, guidance = 1, clip = true }) {
  const guided = label !== none && guidance !== 1;
  return async (x, t) => {
    let output = await evaluate(x, t, guided ? [label, none] : [label]);
    if (guided) {
      const without = output.subarray(x.length);
      output = output.slice(0, x.length).map((o, i) => without[i] + guidance * (o - without[i]));
    }
    const x0 = predictX0(schedule, output, x, t, target);
    return clip ? x0.map((value) => Math.min(1, Math.max(-1, value))) : x0;
  };
}

// DDIM: eta = 0 adds no noise; eta = 1 in all T steps is DDPM's ancestral sampling with the
// posterior variance, in fewer steps the same chain with times left out.
/**
 * @param {Denoise} denoise @param {Tables} schedule @param {Float32Array} x
 * @param {{ from?: number, steps: number, eta?: number, noise?: () => number }} options
 */
export async function* ddim(denoise, schedule, x, { from = schedule.T, steps, eta = 0, noise }) {
  for (const [t, before] of pairs(from, steps)) {
    const x0 = await denoise(x, t);
    x = ddimStep(schedule, x0, x, t, before, eta, noise);
    yield { t: before, x, x0 };
  }
}

// DPM-Solver++(2M): the last two predictions give the straight line that a step follows.
/**
 * @param {Denoise} denoise @param {Tables} schedule @param {Float32Array} x
 * @param {{ from?: number, steps: number }} options
 */
export async function* dpmSolver(denoise, schedule, x, { from = schedule.T, steps }) {
  /** @type {{ t: number, x0: Float32Array } | null} */
  let older = null;
  for (const [t, before] of pairs(from, steps)) {
    const x0 = await denoise(x, t);
    const straight = older && before > 0 ? extrapolate(schedule, x0, t, before, older) : x0;
    x = ddimStep(schedule, straight, x, t, before, 0);
    older = { t, x0 };
    yield { t: before, x, x0 };
  }
}

// For a network that guesses where the path ends: its guess is noised anew, and guessed again.
/**
 * @param {Denoise} denoise @param {Tables} schedule @param {Float32Array} x
 * @param {{ from?: number, steps: number, noise: () => number }} options
 */
export async function* consistency(denoise, schedule, x, { from = schedule.T, steps, noise }) {
  for (const [t, before] of pairs(from, steps)) {
    const x0 = await denoise(x, t);
    x = before === 0 ? x0 : noised(schedule, x0, before, noise);
    yield { t: before, x, x0 };
  }
}

/**
 * @template {Values} V
 * @param {Tables} schedule @param {V} x0 @param {V} x @param {number} t @param {number} before
 * @param {number} eta @param {() => number} [noise]
 * @returns {V}
 */
export function ddimStep(schedule, x0, x, t, before, eta, noise = () => 0) {
  if (before === 0) return x0;
  const [signal, rest] = factors(schedule, t);
  const [signalBefore, restBefore] = factors(schedule, before);
  const ratio = schedule.alphaBar[t - 1] / schedule.alphaBar[before - 1];
  const variance = ((eta * restBefore) / rest) ** 2 * (1 - ratio);
  const direction = Math.sqrt(Math.max(0, restBefore ** 2 - variance));
  const spread = Math.sqrt(variance);
  const stepped = x.map((value, i) => {
    const mean = signalBefore * x0[i] + (direction * (value - signal * x0[i])) / rest;
    return eta > 0 ? mean + spread * noise() : mean;
  });
  return /** @type {V} */ (stepped);
}

// Heun's step: DDIM's is tried, the denoiser asked again where it ends, and the mean of both velocities
// followed. It counts by the clock of flow matching, u = rest / (signal + rest), on which
// x / (signal + rest) moves with the velocity eps - x_0 and DDIM is Euler's step. That velocity stays
// finite where hardly any signal is left. The last step is DDIM's.
/**
 * @template {Values} V
 * @param {Tables} schedule @param {(x: V, t: number) => V} guess @param {V} x @param {number} t
 * @param {number} before
 * @returns {V}
 */
export function heunStep(schedule, guess, x, t, before) {
  const x0 = guess(x, t);
  const tried = ddimStep(schedule, x0, x, t, before, 0);
  if (before === 0) return tried;
  const [signal, rest] = factors(schedule, t);
  const [signalBefore, restBefore] = factors(schedule, before);
  const [whole, wholeBefore] = [signal + rest, signalBefore + restBefore];
  const gone = restBefore / wholeBefore - rest / whole;
  const x0Before = guess(tried, before);
  const stepped = x.map((value, i) => {
    const now = (value - signal * x0[i]) / rest - x0[i];
    const then = (tried[i] - signalBefore * x0Before[i]) / restBefore - x0Before[i];
    return wholeBefore * (value / whole + (gone * (now + then)) / 2);
  });
  return /** @type {V} */ (stepped);
}

/** @param {number} from @param {number} steps */
function pairs(from, steps) {
  const times = timesteps(from, steps);
  return times.slice(1).map((before, i) => [times[i], before]);
}

/** @param {Tables} schedule @param {number} t */
function factors(schedule, t) {
  return [Math.sqrt(schedule.alphaBar[t - 1]), Math.sqrt(schedule.oneMinusAlphaBar[t - 1])];
}

/** @param {Tables} schedule @param {number} t */
function halfLogSnr(schedule, t) {
  return Math.log(schedule.alphaBar[t - 1] / schedule.oneMinusAlphaBar[t - 1]) / 2;
}

/**
 * @template {Values} V
 * @param {Tables} schedule @param {V} x0 @param {number} t @param {number} before
 * @param {{ t: number, x0: V }} older
 * @returns {V}
 */
export function extrapolate(schedule, x0, t, before, older) {
  const now = halfLogSnr(schedule, t);
  const ratio = (halfLogSnr(schedule, before) - now) / (now - halfLogSnr(schedule, older.t));
  return /** @type {V} */ (x0.map((value, i) => value + ((value - older.x0[i]) * ratio) / 2));
}
