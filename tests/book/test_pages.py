"""The pages of the book: their sources, and the built site where it has been built."""

import os
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup, Tag

ROOT = Path(__file__).parents[2]
BOOK, SITE = ROOT / "book", ROOT / "_build" / "html"
PAGES = sorted(BOOK.glob("*.md"))
WAY_IN = [page for page in PAGES if page.name.startswith("00_")]
"""Chapter 0: six pages that are one chapter together."""
CHAPTERS = [page for page in PAGES if page.name[0].isdigit() and page not in WAY_IN]
CELL = re.compile(r"^```\{code-cell\}[^\n]*\n(?:---\n(.*?)\n---\n)?(.*?)^```$", re.M | re.S)
DISPLAY = re.compile(r"^\$\$\n(.*?)^\$\$([^\n]*)$", re.M | re.S)
HEADER = re.compile(r"\A---\n.*?\n---\n", re.S)
FOLDED = re.compile(
    r"^```\{rst-class\} more\n```\n(?:## .*?(?=^```\{rst-class\} more|^## |\Z)"
    r"|### .*?(?=^```\{rst-class\} more|^###? |\Z))",
    re.M | re.S,
)
"""A section for those who want it all."""
FENCE = re.compile(r"^(`{3,4})\{[^\n]*\n.*?^\1$", re.M | re.S)


def name(page: Path) -> str:
    return page.stem


def text_of(page: Path) -> str:
    return HEADER.sub("", page.read_text())


def cells_of(page: Path) -> list[tuple[dict[str, object], str]]:
    """Options and code of each cell."""
    return [(yaml.safe_load(m[1] or "") or {}, m[2]) for m in CELL.finditer(text_of(page))]


def words(prose: str) -> int:
    return len(re.findall(r"[A-Za-z0-9$][^\s]*", prose))


# --- Sources -------------------------------------------------------------------------------------


