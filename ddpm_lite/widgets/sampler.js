import {
  COLOURS,
  button,
  calm,
  canvas,
  choice,
  frame,
  h,
  letters,
  normal,
  numbers,
  row,
  slider,
  tables,
  uniform,
} from "./shared.js";
import { ddim, dpmSolver, makeDenoiser, noised } from "./samplers.js";
import { kernelNetwork, loadNetwork, obstacle, staticRoot } from "./sampler_network.js";
import { picture, sketchPad } from "./sketch.js";

const SAMPLERS = [
  ["dpm_solver", "DPM-Solver++(2M)"],
  ["ddim", "DDIM (η = 0)"],
  ["ancestral", "ancestral (η = 1)"],
];
const STEPS = [5, 10, 20, 50, 100, 200, 1000];
const FILM = 10; // pairs of pictures in the strip, where there is room
const CELL = 56;
const LARGE = 180;
const PAD = 150;
const OWN_NOISE = 0x9e3779b9; // the noise of the steps is not that of x_T, as in sample.py

function render({ model, el }) {
  const side = model.get("side");
  const schedule = tables(model.get("betas"));
  const recorded = model.get("frames").map(({ t, x, x0 }) => ({ t, x: bytes(x), x0: x0 && bytes(x0) }));
  const view = film(recorded, side);
  const controls = settings(model);
  const status = h("p", { className: "w-note", role: "status" });
  const bar = h("progress", { max: 1, value: 0, "aria-label": "loading the model" });
  const facts = numbers({ t: "t", alpha_bar: "ᾱ", done: "steps", seconds: "seconds", step_ms: "ms a step" });
  const say = (text) => (status.textContent = text);
  const root = staticRoot(model.get("static_root"));
  const size = (model.get("sizes").total / 1e6).toFixed(0);
  const kernel = model.get("kernel"); // in a notebook it holds the model, and no file is needed

  view.changed = ({ t }) => facts.set({ t, alpha_bar: t ? schedule.alphaBar[t - 1] : 1 });
  facts.set({ done: model.get("steps"), seconds: "–", step_ms: "–" });

  let loading = kernel ? Promise.resolve(kernelNetwork(model)) : null; // the promise of the network
  let loaded = kernel;
  let run = 0; // counts runs, so that one that was stopped notices
  let busy = false;
  const network = async () => {
    loading ??= load(model, root, bar, say);
    try {
      const evaluate = await loading;
      if (!loaded) say("The model is loaded.");
      loaded = true;
      setBusy(busy);
      return evaluate;
    } catch (error) {
      loading = null;
      throw error;
    }
  };

  // Samples to the end from what makeStart gives, a time and x, and shows every step.
  async function sample(makeStart) {
    if (busy) return stop();
    const mine = ++run;
    setBusy(true);
    try {
      const asked = await network();
      if (mine === run) await follow(mine, asked, ...makeStart());
    } catch (error) {
      const what = loaded ? "The model stopped" : "This is a recorded run: the model could not be loaded";
      if (mine === run) say(`${what}; ${error.message}.`); // else a later run has the word
    }
    if (mine === run) setBusy(false);
  }

  function stop() {
    run++;
    setBusy(false);
    view.show(view.frames.length - 1);
    say(loading && !loaded ? "The model still loads; nothing will be drawn." : "Stopped.");
  }

  async function follow(mine, asked, from, x) {
    const values = controls.values();
    const steps = Math.min(values.steps, from);
    const states = sampler(
      values,
      makeDenoiser({ ...values, schedule, evaluate: asked }),
      schedule,
      x,
      from,
      steps,
    );
    const start = performance.now();
    view.start({ t: from, x, x0: null });
    say(kernel ? "The kernel draws …" : "Drawing …");
    for await (const state of states) {
      if (mine !== run) return;
      view.add(state, !calm());
      const seconds = (performance.now() - start) / 1000;
      const done = view.frames.length - 1;
      facts.set({ done, seconds, step_ms: (1000 * seconds) / done });
    }
    view.show(view.frames.length - 1);
    const seconds = ((performance.now() - start) / 1000).toFixed(2);
    const place = kernel ? "by the notebook's kernel" : "in this page";
    say(`Drawn ${place}: ${steps} steps in ${seconds} s. The slider goes back through them.`);
    el.dispatchEvent(new CustomEvent("drawn", { detail: view.frames, bubbles: true }));
  }

  const fromNoise = () =>
    sample(() => {
      const draw = normal(uniform(controls.seed()));
      return [schedule.T, Float32Array.from({ length: side * side }, draw)];
    });
  const draw = button(`Load the model (${size} MB) and draw`, fromNoise, "draw");
  const another = button("Another seed", () => (controls.nextSeed(), fromNoise()), "another");
  const own = ownDigit(model, schedule, controls, sample);
  const labels = [
    [draw, draw.textContent, "Draw"],
    [own.denoise, own.denoise.textContent, "Denoise it"],
  ];

  function setBusy(value) {
    busy = value;
    another.disabled = busy;
    for (const [node, before, after] of labels) node.textContent = busy ? "Stop" : loaded ? after : before;
  }

  const box = frame(el, model);
  const choices = h("div", { className: "w-choices" }, controls.node, row(draw, another));
  box.append(h("style", { textContent: STYLE }), h("div", { className: "w-sampler" }, view.large, choices));
  box.append(h("div", { className: "w-said" }, status, bar), view.strip, row(...view.tools), facts, own.node);
  bar.style.display = "none";
  view.show(recorded.length - 1);

  const reason = kernel ? "" : obstacle(root);
  if (reason) for (const node of [draw, another, own.denoise]) node.disabled = true;
  setBusy(false);
  const promise = kernel ? KERNEL_PROMISE : PROMISE;
  say(`${reason ? reason + " " : ""}This is a recorded run, drawn by PyTorch. ${reason ? "" : promise}`);
  return () => {
    run++;
    view.end();
    loading?.then((evaluate) => evaluate.end()).catch(() => {}); // one that never came needs no end
  };
}

