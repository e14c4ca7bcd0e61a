// What all widgets share: the palette, controls with labels, drawing on a canvas, exact numbers.

export const COLOURS = ["#2b7bba", "#cf6a17", "#1a9270", "#9467c8", "#cc4058", "#8a7433"];

// An element with properties, style and children: h("div", { className: "x" }, child, "text").
/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {{ style?: object, dataset?: object, [name: string]: unknown }} properties
 * @param {(string | Node)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, properties = {}, ...children) {
  const { style, dataset, ...rest } = properties;
  const node = Object.assign(document.createElement(tag), rest);
  Object.assign(node.style, style);
  Object.assign(node.dataset, dataset);
  for (const [key, value] of Object.entries(rest))
    if (key.startsWith("aria-") || key === "role" || key === "for") node.setAttribute(key, String(value));
  node.append(...children.flatMap(lowered));
  return node;
}

// A text with its ₜ as a lowered t: few fonts have that letter, and another font's has another width.
/** @param {string | Node} child */
function lowered(child) {
  if (typeof child !== "string" || !child.includes("ₜ")) return [child];
  return child.split(/(ₜ)/).map((part) => (part === "ₜ" ? h("sub", {}, "t") : part));
}

// The widget's own frame and style; every widget puts its parts into what this returns. Letters keep
// their exact widths (geometricPrecision), or on some screens a row would hold one part less.
/** @param {HTMLElement} el @param {{ get(key: "description"): string | undefined }} model */
export function frame(el, model) {
  const description = model.get("description"); // a live widget's; on a page it stands in the HTML
  if (description) el.setAttribute("aria-label", description);
  if (description) el.setAttribute("role", "group");
  el.classList.add("book-widget"); // a live widget's element has no class yet
  el.dataset.lmSuppressShortcuts = "true"; // JupyterLab's keys would take ours
  el.append(
    h("style", {
      textContent: `
.book-widget{--line:color-mix(in srgb,currentColor 30%,transparent);margin:1rem 0;max-width:100%;
 line-height:1.4;text-rendering:geometricPrecision;box-sizing:border-box;border:1px solid var(--line);border-radius:.5rem;padding:.75rem 1rem}
@media (max-width:576px){.book-widget{padding:.5rem}}
.book-widget sub{font-size:.7em;line-height:0;position:relative;top:.25em;bottom:auto;vertical-align:baseline}
.book-widget figure{margin:0!important;padding:0!important}
.book-widget .w-row{display:flex;flex-wrap:wrap;gap:.5rem 1.25rem;align-items:center;margin:.35rem 0}
.book-widget label{display:inline-flex;align-items:center;gap:.5rem;font-size:.9rem;margin:0}
.book-widget input[type=range]{width:min(14rem,45vw);accent-color:${COLOURS[0]}}
.book-widget button,.book-widget select{font:inherit;font-size:.9rem;padding:.3rem .8rem;min-height:2rem;
 border:1px solid var(--line);border-radius:.4rem;background:transparent;color:inherit;cursor:pointer}
.book-widget select option{color:#222;background:#fff}
.book-widget button[aria-pressed=true]{background:${COLOURS[0]};color:#fff}
.book-widget button:disabled{opacity:.5;cursor:default}
.book-widget :focus-visible{outline:3px solid ${COLOURS[1]};outline-offset:2px}
.book-widget canvas{max-width:100%;display:block;touch-action:manipulation}
.book-widget output{font-variant-numeric:tabular-nums;min-width:3.2em;display:inline-block}
.book-widget .w-numbers{font-size:.9rem;display:flex;flex-wrap:wrap;gap:.25rem 1.25rem}
.book-widget .w-note{font-size:.85rem;opacity:.85;margin:.25rem 0}`,
    }),
  );
  const box = h("div");
  el.append(box);
  return box;
}

/** @param {(string | Node)[]} children */
export function row(...children) {
  return h("div", { className: "w-row" }, ...children);
}

