// The plane in a picture: where its points lie, and what is drawn there.
import { line, spot } from "./shared.js";

/** @typedef {ReturnType<typeof plane>} Plane */

const REACH = 3.1; // half the smaller side of a picture, if none is asked for

// From the plane to pixels and back.
/** @param {number} width @param {number} height */
export function plane(width, height, reach = REACH) {
  const unit = Math.min(width, height) / 2 / reach;
  return {
    unit,
    /** @type {(x: number, y: number) => Place} */
    to: (x, y) => [width / 2 + unit * x, height / 2 - unit * y],
    /** @type {(px: number, py: number) => Place} */
    from: (px, py) => [(px - width / 2) / unit, (height / 2 - py) / unit],
  };
}

/** @type {(context: Context, alpha: number, draw: () => void) => void} */
export const faintly = (context, alpha, draw) => {
  context.save();
  context.globalAlpha = alpha;
  draw();
  context.restore();
};

/**
 * @param {Context} context @param {Place} from @param {Place} way @param {string} colour
 */
export function arrow(context, [px, py], [dx, dy], colour, width = 1.25) {
  const length = Math.hypot(dx, dy);
  if (length < 1.5) return spot(context, px, py, 1, colour);
  const [ux, uy, tip] = [dx / length, dy / length, Math.min(5, length / 2)];
  const end = [px + dx, py + dy];
  line(context, [[px, py], end], colour, width);
  /** @type {(s: number) => Place} */
  const side = (s) => [end[0] - tip * ux + s * 0.6 * tip * uy, end[1] - tip * uy - s * 0.6 * tip * ux];
  line(context, [side(1), end, side(-1)], colour, width);
}

/**
 * @param {Context} context @param {Plane} plane @param {Values} pairsOfNumbers
 * @param {number} radius @param {string} colour
 */
export function dots(context, { to }, pairsOfNumbers, radius, colour) {
  context.beginPath();
  for (let k = 0; k < pairsOfNumbers.length; k += 2) {
    const [px, py] = to(pairsOfNumbers[k], pairsOfNumbers[k + 1]);
    context.moveTo(px + radius, py);
    context.arc(px, py, radius, 0, 2 * Math.PI);
  }
  context.fillStyle = colour;
  context.fill();
}

/** @param {Context} context @param {number} width @param {number} height @param {string} colour */
export function border(context, width, height, colour) {
  faintly(context, 0.3, () => {
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.strokeRect(0.5, 0.5, width - 1, height - 1);
  });
}
