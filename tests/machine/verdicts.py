"""All verdicts of the book by the machine's service: one file for CPython and for Pyodide."""

import random
from collections.abc import Callable
from typing import Any

from hostile import HOSTILE
from untrue import UNTRUE

from ddpm_lite.symbolic import service
from ddpm_lite.symbolic.slips import slips


def verdicts(
    texts: dict[str, str], slipped: int, part: int, parts: int, tell: Callable[[str], object]
) -> dict[str, Any]:
    """What is said of every derived equation and every answer, of slips drawn at random, and worse.

    `texts` are the chapters by name, `slipped` the number of slips in all of them together, which
    are the same in each run. Of `parts` hostile texts and untrue sheets one is tried.
    """
    said: dict[str, Any] = {
        "equations": {},
        "answers": {},
        "slips": {},
        "hostile": {},
        "untrue": {},
    }
    possible = []
    for name, text in texts.items():
        page = service.open_page(name, text)
        for equation in page["equations"]:
            if equation["kind"] != "derived":
                continue
            label, latex = equation["label"], equation["latex"]
            said["equations"][label] = service.try_formula(label, latex)["verdict"]
            possible += [(label, slip.latex) for slip in slips(latex)]
        said["answers"] |= _answers(page)
        tell(f"{name}: {len(said['equations'])} equations so far")
    for label, latex in random.Random(0).sample(possible, slipped):
        said["slips"][f"{label}: {latex}"] = service.try_formula(label, latex)["verdict"]
    label = next(iter(said["equations"]))
    for name, text in list(HOSTILE.items())[part::parts]:
        tell(name)
        both = (text, f"{text} = 1")
        said["hostile"][name] = [service.try_formula(label, one)["verdict"] for one in both]
    untrue = [one for sheets in UNTRUE.values() for one in sheets]
    said["untrue"] = {
        one: service.sheet(one)["lines"][-1]["verdict"] for one in untrue[part::parts]
    }
    return said


def _answers(page: dict[str, Any]) -> dict[str, str]:
    """What is said of the chapter's own answers, and of a wrong one."""
    said = {}
    for exercise in page["exercises"]:
        label = exercise["label"]
        for part in range(exercise["parts"]):
            said[f"{label} {part} wrong"] = service.try_answer(label, "x_0 + 17", part)["verdict"]
            given = next(
                chapter.exercises[label][part].given
                for chapter in service._chapters.values()
                if label in chapter.exercises
            )
            if isinstance(given, str):
                said[f"{label} {part}"] = service.try_answer(label, given, part)["verdict"]
    return said
