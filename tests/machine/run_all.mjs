// Verdicts of the book in Pyodide under Node, from the very files that a page loads.
// node run_all.mjs FOLDER_OF_THE_MACHINE NUMBER_OF_SLIPS PART PARTS; prints JSON. Of every PARTS
// chapters, and things that readers may type, it takes one, beginning with number PART.
import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [folder, slipped, part, parts] = process.argv.slice(2);
const began = performance.now();
const seconds = () => (performance.now() - began) / 1000;
const { loadPyodide } = await import(pathToFileURL(path.join(folder, "pyodide.mjs")).href);
const python = await loadPyodide({ indexURL: `${path.resolve(folder)}/` });
const started = seconds();
for (const name of ["libraries.zip", "engine.zip"]) {
  python.FS.writeFile(`/${name}`, new Uint8Array(fs.readFileSync(path.join(folder, name))));
}
python.runPython(`import sys; sys.path[:0] = ["/engine.zip", "/libraries.zip", "/"]`);
python.runPython("import ddpm_lite.symbolic.service");
const imported = seconds();
for (const name of ["hostile.py", "untrue.py", "verdicts.py"]) {
  python.FS.writeFile(`/${name}`, fs.readFileSync(new URL(name, import.meta.url)));
}
const { pages } = JSON.parse(fs.readFileSync(path.join(folder, "machine.json"), "utf8"));
const chosen = pages.filter((/** @type {string} */ _, /** @type {number} */ k) => k % Number(parts) === Number(part));
const texts = Object.fromEntries(
  chosen.map((/** @type {string} */ name) => [name, fs.readFileSync(path.join(folder, "pages", name), "utf8")]),
);
python.globals.set("texts", python.toPy(texts));
python.globals.set("tell", (/** @type {string} */ line) => console.error(`${seconds().toFixed(1)} s  ${line}`));
const said = python.runPython(`
import json, verdicts
json.dumps(verdicts.verdicts(texts, ${Number(slipped)}, ${Number(part)}, ${Number(parts)}, tell))
`);
const loaded = python.runPython(`sorted(set(sys.modules) & {"torch", "numpy", "IPython", "PIL"})`).toJs();
console.log(JSON.stringify({ ...JSON.parse(said), started, imported, loaded }));
