import { COLOURS, canvas, choice, context2d, endOf, follow, frame, h, letters, line, numbers, row, slider } from "./shared.js";

/**
 * @typedef {{
 *   name: string, title: string, text: string, column: number, row: number, skip: string | null,
 *   timed: boolean, channels: number, parameters: number, shape: [number, number], kept: number[],
 *   rms: number[], grey: boolean,
 * }} Block
 * @typedef {{
 *   blocks: Block[], digits: number[], times: number[], alpha_bar: number[],
 *   target: keyof typeof NAMES, maps: string[], digit: number, time: number, block: string,
 * }} State
 * @typedef {ReturnType<typeof boxes>[number]} Box
 */

const ROWS = [30, 112, 194, 270]; // the middle of each row of boxes, in pixels; the last repeats
const SIDES = [50, 44, 36, 28]; // the largest box of each row
const SPACES = [1.7, 0.88, 0.84, 0.8]; // and its share of a column's width
const HEIGHT = 306;
const [TIME, BRIDGE] = [COLOURS[3], COLOURS[2]];
const NAMES = { v: "v", eps: "ε", x_0: "x₀", flow: "ε − x₀" };

// --- The numbers behind the pictures ---------------------------------------------------------------

// For each block the place of its maps in a frame; in all frames the same.
/** @param {Block[]} blocks */
function places(blocks) {
  let start = 0;
  return blocks.map(({ shape: [high, wide], kept }) => {
    const size = high * wide;
    const each = kept.map((_, k) => start + k * size);
    start += kept.length * size;
    return { each, high, wide, size };
  });
}

/** @type {(text: string) => Uint8Array} */
const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
/** @type {(colour: string) => number[]} */
const rgb = (colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
const [ABOVE, BELOW] = [rgb(COLOURS[0]), rgb(COLOURS[1])];

// Blue above zero, orange below; zero lets the page's own ground through, in both themes.
/** @param {number} byte */
function signed(byte) {
  const value = (byte - 128) / 127;
  return [...(value > 0 ? ABOVE : BELOW), 255 * Math.min(1, Math.abs(value)) ** 0.8];
}

// A map as a small canvas, one pixel a number.
/**
 * @param {HTMLCanvasElement} node @param {Uint8Array} values @param {number} wide
 * @param {boolean} grey
 */
function paintMap(node, values, wide, grey) {
  node.width = wide;
  node.height = values.length / wide;
  const image = new ImageData(wide, node.height);
  values.forEach((byte, k) => image.data.set(grey ? [byte, byte, byte, 255] : signed(byte), 4 * k));
  context2d(node).putImageData(image, 0, 0);
  return node;
}

// --- The U -----------------------------------------------------------------------------------------

// Where each box lies in a picture of this width.
/** @param {Block[]} blocks @param {number} width */
function boxes(blocks, width) {
  const cell = width / (1 + Math.max(...blocks.map((block) => block.column)));
  return blocks.map((block) => {
    const last = Math.min(block.row, ROWS.length - 1);
    const y = ROWS[last] + 60 * (block.row - last);
    const side = Math.min(SIDES[last], SPACES[last] * cell);
    const [high, wide] = block.name === "embed" ? [20, 60] : [side, side];
    const edge = wide / 2 + 1;
    const x = Math.min(width - edge, Math.max(edge, (block.column + 0.5) * cell));
    return { x, y, wide, high, left: x - wide / 2, top: y - high / 2, cell };
  });
}

/** @type {(context: Context, alpha: number, draw: () => void) => void} */
const quietly = (context, alpha, draw) => {
  context.save();
  context.globalAlpha = alpha;
  draw();
  context.restore();
};

/**
 * @param {Context} context @param {number} x @param {number} y @param {number} dx @param {number} dy
 * @param {string} colour
 */
function head(context, x, y, dx, dy, colour) {
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x - 5 * dx - 3 * dy, y - 5 * dy - 3 * dx);
  context.lineTo(x - 5 * dx + 3 * dy, y - 5 * dy + 3 * dx);
  context.fillStyle = colour;
  context.fill();
}