// A labelled slider. `show` writes its value; `change` is called at once on every move.
/**
 * @param {{
 *   label: string, min: number, max: number, step: number, value: number,
 *   change: (value: number) => void, show?: (value: number) => string, name?: string,
 * }} options
 * @returns {Slider}
 */
export function slider({ label, min, max, step, value, change, show = String, name = label }) {
  const input = h("input", { type: "range", min, max, step, value });
  input.dataset.name = name;
  const text = h("output", { role: "none" }); // the slider itself tells its value
  const write = () => {
    text.textContent = show(+input.value);
    if (text.textContent) input.setAttribute("aria-valuetext", text.textContent);
  };
  write();
  input.addEventListener("input", () => {
    write();
    change(+input.value);
  });
  const set = (/** @type {number} */ v) => {
    input.value = String(v);
    write();
  };
  return Object.assign(h("label", {}, label, input, text), { input, set });
}

/** @param {string} label @param {() => void} action */
export function button(label, action, name = label) {
  const node = h("button", { type: "button", textContent: label, onclick: action });
  node.dataset.name = name;
  return node;
}

// A labelled choice of strings, or of [value, text] pairs.
/**
 * @param {{
 *   label: string, options: (string | number | readonly [string | number, string])[],
 *   value: string | number, change: (value: string) => void, name?: string,
 * }} options
 * @returns {Choice}
 */
export function choice({ label, options, value, change, name = label }) {
  const pairs = options.map((o) => (typeof o === "object" ? o : [o, String(o)]));
  const select = h("select", {}, ...pairs.map(([v, text]) => h("option", { value: v, textContent: text })));
  select.value = String(value);
  select.dataset.name = name;
  select.addEventListener("change", () => change(select.value));
  const set = (/** @type {string | number} */ v) => void (select.value = String(v));
  return Object.assign(h("label", {}, label, select), { select, set });
}

// Numbers beside the picture: numbers.set({ alpha_bar: 0.5 }) shows four digits, and keeps all of
// them in data-number, where a test can read them.
/**
 * @template {string} Name
 * @param {Record<Name, string>} labels
 * @returns {Numbers<Name>}
 */
export function numbers(labels) {
  const node = h("div", { className: "w-numbers", role: "status" });
  /** @type {Record<string, HTMLOutputElement>} */
  const cells = {};
  for (const [name, label] of Object.entries(labels)) {
    cells[name] = h("output", { dataset: { name }, role: "none" }); // the whole row is the status
    node.append(h("span", {}, label + " ", cells[name]));
  }
  const set = (/** @type {Record<string, number | string>} */ values) => {
    for (const [name, value] of Object.entries(values)) {
      cells[name].textContent = short(value);
      cells[name].dataset.number = String(value);
    }
  };
  return Object.assign(node, { set: /** @type {Numbers<Name>["set"]} */ (set) });
}

// Four significant digits, with a power of ten only where it is needed.
/** @param {number | string} value */
export function short(value) {
  if (typeof value !== "number") return String(value);
  if (!Number.isFinite(value)) return value > 0 ? "∞" : String(value);
  const size = Math.abs(value);
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : String(+value.toPrecision(4));
}

// A canvas of `width` x `height` CSS pixels that shrinks with the page and stays sharp. `draw` gets
// the 2d context, already scaled, and is called again when the theme or the size changes, until the
// view goes and calls `end`.
/**
 * @param {{ width: number, height: number, label: string, draw: Draw }} options
 * @returns {Picture}
 */
