import { COLOURS, canvas, choice, follow, frame, h, letters, line, numbers, row, slider } from "./shared.js";

const ROWS = [30, 112, 194, 270]; // the middle of each row of boxes, in pixels; the last repeats
const SIDES = [50, 44, 36, 28]; // the largest box of each row
const SPACES = [1.7, 0.88, 0.84, 0.8]; // and its share of a column's width
const HEIGHT = 306;
const [TIME, BRIDGE] = [COLOURS[3], COLOURS[2]];
const NAMES = { v: "v", eps: "ε", x_0: "x₀" };

// --- The numbers behind the pictures ---------------------------------------------------------------

// For each block the place of its maps in a frame; in all frames the same.
function places(blocks) {
  let start = 0;
  return blocks.map(({ shape: [high, wide], kept }) => {
    const size = high * wide;
    const each = kept.map((_, k) => start + k * size);
    start += kept.length * size;
    return { each, high, wide, size };
  });
}

const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
const rgb = (colour) => [1, 3, 5].map((k) => parseInt(colour.slice(k, k + 2), 16));
const [ABOVE, BELOW] = [rgb(COLOURS[0]), rgb(COLOURS[1])];

// Blue above zero, orange below; zero lets the page's own ground through, in both themes.
function signed(byte) {
  const value = (byte - 128) / 127;
  return [...(value > 0 ? ABOVE : BELOW), 255 * Math.min(1, Math.abs(value)) ** 0.8];
}

// A map as a small canvas, one pixel a number.
function paintMap(node, values, wide, grey) {
  node.width = wide;
  node.height = values.length / wide;
  const image = new ImageData(wide, node.height);
  values.forEach((byte, k) => image.data.set(grey ? [byte, byte, byte, 255] : signed(byte), 4 * k));
  node.getContext("2d").putImageData(image, 0, 0);
  return node;
}

// --- The U -----------------------------------------------------------------------------------------

// Where each box lies in a picture of this width.
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

const quietly = (context, alpha, draw) => {
  context.save();
  context.globalAlpha = alpha;
  draw();
  context.restore();
};

function head(context, x, y, dx, dy, colour) {
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x - 5 * dx - 3 * dy, y - 5 * dy - 3 * dx);
  context.lineTo(x - 5 * dx + 3 * dy, y - 5 * dy + 3 * dx);
  context.fillStyle = colour;
  context.fill();
}

// From one box to the next: to the right along a row, else down or up from row to row.
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
function bridge(context, from, to, depth, colour, width) {
  const height = to.top - 9 - 6 * depth;
  const [start, end] = [from.x + from.wide / 4, to.x - to.wide / 4];
  const points = [[start, from.top - 1], [start, height], [end, height], [end, to.top - 2]];
  line(context, points, colour, width);
  head(context, end, to.top - 1, 0, 1, colour);
}

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
    const inside = (other) => other.skip && other.row === block.row && other.column < block.column;
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
function inscribe(context, blocks, at, colour, { side, target }) {
  const small = at[0].cell < 34;
  context.fillStyle = colour;
  context.textAlign = "center";
  const write = (text, x, y, size) => {
    letters(context, size);
    context.fillText(text, x, y);
  };
  blocks.forEach((block, k) => {
    const { x, y, high } = at[k];
    const names = { x_t: "xₜ", output: NAMES[target], x_0: "x̂₀" };
    const text = names[block.name] ?? String(block.channels);
    if (block.name === "embed") write("time, label", x, y - high / 2 - 5, small ? 11 : 12);
    else write(text, x, y + high / 2 + 12, small ? 10 : 12);
  });
  const sides = (text, x, y) => quietly(context, 0.85, () => write(text, x, y + 4, small ? 11 : 13));
  const rows = Math.max(...blocks.map((block) => block.row));
  for (let k = 1; k <= rows; k++) {
    const inRow = blocks.map((block, i) => i).filter((i) => blocks[i].row === k);
    const across = blocks[inRow[0]].shape.join("×");
    const gap = k < rows ? at[blocks.findIndex((block) => block.name === "embed")].x : at[inRow[0]].left / 2;
    sides(across, gap, at[inRow[0]].y);
  }
  sides(`${side}×${side}`, at[0].left + at[0].wide + 30, at[0].y);
}