// From one box to the next: to the right along a row, else down or up from row to row.
/** @param {Context} context @param {Box} from @param {Box} to @param {string} colour */
function step(context, from, to, colour) {
  const across = Math.abs(from.y - to.y) < 1;
  const way = Math.sign(across ? to.x - from.x : to.y - from.y);
  const x = across ? to.x - (way * to.wide) / 2 : Math.max(from.x, to.x);
  if (across) {
    const start = from.x + (way * from.wide) / 2;
    if (way * (x - start) > 2) line(context, [[start, from.y], [x, to.y]], colour, 1);
    if (way * (x - start) > 8) head(context, x, to.y, way, 0, colour);
    return;
  }
  const label = way > 0 ? 16 : 0; // below each box stands its width
  const start = from.y + way * (from.high / 2) + label;
  const end = to.y - way * (to.high / 2) + (way > 0 ? 0 : 16);
  line(context, [[x, start], [x, end]], colour, 1);
  head(context, x, end, 0, way, colour);
}

// A bridge runs over its row: up, across and down; `depth` bridges lie below it. It leaves and ends
// beside the middle, where the arrows between rows are.
/**
 * @param {Context} context @param {Box} from @param {Box} to @param {number} depth
 * @param {string} colour @param {number} width
 */
function bridge(context, from, to, depth, colour, width) {
  const height = to.top - 9 - 6 * depth;
  const [start, end] = [from.x + from.wide / 4, to.x - to.wide / 4];
  const points = [[start, from.top - 1], [start, height], [end, height], [end, to.top - 2]];
  line(context, points, colour, width);
  head(context, end, to.top - 1, 0, 1, colour);
}

/**
 * @param {Context} context @param {Block[]} blocks @param {Box[]} at @param {number} chosen
 * @param {string} colour
 */
function connections(context, blocks, at, chosen, colour) {
  const time = blocks.findIndex((block) => block.name === "embed");
  const path = blocks.map((_, k) => k).filter((k) => k !== time);
  quietly(context, 0.55, () => {
    path.slice(1).forEach((k, i) => step(context, at[path[i]], at[k], colour));
  });
  blocks.forEach((block, k) => {
    const from = blocks.findIndex((other) => other.name === block.skip);
    if (from < 0) return;
    const bright = chosen === k || chosen === from;
    const inside = (/** @type {Block} */ other) =>
      other.skip !== null && other.row === block.row && other.column < block.column;
    const depth = blocks.filter(inside).length;
    const [alpha, thick] = bright ? [1, 2.5] : [0.7, 1.25];
    quietly(context, alpha, () => bridge(context, at[from], at[k], depth, BRIDGE, thick));
  });
  blocks.forEach((block, k) => {
    if (!block.timed || (chosen !== time && chosen !== k)) return;
    const from = [at[time].x, at[time].y + at[time].high / 2];
    quietly(context, 0.7, () => line(context, [from, [at[k].x, at[k].top]], TIME, 1));
  });
}

// The widest letters that fit: channels below each box, the side of each row in its gap.
/**
 * @param {Context} context @param {Block[]} blocks @param {Box[]} at @param {string} colour
 * @param {{ side: number, target: State["target"] }} names
 */
function inscribe(context, blocks, at, colour, { side, target }) {
  const small = at[0].cell < 34;
  context.fillStyle = colour;
  context.textAlign = "center";
  /** @type {(text: string, x: number, y: number, size: number) => void} */
  const write = (text, x, y, size) => {
    letters(context, size);
    context.fillText(text, x, y);
  };
  blocks.forEach((block, k) => {
    const { x, y, high } = at[k];
    /** @type {Record<string, string>} */
    const names = { x_t: "xₜ", output: NAMES[target], x_0: "x̂₀" };
    const text = names[block.name] ?? String(block.channels);
    if (block.name === "embed") write("time, label", x, y - high / 2 - 5, small ? 11 : 12);
    else write(text, x, y + high / 2 + 12, small ? 10 : 12);
  });
  /** @type {(text: string, x: number, y: number) => void} */
  const sides = (text, x, y) =>
    quietly(context, 0.85, () => write(text, x, y + 4, small ? 11 : 13));
  const rows = Math.max(...blocks.map((block) => block.row));
  for (let k = 1; k <= rows; k++) {
    const inRow = blocks.map((block, i) => i).filter((i) => blocks[i].row === k);
    const across = blocks[inRow[0]].shape.join("×");
    const gap = k < rows ? at[blocks.findIndex((block) => block.name === "embed")].x : at[inRow[0]].left / 2;
    sides(across, gap, at[inRow[0]].y);
  }
  sides(`${side}×${side}`, at[0].left + at[0].wide + 30, at[0].y);
}

/** @param {Context} context @param {Box} box @param {string} colour @param {number} width */
function outline(context, box, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.strokeRect(box.left, box.top, box.wide, box.high);
}

