import { COLOURS, button, calm, canvas, endOf, h, letters, slider } from "./shared.js";
import { picture } from "./sketch.js";

/** @typedef {{ t: number, x: Float32Array, x0: Float32Array | null }} Frame */

const PAIRS = 10; // pairs of pictures in the strip, where there is room
const CELL = 56;
export const LARGE = 180;

// The frames {t, x, x0} of a run: one large, a strip of ten, a slider through all of them. `start`
// comes first; `changed` is called with the frame that is shown.
/** @param {number} side @param {(frame: Frame) => void} changed */
export function film(side, changed) {
  /** @type {Reel} */
  const reel = { subject: "", frames: [], shown: 0, image: developed(side) };
  const large = largePicture(reel);
  const strip = stripPicture(reel);
  const step = slider({
    label: "Picture",
    min: 0,
    max: 1,
    step: 1,
    value: 0,
    name: "step",
    change: (k) => show(k),
  });
  let soon = 0; // the frame of the screen in which the newest picture will be shown
  const show = (/** @type {number} */ index) => {
    cancelAnimationFrame(soon);
    const last = reel.frames.length - 1;
    reel.shown = Math.max(0, Math.min(index, last));
    step.input.max = String(last);
    step.set(reel.shown);
    const frame = reel.frames[reel.shown];
    const pair = `the noisy picture at t = ${frame.t}, and the clean one the model predicts`;
    large.setAttribute("aria-label", `Drawing ${reel.subject}: ${pair}`);
    changed(frame);
    large.redraw();
    strip.redraw();
  };
  const showLast = () => show(reel.frames.length - 1);
  const play = player(reel, show);
  return {
    large: h("div", { className: "w-large" }, large),
    strip: h("div", {}, strip),
    tools: [step, play],
    frames: () => reel.frames,
    showLast,
    /** A run begins. @param {string} subject what is drawn @param {Frame[]} frames */
    start(subject, frames) {
      Object.assign(reel, { subject, frames, image: developed(side) });
      const pairs = "the noisy pictures above, the predicted clean ones below";
      strip.setAttribute("aria-label", `Drawing ${subject}, step by step: ${pairs}`);
      show(0);
    },
    /**
     * It is drawn with the screen's next frame, when the network is at work on the next step already.
     * @param {Frame} frame @param {boolean} visible
     */
    add(frame, visible) {
      reel.frames.push(frame);
      cancelAnimationFrame(soon);
      if (visible) soon = requestAnimationFrame(showLast);
    },
    end: endOf(play, large, strip, { end: () => cancelAnimationFrame(soon) }),
  };
}

/**
 * @typedef {{
 *   subject: string, frames: Frame[], shown: number, image: ReturnType<typeof developed>,
 * }} Reel
 */

// Numbers as pictures, each made once.
/** @param {number} side */
function developed(side) {
  /** @type {Map<Float32Array, HTMLCanvasElement>} */
  const pictures = new Map();
  return (/** @type {Float32Array} */ pixels) => {
    const made = pictures.get(pixels) ?? picture(pixels, side);
    pictures.set(pixels, made);
    return made;
  };
}

// The noisy picture and the clean one that is shown, beside each other.
/** @param {Reel} reel */
function largePicture(reel) {
  /** @type {Draw} */
  const draw = (context, wide, _, colour) => {
    const { t, x, x0 } = reel.frames[reel.shown];
    const size = Math.min(LARGE, (wide - 16) / 2);
    node.style.marginBottom = `${size - LARGE}px`; // no hole where the pictures are smaller
    prepare(context, colour);
    [x, x0].forEach((pixels, k) => {
      const left = k * (size + 16);
      context.fillText(k ? "predicted x₀" : `xₜ at t = ${t}`, left, 15);
      framed(context, pixels && reel.image(pixels), left, 22, size);
    });
  };
  const node = canvas({ width: 2 * LARGE + 16, height: LARGE + 24, label: "", draw });
  return node;
}

/** @param {Reel} reel */
function stripPicture(reel) {
  /** @type {Draw} */
  const draw = (context, wide, _, colour) => {
    const picks = chosen(reel.frames.length, Math.min(PAIRS, Math.floor((wide + 4) / (CELL + 4))));
    prepare(context, colour);
    picks.forEach((index, k) => {
      const [left, { x, x0 }] = [k * (CELL + 4), reel.frames[index]];
      framed(context, reel.image(x), left, 6, CELL);
      framed(context, x0 && reel.image(x0), left, 10 + CELL, CELL);
      if (reel.shown > (picks[k - 1] ?? -1) && reel.shown <= index) {
        context.fillStyle = COLOURS[1];
        context.fillRect(left, 0, CELL, 3);
      }
    });
  };
  return canvas({ width: PAIRS * (CELL + 4) - 4, height: 2 * CELL + 10, label: "", draw });
}

// Up to `most` indices, evenly spaced, with the last.
/** @param {number} count @param {number} most */
function chosen(count, most) {
  if (count <= most) return Array.from({ length: count }, (_, k) => k);
  return Array.from({ length: most }, (_, k) => Math.round(((k + 1) * (count - 1)) / most));
}

/** @param {Context} context @param {string} colour */
function prepare(context, colour) {
  Object.assign(context, { fillStyle: colour, strokeStyle: colour, lineWidth: 1 });
  context.imageSmoothingEnabled = false;
  letters(context, 14);
}

// A picture with a thin line around it, or the line alone.
/**
 * @param {Context} context @param {HTMLCanvasElement | null} image @param {number} left
 * @param {number} top @param {number} size
 */
function framed(context, image, left, top, size) {
  if (image) context.drawImage(image, left, top, size, size);
  context.globalAlpha = 0.3;
  context.strokeRect(left + 0.5, top + 0.5, size - 1, size - 1);
  context.globalAlpha = 1;
}

// A button that plays a run again, or goes one step where motion is not wanted.
/** @param {Reel} reel @param {(index: number) => void} show */
function player(reel, show) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const ended = () => reel.shown >= reel.frames.length - 1;
  const node = button("Play", () => {
    clearTimeout(timer);
    show(ended() ? 0 : reel.shown + 1);
    if (!calm()) timer = setTimeout(next, 120);
  }, "play");
  const next = () => {
    if (ended()) return;
    show(reel.shown + 1);
    timer = setTimeout(next, 120);
  };
  return Object.assign(node, { end: () => clearTimeout(timer) });
}