export function canvas({ width, height, label, draw }) {
  const node = h("canvas", { role: "img", "aria-label": label });
  const context = context2d(node);
  /** @type {HTMLElement | null} */
  let box = null;
  const sized = new ResizeObserver(() => redraw());
  const redraw = () => {
    if (node.parentElement !== box) {
      sized.disconnect();
      box = node.parentElement;
      if (box) sized.observe(box);
    }
    const wide = Math.min(width, node.parentElement?.clientWidth || width);
    const scale = window.devicePixelRatio || 1;
    node.width = Math.round(wide * scale);
    node.height = Math.round(height * scale);
    node.style.width = wide + "px";
    node.style.height = height + "px";
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, wide, height);
    draw(context, wide, height, ink(node));
  };
  const picture = Object.assign(node, { redraw, end: () => {} });
  const themed = onTheme(picture);
  picture.end = () => {
    sized.disconnect();
    themed.disconnect();
  };
  return picture;
}

// A canvas's 2d context, which no browser lacks.
/** @param {HTMLCanvasElement} node @param {CanvasRenderingContext2DSettings} [settings] */
export function context2d(node, settings) {
  return /** @type {Context} */ (node.getContext("2d", settings));
}

// Letters of the text around, `size` CSS pixels large; `kind` may be "600" or "italic".
/** @param {Context} context @param {number} size */
export function letters(context, size, kind = "") {
  const family = getComputedStyle(context.canvas).fontFamily || "sans-serif";
  context.font = `${kind} ${size}px ${family}`;
}

// The colour of the text around: lines and letters take it, in the light and in the dark.
/** @param {Element} node */
export function ink(node) {
  return getComputedStyle(node).color || "#555";
}

// Redraw a canvas when the book's theme or a notebook's changes. It is held weakly: where a notebook
// replaces a cell's HTML, nobody tells the view that it goes.
/** @param {Picture} node */
function onTheme(node) {
  const weak = new WeakRef(node);
  const watch = new MutationObserver(() => {
    const alive = weak.deref();
    if (alive) alive.redraw();
    else watch.disconnect();
  });
  const attributeFilter = ["data-theme", "data-jp-theme-light"];
  for (const at of [document.documentElement, document.body]) watch.observe(at, { attributeFilter });
  return watch;
}

// What `render` returns: the cleanup that ends each part which listens, counts time or works.
/** @param {{ end(): void }[]} parts */
export function endOf(...parts) {
  return () => parts.forEach((part) => part.end());
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// A square of a colour, for a legend.
/** @param {string} colour */
export function swatch(colour) {
  const size = { display: "inline-block", width: ".8em", height: ".8em", marginRight: ".4em" };
  return h("span", { style: { ...size, background: colour }, "aria-hidden": "true" });
}

// A row of colours and what they mean, and what else there is to say.
/** @param {[string, string][]} entries @param {string[]} words */
export function legend(entries, ...words) {
  const parts = entries.map(([colour, text]) => h("span", { style: { whiteSpace: "nowrap" } }, swatch(colour), text));
  return h("p", { className: "w-note w-row" }, ...parts, ...words);
}

// Pictures side by side, below each other where there is no room.
/** @param {Node[]} nodes */
export function flexed(...nodes) {
  return h("div", { style: { display: "flex", flexWrap: "wrap", gap: "8px" } }, ...nodes);
}

// A place for a canvas in such a row: at least `basis` pixels wide, and `grow` parts of the rest.
/** @param {Node} node @param {number} basis @param {number} grow */
export function flexible(node, basis, grow) {
  return h("div", { style: { flex: `${grow} 1 ${basis}px`, minWidth: "0" } }, node);
}

// A linear map from [a, b] to [A, B].
/** @type {(a: number, b: number, A: number, B: number) => Scale} */
export const scale = (a, b, A, B) => (x) => A + ((x - a) / (b - a)) * (B - A);

// What such a map takes to y.
/** @type {(map: Scale, y: number) => number} */
export const back = (map, y) => (y - map(0)) / (map(1) - map(0));

// A slider's value as its text, and a number that a hand has pulled somewhere as a slider's value.
/** @type {(value: number) => string} */
export const two = (value) => value.toFixed(2);

/** @type {(limits: Interval, value: number) => number} */
export const within = ([low, high], value) => Math.min(high, Math.max(low, Math.round(value * 100) / 100));

// Axes with ticks, in the colour of the text. x and y are scales made by `scale`.
/**
 * @param {Context} context
 * @param {{
 *   x: Scale, y?: Scale, xTicks?: readonly number[], yTicks?: readonly number[], colour: string,
 *   xLabel?: string, yLabel?: string, left: number, bottom: number,
 * }} options
 */
export function axes(context, { x, y = x, xTicks = [], yTicks = [], colour, xLabel = "", yLabel = "", left, bottom }) {
  context.save();
  context.strokeStyle = context.fillStyle = colour;
  letters(context, 12);
  context.globalAlpha = 0.8;
  context.textAlign = "center";
  for (const tick of xTicks) context.fillText(short(tick), x(tick), bottom + 16);
  context.textAlign = "right";
  for (const tick of yTicks) context.fillText(short(tick), left - 6, y(tick) + 4);
  context.textAlign = "left";
  if (yLabel) context.fillText(yLabel, left, 12);
  context.textAlign = "right";
  if (xLabel) context.fillText(xLabel, x(xTicks.at(-1) ?? 0), bottom + 30);
  context.restore();
}

/**
 * @param {Context} context @param {number} x @param {number} y @param {number} radius
 * @param {string} colour
 */
export function spot(context, x, y, radius, colour) {
  context.save();
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
  context.restore();
}

/** @param {Context} context @param {number[][]} points @param {string} colour */
export function line(context, points, colour, width = 2) {
  context.save();
  context.beginPath();
  points.forEach(([px, py], k) => (k ? context.lineTo(px, py) : context.moveTo(px, py)));
  context.strokeStyle = colour;
  context.lineWidth = width;
  context.stroke();
  context.restore();
}

// Random numbers that a seed repeats (mulberry32), uniform in [0, 1).
/** @param {number} seed */
export function uniform(seed) {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let z = Math.imul(a ^ (a >>> 15), 1 | a);
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z;
    return ((z ^ (z >>> 14)) >>> 0) / 4294967296;
  };
}

