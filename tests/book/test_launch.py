"""The buttons that launch a chapter elsewhere open its generated notebook."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from book_pages import point_at_notebook

HERE = "https://github.com/somebody/somewhere"


def buttons(page: str, tmp_path: Path) -> dict[str, str]:
    launch = {"colab_url": "https://colab.example", "binderhub_url": "https://binder.example"}
    theme = {"repository_url": HERE, "repository_branch": "trunk", "launch_buttons": launch}
    config = SimpleNamespace(html_theme_options=theme)
    app: Any = SimpleNamespace(srcdir=str(tmp_path), config=config)
    found = [{"text": name, "url": "made by the theme"} for name in ("Binder", "Colab")]
    context: dict[str, Any] = {"header_buttons": [{"label": "launch-buttons", "buttons": found}]}
    point_at_notebook(app, page, "", context, None)
    return {b["text"]: b["url"] for group in context["header_buttons"] for b in group["buttons"]}


def test_a_chapter_opens_its_notebook(tmp_path: Path) -> None:
    (tmp_path / "book" / "colab").mkdir(parents=True)
    (tmp_path / "book" / "colab" / "03_x.ipynb").touch()
    assert buttons("book/03_x", tmp_path) == {
        "Colab": "https://colab.example/github/somebody/somewhere/blob/trunk/book/colab/03_x.ipynb",
        "Binder": "https://binder.example/v2/gh/somebody/somewhere/trunk"
        "?urlpath=lab/tree/book/colab/03_x.ipynb",
    }


@pytest.mark.parametrize("page", ["book/index", "book/03_x"])
def test_a_page_without_notebook_has_no_buttons(page: str, tmp_path: Path) -> None:
    assert buttons(page, tmp_path) == {}
