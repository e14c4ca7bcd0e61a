import {
  COLOURS,
  calm,
  button,
  choice,
  endOf,
  frame,
  h,
  normal,
  numbers,
  row,
  slider,
  tables,
  uniform,
} from "./shared.js";
import { consistency, ddim, dpmSolver, makeDenoiser } from "./samplers.js";
import { LARGE, film } from "./sampler_film.js";
import { kernelNetwork, loadNetwork, obstacle, staticRoot } from "./sampler_network.js";
import { ownDigit } from "./sampler_own.js";

/**
 * @typedef {{
 *   betas: number[], target: string, side: number, channels: number, names: string[],
 *   subjects: string[], label: number | null, labelled: boolean,
 *   guidance: number, sampler: string, steps: number, seed: number, own_digit: number, own_t: number,
 *   frames: { t: number, x: string, x0: string | null }[], digits: string[],
 *   static_root: string | null, kernel: boolean, worker: string, sizes: { total: number },
 *   files: { runtime: string, wasm: string, model: string },
 * }} State
 * @typedef {(x: Float32Array, t: number, labels: number[]) => Promise<Float32Array>} Evaluate
 * @typedef {(text: string) => void} Say
 * @typedef {ReturnType<typeof settings>} Settings
 * @typedef {ReturnType<typeof film>} Film
 */

const SAMPLERS = /** @type {[string, string][]} */ ([
  ["dpm_solver", "DPM-Solver++(2M)"],
  ["ddim", "DDIM (η = 0)"],
  ["ancestral", "ancestral (η = 1)"],
  ["consistency", "guess, noise again"],
]);
const STEPS = [1, 2, 4, 10, 20, 50, 100, 200, 1000];
const OWN_NOISE = 0x9e3779b9; // the noise of the steps is not that of x_T, as in sample.py
const PROMISE = "With the model loaded, your browser draws: nothing leaves your computer.";
const KERNEL_PROMISE = "Press draw, and the notebook's kernel draws another.";
const STYLE = `
.book-widget .w-sampler,.book-widget .w-own{display:flex;flex-wrap:wrap;align-items:flex-start}
.book-widget .w-sampler{gap:.75rem 1.5rem}
.book-widget .w-large{flex:0 1 ${2 * LARGE + 16}px;min-width:min(100%,320px)}
.book-widget .w-choices{flex:1 1 15.5rem}
.book-widget .w-choices input[type=range]{width:7.5rem}
.book-widget .w-own{gap:.75rem}
.book-widget .w-own input[type=range]{width:min(9rem,40vw)}
.book-widget [data-name=draw],.book-widget [data-name=denoise]{min-width:min(100%,16rem)}
.book-widget .w-own figcaption{font-size:.85rem;margin:0;padding:0;text-align:left!important}
.book-widget .w-own canvas{border:1px solid var(--line);box-sizing:border-box}
.book-widget .w-said{display:flex;gap:1rem;align-items:center;min-height:4rem;padding-bottom:.3rem}
.book-widget .w-said .w-note{flex:1;margin:0}
.book-widget fieldset{border:1px solid var(--line);border-radius:.4rem;margin:.75rem 0;
 padding:.25rem .75rem .5rem}
.book-widget legend{font-size:.9rem;font-weight:600;width:auto;float:none;margin:0;padding:0 .35rem}
.book-widget input[type=number]{font:inherit;font-size:.9rem;width:6rem;padding:.25rem .4rem;height:2rem;
 box-sizing:border-box;border:1px solid var(--line);border-radius:.4rem;background:transparent;color:inherit}
.book-widget progress{width:min(10rem,30%);accent-color:${COLOURS[0]}}`;


// One byte a number in base64, as numbers in [-1, 1].
/** @param {string} text */
function bytes(text) {
  return Float32Array.from(atob(text), (c) => c.charCodeAt(0) / 127.5 - 1);
}

