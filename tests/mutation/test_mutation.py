"""The mutants of a small module, and what becomes of each."""

import functools
import importlib
import sys
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("mutmut", reason="pip install --no-deps -r tests/mutation/requirements.txt")

import trials
from mutants import Mutant, mutants

SOURCE = '''\
"""A module."""

__all__ = ["Box", "half"]
from functools import cached_property

LIMIT: float = 5


class Box:
    """A docstring."""

    side = 3

    @cached_property
    def area(self) -> "int":
        """In squares."""
        if self.side > LIMIT:
            raise ValueError("too large")
        return self.side * self.side


def half(x: int = 4) -> float:
    return x / 2
'''


def changes(source: str = SOURCE) -> dict[str, Mutant]:
    return {mutant.change: mutant for mutant in mutants(source)}


def test_every_kind_of_line_is_changed() -> None:
    found = changes()
    for change, function, line, on_import in [
        ("LIMIT: float = 5 -> LIMIT: float = 6", "", 6, True),
        ("side = 3 -> side = 4", "Box", 12, True),
        ("if self.side > LIMIT: -> if self.side >= LIMIT:", "Box.area", 17, False),
        ("if self.side > LIMIT: -> if not (self.side > LIMIT):", "Box.area", 17, False),
        ('raise ValueError("too large") -> pass', "Box.area", 18, False),
        ("return self.side * self.side -> return self.side / self.side", "Box.area", 19, False),
        ("return self.side * self.side -> return", "Box.area", 19, False),
        ("def half(x: int = 4) -> float: -> def half(x: int = 5) -> float:", "half", 22, True),
        ("return x / 2 -> return x / 3", "half", 23, False),
    ]:
        mutant = found[change]
        assert (mutant.function, mutant.first, mutant.runs_on_import) == (function, line, on_import)


def test_a_mutant_differs_in_its_change_alone() -> None:
    changed = changes()["return x / 2 -> return x * 2"].source
    assert changed == SOURCE.replace("x / 2", "x * 2")


def test_names_types_and_texts_for_people_stay() -> None:
    for word in ("__all__", "import", "A docstring", "In squares", "'int'", "too long"):
        assert not any(word in change for change in changes()), word
    assert 'raise ValueError("too large") -> raise ValueError("XXtoo largeXX")' not in changes()


@pytest.fixture
def box(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[ModuleType, Path]:
    """The module above, as one of the package's."""
    path = tmp_path / "small_box.py"
    path.write_text(SOURCE)
    monkeypatch.setattr(trials, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("small_box", None)  # that of the test before
    module = importlib.import_module("small_box")
    del sys.modules["small_box"]
    return module, path


def test_a_loaded_function_gets_the_changed_code(box: tuple[ModuleType, Path]) -> None:
    module, path = box
    functions = trials.functions_of(path)
    assert module.Box().area == 9
    wrong = changes()["return self.side * self.side -> return self.side / self.side"]
    assert trials.patch(wrong, path, functions)
    assert module.Box().area == 1
    assert not trials.patch(changes()["LIMIT: float = 5 -> LIMIT: float = 6"], path, functions)


def test_what_a_module_has_kept_is_forgotten(
    box: tuple[ModuleType, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, path = box
    monkeypatch.setitem(sys.modules, "small_box", module)
    kept, parser = functools.cache(lambda: object()), functools.cache(lambda: object())
    monkeypatch.setattr(module, "kept", kept, raising=False)
    monkeypatch.setattr(module, "_parser", parser, raising=False)
    before = kept(), parser()
    trials.forget(path)
    assert kept() is not before[0]
    assert parser() is before[1]


def test_what_runs_on_import_is_imported_anew(
    box: tuple[ModuleType, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    trials.import_changed(changes()["LIMIT: float = 5 -> LIMIT: float = 6"].source, box[1])
    assert importlib.import_module("small_box").LIMIT == 6


def test_the_tests_of_a_line_are_those_that_run_it_the_quickest_first() -> None:
    record = trials.Record({"a": 3.0, "b": 1.0, "c": 2.0}, {17: ["a", "c"], 23: ["b"]})
    found = changes()
    assert record.of(found["return x / 2 -> return x * 2"]) == ["b"]
    assert record.of(found["if self.side > LIMIT: -> if self.side >= LIMIT:"]) == ["c", "a"]
    assert record.of(found["side = 3 -> side = 4"]) == ["b", "c", "a"]
    constants = trials.Record({"d": 1.0}, {})  # reads one, and runs no line of the module
    assert constants.of(found["side = 3 -> side = 4"]) == ["d"]
    unseen = found["return x / 2 -> return x * 2"]  # it may run in another process
    assert (constants.runs(unseen), constants.of(unseen)) == ([], ["d"])


@pytest.mark.parametrize(("patience", "tests"), [(0.5, "a"), (3.5, "ab"), (10.0, "abc")])
def test_no_mutant_is_worth_hours(
    patience: float, tests: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "PATIENCE", patience)
    record = trials.Record({"a": 1.0, "b": 2.0, "c": 7.0}, {23: ["a", "b", "c"]})
    assert "".join(record.of(changes()["return x / 2 -> return x * 2"])) == tests


@pytest.mark.parametrize(
    ("work", "status"),
    [
        ("pass", trials.PASSED),
        ("raise SystemExit", trials.FAILED),
        ("while True: pass", -1),
        ("bytearray(2**40)", trials.FAILED),
    ],
)
def test_a_fork_tells_what_became_of_it(work: str, status: int) -> None:
    assert trials.in_a_fork(lambda: exec(work), 0.1) == status