const PROMISE = "With the model loaded, your browser draws: nothing leaves your computer.";
const KERNEL_PROMISE = "Press draw, and the notebook's kernel draws another.";
const HINT = "With the digit “any” the model follows the sketch alone; more noise leaves it more freedom.";
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

// uint8 greys in base64, as numbers in [-1, 1].
function bytes(text) {
  return Float32Array.from(atob(text), (c) => c.charCodeAt(0) / 127.5 - 1);
}

async function load(model, root, bar, say) {
  const { total } = model.get("sizes");
  const all = (total / 1e6).toFixed(1);
  bar.style.display = "";
  bar.value = 0;
  const progress = (loaded) => {
    bar.value = Math.min(1, loaded / total);
    const come = Math.min(loaded, total) / 1e6;
    say(loaded < total ? `Loading: ${come.toFixed(1)} of ${all} MB` : "Loaded; starting the network …");
  };
  say("Loading …");
  const [text, files, pixels] = [model.get("worker"), model.get("files"), model.get("side") ** 2];
  try {
    return await loadNetwork({ text, root, files, pixels, progress });
  } finally {
    bar.style.display = "none";
  }
}

// The states of the chosen sampler, from x at time `from`.
function sampler(values, denoise, schedule, x, from, steps) {
  if (values.sampler === "dpm_solver") return dpmSolver(denoise, schedule, x, { from, steps });
  const eta = values.sampler === "ancestral" ? 1 : 0;
  return ddim(denoise, schedule, x, { from, steps, eta, noise: normal(uniform(values.seed + OWN_NOISE)) });
}