/** @param {View<State>} view */
function render({ model, el }) {
  const side = model.get("side");
  const schedule = tables(model.get("betas"));
  const gone = new AbortController(); // aborts when the view goes
  const said = makeStatus(model.get("steps"), schedule);
  const view = film(side, said.frame);
  const chosen = settings(model, () => own.renew());
  const network = makeNetwork(model, said, gone.signal);
  const runs = makeRuns({ model, el, view, chosen, network, schedule, said }, (busy) => label(busy));
  const fromNoise = () =>
    runs.sample(() => {
      const draw = normal(uniform(chosen.seed()));
      const length = shapeOf(model).reduce((count, side) => count * side);
      return [schedule.T, Float32Array.from({ length }, draw)];
    });
  const own = ownDigit({
    side,
    digits: model.get("digits").map(bytes),
    digit: model.get("own_digit"),
    t: model.get("own_t"),
    schedule,
    seed: chosen.seed,
    denoise: () => runs.sample(own.start),
    any: !model.get("labelled"),
  });
  own.node.hidden = !model.get("digits").length; // a sketch is grey
  const again = () => (chosen.nextSeed(), fromNoise());
  const { draw, another, label } = makeButtons(model, network, { fromNoise, again }, own.press);

  const choices = h("div", { className: "w-choices" }, chosen.node, row(draw, another));
  frame(el, model).append(
    h("style", { textContent: STYLE }),
    h("div", { className: "w-sampler" }, view.large, choices),
    said.node,
    view.strip,
    row(...view.tools),
    said.facts,
    own.node,
  );
  view.start(subjectOf(model, model.get("label")), recorded(model));
  view.showLast();
  if (network.reason) for (const node of [draw, another, own.press]) node.disabled = true;
  label(false);
  const promise = model.get("kernel") ? KERNEL_PROMISE : PROMISE;
  const why = network.reason ? network.reason + " " : "";
  said.say(`${why}This is a recorded run, drawn by PyTorch. ${why ? "" : promise}`);
  return endOf(view, own, runs, { end: () => gone.abort() });
}

// Of one picture.
/** @param {Model<State>} model */
function shapeOf(model) {
  const side = model.get("side");
  return [model.get("channels"), side, side];
}

// What is drawn, in words; the last of them stands for any class.
/** @param {Model<State>} model @param {number | null} label */
function subjectOf(model, label) {
  const subjects = model.get("subjects");
  return subjects[label ?? subjects.length - 1];
}

/** @param {Model<State>} model */
function recorded(model) {
  return model.get("frames").map(({ t, x, x0 }) => ({ t, x: bytes(x), x0: x0 === null ? null : bytes(x0) }));
}

// What is told: a line of words, a bar while the model loads, and numbers.
/** @param {number} steps @param {Tables} schedule */
function makeStatus(steps, schedule) {
  const status = h("p", { className: "w-note", role: "status" });
  const bar = h("progress", { max: 1, value: 0, "aria-label": "loading the model", style: { display: "none" } });
  const facts = numbers({ t: "t", alpha_bar: "ᾱ", done: "steps", seconds: "seconds", step_ms: "ms a step" });
  facts.set({ done: steps, seconds: "–", step_ms: "–" });
  return {
    node: h("div", { className: "w-said" }, status, bar),
    bar,
    facts,
    say: (/** @type {string} */ text) => void (status.textContent = text),
    frame: (/** @type {{ t: number }} */ { t }) =>
      facts.set({ t, alpha_bar: t ? schedule.alphaBar[t - 1] : 1 }),
  };
}

// The buttons that draw, and what all buttons say: `label` is told whether a run is on its way.
/**
 * @param {Model<State>} model @param {Network} network
 * @param {{ fromNoise: () => void, again: () => void }} actions @param {HTMLButtonElement} denoise
 */
function makeButtons(model, network, { fromNoise, again }, denoise) {
  const size = (model.get("sizes").total / 1e6).toFixed(0);
  const draw = button(`Load the model (${size} MB) and draw`, fromNoise, "draw");
  const another = button("Another seed", again, "another");
  const labels = [
    { node: draw, before: draw.textContent, after: "Draw" },
    { node: denoise, before: denoise.textContent, after: "Denoise it" },
  ];
  const label = (/** @type {boolean} */ busy) => {
    another.disabled = busy;
    for (const { node, before, after } of labels)
      node.textContent = busy ? "Stop" : network.loaded ? after : before;
  };
  return { draw, another, label };
}

