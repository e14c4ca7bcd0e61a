// The proof machine in a worker: loads Python, SymPy and the book's engine, then answers questions.
//
// Started as a module worker: new Worker(url, { type: "module" }), beside it the folder machine/.
// It takes { id, call, args } and answers { id, answer } with the object that
// ddpm_lite/symbolic/service.py describes. While it loads it says { loaded, bytes } with the bytes
// that have come so far and all there are, then { ready: true }, or { failed: "why" } once.
// Whoever started it stops a question that takes too long with terminate(), and starts it anew.

const folder = new URL("machine/", import.meta.url);

/** The chapters that have been opened here. @type {Set<string>} */
const open = new Set();

/** Loads one file and tells how far it is. @param {string} name @param {(bytes: number) => void} tell */
async function load(name, tell) {
  const response = await fetch(new URL(name, folder));
  if (!response.ok || !response.body) throw new Error(`${name} cannot be loaded (${response.status})`);
  const parts = [];
  const reader = response.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    tell(part.value.length);
    parts.push(part.value);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

/** Python with the engine imported. */
async function start() {
  const contents = JSON.parse(new TextDecoder().decode(await load("machine.json", () => {})));
  /** @type {Record<string, number>} */
  const sizes = contents.bytes;
  const bytes = Object.values(sizes).reduce((sum, size) => sum + size, 0);
  let loaded = 0;
  const tell = (/** @type {number} */ more) => postMessage({ loaded: (loaded += more), bytes });
  const zips = ["libraries.zip", "engine.zip"];
  const coming = Promise.all(zips.map((name) => load(name, tell)));
  const { loadPyodide } = await import(new URL("pyodide.mjs", folder).href);
  const python = await loadPyodide({ indexURL: folder.href });
  (await coming).forEach((data, k) => python.FS.writeFile(`/${zips[k]}`, data));
  python.runPython('import sys; sys.path[:0] = ["/engine.zip", "/libraries.zip"]');
  const service = python.pyimport("ddpm_lite.symbolic.service");
  postMessage({ loaded: bytes, bytes });
  return service;
}

const starting = start();
starting.then(
  () => postMessage({ ready: true }),
  (error) => postMessage({ failed: String(error.message ?? error) }),
);

/** One question. `open_page` takes the name alone, and the text comes from the book's files.
 * @param {string} call @param {any[]} args */
async function ask(call, args) {
  const service = await starting;
  if (call === "open_page") {
    if (!open.has(args[0])) {
      const text = await load(`pages/${encodeURIComponent(args[0])}`, () => {});
      args = [args[0], new TextDecoder().decode(text)];
      open.add(args[0]);
    } else args = [args[0], ""]; // is open, and stays as it is
  }
  return JSON.parse(service.call(call, JSON.stringify(args)));
}

let last = Promise.resolve();
addEventListener("message", ({ data: { id, call, args } }) => {
  last = last.then(async () => {
    try {
      postMessage({ id, answer: await ask(call, args) });
    } catch (error) {
      postMessage({ id, answer: { error: String(/** @type {Error} */ (error).message ?? error) } });
    }
  });
});