// What a reader chooses, for both ways to begin.
function settings(model) {
  const none = model.get("none");
  const values = { none, target: model.get("target"), label: model.get("digit") ?? none };
  for (const name of ["guidance", "sampler", "steps", "seed"]) values[name] = model.get(name);
  const digits = [...Array.from({ length: none }, (_, i) => [i, String(i)]), [none, "any"]];
  const steps = [...new Set([...STEPS, values.steps])].sort((a, b) => a - b);
  const seed = h("input", { type: "number", min: 0, max: 2 ** 32 - 1, step: 1, value: values.seed });
  seed.dataset.name = "seed";
  const self = { values: () => ({ ...values }), seed: () => values.seed, changed: () => {} };
  const setSeed = (value) => {
    values.seed = Math.min(2 ** 32 - 1, Math.max(0, Math.floor(value || 0)));
    seed.value = values.seed;
    self.changed();
  };
  seed.addEventListener("change", () => setSeed(+seed.value));
  self.nextSeed = () => setSeed(values.seed + 1);
  const number = (name) => (value) => (values[name] = +value);
  self.node = row(
    choice({ label: "Digit", options: digits, value: values.label, name: "digit", change: number("label") }),
    choice({
      label: "Sampler",
      options: SAMPLERS,
      value: values.sampler,
      name: "sampler",
      change: (value) => (values.sampler = value),
    }),
    choice({ label: "Steps", options: steps, value: values.steps, name: "steps", change: number("steps") }),
    slider({
      label: "Guidance",
      min: 0,
      max: 5,
      step: 0.1,
      value: values.guidance,
      name: "guidance",
      show: (value) => value.toFixed(1),
      change: number("guidance"),
    }),
    h("label", {}, "Seed", seed),
  );
  return self;
}

// The frames {t, x, x0} of a run: one large, a strip of ten, a slider through all of them.
function film(first, side) {
  const self = { frames: first, shown: 0, changed: () => {} };
  let pictures = new Map();
  const image = (pixels) => {
    if (!pictures.has(pixels)) pictures.set(pixels, picture(pixels, side));
    return pictures.get(pixels);
  };
  const paintLarge = (context, wide, _, colour) => {
    const now = self.frames[self.shown];
    const size = Math.min(LARGE, (wide - 16) / 2);
    large.style.marginBottom = `${size - LARGE}px`; // no hole where the pictures are smaller
    prepare(context, colour);
    [now.x, now.x0].forEach((pixels, k) => {
      const left = k * (size + 16);
      context.fillText(k ? "predicted x₀" : `xₜ at t = ${now.t}`, left, 15);
      framed(context, pixels && image(pixels), left, 22, size);
    });
  };
  const paintStrip = (context, wide, _, colour) => {
    const picks = chosen(self.frames.length, Math.min(FILM, Math.floor((wide + 4) / (CELL + 4))));
    prepare(context, colour);
    picks.forEach((index, k) => {
      const [left, { x, x0 }] = [k * (CELL + 4), self.frames[index]];
      framed(context, image(x), left, 6, CELL);
      framed(context, x0 && image(x0), left, 10 + CELL, CELL);
      if (self.shown > (picks[k - 1] ?? -1) && self.shown <= index) {
        context.fillStyle = COLOURS[1];
        context.fillRect(left, 0, CELL, 3);
      }
    });
  };
  const large = canvas({ width: 2 * LARGE + 16, height: LARGE + 24, label: "", draw: paintLarge });
  const all = "The whole run, step by step: the noisy pictures above, the predicted clean ones below";
  const strip = canvas({ width: FILM * (CELL + 4) - 4, height: 2 * CELL + 10, label: all, draw: paintStrip });
  const step = slider({
    label: "Picture",
    min: 0,
    max: 1,
    step: 1,
    value: 0,
    name: "step",
    change: (k) => self.show(k),
  });

  self.show = (index) => {
    self.shown = Math.max(0, Math.min(index, self.frames.length - 1));
    step.input.max = self.frames.length - 1;
    step.set(self.shown);
    const { t } = self.frames[self.shown];
    large.setAttribute("aria-label", `The noisy picture at t = ${t}, and the clean one the model predicts`);
    self.changed(self.frames[self.shown]);
    large.redraw();
    strip.redraw();
  };
  self.start = (state) => {
    self.frames = [state];
    pictures = new Map();
    self.show(0);
  };
  self.add = (state, visible) => {
    self.frames.push(state);
    if (visible) self.show(self.frames.length - 1);
  };
  self.large = h("div", { className: "w-large" }, large);
  self.strip = h("div", {}, strip);
  const play = player(self);
  self.tools = [step, play];
  self.end = play.end;
  return self;
}

