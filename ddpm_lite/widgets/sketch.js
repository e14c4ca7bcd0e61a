import { context2d } from "./shared.js";

// A pad to sketch on with mouse, pen or finger. `pad.read()` gives side x side numbers in [-1, 1],
// `pad.put(pixels)` shows such numbers, `pad.clear()` wipes; `changed` is called after each.
/** @param {{ side: number, size: number, label: string, changed: () => void }} options */
export function sketchPad({ side, size, label, changed }) {
  const fine = 10; // points of the pad for one pixel of the image
  const pad = document.createElement("canvas");
  pad.width = pad.height = side * fine;
  pad.setAttribute("role", "img");
  pad.setAttribute("aria-label", label);
  pad.style.cssText = `width:${size}px;height:${size}px;touch-action:none;cursor:crosshair`;
  const context = context2d(pad, { willReadFrequently: true });
  Object.assign(context, { lineWidth: 2.2 * fine, lineCap: "round", lineJoin: "round" });
  Object.assign(context, { strokeStyle: "#fff", imageSmoothingEnabled: false });

  const clear = () => {
    context.fillStyle = "#000";
    context.fillRect(0, 0, pad.width, pad.height);
    changed();
  };
  const put = (/** @type {Values} */ pixels) => {
    context.drawImage(picture(pixels, side), 0, 0, pad.width, pad.height);
    changed();
  };
  const read = () => blockMeans(context.getImageData(0, 0, pad.width, pad.height).data, side, fine);

  /** @type {Place | null} */
  let last = null;
  const stroke = (/** @type {PointerEvent} */ event) => {
    const box = pad.getBoundingClientRect();
    const scaled = pad.width / box.width;
    /** @type {Place} */
    const point = [(event.clientX - box.left) * scaled, (event.clientY - box.top) * scaled];
    context.beginPath();
    context.moveTo(...(last ?? point));
    context.lineTo(...point);
    context.stroke();
    last = point;
    changed();
  };
  pad.addEventListener("pointerdown", (event) => {
    if (event.button || !event.isPrimary) return;
    event.preventDefault();
    pad.setPointerCapture(event.pointerId);
    stroke(event);
  });
  pad.addEventListener("pointermove", (event) => last && stroke(event));
  for (const end of ["pointerup", "pointercancel"]) pad.addEventListener(end, () => (last = null));
  return Object.assign(pad, { clear, put, read });
}

// Numbers in [-1, 1] as a small canvas: one grey level for each point, or all reds, greens, then blues.
/** @param {Values} pixels @param {number} side */
export function picture(pixels, side) {
  const small = document.createElement("canvas");
  small.width = small.height = side;
  const image = new ImageData(side, side);
  const points = side * side;
  const channels = pixels.length / points;
  for (let i = 0; i < points; i++) {
    for (let c = 0; c < 3; c++) {
      const value = pixels[(c % channels) * points + i];
      image.data[4 * i + c] = (value + 1) * 127.5; // the array clamps and rounds
    }
    image.data[4 * i + 3] = 255;
  }
  context2d(small).putImageData(image, 0, 0);
  return small;
}

// The mean brightness of each block of fine x fine points, in [-1, 1].
/** @param {ImageDataArray} data @param {number} side @param {number} fine */
function blockMeans(data, side, fine) {
  const sums = new Float32Array(side * side);
  const wide = side * fine;
  for (let y = 0; y < wide; y++)
    for (let x = 0; x < wide; x++)
      sums[Math.floor(y / fine) * side + Math.floor(x / fine)] += data[4 * (y * wide + x)];
  return sums.map((sum) => sum / (fine * fine * 127.5) - 1);
}
