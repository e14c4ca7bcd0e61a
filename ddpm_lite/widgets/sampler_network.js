// Two networks, each `evaluate(x, t, labels)` for samplers.js, until the signal `gone` says that nobody
// will ask any more. On a page it lives in a worker, so that the page never freezes: the worker's text
// comes with the widget; onnxruntime and the weights lie in the page's own _static/. In a notebook it
// is the kernel's.

/**
 * @typedef {(x: Float32Array, t: number, labels: number[]) => Promise<Float32Array>} Evaluate
 * @typedef {{ resolve: (answer: any) => void, reject: (reason: Error) => void }} Asked
 */

// Where this page's static files are: Sphinx writes it into <html>. Null where there is none.
/** @param {string | null} given */
export function staticRoot(given) {
  let root = given ?? null;
  if (root === null) {
    const content = document.documentElement.dataset.content_root ?? urlRoot();
    if (content === undefined) return null;
    root = content + "_static/";
  }
  return new URL(root.endsWith("/") ? root : root + "/", document.baseURI).href;
}

function urlRoot() {
  return typeof DOCUMENTATION_OPTIONS === "undefined" ? undefined : DOCUMENTATION_OPTIONS.URL_ROOT;
}

// Why the network cannot run on this page; an empty text if it can.
/** @param {string | null} root */
export function obstacle(root) {
  if (root === null) return NO_KERNEL;
  if (typeof WebAssembly !== "object" || typeof Worker === "undefined" || !WebAssembly.validate(SIMD))
    return "This browser has no WebAssembly with SIMD, or has it switched off; the model needs it.";
  return "";
}

const NO_KERNEL =
  "In a notebook the kernel holds the model; it needs the package anywidget: install it and run this cell again.";

// The smallest module that uses a 128 bit number.
const SIMD = Uint8Array.of(
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0,
  10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
);

// A page opened from a file may not fetch, but it may run scripts: beside each file lies one that puts
// it into `bookFiles`, in base64. Gives a blob, which the worker takes in the place of an address.
/** @param {string} root @param {string} file */
async function unwrapped(root, file) {
  const script = document.createElement("script");
  script.src = new URL(file + ".js", root).href;
  await new Promise((resolve, reject) => {
    script.onload = resolve;
    script.onerror = () => reject(new Error(`${script.src} is not there`));
    document.head.append(script);
  });
  if (!globalThis.bookFiles) throw new Error(`${script.src} holds no file`);
  const type = file.endsWith("js") ? "text/javascript" : "application/octet-stream";
  const text = atob(globalThis.bookFiles[file]); // the page's policy allows no fetch of a data: address
  return new Blob([Uint8Array.from(text, (c) => c.charCodeAt(0))], { type });
}

// The network of a page. `files` are addresses below `root`, `shape` is [channels, side, side];
// `progress` is told how many bytes have come, all together. Rejects with a reason in words.
/**
 * @param {{
 *   text: string, root: string, files: { runtime: string, wasm: string, model: string },
 *   shape: number[], progress: (bytes: number) => void, gone: AbortSignal,
 * }} options
 * @returns {Promise<Evaluate>}
 */
export async function loadNetwork({ text, root, files, shape, progress, gone }) {
  const source = (/** @type {string} */ file) =>
    root.startsWith("file:") ? unwrapped(root, file) : new URL(file, root).href;
  const [runtime, wasm, model] = await Promise.all([files.runtime, files.wasm, files.model].map(source));
  gone.throwIfAborted();
  const first = await started({ text, load: { runtime, wasm, model, shape }, progress, gone });
  return navigator.hardwareConcurrency > 1 ? shared(first, { text, runtime, shape, gone }) : first.evaluate;
}

// A guided step asks for two labels: a second worker answers for one of them, on a core of its own,
// because threads inside of one worker need headers that a plain server does not send. Until it is
// ready, if it never is, and once it has failed, the first one answers for both.
/**
 * @param {Awaited<ReturnType<typeof started>>} first
 * @param {{ text: string, runtime: string | Blob, shape: number[], gone: AbortSignal }} options
 * @returns {Evaluate}
 */