/**
 * @param {Context} context @param {number} width @param {string} colour
 * @param {{ blocks: Block[], chosen: number, thumbs: HTMLCanvasElement[], target: State["target"] }} state
 */
function paint(context, width, colour, { blocks, chosen, thumbs, target }) {
  const at = boxes(blocks, width);
  connections(context, blocks, at, chosen, colour);
  context.imageSmoothingEnabled = false;
  blocks.forEach((block, k) => {
    const box = at[k];
    context.clearRect(box.left, box.top, box.wide, box.high);
    context.drawImage(thumbs[k], box.left, box.top, box.wide, box.high);
    quietly(context, 0.6, () => outline(context, box, colour, 1));
    if (k === chosen) outline(context, box, COLOURS[4], 3);
    if (!block.timed) return;
    context.beginPath();
    context.arc(box.left + box.wide, box.top, 3.5, 0, 2 * Math.PI);
    context.fillStyle = TIME;
    context.fill();
  });
  inscribe(context, blocks, at, colour, { side: blocks[0].shape[0], target });
  return at;
}

// --- The chosen block ------------------------------------------------------------------------------

/** @param {Block} block @param {State["target"]} target */
function captions(block, target) {
  if (block.name === "x_0") return ["x̂₀", "true x₀"];
  if (block.name === "x_t") return ["xₜ"];
  if (block.name === "output") return [NAMES[target]];
  if (block.name === "embed") return [`${block.shape[0] * block.shape[1]} numbers`];
  return block.kept.map((channel) => `channel ${channel + 1}`);
}

// Eight places, so that the page does not move from block to block.
function gallery() {
  const node = h("div", {
    style: {
      display: "grid",
      gridTemplateColumns: "repeat(auto-fill, minmax(72px, 1fr))",
      gap: "6px 8px",
      maxWidth: "680px",
    },
  });
  const cells = Array.from({ length: 8 }, () => {
    const map = h("canvas", {
      role: "img",
      style: { imageRendering: "pixelated", border: "1px solid var(--line)", boxSizing: "border-box" },
    });
    const text = h("span", { style: { fontSize: ".75rem", whiteSpace: "nowrap" } });
    const cell = h("div", {}, map, text);
    node.append(cell);
    return { map, text, cell };
  });
  /** @type {(block: Block, maps: Uint8Array[], target: State["target"]) => void} */
  const show = (block, maps, target) => {
    const names = captions(block, target);
    cells.forEach(({ map, text, cell }, k) => {
      const used = k < maps.length;
      cell.style.visibility = used ? "visible" : "hidden";
      map.style.width = used && block.name === "embed" ? "calc(100% - 16px)" : "100%"; // no higher than others
      cell.style.gridColumn = used && block.name === "embed" ? "span 3" : "";
      cell.style.display = block.name === "embed" && (k === 1 || k === 2) ? "none" : "";
      map.style.aspectRatio = used ? `${block.shape[1]} / ${block.shape[0]}` : "1";
      text.textContent = used ? names[k] : "\u00a0";
      if (used) map.setAttribute("aria-label", `${block.title}, ${names[k]}`);
      if (used) paintMap(map, maps[k], block.shape[1], block.grey);
    });
  };
  return Object.assign(node, { show });
}

// --- Put together --------------------------------------------------------------------------------

// What lies behind the pictures: the maps of a block at the chosen time, for the chosen digit.
/** @param {Model<State>} model */
function makeMaps(model) {
  const [blocks, times, digits] = [model.get("blocks"), model.get("times"), model.get("digits")];
  const frames = model.get("maps").map(bytes);
  const where = places(blocks);
  const frame = () => digits.indexOf(+model.get("digit")) * times.length + model.get("time");
  const of = (/** @type {number} */ k) => {
    const { each, size } = where[k];
    return each.map((start) => frames[frame()].subarray(start, start + size));
  };
  return { frame, of };
}

// A button over each block; `lay` puts them where the boxes are.
/** @param {Block[]} blocks @param {(block: string) => void} choose */
function makeButtons(blocks, choose) {
  const nodes = blocks.map((block) => {
    const size = `${block.channels} × ${block.shape.join(" × ")}`;
    return h("button", {
      type: "button",
      title: `${block.title}: ${size}`,
      "aria-label": `${block.title}, ${size}`,
      style: { position: "absolute", padding: "0", minHeight: "0", border: "0", background: "none" },
      dataset: { name: block.name },
      onclick: () => choose(block.name),
    });
  });
  const lay = (/** @type {Box[]} */ at) =>
    at.forEach(({ left, top, wide, high, x, y, cell }, k) => {
      const reach = Math.min(24, cell); // a finger needs that much
      const [w, tall] = [Math.max(wide, reach), Math.max(high, 24)];
      Object.assign(nodes[k].style, {
        left: `${Math.min(left, x - w / 2)}px`,
        top: `${Math.min(top, y - tall / 2)}px`,
        width: `${w}px`,
        height: `${tall}px`,
      });
    });
  return { nodes, lay };
}

