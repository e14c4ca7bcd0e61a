"""The proof machine in a browser: `bookMachine` loads the book's own files, and answers.

What a reader's cell does stays there. Two walls see to that, and each is tried alone: what the
browser allows the worker, and what the worker leaves to Python.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from book_offline import ARCHIVE
from playwright.sync_api import Page, Route

from .chromium import Log, serve
from .conftest import SITE, SLOW, missing

STATIC = SITE / "_static"
BLANK = """<!doctype html><html lang=en><title>A page</title><link rel=icon href=data:,>
<script src=machine_client.js></script><p>Nothing here changes."""
CHAPTER = "04_forward_closed_form.md"
LABEL = "eq-two-variance"
FOREVER = "while True:\n    pass"


@pytest.fixture(scope="module")
def static_url() -> Iterator[str]:
    """The address of the site's static files."""
    if not (STATIC / "machine" / "machine.json").exists():
        missing("the book is not built with its proof machine; `make book` builds it")
    with serve(STATIC) as url:
        yield url


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The static files that a reader finds in the zip, and a page among them."""
    folder = tmp_path_factory.mktemp("unpacked")
    with ZipFile(SITE / ARCHIVE) as packed:
        names = [name for name in packed.namelist() if "/_static/machine" in name]
        packed.extractall(folder, names)
    if not names:
        missing("the book is not built with its proof machine; `make book` builds it")
    static = folder / Path(ARCHIVE).stem / "_static"
    (static / "page.html").write_text(BLANK)
    return static


def start(page: Page, address: str) -> None:
    """Open a page with a machine that has not begun."""
    page.set_default_timeout(SLOW)
    if address.startswith("http"):
        body = {"body": BLANK, "content_type": "text/html"}
        page.route("**/page.html", lambda route: route.fulfill(**body))
    page.goto(f"{address}/page.html")
    page.evaluate("() => { window.said = []; bookMachine.watch((now) => said.push(now)); }")


def change_client(page: Page, old: str, new: str) -> None:
    """The page gets another script, as if its browser were another."""
    text = (STATIC / "machine_client.js").read_text()
    assert text.count(old) == 1
    text = text.replace(old, new)
    page.route("**/machine_client.js", lambda route: route.fulfill(body=text))


@pytest.fixture
def machine(page: Page, static_url: str) -> Page:
    """A page of the static files."""
    start(page, static_url)
    return page


def ask(page: Page, call: str, *args: Any, seconds: float = 100) -> dict[str, Any]:
    """One answer. The time is for machines that are busy with tests."""
    question = [call, list(args), {"seconds": seconds}]
    answer: dict[str, Any] = page.evaluate("(q) => bookMachine.ask(...q)", question)
    return answer


def is_honest(page: Page) -> bool:
    """Whether the machine knows right from wrong."""
    opened = ask(page, "open_page", CHAPTER)
    latex = {one["label"]: one["latex"] for one in opened["equations"]}[LABEL]
    right = ask(page, "try_formula", LABEL, latex)
    wrong = ask(page, "try_formula", LABEL, latex.replace("-", "+", 1))
    return (right["verdict"], wrong["verdict"]) == ("equal", "different")


def test_it_loads_from_the_books_files_and_answers(machine: Page, log: Log) -> None:
    assert machine.evaluate("said[0]") == {"state": "off", "loaded": 0, "bytes": 0, "reason": ""}
    before = len(log.requests)
    assert is_honest(machine)
    answer = ask(machine, "try_answer", "ex-half-noise", "-log(2)/log(1 - beta)")
    assert answer["verdict"] == "equal"
    assert len(set(log.requests[before:])) == len(log.requests[before:])  # nothing comes twice
    assert log.elsewhere == []
    assert log.faults == []
    said = machine.evaluate("said")
    assert [one["state"] for one in said[:2]] == ["off", "loading"]
    assert said[-1]["state"] == "ready"
    loaded = [one["loaded"] for one in said]
    assert loaded == sorted(loaded)
    assert (
        loaded[-1]
        == said[-1]["bytes"]
        == sum(
            (STATIC / "machine" / name).stat().st_size
            for name in machine.evaluate("fetch('machine/machine.json').then((r) => r.json())")[
                "bytes"
            ]
        )
    )
    globals_ = machine.evaluate("Object.keys(globalThis).filter((name) => /^book/.test(name))")
    assert globals_ == ["bookMachine"]


def test_questions_wait_for_each_other_and_the_page_for_none(machine: Page) -> None:
    ask(machine, "open_page", CHAPTER)
    order = machine.evaluate(
        """async ([chapter, label]) => {
          const order = [];
          const note = (name) => (answer) => order.push([name, answer.stopped ?? answer.label]);
          const cell = [chapter, 1, "while True: pass"];
          const questions = [
            bookMachine.ask("run_cell", cell, { seconds: 2 }).then(note("cell")),
            bookMachine.ask("run_to", [label], { seconds: 100 }).then(note("next")),
          ];
          await new Promise((done) => setTimeout(done, 10));
          order.push(["page", "goes on"]);
          await Promise.all(questions);
          return order;
        }""",
        [CHAPTER, LABEL],
    )
    assert order == [["page", "goes on"], ["cell", True], ["next", LABEL]]


STOPPED = {"error": "stopped", "stopped": True}
ASK_AND_STOP = """async ([call, args, wait]) => {
  const stopping = new AbortController();
  setTimeout(() => stopping.abort(), wait);
  return bookMachine.ask(call, args, { seconds: 100, signal: stopping.signal });
}"""


def test_a_reader_stops_a_question_and_asks_again(machine: Page) -> None:
    ask(machine, "open_page", CHAPTER)
    forever = ["run_cell", [CHAPTER, 1, FOREVER], 500]
    assert machine.evaluate(ASK_AND_STOP, forever) == STOPPED
    assert machine.locator("iframe").count() <= 1
    assert ask(machine, "run_to", LABEL)["mark"] == "✓ proved"  # the page is open again
    assert ask(machine, "run_cell", CHAPTER, 1, FOREVER, seconds=1) == {
        "error": "stopped after 1 seconds",
        "stopped": True,
    }


def test_a_question_can_be_stopped_while_the_machine_loads(machine: Page) -> None:
    machine.evaluate(
        "(name) => { window.opening = bookMachine.ask('open_page', [name]); }", CHAPTER
    )
    assert machine.evaluate(ASK_AND_STOP, ["run_to", [LABEL], 0]) == STOPPED
    assert machine.evaluate(ASK_AND_STOP, ["open_page", [CHAPTER], 0]) == STOPPED
    assert "error" not in machine.evaluate("opening")  # others may rest on it
    assert ask(machine, "run_to", LABEL)["mark"] == "✓ proved"
    assert is_honest(machine)


def test_a_question_that_waits_is_stopped_and_the_one_before_goes_on(machine: Page) -> None:
    ask(machine, "open_page", CHAPTER)
    machine.evaluate("(label) => { window.first = bookMachine.ask('run_to', [label]); }", LABEL)
    assert machine.evaluate(ASK_AND_STOP, ["run_cell", [CHAPTER, 1, FOREVER], 0]) == STOPPED
    assert machine.evaluate("first")["mark"] == "✓ proved"
    assert ask(machine, "run_to", LABEL)["mark"] == "✓ proved"


def test_what_is_missing_is_said_and_tried_again(machine: Page, log: Log) -> None:
    machine.route("**/libraries.zip", lambda route: route.fulfill(status=500))
    for _ in range(2):
        error = "machine/libraries.zip cannot be loaded (500)"
        assert ask(machine, "run_to", LABEL) == {"error": error}
        assert machine.evaluate("[said.at(-1).state, said.at(-1).reason]") == ["failed", error]
    machine.unroute("**/libraries.zip")
    assert "cannot be loaded (404)" in ask(machine, "open_page", "13_nothing.md")["error"]
    assert is_honest(machine)
    log.faults.clear()  # the browser reports the missing files too


# --- Without a server ----------------------------------------------------------------------------


def test_it_works_from_files(unpacked: Path, page: Page, log: Log) -> None:
    start(page, unpacked.as_uri())
    assert is_honest(page)
    assert log.faults == []
    assert all(address.startswith(("file:", "data:", "blob:")) for address in log.requests)
    assert page.evaluate("[said.at(-1).loaded === said.at(-1).bytes, document.scripts.length]") == [
        True,
        1,
    ]


def test_the_unpacked_zip_works_with_a_server_too(unpacked: Path, page: Page, log: Log) -> None:
    with serve(unpacked) as url:
        start(page, url)
        assert is_honest(page)
    (fault, *_) = log.faults
    assert fault.startswith("404")  # of the only file that is looked for in its plain form
    log.faults.clear()


@pytest.mark.parametrize(
    ("allowed", "forbidden"),
    [
        ("new Worker(", "new Nowhere("),
        ("started.postMessage(files)", "started.onerror(new Event('error'))"),
    ],
)
def test_a_browser_that_forbids_workers_says_what_to_do(
    unpacked: Path, static_url: str, page: Page, allowed: str, forbidden: str
) -> None:
    change_client(page, allowed, forbidden)
    start(page, unpacked.as_uri())
    said = ask(page, "open_page", CHAPTER)["error"]
    assert "`python -m http.server`" in said
    assert "http://localhost:8000" in said
    start(page, static_url)
    assert ask(page, "open_page", CHAPTER) == {"error": "This browser allows no worker here."}


# --- What readers' cells cannot do ---------------------------------------------------------------

PROBES = """
const to = "http://127.0.0.1:%d/probe";
const wait = (thing) => new Promise((good, bad) => { thing.onopen = good; thing.onerror = bad; });
const probes = {
  fetch: () => fetch(to), data: () => fetch("data:,x"),
  request: () => { const r = new XMLHttpRequest(); r.open("GET", to, false); r.send(); },
  import: () => import(to + ".js"), importScripts: () => importScripts(to + ".js"),
  socket: () => wait(new WebSocket(to.replace("http", "ws"))),
  events: () => wait(new EventSource(to)),
  font: () => new FontFace("x", `url(${to}.woff)`).load(),
  eval: () => eval("1"), code: () => Function("")(),
  storage: () => new Promise((good, bad) => {
    const opening = indexedDB.open("x"); opening.onsuccess = good; opening.onerror = bad;
  }),
  caches: () => caches.open("x"),
};
async function answer() {
  const open = [];
  for (const [name, probe] of Object.entries(probes)) {
    try {
      await probe();
      open.push(name);
    } catch {}
  }
  return open;
}
"""


FREE = """
(code) => new Promise((done) => {
  const worker = new Worker(URL.createObjectURL(new Blob([code])));
  worker.onmessage = ({ data }) => done(data);
})
"""
LOCKED = """
onmessage = () => {
  onmessage = async () => postMessage({ answer: { open: await answer() } });
  postMessage({ ready: true });
};
"""
CAN = {"fetch", "data", "request", "import", "importScripts", "eval", "code", "storage", "caches"}
"""What a worker can do that nobody has locked up."""


def test_the_browser_itself_allows_the_worker_nothing(
    machine: Page, static_url: str, log: Log
) -> None:
    """Instead of Python, this worker tries all that it can think of."""
    probes = PROBES % int(static_url.rpartition(":")[2])
    reached: list[str] = []

    def serve_probe(route: Route) -> None:
        reached.append(route.request.url)
        route.fulfill(body="1", content_type="text/javascript")

    machine.context.route("**/probe*", serve_probe)
    assert set(machine.evaluate(FREE, probes + "answer().then(postMessage);")) >= CAN
    assert len(reached) >= 4
    reached.clear()
    machine.route("**/machine_worker.js", lambda route: route.fulfill(body=probes + LOCKED))
    assert ask(machine, "slip", LABEL, 1) == {"open": []}
    assert reached == []
    log.faults.clear()  # the browser reports each refusal


FIND = """import gc
(js,) = [one.jsproxies for one in gc.get_objects() if type(one).__name__ == "JsFinder"]
"""
HOSTILE = {
    "script": FIND + "js['js'].constructor.constructor('import(\"http://127.0.0.1:1/x.js\")')()",
    "js": "import js",
    "fetch": "from js import fetch",
    "run_js": "import pyodide.code\npyodide.code.run_js('import(\"http://127.0.0.1:1/x.js\")')",
    "open_url": "import pyodide.http\npyodide.http.open_url('http://127.0.0.1:1/x')",
    "urllib": "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:1/x')",
    "socket": "import socket\nsocket.create_connection(('127.0.0.1', 1))",
    "forgotten": "import sys\ndel sys.modules['js'], sys.modules['pyodide_js']\nimport js",
    "again": "import sys\nfor name in [m for m in sys.modules if 'pyodide' in m]:\n"
    "    del sys.modules[name]\nimport pyodide.http, js",
    "no modules": "import sys\nsys.modules.clear()",
    "found": FIND + "js['js'].fetch('http://127.0.0.1:1/x')",
    "message": FIND + "js['pyodide_js'].constructor.constructor('postMessage({})')()",
    "memory of others": "import ctypes\nctypes.memset(1024, 0, 10**7)",
    "address 0": "import ctypes\nctypes.string_at(0, 10**9)",
    "much memory": "kept = []\nwhile True:\n    kept.append(bytearray(10**7))",
    "endless": FOREVER,
    "recursion": "def f():\n    f()\nf()",
    "deep": "x = []\nfor _ in range(10**6):\n    x = [x]\nrepr(x)",
    "later": "import asyncio\nasyncio.get_event_loop().call_soon(print, 1)",
    "later again": "import asyncio\nasyncio.ensure_future(asyncio.sleep(0))",
    "exit": "import os\nos._exit(1)",
    "abort": "import os\nos.abort()",
    "interrupt": "raise KeyboardInterrupt",
    "input": "input()",
    "builtins": "import builtins\nbuiltins.len = builtins.isinstance = None",
    "all is equal": "import sympy\nsympy.simplify = sympy.expand = lambda *a, **k: 0\n"
    "sympy.Expr.__eq__ = lambda a, b: True",
    "verdicts": "import ddpm_lite.symbolic.checks as c\nc.verdict_of = lambda *a, **k: 'proved'",
    "files": "for name in ['/engine.zip', '/libraries.zip']:\n    open(name, 'w').write('')",
}
BROWSER_ONLY = {"script"}
"""Against these there is but one wall: no worker can take `import(address)` away from itself."""
WALLS = {"both": BROWSER_ONLY, "python": HOSTILE.keys() - BROWSER_ONLY}
"""What is tried, and before which walls: what one wall stops, two stop as well."""


@pytest.mark.slow
@pytest.mark.parametrize("walls", WALLS)
def test_hostile_cells_reach_nothing_and_harm_nothing(
    page: Page, static_url: str, log: Log, walls: str
) -> None:
    if walls == "python":  # the worker alone must hold
        change_client(page, "Content-Security-Policy", "nothing")
    start(page, static_url)
    assert is_honest(page)
    requests = len(log.requests)
    content = page.evaluate("document.body.innerText + document.title + location")
    for name in [name for name in HOSTILE if name in WALLS[walls]]:
        answer = ask(page, "run_cell", CHAPTER, 1, HOSTILE[name], seconds=5)
        assert set(answer) <= {"output", "raised", "error", "stopped"}, name
        assert is_honest(page), name
    assert [url for url in log.requests[requests:] if url.startswith("http")] == []
    assert page.evaluate("document.body.innerText + document.title + location") == content
    log.faults.clear()  # Pyodide reports what was fatal


def test_a_cell_changes_nothing_for_the_next(machine: Page) -> None:
    ask(machine, "open_page", CHAPTER)
    mark = "import sympy\nhad = hasattr(sympy, 'mark')\nsympy.mark = 1\nhad"
    for _ in range(2):
        shown = ask(machine, "run_cell", CHAPTER, 1, mark)
        assert shown == {"output": [["text", "False"]], "raised": ""}
    assert {one["state"] for one in machine.evaluate("said")} == {"off", "loading", "ready"}
    assert [one["state"] for one in machine.evaluate("said")].count("ready") == 1  # the same worker