function shared(first, { text, runtime, shape, gone }) {
  /** @type {Evaluate | undefined} */
  let second;
  const load = { runtime, ...first.files, shape }; // nothing is fetched twice
  started({ text, load, progress: () => {}, gone }).then(
    ({ evaluate }) => (second = evaluate),
    () => {},
  );
  return async (x, t, labels) => {
    if (!second || labels.length !== 2) return first.evaluate(x, t, labels);
    const other = second(x, t, [labels[1]]).catch((reason) => {
      if (gone.aborted) throw reason;
      second = undefined;
      return first.evaluate(x, t, [labels[1]]);
    });
    const parts = await Promise.all([first.evaluate(x, t, [labels[0]]), other]);
    const both = new Float32Array(parts[0].length + parts[1].length);
    both.set(parts[0]);
    both.set(parts[1], parts[0].length);
    return both;
  };
}

// A worker that has loaded, and the files that it has fetched.
/**
 * @param {{
 *   text: string, load: object, progress: (bytes: number) => void, gone: AbortSignal,
 * }} options
 * @returns {Promise<{ evaluate: Evaluate, files: { wasm: Blob, model: Blob } }>}
 */
async function started({ text, load, progress, gone }) {
  const blob = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  const worker = new Worker(blob);
  /** @type {Map<number | undefined, Asked>} */
  const waiting = new Map();
  const end = () => {
    worker.terminate();
    giveUp(waiting, "the widget is gone");
  };
  gone.addEventListener("abort", end);
  listen(worker, waiting, progress);
  const ready = new Promise((resolve, reject) => waiting.set(undefined, { resolve, reject }));
  worker.postMessage({ load });
  let files;
  try {
    files = await ready;
  } catch (error) {
    worker.terminate();
    throw error;
  } finally {
    URL.revokeObjectURL(blob);
  }
  let id = 0;
  /** @type {Evaluate} */
  const evaluate = (x, t, labels) =>
    new Promise((resolve, reject) => {
      waiting.set(++id, { resolve, reject });
      worker.postMessage({ id, x, t, labels });
    });
  return { evaluate, files };
}

// Answers go to those who wait for them.
/**
 * @param {Worker} worker @param {Map<number | undefined, Asked>} waiting
 * @param {(bytes: number) => void} progress
 */
function listen(worker, waiting, progress) {
  let bytes = 0;
  worker.onmessage = ({ data }) => {
    if (data.loaded) return progress((bytes += data.loaded));
    const asked = waiting.get(data.id);
    if (!asked) return; // an error of the worker was the answer
    waiting.delete(data.id);
    if (data.error) asked.reject(new Error(data.error));
    else asked.resolve(data.output ?? data.files);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    giveUp(waiting, event.message || "the worker could not start");
  };
}

// No answer will come any more.
/** @param {Map<unknown, Asked>} waiting @param {string} reason */
function giveUp(waiting, reason) {
  for (const { reject } of waiting.values()) reject(new Error(reason));
  waiting.clear();
}

// The network of a notebook's kernel: every question goes there and its answer comes back. A notebook
// may show one widget twice, and each hears the answers to both: so questions have names of their own.
/** @param {Pick<Model<any>, "on" | "off" | "send">} model @param {AbortSignal} gone @returns {Evaluate} */
export function kernelNetwork(model, gone) {
  /** @type {Map<string, Asked>} */
  const waiting = new Map();
  const mine = Math.random();
  let count = 0;
  /** @type {(answer: { id: string, error?: string }, buffers: (DataView | ArrayBuffer)[]) => void} */
  const heard = ({ id, error }, buffers) => {
    const asked = waiting.get(id);
    if (!asked) return;
    waiting.delete(id);
    if (error) asked.reject(new Error(error));
    else asked.resolve(floats(buffers[0]));
  };
  model.on("msg:custom", heard);
  gone.addEventListener("abort", () => {
    model.off("msg:custom", heard);
    giveUp(waiting, "the widget is gone");
  });
  return (x, t, labels) =>
    new Promise((resolve, reject) => {
      const id = `${mine} ${++count}`;
      waiting.set(id, { resolve, reject });
      model.send({ id, t, labels }, undefined, [Float32Array.from(x).buffer]);
    });
}

// What came through a notebook's wire, a DataView or an ArrayBuffer, as numbers.
/** @param {DataView | ArrayBuffer} raw */
function floats(raw) {
  const [buffer, start] = raw instanceof ArrayBuffer ? [raw, 0] : [raw.buffer, raw.byteOffset];
  return new Float32Array(buffer.slice(start, start + raw.byteLength));
}