// --- The network ---------------------------------------------------------------------------------

/** @typedef {ReturnType<typeof makeNetwork>} Network */

// The network, loaded when it is first asked for; in a notebook the kernel holds it, and no file is
// needed. `reason` says why it cannot be had, and is empty if it can.
/** @param {Model<State>} model @param {ReturnType<typeof makeStatus>} said @param {AbortSignal} gone */
function makeNetwork(model, said, gone) {
  const kernel = model.get("kernel");
  const root = staticRoot(model.get("static_root"));
  /** @type {Promise<Evaluate> | null} */
  let loading = kernel ? Promise.resolve(kernelNetwork(model, gone)) : null;
  const network = { reason: kernel ? "" : obstacle(root), loaded: kernel, isLoading, get };

  function isLoading() {
    return loading !== null && !network.loaded;
  }

  async function get() {
    loading ??= load(model, root ?? "", said, gone);
    try {
      const evaluate = await loading;
      if (!network.loaded) said.say("The model is loaded.");
      network.loaded = true;
      return evaluate;
    } catch (error) {
      loading = null;
      throw error;
    }
  }
  return network;
}

/**
 * @param {Model<State>} model @param {string} root @param {ReturnType<typeof makeStatus>} said
 * @param {AbortSignal} gone
 */
async function load(model, root, { bar, say }, gone) {
  const { total } = model.get("sizes");
  const all = (total / 1e6).toFixed(1);
  bar.style.display = "";
  bar.value = 0;
  const progress = (/** @type {number} */ loaded) => {
    bar.value = Math.min(1, loaded / total);
    const come = Math.min(loaded, total) / 1e6;
    say(loaded < total ? `Loading: ${come.toFixed(1)} of ${all} MB` : "Loaded; starting the network …");
  };
  say("Loading …");
  const [text, files] = [model.get("worker"), model.get("files")];
  try {
    return await loadNetwork({ text, root, files, shape: shapeOf(model), progress, gone });
  } finally {
    bar.style.display = "none";
  }
}

// --- A run ---------------------------------------------------------------------------------------

// Samples with what the reader has chosen, and shows every step; a second press stops it.
/**
 * @param {{
 *   model: Model<State>, el: HTMLElement, view: Film, chosen: Settings, network: Network,
 *   schedule: Tables, said: ReturnType<typeof makeStatus>,
 * }} parts
 * @param {(busy: boolean) => void} label
 */
function makeRuns({ model, el, view, chosen, network, schedule, said }, label) {
  let run = 0; // counts runs, so that one that was stopped notices
  let busy = false;
  const setBusy = (/** @type {boolean} */ value) => label((busy = value));

  // To the end, from what makeStart gives: a time and x.
  /** @param {() => [t: number, x: Float32Array]} makeStart */
  async function sample(makeStart) {
    if (busy) return stop();
    const mine = ++run;
    setBusy(true);
    try {
      const asked = await network.get();
      setBusy(busy); // the buttons have other words now
      if (mine === run) await follow(mine, asked, ...makeStart());
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      const what = network.loaded
        ? "The model stopped"
        : "This is a recorded run: the model could not be loaded";
      if (mine === run) said.say(`${what}; ${why}.`); // else a later run has the word
    }
    if (mine === run) setBusy(false);
  }

  function stop() {
    run++;
    setBusy(false);
    view.showLast();
    said.say(network.isLoading() ? "The model still loads; nothing will be drawn." : "Stopped.");
  }

  /** @param {number} mine @param {Evaluate} asked @param {number} from @param {Float32Array} x */
  async function follow(mine, asked, from, x) {
    const values = chosen.values();
    const steps = Math.min(values.steps, from);
    const denoise = makeDenoiser({ ...values, schedule, evaluate: asked });
    const start = performance.now();
    view.start(subjectOf(model, values.label), [{ t: from, x, x0: null }]);
    said.say(model.get("kernel") ? "The kernel draws …" : "Drawing …");
    for await (const state of statesOf(values, denoise, schedule, x, from, steps)) {
      if (mine !== run) return;
      view.add(state, !calm());
      const seconds = (performance.now() - start) / 1000;
      const done = view.frames().length - 1;
      said.facts.set({ done, seconds, step_ms: (1000 * seconds) / done });
    }
    view.showLast();
    const seconds = ((performance.now() - start) / 1000).toFixed(2);
    const place = model.get("kernel") ? "by the notebook's kernel" : "in this page";
    said.say(`Drawn ${place}: ${steps} step${steps === 1 ? "" : "s"} in ${seconds} s. The slider goes back through them.`);
    el.dispatchEvent(new CustomEvent("drawn", { detail: view.frames(), bubbles: true }));
  }
  return { sample, end: () => void run++ };
}