// Standard normal numbers from uniform ones (Box and Muller).
/** @param {() => number} random */
export function normal(random) {
  return () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}

// A schedule as ddpm_lite.schedule makes it: index t - 1 of each table holds time t.
/** @param {number[]} betas @returns {Tables} */
export function tables(betas) {
  /** @type {number[]} */
  const alphaBar = [];
  /** @type {number[]} */
  const oneMinusAlphaBar = [];
  let [product, logarithm] = [1, 0];
  for (const beta of betas) {
    product *= 1 - beta;
    logarithm += Math.log1p(-beta);
    alphaBar.push(product);
    oneMinusAlphaBar.push(-Math.expm1(logarithm)); // 1 - alphaBar would lose digits near t = 1
  }
  const snr = alphaBar.map((a, k) => a / oneMinusAlphaBar[k]);
  return { T: betas.length, beta: betas, alpha: betas.map((b) => 1 - b), alphaBar, oneMinusAlphaBar, snr };
}

// The schedules of ddpm_lite.schedule by their names, and their betas by the same formulas.
export const SCHEDULE_NAMES = ["linear", "cosine", "cosine_fine", "quadratic", "sigmoid"];

/** @param {string} name @param {number} T */
export function betasOf(name, T) {
  const [first, last] = [0.1 / T, 20 / T]; // 1e-4 and 0.02, scaled by 1000 / T
  const spaced = (/** @type {number} */ from, /** @type {number} */ to) =>
    Array.from({ length: T }, (_, k) => from + ((to - from) * k) / (T - 1));
  if (name === "linear") return spaced(first, last);
  if (name === "quadratic") return spaced(Math.sqrt(first), Math.sqrt(last)).map((root) => root ** 2);
  const logistic = (/** @type {number} */ z) => 1 / (1 + Math.exp(-z));
  /** @type {(offset: number) => Scale} */
  const cosine = (offset) => (u) => Math.cos((((u + offset) / (1 + offset)) * Math.PI) / 2) ** 2;
  /** @type {Record<string, Scale>} */
  const curves = {
    cosine: cosine(0.008),
    cosine_fine: cosine(0.002),
    sigmoid: (u) => (logistic(3) - logistic(6 * u - 3)) / (logistic(3) - logistic(-3)),
  };
  const alphaBar = curves[name];
  return Array.from({ length: T }, (_, k) => Math.min(1 - alphaBar((k + 1) / T) / alphaBar(k / T), 0.999));
}

