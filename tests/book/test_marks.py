"""Marks at the end of a formula stay with it, in the text and where it is displayed."""

from typing import Any

import book_pages
import pytest


def kept(body: str) -> str:
    context: dict[str, Any] = {"body": body}
    book_pages.keep_marks(None, "", "", context, None)  # type: ignore[arg-type]
    return str(context["body"])


def displayed(latex: str) -> str:
    return f'<div class="math notranslate nohighlight">\n\\[{latex}\\]</div>'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a = b .", r"a = b \nobreak ."),
        (r"a = b , \qquad c = d .", r"a = b \nobreak , \qquad c = d \nobreak ."),
        (r"a \\ b , \\ c . \end{aligned}", r"a \\ b \nobreak , \\ c \nobreak . \end{aligned}"),
        ("f(a , b) = 0.5", "f(a , b) = 0.5"),
    ],
)
def test_in_a_displayed_formula(before: str, after: str) -> None:
    assert kept(displayed(before)) == displayed(after)


def test_in_the_text_a_browser_keeps_them_together() -> None:
    formula = r'<span class="math notranslate nohighlight">\(a , \qquad b .\)</span>'
    assert kept(f"({formula}).") == f'<span class="book-nobr">({formula}).</span>'
    assert kept(f"so {formula} is") == f"so {formula} is"
