"""The API reference has the promised names, each with its docstring, and no others."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from book_api import translated
from book_formulas import ROWS
from bs4 import BeautifulSoup
from small_book import SmallBook
from sphinx.pycode import ModuleAnalyzer

import ddpm_lite

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
SHOWN = re.findall(r"^\.\. automodule:: ddpm_lite\.(\w+)$", PAGE, re.M)
SETTINGS = ("autodoc_", "python_", "nitpick_", "toc_object_")


def modules() -> Iterator[str]:
    """Those of the package itself that promise something."""
    for path in sorted(Path(str(ddpm_lite.__file__)).parent.glob("*.py")):
        if re.search(r"^__all__ = ", path.read_text(encoding="utf-8"), re.M):
            yield path.stem


def promised(module: str) -> list[str]:
    found: list[str] = import_module(f"ddpm_lite.{module}").__all__
    return found


def test_every_module_that_promises_names_is_on_the_page() -> None:
    assert sorted(SHOWN) == sorted(modules())
    assert 40 <= sum(len(promised(module)) for module in SHOWN) <= 60


@pytest.mark.parametrize("module", list(modules()))
def test_every_promised_name_is_there_and_says_what_it_is(module: str) -> None:
    found = import_module(f"ddpm_lite.{module}")
    comments = ModuleAnalyzer.for_module(found.__name__).find_attr_docs()
    for name in promised(module):
        value = getattr(found, name)
        told = comments.get(("", name)) or [getattr(value, "__doc__", "") or ""]
        assert len(" ".join(told).split()) >= 3, name
        assert getattr(value, "__module__", found.__name__) == found.__name__, name


@pytest.mark.slow
def test_the_page_lists_the_promised_names_and_no_others(tmp_path: Path) -> None:
    """Built with warnings as errors: a link that leads nowhere is one."""
    book = SmallBook(tmp_path, "book_api")
    settings = yaml.safe_load((ROOT / "_config.yml").read_text())["sphinx"]["config"]
    wanted = {key: value for key, value in settings.items() if key.startswith(SETTINGS)}
    with (tmp_path / "conf.py").open("a") as conf:
        conf.writelines(f"{key} = {value!r}\n" for key, value in wanted.items())
    labels = {label for rows in ROWS.values() for row in rows for label in row.labels.split()}
    stand_ins = "\n".join(f"$$\nx\n$$ ({label})\n" for label in sorted(labels))
    for name in sorted(set(re.findall(r"\{doc\}`(\w+)`", PAGE)) - {"formula_to_code"}):
        book.page(name, "# A page\n\nText.\n")
    book.page("formula_to_code", f"# A page\n\n{stand_ins}")
    book.page("api", PAGE)
    assert book.build() == (0, "")
    page = BeautifulSoup(book.built("api"), "html.parser")
    ids = [str(entry["id"]) for entry in page.select("dl.py > dt[id]")]
    top = {name for name in ids if name.count(".") == 2}
    assert top == {f"ddpm_lite.{module}.{name}" for module in SHOWN for name in promised(module)}
    jump = page.select_one('dl:has(> dt[id="ddpm_lite.diffusion.q_sample"])')
    assert jump is not None
    links = [str(link["href"]) for link in jump.select("a.reference")]
    assert any(link.endswith("_modules/ddpm_lite/diffusion.html#q_sample") for link in links)
    assert any(link.endswith("#equation-eq-closed-form") for link in links)
    parameters = [line.text for line in jump.select("dt .book-parameter")]
    assert parameters[0] == "schedule: NoiseSchedule,"
    assert not page.select("dt dl")


def test_a_docstring_is_read_as_plain_english() -> None:
    assert translated("`beta` is |x_| * 2") == r"``beta`` is \|x\_\| \* 2"