def test_every_page_is_in_the_table_of_contents() -> None:
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [toc["root"]] + [c["file"] for part in toc["parts"] for c in part["chapters"]]
    assert sorted(listed) == [f"book/{page.stem}" for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_display_equation_has_a_label(page: Path) -> None:
    text = re.sub(r"^```bash.*?^```$", "", CELL.sub("", text_of(page)), flags=re.M | re.S)
    found = [m[2].strip() for m in DISPLAY.finditer(text)]
    assert [label for label in found if not re.fullmatch(r"\(eq-[a-z0-9-]+\)", label)] == []
    assert text.count("$$") == 2 * len(found)
    assert not re.search(r"\\begin\{(align|equation|gather)\*?\}|```\{math\}", text)


def test_labels_are_used_once() -> None:
    labels: Counter[str] = Counter()
    for page in PAGES:
        labels.update(re.findall(r"^\$\$ \((eq-[^)]*)\)", text_of(page), re.M))
        labels.update(re.findall(r"^ *name: (fig-.*)$|^:label: (ex-.*)$", page.read_text(), re.M))
    assert [label for label, n in labels.items() if n > 1] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_class_is_set_by_its_own_directive(page: Path) -> None:
    """`{class}` is Sphinx's directive for a class of Python: it would print "class more"."""
    assert not re.search(r"^`{3,}\{class\}", text_of(page), re.M)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_cells_are_short_and_fit_the_column(page: Path) -> None:
    for options, code in cells_of(page):
        lines = code.strip().splitlines()
        folded = "hide-input" in options.get("tags", [])
        assert len(lines) <= 20, code
        assert max(map(len, lines)) <= (88 if folded else 82), code


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_picture_has_caption_name_and_alt_text(page: Path) -> None:
    for options, code in cells_of(page):
        if re.search(r"^show(_images)?\(", code, re.M):
            figure = options["mystnb"]["figure"]
            assert figure["caption"], code
            assert figure["name"].startswith("fig-"), code
        assert "plt.show" not in code
    assert not re.search(r"!\[\s*\]\(", page.read_text())


@pytest.mark.parametrize("page", WAY_IN + CHAPTERS, ids=name)
def test_the_pace_of_a_chapter(page: Path) -> None:
    text = text_of(page)
    opening = FENCE.sub("", text[: text.index("```{code-cell}")])
    assert words(opening) <= 80, opening
    stops = re.sub(r"^\|.*$", "\0", DISPLAY.sub("\0", FENCE.sub("\0", text)), flags=re.M)
    longest = max(stops.split("\0"), key=words)
    assert words(longest) <= 150, longest


@pytest.mark.parametrize("page", CHAPTERS[:6], ids=name)
def test_a_chapter_of_mathematics_is_no_book_of_its_own(page: Path) -> None:
    """Words in letters of the first reading: without formulas, cells and what is folded."""
    prose = DISPLAY.sub("", FENCE.sub("", FOLDED.sub("", text_of(page))))
    plain = re.sub(r"^% .*$|\$[^$]*\$", "", prose, flags=re.M)
    assert 1500 <= len(re.findall(r"[A-Za-z][A-Za-z'-]*", plain)) <= 3000


@pytest.mark.parametrize("page", CHAPTERS[:6], ids=name)
def test_the_first_reading_shows_one_short_proof(page: Path) -> None:
    """Open, before the exercises, and not in a section that is folded itself."""
    before = FOLDED.sub("", text_of(page)).split("\n## Exercises")[0]
    cells = [(yaml.safe_load(m[1] or "") or {}, m[2]) for m in CELL.finditer(before)]
    shown = [code for options, code in cells if "open-proof" in options.get("tags", [])]
    assert len(shown) == 1
    assert "check(" in shown[0]
    assert len([line for line in shown[0].splitlines() if line.strip()]) <= 16


@pytest.mark.parametrize("page", CHAPTERS, ids=name)
def test_every_exercise_has_a_folded_solution(page: Path) -> None:
    text = text_of(page)
    exercises = re.findall(r"^```\{exercise\}.*\n:label: (\S+)", text, re.M)
    solutions = re.findall(r"^`+\{solution(?:-start)?\} (\S+)\n:class: dropdown$", text, re.M)
    assert 4 <= len(exercises) <= 10
    assert exercises == solutions


@pytest.mark.parametrize("page", CHAPTERS, ids=name)
def test_a_chapter_shows_the_code_and_sums_up(page: Path) -> None:
    text = text_of(page)
    assert "## In the code" in text
    assert "```{literalinclude} ../ddpm_lite/" in text
    assert "## Try it" in text
    assert "from ddpm_lite.widgets." in text
    assert "## You may meet it written wrongly" in text
    assert "{eq}`eq-" in text[text.index("## Summary") :]


# --- Chapter 0 -----------------------------------------------------------------------------------


def test_the_way_in_has_six_short_pages() -> None:
    assert len(WAY_IN) == 6
    for page in WAY_IN:
        prose = re.sub(r"^% .*$|\$[^$]*\$", "", FENCE.sub("", text_of(page)), flags=re.M)
        assert 500 <= len(re.findall(r"[A-Za-z][A-Za-z'-]*", prose)) <= 1400, page.name


@pytest.mark.parametrize("page", WAY_IN, ids=name)
def test_the_way_in_has_no_displayed_formula(page: Path) -> None:
    assert not DISPLAY.search(text_of(page))


@pytest.mark.parametrize("page", WAY_IN[:2], ids=name)
def test_its_first_two_pages_use_no_letters_for_numbers(page: Path) -> None:
    """Numbers and roots of numbers are all that stands between dollar signs."""
    formulas = re.findall(r"\$([^$]+)\$", FENCE.sub("", text_of(page)))
    assert formulas
    letters = [f for f in formulas if re.search(r"[A-Za-z]", re.sub(r"\\[a-z]+", "", f))]
    assert letters == []


@pytest.mark.parametrize("page", WAY_IN, ids=name)
def test_its_exercises_have_folded_solutions_and_it_leads_on(page: Path) -> None:
    text = text_of(page)
    exercises = re.findall(r"^```\{exercise\}.*\n:label: (\S+)", text, re.M)
    solutions = re.findall(r"^`+\{solution(?:-start)?\} (\S+)\n:class: dropdown$", text, re.M)
    last = page == WAY_IN[-1]
    assert len(exercises) == (0 if last else 1)
    assert exercises == solutions
    following = "01_gaussians" if last else WAY_IN[WAY_IN.index(page) + 1].stem
    assert f"{following}>`" in text.strip().splitlines()[-1]


def test_the_whole_model_has_forty_lines() -> None:
    page = BOOK / "00_5_forty_lines.md"
    pieces = [code for options, code in cells_of(page) if options.get("tags") == ["forty-lines"]]
    assert len(pieces) == 5
    lines = [line for code in pieces for line in code.splitlines() if line.strip()]
    assert len(lines) == 40
    own = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import", "from"))}
    assert own == {"torch", "ddpm_lite"}
    assert sum("ddpm_lite" in line for line in lines) == 1  # MNIST; all else is PyTorch


def test_the_address_of_the_project_stands_in_one_place() -> None:
    address = yaml.safe_load((ROOT / "_config.yml").read_text())["repository"]["url"]
    place = address.removeprefix("https://")
    assert [page.name for page in PAGES if place in page.read_text()] == []


# --- The built site ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site() -> dict[Path, BeautifulSoup]:
    """Every page of the built site, parsed. Without a build it fails in CI, and is skipped else."""
    if not (SITE / "book" / "index.html").exists():
        reason = "the book is not built; `make book` builds it"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    pages = [SITE / "book" / f"{page.stem}.html" for page in PAGES]
    return {page: BeautifulSoup(page.read_text(), "html.parser") for page in pages}


def article(soup: BeautifulSoup) -> Tag:
    found = soup.select_one("article.bd-article")
    assert found is not None
    return found


def test_links_within_the_site_lead_somewhere(site: dict[Path, BeautifulSoup]) -> None:
    dead = []
    anchors = {page: {str(tag["id"]) for tag in soup.select("[id]")} for page, soup in site.items()}
    for page, soup in site.items():
        for tag in soup.select("a[href], img[src], script[src], link[href]"):
            link = urlsplit(str(tag.get("href") or tag.get("src")))
            if link.scheme or link.netloc:
                continue
            target = (page.parent / unquote(link.path)).resolve() if link.path else page
            lost = target in anchors and link.fragment and link.fragment not in anchors[target]
            if not target.exists() or (lost and link.fragment != "main-content"):
                dead.append(f"{page.name}: {link.geturl()}")
    assert dead == []


def test_pictures_tell_the_blind_what_they_show(site: dict[Path, BeautifulSoup]) -> None:
    for page, soup in site.items():
        for image in article(soup).select("img"):
            assert str(image.get("alt", "")).strip(), f"{page.name}: {image.get('src')}"
        for drawing in article(soup).select(".book-picture > svg"):
            assert drawing["role"] == "img", page.name
            assert str(drawing["aria-label"]).strip(), page.name


def test_every_chapter_shows_its_figures_and_numbers(site: dict[Path, BeautifulSoup]) -> None:
    for source in PAGES:
        soup = article(site[SITE / "book" / f"{source.stem}.html"])
        named = re.findall(r"^ *name: (fig-.*)$", source.read_text(), re.M)
        for figure in named:
            assert soup.select_one(f"figure#{figure} svg"), f"{source.name}: {figure}"
        for equation in soup.select("div.math:not(.output)"):  # what a cell puts out has none
            assert equation.select_one(".eqno"), f"{source.name}: {equation.text[:80]}"


def test_no_id_stands_twice(site: dict[Path, BeautifulSoup]) -> None:
    for page, soup in site.items():
        ids = Counter(str(tag["id"]) for tag in article(soup).select("[id]"))
        del ids["exercise-content"], ids["solution-content"]  # sphinx-exercise repeats them
        assert [i for i, n in ids.items() if n > 1] == [], page.name


def test_no_script_stands_twice(site: dict[Path, BeautifulSoup]) -> None:
    for page, soup in site.items():
        scripts = Counter(tag.text for tag in soup.select("head script:not([src])") if tag.text)
        assert [text[:60] for text, n in scripts.items() if n > 1] == [], page.name


def test_the_colab_button_has_a_notebook(site: dict[Path, BeautifulSoup]) -> None:
    for page, soup in site.items():
        if soup.select('a[href*="colab.research"]'):
            assert (BOOK / "colab" / f"{page.stem}.ipynb").exists(), page.name


def test_pages_hold_no_error_and_no_path_of_the_machine(site: dict[Path, BeautifulSoup]) -> None:
    for page, soup in site.items():
        assert not soup.select(".output.traceback, .output.stderr, .system-message"), page.name
        shown = article(soup).text
        assert [place for place in (str(ROOT), str(Path.home())) if place in shown] == [], page.name


def minutes(text: str) -> float:
    """Words at 180 a minute, a minute and a half for each displayed formula, three an exercise."""
    kept = r"```\{(?:exercise|solution|admonition)"
    prose = FENCE.sub(lambda block: block[0] if re.match(kept, block[0]) else "", text)
    plain = re.sub(r"\$[^$]*\$", "", DISPLAY.sub("", prose))
    formulas, exercises = len(DISPLAY.findall(text)), text.count("{exercise}")
    return len(re.findall(r"[A-Za-z][A-Za-z'-]*", plain)) / 180 + 1.5 * formulas + 3 * exercises


BOX = re.compile(
    r"\A\s*(?:\([a-z-]+\)=\n)?# [^\n]+\n\n```\{admonition\} Before you start\n:class: way\n"
    r"\*\*Time:\*\* about (\d+) minutes(?:, (\d+) with all that is folded)?\. "
    r"\*\*You need:\*\* .*\. \*\*You may skip:\*\* .*\.\n```\n"
)


@pytest.mark.parametrize("page", CHAPTERS, ids=name)
def test_a_chapter_says_what_it_takes(page: Path) -> None:
    text = text_of(page)
    said = BOX.match(text)
    assert said, "there is no box 'Before you start', or it does not say all"
    assert bool(said[2]) == bool(FOLDED.search(text))
    assert abs(int(said[1]) - minutes(FOLDED.sub("", text))) <= 5
    assert abs(int(said[2] or said[1]) - minutes(text)) <= 5