// Up to `most` indices, evenly spaced, with the last.
function chosen(count, most) {
  if (count <= most) return Array.from({ length: count }, (_, k) => k);
  return Array.from({ length: most }, (_, k) => Math.round(((k + 1) * (count - 1)) / most));
}

function prepare(context, colour) {
  Object.assign(context, { fillStyle: colour, strokeStyle: colour, lineWidth: 1 });
  context.imageSmoothingEnabled = false;
  letters(context, 14);
}

// A picture with a thin line around it, or the line alone.
function framed(context, image, left, top, size) {
  if (image) context.drawImage(image, left, top, size, size);
  context.globalAlpha = 0.3;
  context.strokeRect(left + 0.5, top + 0.5, size - 1, size - 1);
  context.globalAlpha = 1;
}

// A button that plays a run again, or goes one step where motion is not wanted.
function player(view) {
  let timer = 0;
  const play = button("Play", () => {
    clearTimeout(timer);
    const ended = view.shown >= view.frames.length - 1;
    view.show(ended ? 0 : view.shown + 1);
    if (!calm()) timer = setTimeout(next, 120);
  });
  const next = () => {
    if (view.shown >= view.frames.length - 1) return;
    view.show(view.shown + 1);
    timer = setTimeout(next, 120);
  };
  play.dataset.name = "play";
  play.end = () => clearTimeout(timer);
  return play;
}

// A digit of the reader's own, noised to a chosen time: where `sample` then begins.
function ownDigit(model, schedule, controls, sample) {
  const side = model.get("side");
  const digits = model.get("digits").map(bytes);
  const fresh = { x: null };
  let t = model.get("own_t");
  const preview = canvas({
    width: PAD,
    height: PAD,
    label: "your digit with noise",
    draw: (context, wide, height) => {
      context.imageSmoothingEnabled = false;
      if (fresh.x) context.drawImage(picture(fresh.x, side), 0, 0, wide, height);
    },
  });
  const caption = h("figcaption", {});
  const self = {};
  self.renew = () => {
    fresh.x = noised(schedule, pad.read(), t, normal(uniform(controls.seed())));
    caption.textContent = `with noise, t = ${t}`;
    preview.redraw();
  };
  const pad = sketchPad({
    side,
    size: PAD,
    label: "Pad: sketch a digit with mouse or finger; by keyboard choose a test digit beside it",
    changed: () => self.renew(),
  });
  pad.addEventListener("pointerdown", () => test.set(""));
  const test = choice({
    label: "Test digit",
    options: [["", "–"], ...digits.map((_, k) => [k, String(k)])],
    value: "",
    name: "test_digit",
    change: (k) => (k === "" ? pad.clear() : pad.put(digits[k])),
  });
  const wipe = button("Clear", () => (test.set(""), pad.clear()), "clear");
  const change = (value) => ((t = value), self.renew());
  const time = slider({
    label: "Noise to t",
    min: 1,
    max: schedule.T,
    step: 1,
    value: t,
    name: "own_t",
    change,
  });
  self.denoise = button(
    "Load the model and denoise it",
    () => sample(() => (self.renew(), [t, fresh.x])),
    "denoise",
  );
  const figure = (picture, text) =>
    h("figure", {}, h("div", { style: { width: `${PAD}px` } }, picture), text);
  const parts = [figure(pad, h("figcaption", {}, "sketch here")), figure(preview, caption)];
  const hint = h("p", { className: "w-note", textContent: HINT });
  const tools = h(
    "div",
    { style: { flex: "1 1 15rem" } },
    row(test, wipe),
    row(time),
    row(self.denoise),
    hint,
  );
  self.node = h(
    "fieldset",
    {},
    h("legend", {}, "Draw your own"),
    h("div", { className: "w-own" }, ...parts, tools),
  );
  controls.changed = self.renew;
  pad.put(digits[model.get("own_digit")]);
  test.set(model.get("own_digit"));
  return self;
}

export default { render };
