import { button, canvas, choice, h, normal, row, slider, uniform } from "./shared.js";
import { noised } from "./samplers.js";
import { picture, sketchPad } from "./sketch.js";

const PAD = 150;
const HINT = "More noise leaves the model more freedom.";
const OR_ANY = "With the digit “any” it follows the sketch alone.";

// A digit of the reader's own, noised to a chosen time: where `denoise` then begins.
/**
 * @param {{
 *   side: number, digits: Float32Array[], digit: number, t: number, schedule: Tables,
 *   seed: () => number, denoise: () => void, any: boolean,
 * }} options
 */
export function ownDigit({ side, digits, digit, t, schedule, seed, denoise, any }) {
  const noisy = noisyPicture(side);
  const renew = () => noisy.show(noised(schedule, pad.read(), t, normal(uniform(seed()))), t);
  const pad = sketchPad({
    side,
    size: PAD,
    label: "Pad: sketch a digit with mouse or finger; by keyboard choose a test digit beside it",
    changed: renew,
  });
  const ready = readyDigits(pad, digits);
  const time = slider({
    label: "Noise to t",
    min: 1,
    max: schedule.T,
    step: 1,
    value: t,
    name: "own_t",
    change: (value) => ((t = value), renew()),
  });
  const press = button("Load the model and denoise it", denoise, "denoise");
  const hint = h("p", { className: "w-note", textContent: any ? `${HINT} ${OR_ANY}` : HINT });
  const style = { flex: "1 1 15rem" };
  const tools = h("div", { style }, row(...ready.nodes), row(time), row(press), hint);
  const parts = [figure(pad, h("figcaption", {}, "sketch here")), noisy.node, tools];
  const node = h(
    "fieldset",
    {},
    h("legend", {}, "Draw your own"),
    h("div", { className: "w-own" }, ...parts),
  );
  if (digits.length) ready.put(digit);
  /** @returns {[number, Float32Array]} */
  const start = () => [t, renew()];
  return { node, press, renew, start, end: noisy.end };
}

/** @param {HTMLCanvasElement} picture @param {HTMLElement} caption */
function figure(picture, caption) {
  return h("figure", {}, h("div", { style: { width: `${PAD}px` } }, picture), caption);
}

// The digit with noise, under which its time is written.
/** @param {number} side */
function noisyPicture(side) {
  /** @type {Float32Array | undefined} */
  let x;
  const preview = canvas({
    width: PAD,
    height: PAD,
    label: "your digit with noise",
    draw: (context, wide, height) => {
      context.imageSmoothingEnabled = false;
      if (x) context.drawImage(picture(x, side), 0, 0, wide, height);
    },
  });
  const caption = h("figcaption", {});
  const show = (/** @type {Float32Array} */ pixels, /** @type {number} */ t) => {
    x = pixels;
    caption.textContent = `with noise, t = ${t}`;
    preview.redraw();
    return pixels;
  };
  return { node: figure(preview, caption), show, end: preview.end };
}

// A choice that puts one of these digits on the pad, and a button that wipes it.
/** @param {ReturnType<typeof sketchPad>} pad @param {Float32Array[]} digits */
function readyDigits(pad, digits) {
  const test = choice({
    label: "Test digit",
    options: [["", "–"], ...digits.map((_, k) => /** @type {const} */ ([k, String(k)]))],
    value: "",
    name: "test_digit",
    change: (k) => (k === "" ? pad.clear() : pad.put(digits[+k])),
  });
  const wipe = button("Clear", () => (test.set(""), pad.clear()), "clear");
  pad.addEventListener("pointerdown", () => test.set(""));
  const put = (/** @type {number} */ k) => {
    pad.put(digits[k]);
    test.set(k);
  };
  return { nodes: [test, wipe], put };
}
