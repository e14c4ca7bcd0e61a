// Compiles all Python under a folder, in place, to what Pyodide's own Python loads without its source.
// node compile_python.mjs FOLDER_OF_PYODIDE FOLDER
import { pathToFileURL } from "node:url";

const [pyodide, folder] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`).href);
const python = await loadPyodide();
python.FS.mkdirTree("/site");
python.FS.mount(python.FS.filesystems.NODEFS, { root: folder }, "/site");
const done = await python.runPythonAsync(`
import compileall, py_compile, warnings

warnings.simplefilter("ignore")  # of syntax that is none of ours
compileall.compile_dir("/site", quiet=1, legacy=True, optimize=2, stripdir="/site",
                       invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
`);
process.exit(done ? 0 : 1);
