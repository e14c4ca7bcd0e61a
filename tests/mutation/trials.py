"""Runs the tests on one mutant after the other, each in a forked process.

Python, torch and the tests are loaded once. A forked process gives the functions of the module
their changed code, and runs the tests that pass through the changed lines, the quickest first,
until one fails. What such a process cannot see (a change outside of all functions) is tried in a
fresh one, which imports the changed module.
"""

import contextlib
import gc
import importlib
import importlib.machinery
import importlib.util
import json
import os
import resource
import signal
import sys
import time
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from pathlib import Path
from types import CodeType, FunctionType

import coverage
import hypothesis
import pytest
from mutants import Mutant

ROOT = Path(__file__).parents[2]
PASSED, FAILED = 0, 1
FLAGS = [
    f"--rootdir={ROOT}", f"-c{ROOT / 'pyproject.toml'}", "-q", "-pno:cacheprovider",
    "--tb=no",  # nobody reads why a test failed, and to tell it takes as long as all else
    "-mnot slow and not site and not browser",
]  # fmt: skip
PATIENCE = 6.0
"""Seconds of tests that one mutant is worth; with more the slowest of them are left out."""
MEMORY = 6 * 2**30
"""The most bytes that a mutant may take for itself."""


def calm_hypothesis() -> None:
    """The same examples each time, none of them kept, and no search for the smallest."""
    phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile(
        "mutation", database=None, derandomize=True, phases=phases, deadline=None
    )
    hypothesis.settings.load_profile("mutation")


class Session:
    """A pytest plugin: `work` gets the collected tests in place of pytest's own loop."""

    def __init__(self, work: Callable[[list[pytest.Item]], None]) -> None:
        self.work = work

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.work(session.items)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            os._exit(FAILED)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            os._exit(FAILED)


def run(items: list[pytest.Item]) -> None:
    """Runs tests in this order and ends the process, at the first that fails."""
    for item, following in zip(items, [*items[1:], None], strict=True):
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    os._exit(PASSED)


def in_a_fork(work: Callable[[], None], seconds: float) -> int:
    """The exit status of a forked process; -1 if it took too long or too much memory.

    `seconds` are those of the processor; other processes of the machine take none of them.
    """
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            quiet()
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            work()
            os._exit(PASSED)
        except BaseException:
            os._exit(FAILED)
    status = _wait(child, time.monotonic() + 20 * seconds)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # what the tests have started
    return status


