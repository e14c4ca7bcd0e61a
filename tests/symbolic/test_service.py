"""What a page asks of the machine: right verdicts, places, and no harm from what readers type."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import sympy as sp
from hostile import HOSTILE
from untrue import NOT_DIFFERENT, TRUE, UNTRUE

from ddpm_lite.symbolic import checks, display, service
from ddpm_lite.symbolic.cells import cells_of
from ddpm_lite.symbolic.checks import Disagreement
from ddpm_lite.symbolic.reader import read, read_claims
from ddpm_lite.symbolic.tokens import ReadError

BOOK = Path(__file__).parents[2] / "book"
WITH_FORMULAS = [p for p in sorted(BOOK.glob("[01]*.md")) if "use_page(" in p.read_text()]
"""The chapters but chapter 0, which displays no formula."""
PAGE = r"""
% definition
$$
\alpha_t = 1 - \beta_t , \qquad
\bar\alpha_t = \prod_{s=1}^{t} \alpha_s = \alpha_1 \alpha_2 \cdots \alpha_t , \qquad
\bar\alpha_0 = 1
$$ (eq-alpha)

% derived
$$
\alpha_t(1-\alpha_{t-1}) + (1-\alpha_t) = 1 - \alpha_t\alpha_{t-1}
$$ (eq-two)

% derived
$$
1 - \alpha_t = \beta_t > 0
$$ (eq-order)

% derived
$$
x_1 = x_1
$$ (eq-picture)

```{code-cell} ipython3
from ddpm_lite.symbolic import answer, chain, check, symbols, use_page
from ddpm_lite.symbolic.witnesses import Positive
use_page("service.md")
a, b, beta_t = symbols(r"\alpha_t, \alpha_{t-1}, \beta_t")
check("eq-two", 1 - a * b, method="expanding")
check("eq-order", chain(1 - a, "=", beta_t, ">", 0), method="by name", witness=Positive(beta_t))
```

```{code-cell} ipython3
import torch_that_is_not_here
x_1 = torch_that_is_not_here.zeros(1)
check("eq-picture", x_1, method="drawn")
```