// The whole U, with its buttons.
/** @param {Model<State>} model @param {(block: string) => void} choose */
function makeShape(model, choose) {
  const [blocks, target] = [model.get("blocks"), model.get("target")];
  const thumbs = blocks.map(() => document.createElement("canvas"));
  const buttons = makeButtons(blocks, choose);
  let chosen = 0;
  const picture = canvas({
    width: 680,
    height: HEIGHT + 60 * Math.max(0, Math.max(...blocks.map((block) => block.row)) - 3),
    label: "The blocks of the U-Net from left to right: down, through the middle, and up again",
    draw: (context, width, _, colour) =>
      buttons.lay(paint(context, width, colour, { blocks, chosen, thumbs, target })),
  });
  const style = { position: "relative", maxWidth: "680px" };
  const node = h("div", { style }, picture, ...buttons.nodes);
  const show = (/** @type {number} */ block, /** @type {(k: number) => Uint8Array[]} */ maps) => {
    chosen = block;
    blocks.forEach((each, k) => paintMap(thumbs[k], maps(k)[0], each.shape[1], each.grey));
    buttons.nodes.forEach((each, k) => each.setAttribute("aria-pressed", String(k === chosen)));
    picture.redraw();
  };
  return { node, show, end: picture.end };
}

/** @param {Model<State>} model @param {Put<State>} put */
function makeControls(model, put) {
  const times = model.get("times");
  const digit = choice({
    label: "digit",
    options: model.get("digits").map(String),
    value: String(model.get("digit")),
    change: (value) => put({ digit: +value }),
  });
  const time = slider({
    label: "time t",
    name: "time",
    min: 0,
    max: times.length - 1,
    step: 1,
    value: model.get("time"),
    show: (k) => String(times[k]),
    change: (k) => put({ time: k }),
  });
  return { digit, time };
}

// Words, maps and numbers of one block.
/** @param {Model<State>} model */
function makeDetails(model) {
  const about = h("p", { className: "w-note w-about", role: "status" });
  const maps = gallery();
  const show = numbers({
    alpha_bar: "ᾱ at this t",
    channels: "channels",
    height: "rows",
    width: "columns",
    parameters: "learnt numbers",
    rms: "root mean square",
  });
  /** @type {(block: Block, found: Uint8Array[], rms: number) => void} */
  const set = (block, found, rms) => {
    about.replaceChildren(h("strong", {}, block.title + ". "), block.text);
    maps.show(block, found, model.get("target"));
    const [height, width] = block.shape;
    const { channels, parameters } = block;
    const alpha_bar = model.get("alpha_bar")[model.get("time")];
    show.set({ alpha_bar, channels, height, width, parameters: String(parameters), rms });
  };
  return { about, maps, show, set };
}

/** @param {View<State>} view */
function render({ model, el }) {
  const blocks = model.get("blocks");
  const maps = makeMaps(model);
  const shape = makeShape(model, (block) => put({ block }));
  const details = makeDetails(model);
  const refresh = () => {
    const k = blocks.findIndex((block) => block.name === model.get("block"));
    controls.digit.set(String(model.get("digit")));
    controls.time.set(model.get("time"));
    details.set(blocks[k], maps.of(k), blocks[k].rms[maps.frame()]);
    shape.show(k, maps.of);
  };
  const put = follow(model, ["digit", "time", "block"], refresh);
  const controls = makeControls(model, put);
  // Room for the longest text, so that nothing below it moves.
  const room = ".w-about{min-height:2.9em}@media (max-width:576px){.w-about{min-height:5.8em}}";
  const note = (/** @type {string} */ text) => h("p", { className: "w-note" }, text);
  frame(el, model).append(
    h("style", { textContent: room }),
    row(controls.digit, controls.time),
    shape.node,
    note("Choose a block. Green: bridges. Purple dot: the time enters here."),
    details.about,
    details.maps,
    note("Blue: above zero; orange: below. The eight that vary most, each at its own scale."),
    details.show,
  );
  refresh();
  return endOf(put, shape);
}

export default { render };