function outline(context, box, colour, width) {
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.strokeRect(box.left, box.top, box.wide, box.high);
}

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
  node.show = (block, maps, target) => {
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
  return node;
}

function render({ model, el }) {
  const [blocks, times, digits] = ["blocks", "times", "digits"].map((key) => model.get(key));
  const target = model.get("target");
  const frames = model.get("maps").map(bytes);
  const where = places(blocks);
  const thumbs = blocks.map(() => document.createElement("canvas"));
  const frameNumber = () => digits.indexOf(+model.get("digit")) * times.length + model.get("time");
  const chosen = () => blocks.findIndex((block) => block.name === model.get("block"));
  const maps = (k) => {
    const { each, size } = where[k];
    return each.map((start) => frames[frameNumber()].subarray(start, start + size));
  };

  const buttons = blocks.map((block) => {
    const size = `${block.channels} × ${block.shape.join(" × ")}`;
    const node = h("button", {
      type: "button",
      title: `${block.title}: ${size}`,
      "aria-label": `${block.title}, ${size}`,
      style: { position: "absolute", padding: "0", minHeight: "0", border: "0", background: "none" },
      onclick: () => put({ block: block.name }),
    });
    node.dataset.name = block.name;
    return node;
  });
  const lay = (at) =>
    at.forEach(({ left, top, wide, high, x, y, cell }, k) => {
      const reach = Math.min(24, cell); // a finger needs that much
      const [w, tall] = [Math.max(wide, reach), Math.max(high, 24)];
      Object.assign(buttons[k].style, {
        left: `${Math.min(left, x - w / 2)}px`,
        top: `${Math.min(top, y - tall / 2)}px`,
        width: `${w}px`,
        height: `${tall}px`,
      });
    });
  const picture = canvas({
    width: 680,
    height: HEIGHT + 60 * Math.max(0, Math.max(...blocks.map((block) => block.row)) - 3),
    label: "The blocks of the U-Net from left to right: down, through the middle, and up again",
    draw: (context, width, _, colour) =>
      lay(paint(context, width, colour, { blocks, chosen: chosen(), thumbs, target })),
  });
  const shape = h("div", { style: { position: "relative", maxWidth: "680px" } }, picture, ...buttons);
  const about = h("p", { className: "w-note w-about", role: "status" });
  const chosenMaps = gallery();
  const show = numbers({
    alpha_bar: "ᾱ at this t",
    channels: "channels",
    height: "rows",
    width: "columns",
    parameters: "learnt numbers",
    rms: "root mean square",
  });

  const refresh = () => {
    const k = chosen();
    const block = blocks[k];
    blocks.forEach((each, i) => paintMap(thumbs[i], maps(i)[0], each.shape[1], each.grey));
    buttons.forEach((node, i) => node.setAttribute("aria-pressed", String(i === k)));
    digit.set(String(model.get("digit")));
    time.set(model.get("time"));
    about.replaceChildren(h("strong", {}, block.title + ". "), block.text);
    chosenMaps.show(block, maps(k), target);
    const [height, width] = block.shape;
    const { channels, parameters } = block;
    const alpha_bar = model.get("alpha_bar")[model.get("time")];
    const rms = block.rms[frameNumber()];
    show.set({ alpha_bar, channels, height, width, parameters: String(parameters), rms });
    picture.redraw();
  };
  const put = follow(model, ["digit", "time", "block"], refresh);
  const digit = choice({
    label: "digit",
    options: digits.map(String),
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
  // Room for the longest text, so that nothing below it moves.
  const room = ".w-about{min-height:2.9em}@media (max-width:576px){.w-about{min-height:5.8em}}";
  frame(el, model).append(
    h("style", { textContent: room }),
    row(digit, time),
    shape,
    h("p", { className: "w-note" }, "Choose a block. Green: bridges. Purple dot: the time enters here."),
    about,
    chosenMaps,
    h("p", { className: "w-note" }, "Blue: above zero; orange: below. The eight that vary most, each at its own scale."),
    show,
  );
  refresh();
  return put.end;
}

export default { render };