// The states of the chosen sampler, from x at time `from`.
/**
 * @param {{ sampler: string, seed: number }} values
 * @param {(x: Float32Array, t: number) => Promise<Float32Array>} denoise
 * @param {Tables} schedule @param {Float32Array} x @param {number} from @param {number} steps
 */
function statesOf(values, denoise, schedule, x, from, steps) {
  if (values.sampler === "dpm_solver") return dpmSolver(denoise, schedule, x, { from, steps });
  const noise = normal(uniform(values.seed + OWN_NOISE));
  if (values.sampler === "consistency") return consistency(denoise, schedule, x, { from, steps, noise });
  return ddim(denoise, schedule, x, { from, steps, eta: values.sampler === "ancestral" ? 1 : 0, noise });
}

// --- Choices -------------------------------------------------------------------------------------

// What a reader chooses, for both ways to begin; `changed` is called when the seed is another.
/** @param {Model<State>} model @param {() => void} changed */
function settings(model, changed) {
  const names = model.get("names");
  const none = names.length;
  const values = {
    none,
    target: model.get("target"),
    label: model.get("label") ?? none,
    guidance: model.get("guidance"),
    sampler: model.get("sampler"),
    steps: model.get("steps"),
    seed: model.get("seed"),
  };
  const seed = h("input", { type: "number", min: 0, max: 2 ** 32 - 1, step: 1, value: values.seed });
  seed.dataset.name = "seed";
  const setSeed = (/** @type {number} */ value) => {
    values.seed = Math.min(2 ** 32 - 1, Math.max(0, Math.floor(value || 0)));
    seed.value = String(values.seed);
    changed();
  };
  seed.addEventListener("change", () => setSeed(+seed.value));
  return {
    node: row(...knobs(values, names, model.get("labelled")), h("label", {}, "Seed", seed)),
    values: () => ({ ...values }),
    seed: () => values.seed,
    nextSeed: () => setSeed(values.seed + 1),
  };
}

// A network that has always had a label can draw neither "any" nor with guidance.
/**
 * @param {{ label: number, guidance: number, sampler: string, steps: number }} values
 * @param {string[]} names @param {boolean} labelled
 */
function knobs(values, names, labelled) {
  const options = names.map((name, i) => /** @type {[number, string]} */ ([i, name]));
  if (!labelled) options.push([names.length, "any"]);
  const guidance = slider({
    label: "Guidance",
    min: 0,
    max: 5,
    step: 0.1,
    value: values.guidance,
    name: "guidance",
    show: (value) => value.toFixed(1),
    change: (value) => void (values.guidance = value),
  });
  const steps = [...new Set([...STEPS, values.steps])].sort((a, b) => a - b);
  return [
    choice({
      label: names.every((name) => name.length === 1) ? "Digit" : "Class",
      options,
      value: values.label,
      name: "label",
      change: (value) => void (values.label = +value),
    }),
    choice({
      label: "Sampler",
      options: SAMPLERS,
      value: values.sampler,
      name: "sampler",
      change: (value) => void (values.sampler = value),
    }),
    choice({
      label: "Steps",
      options: steps,
      value: values.steps,
      name: "steps",
      change: (value) => void (values.steps = +value),
    }),
    ...(labelled ? [] : [guidance]),
  ];
}

export default { render };