def quiet() -> None:
    """No more output of this process, whose report is its exit status."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)


def _wait(child: int, until: float) -> int:
    while time.monotonic() < until:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1


# --- Which tests run which lines -----------------------------------------------------------------


class Record:
    """The lines of a module that each test runs, its seconds, and what all of them import."""

    def __init__(
        self, tests: dict[str, float], lines: dict[int, list[str]], imported: Iterable[str] = ()
    ) -> None:
        self.tests, self.lines, self.imported = tests, lines, imported

    def runs(self, mutant: Mutant) -> list[str]:
        """The tests that run a changed line."""
        span = range(mutant.first, mutant.last + 1)
        return sorted({name for line in span for name in self.lines.get(line, ())})

    def of(self, mutant: Mutant) -> list[str]:
        """The tests that a mutant may fail, the quickest first.

        Of a line that runs on import, or in a process that a test starts, nobody knows which tests
        it decides: then these are all. Some look at a constant and run no line.
        """
        names = {*([] if mutant.runs_on_import else self.runs(mutant))} or {*self.tests}
        quickest = sorted(names & self.tests.keys(), key=lambda name: self.tests[name])
        total = list(accumulate(self.tests[name] for name in quickest))
        return quickest[: max(1, bisect(total, PATIENCE))]


def record(items: list[pytest.Item], module: Path, place: Path) -> Record:
    """Runs every test once, in a forked process, under coverage."""

    def work() -> None:
        cover = coverage.Coverage(data_file=None, config_file=False, include=[str(module)])
        cover.start()
        seconds = {}
        for item, following in zip(items, [*items[1:], None], strict=True):
            forget(module)  # or only the first test would run what is kept
            cover.switch_context(item.nodeid)
            begin = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            seconds[item.nodeid] = time.process_time() - begin
        cover.stop()
        lines = cover.get_data().contexts_by_lineno(str(module))
        place.write_text(json.dumps([seconds, lines, _installed()]))

    if in_a_fork(work, 1800) != PASSED:
        os._exit(FAILED)
    return read_record(place)


def forget(module: Path) -> None:
    """Empties the caches of a loaded module, but for that of a parser, which takes long to make."""
    loaded = sys.modules.get(name_of(module))
    for name, thing in vars(loaded).items() if loaded else ():
        if hasattr(thing, "cache_clear") and name != "_parser":
            thing.cache_clear()


def read_record(place: Path) -> Record:
    seconds, lines, imported = json.loads(place.read_text())
    return Record(seconds, {int(line): tests for line, tests in lines.items()}, imported)


def _installed() -> list[str]:
    """What this process has imported, but for the package and its tests."""
    files = {name: getattr(module, "__file__", None) for name, module in [*sys.modules.items()]}
    return [name for name, file in files.items() if file and "site-packages" in Path(file).parts]


def preload(record: Record) -> None:
    """Imports what the tests do, so that no fresh process has to."""
    for name in record.imported:
        with contextlib.suppress(Exception):
            importlib.import_module(name)


# --- A mutant in place of its module -------------------------------------------------------------


def name_of(module: Path) -> str:
    return ".".join(module.relative_to(ROOT).with_suffix("").parts)


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def functions_of(module: Path) -> list[FunctionType]:
    """The loaded functions that were written in a file, whatever decorators hold them."""
    return [
        thing
        for thing in gc.get_objects()
        if isinstance(thing, FunctionType) and thing.__code__.co_filename == str(module)
    ]


def patch(mutant: Mutant, module: Path, functions: list[FunctionType]) -> bool:
    """Gives the functions of the loaded module the mutant's code; False where that cannot be."""
    changed = {
        code.co_qualname: code
        for code in _codes(compile(mutant.source, str(module), "exec"))
        if code.co_name != "<module>"
    }
    patched = False
    for function in functions:
        new = changed.get(function.__code__.co_qualname)
        if new is None or len(new.co_freevars) != len(function.__code__.co_freevars):
            return False
        function.__code__ = new
        patched = patched or mutant.function.startswith(new.co_qualname.split(".<locals>")[0])
    return patched


class _Changed(importlib.machinery.SourceFileLoader):
    """Finds and loads one module from a changed text."""

    source = ""

    def find_spec(
        self, name: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.name:
            return None
        return importlib.util.spec_from_file_location(name, self.path, loader=self)

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.source, self.path, "exec")


def import_changed(source: str, module: Path) -> None:
    """From now on `import` finds this text in place of the module."""
    loader = _Changed(name_of(module), str(module))
    loader.source = source
    sys.meta_path.insert(0, loader)  # type: ignore[arg-type]


def fresh(mutant: Mutant, module: Path, tests: list[str], seconds: float) -> int:
    """Runs tests in a process that has not yet imported the module."""

    def work() -> None:
        import_changed(mutant.source, module)
        files = sorted({str(ROOT / name.split("::")[0]) for name in tests})
        places = {name: i for i, name in enumerate(tests)}

        def these(items: list[pytest.Item]) -> None:
            chosen = [item for item in items if item.nodeid in places]
            if len(chosen) < len(tests):  # their names are made of what the mutant has changed
                os._exit(FAILED)
            run(sorted(chosen, key=lambda item: places[item.nodeid]))

        os._exit(pytest.main([*FLAGS, *files], plugins=[Session(these)]))

    return in_a_fork(work, seconds)
