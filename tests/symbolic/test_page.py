"""A page's displays: which stand there, where, under which label, and what breaks the contract."""

from pathlib import Path

import pytest

from ddpm_lite.symbolic.page import KINDS, Page, PageError, equations_of

TEXT = """\
# Page

% definition
$$
a = 1
$$ (eq-a)

$$
b = 2
$$

% derived
$$
c = 3 ,
d = 4
$$

% cited
$$
e = 5
$$ (eq-e)

```python
% derived
$$
x = 1
$$ (eq-in-code)
```

~~~
$$
y = 1
$$ (eq-in-tildes)
~~~

% proved
$$
f = 6
$$ (eq-f)
"""


def test_displays_with_kind_label_and_line() -> None:
    found = [(e.label, e.kind, e.latex, e.line) for e in equations_of(TEXT)]
    assert found == [
        ("eq-a", "definition", "a = 1", 4),
        (None, None, "b = 2", 8),
        (None, "derived", "c = 3 ,\nd = 4", 13),
        ("eq-e", "cited", "e = 5", 19),
        ("eq-f", None, "f = 6", 37),
    ]
    assert KINDS == ("definition", "derived", "cited")


GOOD = "% derived\n$$\nx = 1\n$$ (eq-a)\n\n% cited\n$$\ny = 2\n$$ (eq-b)\n"


def test_a_page_by_its_labels(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text(GOOD)
    page = Page(tmp_path / "page.md")
    assert page.name == "page.md"
    assert list(page.equations) == ["eq-a", "eq-b"]
    assert page["eq-b"].latex == "y = 2"
    with pytest.raises(PageError, match=r"page\.md has no equation 'eq-c'"):
        page["eq-c"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n$$\nx\n$$ (eq-a)\n", "page.md, line 2: the display has no kind"),
        ("% derived\n$$\nx\n$$\n", "page.md, line 2: the display has no label"),
        (GOOD + GOOD, "page.md, line 11: the label eq-a stands twice"),
    ],
)
def test_what_breaks_the_contract_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(PageError) as refused:
        Page.from_text("page.md", text)
    assert str(refused.value) == message


def test_a_trial_changes_a_formula_by_its_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Page, "changed", {"eq-b": "y = 3", "eq-z": "z = 4"})
    page = Page.from_text("page.md", GOOD)
    assert [e.latex for e in page.equations.values()] == ["x = 1", "y = 3"]
    assert (page["eq-b"].kind, page["eq-b"].line) == ("cited", 7)