```{code-cell} ipython3
answer("ex-left", r"1 - \alpha_t", beta_t, hint="What is lost?")
answer("ex-left", "2", 1 + a / a)
```
"""
TWO = r"\alpha_t(1-\alpha_{t-1}) + (1-\alpha_t) = 1 - \alpha_t\alpha_{t-1}"


def ask(name: str, *arguments: Any) -> dict[str, Any]:
    answer = json.loads(service.call(name, json.dumps(arguments)))
    assert isinstance(answer, dict)
    return answer


@pytest.fixture(autouse=True)
def page(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setattr(service, "_chapters", {})
    return ask("open_page", "service.md", PAGE)


def test_a_page_says_what_can_be_asked(page: dict[str, Any]) -> None:
    labels = {e["label"]: e["checked"] for e in page["equations"]}
    assert labels == {"eq-alpha": False, "eq-two": True, "eq-order": True, "eq-picture": True}
    assert page["exercises"] == [{"label": "ex-left", "parts": 2}]
    offered = service.offered("service.md", PAGE)
    assert offered["cells"] == [1, 3]  # the second one needs what is not here
    assert offered["symbols"][0] == (r"\alpha_{t}", "alpha_t")


@pytest.mark.parametrize(
    ("source", "runs"),
    [
        ("print(1 + 1)", True),
        ("import math\nfrom sympy import pi\nfloat(pi) - math.pi", True),
        ("import sympy.core.numbers\nsympy.core.numbers.pi", True),
        ("import torch", False),
        ("from pathlib import Path\nPath('x').read_text()", False),
        ("from ddpm_lite.schedule import cosine", False),
    ],
)
def test_which_cells_run_in_a_browser(source: str, runs: bool) -> None:
    text = f"```{{code-cell}} ipython3\n{source}\n```\n\n```{{code-cell}} ipython3\n2\n```\n"
    assert service.offered("cells.md", text)["cells"] == ([1, 2] if runs else [2])


def test_a_cell_above_that_fails_is_an_answer(page: dict[str, Any]) -> None:
    text = "```{code-cell} ipython3\na = 1 / 0\n```\n\n```{code-cell} ipython3\na\n```\n"
    ask("open_page", "cells.md", text)
    assert "division by zero" in ask("run_cell", "cells.md", 2, "a")["error"]


def test_a_check_runs_when_it_is_asked_for() -> None:
    assert ask("run_to", "eq-two")["mark"] == "✓ proved"
    assert ask("run_to", "eq-order")["method"] == "by name"
    assert "torch_that_is_not_here" in ask("run_to", "eq-picture")["error"]
    assert "no cell checks" in ask("run_to", "eq-alpha")["error"]
    assert "no open page" in ask("run_to", "eq-elsewhere")["error"]


@pytest.mark.parametrize(
    ("label", "latex", "verdict"),
    [
        ("eq-two", TWO, "equal"),
        ("eq-two", r"1 - (1-\beta_t)\alpha_{t-1} = \beta_t + \alpha_t \beta_{t-1}", "equal"),
        ("eq-two", TWO.replace("1-", "1+", 1), "different"),
        ("eq-two", r"1 - \alpha_t\alpha_{t-1}", "different"),  # claims nothing
        ("eq-two", TWO + r" , \qquad \alpha_t = \alpha_t", "different"),  # one claim too many
        ("eq-two", TWO.replace("=", r"\le"), "different"),
        ("eq-order", r"\beta_t = 1 - \alpha_t > 0", "equal"),
        ("eq-order", r"1 - \alpha_t = \beta_t < 0", "different"),
        ("eq-two", r"\alpha_t(1-\alpha_{t-1}", "unreadable"),
        ("eq-two", r"\zeta = 1", "unreadable"),
    ],
)
def test_verdicts(label: str, latex: str, verdict: str) -> None:
    assert ask("try_formula", label, latex)["verdict"] == verdict


def test_a_difference_comes_with_numbers_that_bear_it_out() -> None:
    found = ask("try_formula", "eq-two", TWO.replace("1-", "1+", 1))
    at = {name: read_claims(value)[0].lhs for name, value in found["at"]}
    now, before = at[r"{\alpha}_{t}"], at[r"{\alpha}_{t - 1}"]
    assert float(found["values"][0]) == pytest.approx(float(now * (1 + before) + 1 - now), 1e-5)
    assert float(found["values"][1]) == pytest.approx(float(1 - now * before), 1e-5)
    assert found["sides"] == ["page", "derived"]
    assert "alpha" in found["difference"]


def test_a_place_that_cannot_be_read_is_told() -> None:
    found = ask("try_formula", "eq-two", r"\frac{\alpha_t}{2 = 1")
    assert found["place"] == r"\frac{\alpha_t}{2 = 1".index("=")
    assert "}" in found["expected"]
    assert "+" in found["expected"]
    assert ask("try_formula", "eq-two", r"x + \zeta")["place"] == 4


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("beta_t", "equal"),
        ("1 - alpha_t", "equal"),
        (r"\beta_t", "equal"),
        ("y = 1 - alpha_t", "equal"),
        ("alpha_t", "different"),
        ("1 - alpha_t = 2", "different"),
        ("alpha_t < 1", "unreadable"),
        (r"\alpha_t < 1", "undecided"),
        ("steps", "unreadable"),
    ],
)
def test_answers_in_several_notations(text: str, verdict: str) -> None:
    found = ask("try_answer", "ex-left", text)
    assert found["verdict"] == verdict
    assert found["hint"] == "What is lost?"
    if verdict == "different":
        assert found["at"]
        assert found["values"][0] != found["values"][1]


def test_an_exercise_with_two_answers() -> None:
    assert ask("try_answer", "ex-left", "2", 1) == {"verdict": "equal", "latex": "2", "hint": ""}
    assert "no part 2" in ask("try_answer", "ex-left", "2", 2)["error"]
    assert "no open page" in ask("try_answer", "ex-none", "2")["error"]


def test_names_of_several_letters_are_no_products() -> None:
    assert ask("try_answer", "ex-left", "sin x")["verdict"] == "unreadable"  # not s i n x


def test_where_no_slip_is_refused_none_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "slips", lambda _: iter(()))
    assert ask("slip", "eq-two", 3)["error"] == "no slip in eq-two is one that can be seen"


def test_a_slip_is_refused_and_its_place_is_known() -> None:
    seen = set()
    for seed in range(12):
        found = ask("slip", "eq-two", seed)
        assert found == ask("slip", "eq-two", seed)
        latex = found["latex"]
        assert latex[: found["start"]] + found["right"] + latex[found["end"] :] == TWO
        assert ask("try_formula", "eq-two", latex)["verdict"] == "different"
        assert found["marked"].count(r"\class{piece-") == len(found["pieces"])
        seen.add(latex)
    assert len(seen) > 5


def test_a_cell_runs_as_it_was_written_and_as_a_reader_changes_it() -> None:
    wrong = 'answer("ex-left", "2", beta_t, hint="No.")\nbeta_t + 1'
    found = ask("run_cell", "service.md", 3, wrong)
    assert found["raised"] == ""
    (kind, line), (other, value) = found["output"]
    assert (kind, other) == ("answer", "latex")
    assert "not yet" in line
    assert value == r"\displaystyle {\beta}_{t} + 1"
    found = ask("run_cell", "service.md", 3, "print(1)\n[beta_t]\nprint(2)")
    assert found == {"output": [["text", "1\n2\n"]], "raised": ""}
    wrong = 'from ddpm_lite.symbolic import check\ncheck("eq-two", 1 + a * b, method="a slip")'
    found = ask("run_cell", "service.md", 3, wrong)
    assert found["raised"].startswith("CheckError: eq-two: the page and the derivation differ")


def test_a_changed_cell_leaves_the_books_results_alone() -> None:
    source = PAGE.split("```{code-cell} ipython3\n")[1].split("```")[0]
    found = ask("run_cell", "service.md", 1, source.replace("- a * b", "- a * b + 0 * a"))
    assert [kind for kind, *_ in found["output"]] == ["line", "line"]
    assert found["output"][0][1:] == ["✓ proved", TWO, "expanding"]
    assert ask("run_cell", "service.md", 1, source.replace("- a * b", "+ a * b"))["raised"]
    assert ask("try_formula", "eq-two", TWO)["verdict"] == "equal"


def test_html_of_a_cell_stays_text() -> None:
    source = "class Sly:\n    def _repr_html_(self): return '<img src=x onerror=alert(1)>'\nSly()"
    ((kind, text),) = ask("run_cell", "service.md", 3, source)["output"]
    assert kind == "text"
    assert "<img" not in text


def test_a_cell_cannot_fill_the_memory_with_what_it_prints() -> None:
    found = ask("run_cell", "service.md", 3, "while True: print('x' * 1000)")
    assert found["raised"].startswith("OverflowError")
    assert len(found["output"][0][1]) <= 100_000


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ("x = = 1", "line 1"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise SystemExit", "SystemExit"),
        ("", ""),
    ],
)
def test_a_cell_that_fails_says_so(source: str, word: str) -> None:
    assert word in ask("run_cell", "service.md", 3, source)["raised"]


def test_a_cell_that_needs_what_is_not_here() -> None:
    assert "torch" in ask("run_cell", "service.md", 3, "a_name, torch_that_is_not_here")["error"]
    assert "no cell 9" in ask("run_cell", "service.md", 9, "1")["error"]
    assert "not open" in ask("run_cell", "other.md", 1, "1")["error"]


def test_a_sheet_of_ones_own() -> None:
    text = "let u = sqrt(1 - beta)\n\n$u^2 + \\beta = 1$\nu = 2\nlet sigma = -1\nx = ) 3"
    lines = ask("sheet", text)["lines"]
    assert [one["line"] for one in lines] == [1, 3, 4, 5, 6]
    kinds = [one["verdict"] for one in lines]
    assert kinds == ["defined", "equal", "different", "refused", "unreadable"]
    assert lines[2]["at"] == [[r"\beta", r"\frac{9}{10}"]]
    assert float(lines[2]["values"][0]) == pytest.approx(0.1**0.5, abs=1e-5)
    assert lines[2]["message"].startswith("the two sides differ; $u$ may be any number here")
    assert lines[4]["place"] == text.splitlines()[5].index(")")
    assert "at most 60" in ask("sheet", "x = x\n" * 61)["error"]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_sheet_says_nothing_wrong(text: str) -> None:
    start = time.process_time()
    found = ask("sheet", f"let x = {text}\n{text} = 1")
    for one in found.get("lines", []):
        assert one["verdict"] != "equal"
        assert len(json.dumps(one)) < 20_000
    assert time.process_time() - start < 20


@pytest.mark.parametrize("fault", UNTRUE)
def test_what_is_untrue_is_not_called_equal(fault: str) -> None:
    for text in UNTRUE[fault]:
        start = time.process_time()
        assert ask("sheet", text)["lines"][-1]["verdict"] != "equal", text
        assert time.process_time() - start < 10, text


@pytest.mark.parametrize("text", TRUE)
def test_what_is_true_beside_it_is_still_seen(text: str) -> None:
    assert ask("sheet", text)["lines"][-1]["verdict"] == "equal"


@pytest.mark.parametrize("text", NOT_DIFFERENT)
def test_what_is_true_is_not_called_different(text: str) -> None:
    assert ask("sheet", text)["lines"][-1]["verdict"] != "different"


def test_two_chapters_are_open_at_once() -> None:
    other = PAGE.replace("service.md", "other.md").replace("(eq-two)", "(eq-three)")
    other = other.replace('"eq-two"', '"eq-three"').replace("ex-left", "ex-right")
    ask("open_page", "other.md", other)
    for label in ("eq-two", "eq-three", "eq-two"):
        assert ask("try_formula", label, TWO)["verdict"] == "equal"
    assert ask("try_answer", "ex-right", "beta_t")["verdict"] == "equal"


def test_the_ledger_of_the_caller_stays_as_it_was() -> None:
    before, hook = dict(vars(checks.ledger)), display.hook
    ask("run_to", "eq-two")
    ask("run_to", "eq-picture")  # fails
    assert vars(checks.ledger) == before
    assert display.hook is hook


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_input_gets_one_line_soon(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    start = time.process_time()
    for found in (
        ask("try_formula", "eq-two", text + " = 1"),
        ask("try_formula", "eq-two", text),
        ask("try_answer", "ex-left", text),
    ):
        assert found["verdict"] in ("different", "unreadable", "undecided")
        assert "\n" not in found["message"]
        assert len(found["message"]) <= 300
        assert len(json.dumps(found)) < 20_000
        assert 0 <= found.get("place", 0) <= len(text) + 4
    assert time.process_time() - start < 20
    assert list(tmp_path.iterdir()) == []
    assert ask("try_formula", "eq-two", TWO)["verdict"] == "equal"  # and it goes on


@pytest.mark.parametrize("seed", ["1", "2"])
def test_what_cannot_be_compared_is_undecided_in_whichever_order_sympy_looks(seed: str) -> None:
    """SymPy goes through sets: with one seed it finds too many digits, with another no float."""
    code = (
        "import json, sys\n"
        "from ddpm_lite.symbolic import service\n"
        "service.open_page('service.md', sys.argv[1])\n"
        "print(json.dumps(service.try_formula('eq-two', sys.argv[2])))"
    )
    claim = HOSTILE["exponentials"] + " = 1"
    environment = os.environ | {"PYTHONHASHSEED": seed}
    ran = subprocess.run(
        [sys.executable, "-c", code, PAGE, claim], capture_output=True, check=True, env=environment
    )
    found = json.loads(ran.stdout)
    assert found["verdict"] == "undecided"
    assert found["message"].startswith("this cannot be compared: ")
    assert "None" not in found["message"]


@pytest.mark.parametrize("arguments", ["", "{}", "[1]", '["eq-two", 3]', '["eq-two"]', "[[]]"])
@pytest.mark.parametrize("name", [*service.FUNCTIONS, "eval", "__class__"])
def test_a_wrong_call_is_an_answer_too(name: str, arguments: str) -> None:
    assert json.loads(service.call(name, arguments)) is not None


# --- Limits and places ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a" * service.LONGEST, None),
        ("a" * (service.LONGEST + 1), service.LONGEST),
        ("(" * service.DEEPEST + ")" * service.DEEPEST, None),
        ("x + " + "(" * (service.DEEPEST + 1), 4 + service.DEEPEST),
        ("([{" * 13 + "}])" * 13 + "(", None),
    ],
)
def test_what_is_too_long_or_too_deep_is_told_where(text: str, place: int | None) -> None:
    if place is None:
        service._check_size(text)
        return
    with pytest.raises(ReadError) as refused:
        service._check_size(text)
    assert refused.value.position == place


def test_a_formula_that_claims_nothing_hears_so() -> None:
    found = ask("try_formula", "eq-two", r"1 - \alpha_t\alpha_{t-1}")
    assert found["message"].endswith("claims nothing")


def test_what_has_no_meaning_is_undecided_and_hears_why() -> None:
    found = ask("try_formula", "eq-two", rf"\infty = {TWO}")
    assert found["verdict"] == "undecided"
    assert "infinity" in found["message"]


def test_messages_are_one_line_of_300_characters() -> None:
    assert service._line("a\n  b\tc") == "a b c"
    assert service._line("a" * 300) == "a" * 300
    assert service._line("a" * 301) == "a" * 299 + "…"


def test_a_long_formula_is_not_shown_and_many_numbers_are_no_example() -> None:
    letters = [sp.Symbol(f"x{i}") for i in range(13)]
    for many in (12, 13):
        values = {letter: sp.Integer(1) for letter in letters[:many]}
        found = Disagreement(sp.S.One, sp.S.Zero, sp.S.One, (values, sp.S.One, sp.S.Zero))
        told = service._sides(found)
        assert ("at" in told) == ("values" in told) == (many == 12)
        assert (told["formulas"], told["difference"]) == (["1", "0"], "1")
    assert service._shown(sp.Symbol("a" * 3000)) == "a" * 3000
    assert service._shown(sp.Symbol("a" * 3001)) == ""


def test_parts_of_an_exercise_are_counted_from_zero() -> None:
    assert ask("try_answer", "ex-left", "1 - alpha_t", 0)["verdict"] == "equal"
    assert ask("try_answer", "ex-left", "2", 1)["verdict"] == "equal"
    for part in (-1, 2):
        assert ask("try_answer", "ex-left", "2", part)["error"] == f"ex-left has no part {part}"
    assert "no open page has an exercise 'ex-none'" in ask("try_answer", "ex-none", "2")["error"]


def test_an_answer_is_shown_as_it_was_read() -> None:
    found = ask("try_answer", "ex-left", "2 * alpha_t")
    assert found["latex"] == r"2 \cdot \alpha_{t}"
    assert (found["verdict"], found["message"]) == ("different", "not yet")
    assert found["hint"] == "What is lost?"
    ((name, value),) = found["at"]
    alpha = read(value)
    assert name == r"{\alpha}_{t}"
    assert [float(x) for x in found["values"]] == pytest.approx([2 * alpha, 1 - alpha])


def test_the_lines_of_a_sheet_have_their_numbers_and_places() -> None:
    text = "\nlet a = 2\n\n  $a = 2$  \nlet a = 3\n a = \\zeta\na < 1"
    lines = ask("sheet", text)["lines"]
    assert [(line["line"], line["verdict"]) for line in lines] == [
        (2, "defined"), (4, "equal"), (5, "refused"), (6, "unreadable"), (7, "different"),
    ]  # fmt: skip
    assert lines[1]["latex"] == "a = 2"
    assert lines[3]["place"] == 4
    assert lines[4]["sides"] == ["left", "right"]
    assert len(ask("sheet", "a = a\n" * service.MOST_LINES)["lines"]) == service.MOST_LINES
    assert "at most 60 lines" in ask("sheet", "\n" * (service.MOST_LINES + 1))["error"]


def test_a_place_in_a_definition_is_counted_from_the_begin_of_the_line() -> None:
    (line,) = ask("sheet", "let a = % 2")["lines"]
    assert (line["verdict"], line["place"]) == ("unreadable", 8)


def test_what_cannot_be_run_is_told() -> None:
    assert ask("run_cell", "none.md", 1, "1")["error"] == "the page 'none.md' is not open"
    assert ask("run_cell", "service.md", 9, "1")["error"] == "service.md has no cell 9"
    wrong = ask("run_cell", "service.md", 3, "1\nx = = 3")
    assert wrong == {"output": [], "raised": "line 2: invalid syntax"}
    assert "torch_that_is_not_here" in ask("run_cell", "service.md", 3, "x_1")["error"]


def test_the_same_seed_gives_the_same_slip() -> None:
    one, again = ask("slip", "eq-two", 3), ask("slip", "eq-two", 3)
    assert one == again
    assert len({ask("slip", "eq-two", seed)["latex"] for seed in range(6)}) > 1
    restored = one["latex"][: one["start"]] + one["right"] + one["latex"][one["end"] :]
    assert restored == TWO
    for start, end in one["pieces"]:
        assert one["latex"][start:end] in one["marked"]


def test_it_needs_no_more_than_sympy() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'numpy', 'IPython', 'PIL']))\n"
        "import ddpm_lite.symbolic.service\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'multiprocessing', 'yaml'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
@pytest.mark.parametrize("path", WITH_FORMULAS, ids=lambda p: p.stem)
def test_every_cell_that_a_page_offers_runs(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    sources = {cell.number: cell.source for cell in cells_of(text)}
    offered = service.offered(path.name, text)["cells"]
    assert offered
    for number in offered:
        found = ask("run_cell", path.name, number, sources[number])
        assert found.get("raised") == "", (number, found)
