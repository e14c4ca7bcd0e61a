// A worker that holds the network: it fetches onnxruntime and the weights, and evaluates.
// {load: {runtime, wasm, model, shape}} -> {loaded: bytes}..., {files: {wasm, model}}; the first three
// are addresses, or the files themselves as blobs, as which two of them come back; `shape` is that of
// one image, [channels, side, side]
// {id, x, t, labels} -> {id, output};   anything may end in {id, error}.
/**
 * @typedef {string | Blob} Source
 * @typedef {{ x: Float32Array, t: number, labels: number[] }} Question
 */

/** @type {typeof import("onnxruntime-web")} */
let ort;
/** @type {import("onnxruntime-web").InferenceSession} */
let session;
/** @type {number[]} */
let shape;

/** @type {(source: Source) => string} */
const address = (source) => (source instanceof Blob ? URL.createObjectURL(source) : source);

/** @param {Source} source */
async function fetched(source) {
  const url = address(source);
  let reply;
  try {
    reply = await fetch(url);
  } catch {
    throw new Error(`${url} cannot be reached`);
  }
  if (!reply.ok || !reply.body) throw new Error(`${url} is not there (${reply.status})`);
  const parts = [];
  const reader = reply.body.getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    parts.push(part.value);
    postMessage({ loaded: part.value.length });
  }
  return new Blob(parts);
}

/** @param {{ runtime: Source, wasm: Source, model: Source, shape: number[] }} sources */
async function load({ runtime, wasm, model, ...image }) {
  const [code, binary, graph] = await Promise.all([import(address(runtime)), fetched(wasm), fetched(model)]);
  const [binaryBytes, graphBytes] = await Promise.all([binary.arrayBuffer(), graph.arrayBuffer()]);
  ort = code;
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = 1; // more need headers that a plain static server does not send
  ort.env.wasm.wasmBinary = binaryBytes;
  session = await ort.InferenceSession.create(graphBytes, { executionProviders: ["wasm"] });
  shape = image.shape;
  const grey = new Float32Array(shape.reduce((count, length) => count * length));
  await evaluate({ x: grey, t: 1, labels: [0, 0] }); // the first run is slower
  postMessage({ files: { wasm: binary, model: graph } });
}

/** @param {Question} question */
async function evaluate({ x, t, labels }) {
  const count = labels.length;
  const images = new Float32Array(count * x.length);
  labels.forEach((_, i) => images.set(x, i * x.length));
  const integers = (/** @type {number[]} */ values) =>
    new ort.Tensor("int64", BigInt64Array.from(values, BigInt), [count]);
  const outputs = await session.run({
    x: new ort.Tensor("float32", images, [count, ...shape]),
    t: integers(labels.map(() => t)),
    label: integers(labels),
  });
  return /** @type {Float32Array} */ (outputs[session.outputNames[0]].data);
}

onmessage = async ({ data }) => {
  try {
    if (data.load) await load(data.load);
    else postMessage({ id: data.id, output: await evaluate(data) });
  } catch (error) {
    postMessage({ id: data.id, error: error instanceof Error ? error.message : String(error) });
  }
};