// The state lives in the model, so that a live widget's traits follow: `refresh` is called after
// each change of one of these keys, and what this returns changes them: put({ mu: 1 }). When the view
// goes, put.end() stops listening: the model may have other views, and lives on.
/**
 * @template S
 * @param {Model<S>} model
 * @param {readonly (keyof S & string)[]} keys
 * @param {() => void} refresh
 * @returns {Put<S>}
 */
export function follow(model, keys, refresh) {
  let [held, stale] = [false, false];
  const heard = () => (held ? (stale = true) : refresh());
  for (const key of keys) model.on("change:" + key, heard);
  const put = (/** @type {Partial<S>} */ changes) => {
    [held, stale] = [true, false]; // one refresh for all of them, when all are set
    for (const key of /** @type {(keyof S)[]} */ (Object.keys(changes)))
      model.set(key, /** @type {S[typeof key]} */ (changes[key]));
    held = false;
    if (stale) refresh();
    model.save_changes();
  };
  put.end = () => keys.forEach((key) => model.off("change:" + key, heard));
  return put;
}

// What the model holds under these keys, as one object.
/**
 * @template S
 * @template {keyof S} K
 * @param {Model<S>} model
 * @param {readonly K[]} keys
 */
export function stateOf(model, keys) {
  return /** @type {Pick<S, K>} */ (Object.fromEntries(keys.map((key) => [key, model.get(key)])));
}

// Dragging on a canvas, in its CSS pixels: pick(x, y) says what lies there, an object, or null for
// nothing; move(what, x, y) moves it. A finger that picks nothing, or something `loose`, can still
// scroll the page up and down: what is loose moves once a finger goes sideways, or by a tap.
/**
 * @template {{ loose?: boolean, cursor?: string, [more: string]: unknown }} What
 * @param {HTMLElement} node
 * @param {(x: number, y: number) => What | null} pick
 * @param {(what: What, x: number, y: number) => void} move
 */
export function drag(node, pick, move) {
  /** @type {What | null} */
  let held = null;
  let [waits, from] = [false, 0];
  /** @returns {Place} */
  const at = (/** @type {{ clientX: number, clientY: number }} */ { clientX, clientY }) => {
    const box = node.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top];
  };
  node.style.touchAction = "pan-y pinch-zoom";
  const grip = (/** @type {TouchEvent} */ event) => {
    const found = pick(...at(event.touches[0]));
    if (found && !found.loose) event.preventDefault();
  };
  node.addEventListener("touchstart", grip, { passive: false });
  node.addEventListener("pointerdown", (event) => {
    if (event.button || !event.isPrimary) return;
    if (!(held = pick(...at(event)))) return;
    node.setPointerCapture(event.pointerId);
    [waits, from] = [Boolean(held.loose) && event.pointerType === "touch", event.clientX];
    if (!waits) move(held, ...at(event));
  });
  node.addEventListener("pointermove", (event) => {
    if (!held) {
      const found = pick(...at(event));
      node.style.cursor = found ? found.cursor ?? "grab" : "";
      return;
    }
    waits &&= Math.abs(event.clientX - from) < 5;
    if (!waits) move(held, ...at(event));
  });
  node.addEventListener("pointerup", (event) => {
    if (held && waits) move(held, ...at(event));
    held = null;
  });
  node.addEventListener("pointercancel", () => (held = null));
}
