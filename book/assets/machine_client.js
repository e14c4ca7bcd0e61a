// The page's proof machine, `bookMachine`: Python in one worker, from the book's own files.
//
// ask(call, args, { seconds, signal })  the answer that ddpm_lite/symbolic/service.py describes. The
//     first question starts the machine, which loads 22 MB; questions wait for each other. One that
//     works longer than `seconds` is stopped: { error: "stopped after 20 seconds", stopped: true }.
//     An AbortSignal ends its own question, also while that waits: { error: "stopped", stopped: true }.
//     `open_page` takes the name alone, because the text comes from the book's files; other questions
//     rest on it, so that a signal ends only the waiting for it.
// watch(listener)  tells { state, loaded, bytes, reason } now and at each change, until the function
//     that it returns is called. The states are "off", "loading", "ready" and "failed".
//
// Python is stopped by taking away its worker; a new one opens the same pages. The worker lives in a
// frame that the browser allows nothing: no network, no storage, no page. So whatever a reader's cell
// does, it stays there.

"use strict";

(() => {
  /** @typedef {Record<string, any>} Answer */
  /** @typedef {{ state: "off" | "loading" | "ready" | "failed", loaded: number, bytes: number, reason: string }} State */
  /** @typedef {{ ask(call: string, args: any[]): Promise<any>, end(): void }} Machine */

  const root = new URL(".", /** @type {HTMLScriptElement} */ (document.currentScript).src).href;

  // --- What is told ------------------------------------------------------------------------------

  /** @type {State} */
  let state = { state: "off", loaded: 0, bytes: 0, reason: "" };
  /** @type {Set<(state: State) => void>} */
  const listeners = new Set();

  /** @param {Partial<State>} news */
  function tell(news) {
    state = { ...state, ...news };
    for (const listener of [...listeners]) listener(state);
  }

  /** @param {(state: State) => void} listener */
  function watch(listener) {
    listeners.add(listener);
    listener(state);
    return () => void listeners.delete(listener);
  }

  // --- Files -------------------------------------------------------------------------------------

  // A page opened from a file may not fetch, but it may run scripts: beside each file lies one that
  // puts it into `bookFiles`, in base64. The zip of the book holds nothing else of the machine.
  let wrapped = root.startsWith("file:");

  /** A file of the static folder, by name; `came` is told how many bytes have come.
   * @typedef {(name: string, came?: (bytes: number) => void) => Promise<Blob>} Load */

  /** @type {Load} */
  const load = (name, came) => (wrapped ? unwrap : download)(name, came);

  /** @type {Load} */
  async function download(name, came = () => {}) {
    const response = await fetch(root + name).catch(() => null);
    if (!response?.ok || !response.body)
      throw new Error(`${name} cannot be loaded (${response?.status ?? "no network"})`);
    const count = new TransformStream({
      transform(part, out) {
        came(part.length);
        out.enqueue(part);
      },
    });
    return new Response(response.body.pipeThrough(count)).blob();
  }

  /** @type {Load} */
  async function unwrap(name, came = () => {}) {
    const script = document.createElement("script");
    script.src = `${root}${name}.js`;
    await new Promise((resolve, reject) => {
      script.onload = resolve;
      script.onerror = () => reject(new Error(`${name}.js cannot be loaded`));
      document.head.append(script);
    });
    script.remove();
    const files = /** @type {any} */ (globalThis).bookFiles;
    const file = decoded(files[name]);
    delete files[name];
    came(file.size);
    return file;
  }

  /** @param {string} text in base64 */
  function decoded(text) {
    const quick = /** @type {any} */ (Uint8Array).fromBase64; // not every browser has it yet
    return new Blob([quick ? quick(text) : Uint8Array.from(atob(text), (c) => c.charCodeAt(0))]);
  }

  /** What machine.json tells: the machine's files with their sizes. */
  async function contents() {
    const name = "machine/machine.json";
    const response = wrapped ? null : await fetch(root + name).catch(() => null);
    if (response?.ok) return response.json();
    wrapped = true;
    return JSON.parse(await (await unwrap(name)).text());
  }

  /** All that the worker needs. */
  async function loadFiles() {
    /** @type {Record<string, number>} */
    const sizes = (await contents()).bytes;
    const bytes = Object.values(sizes).reduce((sum, size) => sum + size, 0);
    tell({ loaded: 0, bytes });
    const came = (/** @type {number} */ more) => tell({ loaded: state.loaded + more });
    const parts = Object.keys(sizes).map(async (name) => [name, await load(`machine/${name}`, came)]);
    const worker = new Blob([await load("machine_worker.js")], { type: "text/javascript" });
    return { worker, files: Object.fromEntries(await Promise.all(parts)) };
  }

  /** They stay, for the next worker. @type {Awaited<ReturnType<typeof loadFiles>> | undefined} */
  let files;

  // --- The worker --------------------------------------------------------------------------------

  // Its rules are the frame's: scripts that were handed over, and nothing from anywhere.
  const FRAME = `<!doctype html>
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; script-src 'unsafe-inline' 'wasm-unsafe-eval' blob:">
<script>
const say = (what) => parent.postMessage(what, "*");
onmessage = ({ data: { worker, files } }) => {
  try {
    const started = new Worker(URL.createObjectURL(worker));
    started.onmessage = ({ data }) => say(data);
    started.onerror = (event) => {
      event.preventDefault();
      say({ broken: event.message ?? "" });
    };
    started.postMessage(files);
    onmessage = ({ data }) => started.postMessage(data);
  } catch {
    say({ broken: "" });
  }
};
</script>`;

  const FORBIDDEN = "This browser allows no worker here.";
  const SERVE =
    "This browser allows no worker on a page that is opened from a file: run `python -m http.server` " +
    "in the book's folder and open http://localhost:8000.";

  /** A frame of one pixel: what is not on the screen at all gets less of the processor. */
  function frame() {
    const made = document.createElement("iframe");
    made.setAttribute("sandbox", "allow-scripts");
    made.setAttribute("aria-hidden", "true");
    made.tabIndex = -1;
    made.style.cssText =
      "position: fixed; inset: auto auto 0 0; width: 1px; height: 1px; border: 0; opacity: 0; pointer-events: none";
    made.srcdoc = FRAME;
    return made;
  }

  /** The chapters that are open, with their texts. @type {Map<string, string>} */
  const open = new Map();
  /** What was said when a chapter was opened, or will be: nobody waits for that twice.
   * @type {Map<string, Promise<Answer>>} */
  const opened = new Map();

  /** A worker that is ready. @returns {Promise<Machine>} */
  async function begin() {
    tell({ state: "loading", reason: "" });
    try {
      files ??= await loadFiles();
      const started = await startWorker(files);
      for (const page of open) await started.ask("open_page", page);
      tell({ state: "ready" });
      return started;
    } catch (error) {
      machine = undefined;
      tell({ state: "failed", reason: reason(error) });
      throw error;
    }
  }

  /** @param {{ worker: Blob, files: Record<string, Blob> }} files @returns {Promise<Machine>} */
  async function startWorker(files) {
    const home = frame();
    /** @type {(news: any) => void} */
    let hear = () => {};
    const listen = (/** @type {MessageEvent} */ event) => {
      if (event.source === home.contentWindow) hear(event.data);
    };
    const next = () => new Promise((resolve) => (hear = resolve));
    const send = (/** @type {any} */ what) => home.contentWindow?.postMessage(what, "*");
    const end = () => {
      removeEventListener("message", listen);
      home.remove();
    };
    addEventListener("message", listen);
    await new Promise((resolve) => {
      home.onload = resolve;
      document.body.append(home);
    });
    send(files);
    const { broken } = await next();
    if (broken !== undefined) {
      end();
      throw new Error(broken || (root.startsWith("file:") ? SERVE : FORBIDDEN));
    }
    const ask = (/** @type {string} */ call, /** @type {any[]} */ args) => (send({ call, args }), next());
    return { ask, end };
  }

  // --- Questions ---------------------------------------------------------------------------------

  /** @type {Promise<Machine> | undefined} */
  let machine;
  /** @type {Promise<any>} The question before the next one. */
  let last = Promise.resolve();

  const STOPPED = { error: "stopped", stopped: true };

  /** @param {string} call @param {any[]} args @param {{ seconds?: number, signal?: AbortSignal }} [limits]
   * @returns {Promise<Answer>} */
  function ask(call, args, { seconds = 20, signal } = {}) {
    const known = call === "open_page" && opened.get(args[0]);
    return Promise.race([known || queued(call, args, seconds, signal), aborted(signal)]);
  }

  /** @param {string} call @param {any[]} args @param {number} seconds @param {AbortSignal} [signal] */
  function queued(call, args, seconds, signal) {
    const opens = call === "open_page";
    const answer = last.then(() => answered(call, args, seconds, opens ? undefined : signal));
    if (opens) remember(args[0], answer);
    last = answer;
    return answer;
  }

  /** What is said of a question that the signal ends. @param {AbortSignal} [signal] @returns {Promise<Answer>} */
  function aborted(signal) {
    return new Promise((resolve) => {
      if (signal?.aborted) resolve(STOPPED);
      signal?.addEventListener("abort", () => resolve(STOPPED));
    });
  }

  /** @param {string} page @param {Promise<Answer>} answer */
  async function remember(page, answer) {
    opened.set(page, answer);
    if ((await answer).error) opened.delete(page);
  }

  /** One question; whatever happens, it has an answer.
   * @param {string} call @param {any[]} args @param {number} seconds @param {AbortSignal} [signal]
   * @returns {Promise<Answer>} */
  async function answered(call, args, seconds, signal) {
    if (signal?.aborted) return STOPPED;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    let given = args;
    /** @type {Machine | undefined} */
    let working;
    /** @type {(answer: Answer) => void} */
    let halt = () => {};
    /** @type {Promise<Answer>} */
    const late = new Promise((resolve) => (halt = resolve));
    const work = async () => {
      const ready = await (machine ??= begin());
      if (call === "open_page") given = [args[0], await text(args[0])];
      if (signal?.aborted) return STOPPED; // while it waited
      working = ready;
      timer = setTimeout(halt, 1000 * seconds, { error: `stopped after ${seconds} seconds`, stopped: true });
      const { answer, broken } = await ready.ask(call, given);
      return answer ?? { error: broken, broken: true };
    };
    const failed = (/** @type {any} */ error) => ({ error: reason(error) });
    const first = await Promise.race([aborted(signal), late, work().catch(failed)]);
    const { broken, ...answer } = /** @type {Answer} */ (first);
    clearTimeout(timer);
    if (working && (broken || answer.stopped)) renew(working);
    else if (call === "open_page" && !answer.error) open.set(given[0], given[1]);
    return answer;
  }

  /** The next worker starts at once: who has stopped a question will ask another. @param {Machine} old */
  function renew(old) {
    old.end();
    machine = begin();
    machine.catch(() => {}); // who asks is told
  }

  /** A chapter's text. @param {string} name */
  async function text(name) {
    return open.get(name) ?? (await load(`machine/pages/${encodeURIComponent(name)}`)).text();
  }

  /** @param {any} error */
  const reason = (error) => String(error?.message ?? error);

  /** @type {any} */ (globalThis).bookMachine = { ask, watch };
})();
