// The proof machine in a worker: loads Python, SymPy and the book's engine, then answers questions.
//
// machine_client.js starts it. It is handed the machine's files by name, as blobs, and asks nobody for
// anything. When all is loaded it says { ready: true }. Then it takes { call, args } and answers
// { answer } with the object that ddpm_lite/symbolic/service.py describes. { broken: "why" } comes
// instead where Python could not start or has failed: then a new worker is needed.

"use strict";

{
  const say = postMessage.bind(globalThis);

  // Pyodide takes a worker that has importScripts for one without modules. With a MessageChannel, or
  // when the browser collects what is not used any more, it would come back to a cell that has ended.
  const UNUSED = ["importScripts", "MessageChannel"];
  const Nothing = class {
    register() {}
    unregister() {}
  };

  // The browser already allows this worker nothing from anywhere: machine_client.js says so to it. What
  // follows is a second wall. Cells have no way from Python into JavaScript, and nothing to find there.
  const CLOSED = [
    ...["fetch", "XMLHttpRequest", "WebSocket", "WebSocketStream", "EventSource", "WebTransport"],
    ...["Worker", "SharedWorker", "BroadcastChannel", "postMessage", "caches", "indexedDB"],
    ...["FontFace", "fonts", "setTimeout", "setInterval", "queueMicrotask", "scheduler"],
  ];
  /** Bytes of memory; all proofs of the book together need 90 MB. */
  const MOST = 512 * 2 ** 20;
  const NO_BROWSER = `
import sys
sys.meta_path[:] = [one for one in sys.meta_path if "pyodide" not in type(one).__module__]
for name in ["js", "pyodide_js", "pyodide.code", "pyodide.http", "pyodide.ffi", "_pyodide_core"]:
    sys.modules[name] = None
`;

  /** Pyodide asks for its files with `fetch`; here they come from what was handed over.
   * @param {Record<string, Blob>} files */
  function serve(files) {
    globalThis.fetch = async (address) => {
      const name = String(address).split("/").at(-1) ?? "";
      const type = name.endsWith(".wasm") ? "application/wasm" : "";
      return new Response(files[name], { headers: { "Content-Type": type } });
    };
  }

  /** Takes something away from this worker. @param {string[]} names */
  function remove(names) {
    for (let scope = globalThis; scope; scope = Object.getPrototypeOf(scope)) {
      for (const name of names) Reflect.deleteProperty(scope, name);
    }
  }

  /** Python gets no more memory than this: then it raises MemoryError. @param {number} bytes */
  function limit(bytes) {
    const { grow } = WebAssembly.Memory.prototype;
    WebAssembly.Memory.prototype.grow = function (/** @type {number} */ pages) {
      if (this.buffer.byteLength + 65536 * pages > bytes) throw new RangeError("too much memory");
      return grow.call(this, pages);
    };
  }

  /** A module of the files. @param {Blob} file */
  function imported(file) {
    return import(URL.createObjectURL(new Blob([file], { type: "text/javascript" })));
  }

  /** Python's function `service.call`, and what gives its memory. @param {Record<string, Blob>} files */
  async function start(files) {
    serve(files);
    remove(UNUSED);
    globalThis.FinalizationRegistry = /** @type {any} */ (Nothing);
    const { loadPyodide } = await imported(files["pyodide.mjs"]);
    const { default: createPyodideModule } = await imported(files["pyodide.asm.mjs"]);
    const python = await loadPyodide({
      indexURL: "machine:/",
      packageBaseUrl: "machine:/",
      createPyodideModule,
      jsglobals: {},
      stdin: () => null, // there is nobody to ask
      lockFileContents: JSON.parse(await files["pyodide-lock.json"].text()),
    });
    for (const name of ["libraries.zip", "engine.zip"]) {
      python.FS.writeFile(`/${name}`, new Uint8Array(await files[name].arrayBuffer()));
    }
    python.runPython('import sys; sys.path[:0] = ["/engine.zip", "/libraries.zip"]');
    const { call } = python.pyimport("ddpm_lite.symbolic.service");
    limit(MOST);
    remove(CLOSED);
    python.runPython(NO_BROWSER);
    return { call, memory: () => python._module.HEAPU8 };
  }

  /** A cell of a reader may do anything to Python; afterwards all memory is as it was.
   * @param {() => Uint8Array} memory @param {() => string} run */
  function undone(memory, run) {
    const before = memory().slice();
    const said = run();
    const after = memory(); // may have grown
    after.set(before);
    after.fill(0, before.length);
    return said;
  }

  /** @param {Awaited<ReturnType<typeof start>>} python @param {{ call: string, args: any[] }} question */
  function answer(python, question) {
    const run = () => python.call(question.call, JSON.stringify(question.args));
    try {
      say({ answer: JSON.parse(question.call === "run_cell" ? undone(python.memory, run) : run()) });
    } catch (error) {
      say({ broken: reason(error) });
    }
  }

  /** The last line of what Python or the browser says. @param {any} error */
  const reason = (error) => String(error.message ?? error).trim().split("\n").at(-1);

  addEventListener(
    "message",
    async ({ data: files }) => {
      try {
        const python = await start(files);
        addEventListener("message", ({ data }) => answer(python, data));
        say({ ready: true });
      } catch (error) {
        say({ broken: reason(error) });
      }
    },
    { once: true },
  );
}
