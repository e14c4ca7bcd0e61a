"""The proof machine as a reader uses it: formulas, slips, answers, cells and an own sheet."""

import json
import re
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from ddpm_lite.symbolic.page import Page as Chapter
from ddpm_lite.symbolic.pieces import latex_pieces, with_classes

from .chromium import Log
from .conftest import PHONE, ROOT, SITE, SLOW, missing

CHAPTER = "book/04_forward_closed_form.html"
LABEL = "eq-two-variance"
UNFOLD = """() => {
  for (const fold of document.querySelectorAll("details.more-section")) fold.open = true;
}"""
SLIP = r"\alpha_t(1+\alpha_{t-1}) + (1-\alpha_t) = 1 - \alpha_t\alpha_{t-1}"

FOR_EVER = """(question) => {
  const ask = bookMachine.ask;
  bookMachine.ask = (call, args, how) => {
    if (call !== "try_formula") return ask(call, args, how);
    bookMachine.ask = ask;
    return ask("run_cell", question, how);
  };
}"""
"""The next check takes for ever."""
WITHOUT_ALL_PIECES = """async (formulas) => {
  await MathJax.startup.promise;
  const bad = [];
  for (const [label, latex, count] of formulas) {
    const set = await MathJax.tex2chtmlPromise(latex, { display: true });
    const names = [...set.querySelectorAll("[class*=piece-]")].map((e) => e.getAttribute("class"));
    const there = new Set(names.map((name) => name.match(/piece-\\d+/)[0]));
    const wrong = set.querySelector("mjx-merror");
    if (wrong || there.size !== count) bad.push([label, there.size, count]);
  }
  return bad;
}"""
"""Formulas that MathJax cannot set, or that have lost a mark."""
UNSEEN = """() => [...document.querySelectorAll("mjx-c")]
  .filter((letter) => !letter.textContent)
  .filter((letter) => ["none", "normal"].includes(getComputedStyle(letter, "::before").content))
  .map((letter) => letter.className)"""
"""Letters of formulas in whose place nothing stands, neither a character nor one by style."""


@pytest.fixture(scope="module")
def book(browser: Browser, site_url: str) -> Iterator[Page]:
    """One page for all tests here, because the machine takes a while to load."""
    if not (SITE / "_static" / "machine" / "machine.json").exists():
        missing("the book is not built with its proof machine; `make book` builds it")
    log = Log()
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(SLOW)
    log.watch(context)
    page = context.new_page()
    page.add_init_script("let n = 0; Math.random = () => (n = (n + 0.382) % 1);")  # the same slips
    page.goto(f"{site_url}/{CHAPTER}")
    yield page
    unseen = page.evaluate(UNSEEN)
    context.close()
    assert unseen == []
    assert log.elsewhere == []
    assert log.faults == []


def try_it(page: Page, label: str = LABEL) -> Locator:
    """The editor of a formula."""
    editor = page.locator(f"section.try[data-label={label}]")
    if not editor.count():
        page.locator(f".proof-line[data-label={label}] .try-open").click()
    return editor


def check(editor: Locator, latex: str | None = None) -> Locator:
    """The verdict on what stands in the editor."""
    if latex is not None:
        editor.locator("textarea").fill(latex)
    editor.locator(".try-check").click()
    verdict = editor.locator(".verdict[data-verdict]")
    verdict.wait_for()
    return verdict


# --- Formulas ------------------------------------------------------------------------------------


def test_nothing_of_the_machine_comes_with_the_page(page: Page, site_url: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{site_url}/{CHAPTER}", wait_until="networkidle")
    assert not [url for url in asked if "/machine/" in url or "machine_client" in url]
    assert [url for url in asked if "machine_page.js" in url]


def test_the_books_formula_holds_and_a_changed_one_does_not(book: Page) -> None:
    editor = try_it(book)
    latex = editor.locator("textarea").input_value()
    expect(editor.locator(".try-preview mjx-container")).to_have_count(1)
    expect(check(editor)).to_have_attribute("data-verdict", "equal")
    wrong = check(editor, SLIP)
    expect(wrong).to_have_attribute("data-verdict", "different")
    assert wrong.locator(".verdict-side").count() == 3
    assert "yours 1.72, the cells 0.28" in wrong.inner_text()
    expect(check(editor, latex.replace("1 - ", "- ") + " + 1")).to_have_attribute(
        "data-verdict", "equal"
    )
    editor.locator(".try-back").click()
    assert editor.locator("textarea").input_value() == latex
    assert editor.locator(".verdict[data-verdict]").count() == 0


def test_what_cannot_be_read_is_marked(book: Page) -> None:
    verdict = check(try_it(book), r"\alpha_t + ) = 1")
    expect(verdict).to_have_attribute("data-verdict", "unreadable")
    assert verdict.locator("mark").inner_text() == ")"
    assert "Here could stand" in verdict.inner_text()
    book.locator("section.try .try-back").click()


@pytest.mark.parametrize(
    "latex",
    [
        r"\href{javascript:document.title='hacked'}{x} = x",
        r"\class{x}{\style{position:fixed}{x}} = 1",
        r"\def\a{\a\a}\a = 1",
        "<img src=x onerror=\"document.title='hacked'\"> = 1",
        r"\require{action}\toggle{1}{2}\endtoggle",
    ],
)
def test_what_does_more_than_draw_is_not_drawn(book: Page, latex: str) -> None:
    title = book.title()
    verdict = check(try_it(book), latex)
    assert verdict.get_attribute("data-verdict") == "unreadable"
    book.wait_for_timeout(300)  # the preview waits for the last key
    assert book.locator("section.try :is(a, img, [style*=fixed])").count() == 0
    assert book.title() == title


def test_the_keyboard_alone_is_enough(book: Page) -> None:
    if (open_ := book.locator("section.try")).count():
        open_.locator("textarea").press("Escape")
    button = book.locator(f".proof-line[data-label={LABEL}] .try-open")
    button.focus()
    book.keyboard.press("Enter")
    editor = book.locator("section.try")
    expect(editor.locator("textarea")).to_be_focused()
    book.keyboard.press("Control+Enter")
    expect(editor.locator(".verdict")).to_have_attribute("data-verdict", "equal", timeout=SLOW)
    book.keyboard.press("Tab")
    expect(editor.locator(".try-check")).to_be_focused()
    book.keyboard.press("Escape")
    expect(button).to_be_focused()
    assert editor.count() == 0


def test_the_page_goes_on_while_a_check_runs_and_it_can_be_stopped(book: Page) -> None:
    editor = try_it(book)
    editor.locator("textarea").fill(r"\prod_{s=1}^{t} (1 + \alpha_s)^{90} = (1 + \alpha_1)^{91 t}")
    book.evaluate(FOR_EVER, ["04_forward_closed_form.md", 4, "while True: pass"])
    editor.locator(".try-check").click()
    stop = editor.get_by_role("button", name="Stop")
    stop.wait_for()
    book.evaluate("() => new Promise(requestAnimationFrame)")  # the page draws
    assert stop.is_visible()  # while it still runs
    stop.click()
    expect(editor.locator(".verdict")).to_have_attribute("data-verdict", "stopped")
    editor.locator(".try-back").click()
    expect(check(editor)).to_have_attribute("data-verdict", "equal")  # in a new worker
    editor.locator(".try-close").click()


def test_stop_while_it_loads_and_a_chapter_that_does_not_come(
    browser: Browser, site_url: str
) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{site_url}/{CHAPTER}")
        page.route("**/machine/pages/*", lambda route: route.fulfill(status=500))
        editor = try_it(page)
        editor.locator(".try-check").click()
        editor.get_by_role("button", name="Stop").click()
        expect(editor.locator(".verdict")).to_have_attribute("data-verdict", "stopped")
        assert "cannot be loaded (500)" in check(editor).inner_text(timeout=SLOW)
        page.unroute("**/machine/pages/*")
        expect(check(editor)).to_have_attribute("data-verdict", "equal", timeout=SLOW)


# --- Slips ---------------------------------------------------------------------------------------


def plant(book: Page) -> tuple[Locator, dict[str, object]]:
    """A slip, and what the machine knows of it."""
    if not book.evaluate("() => 'bookMachine' in globalThis"):  # if this test runs alone
        try_it(book).locator(".try-close").click()
        book.wait_for_function("() => 'bookMachine' in globalThis")
    book.evaluate(
        "() => { const ask = bookMachine.ask; bookMachine.ask = async (...question) => {"
        " const answer = await ask(...question);"
        " if (question[0] === 'slip') { window.planted = answer; bookMachine.ask = ask; }"
        " return answer; } }"
    )
    book.locator(".slips-start").click()
    riddle = book.locator(".slip:has(mjx-container)")
    riddle.wait_for()
    return riddle, book.evaluate("() => window.planted")


def place(slip: dict[str, object]) -> int:
    """The first piece that touches the slip, or stands before what is missing."""
    pieces: list[list[int]] = json.loads(json.dumps(slip["pieces"]))
    start, end = int(str(slip["start"])), int(str(slip["end"]))
    touching = [k for k, (a, b) in enumerate(pieces) if a < end and b > start]
    before = [k for k, (_, b) in enumerate(pieces) if b <= start]
    return touching[0] if touching else before[-1] if before else 0


def test_a_slip_is_found_by_pointing(book: Page) -> None:
    before = book.locator(".progress-line").inner_text()
    riddle, slip = plant(book)
    riddle.locator(f".piece-{place(slip)}").first.click()
    verdict = riddle.locator(".verdict")
    expect(verdict).to_have_attribute("data-verdict", "equal")
    assert "Found" in verdict.inner_text()
    assert book.locator(".progress-line").inner_text() != before


def test_a_wrong_place_and_the_keyboard(book: Page) -> None:
    riddle, slip = plant(book)
    right = place(slip)
    picture = riddle.locator(".slip-formula")
    picture.focus()
    for _ in range(right + 1):
        book.keyboard.press("ArrowRight")
    book.keyboard.press("Enter")
    expect(riddle.locator(".verdict")).to_have_attribute("data-verdict", "equal")
    riddle, slip = plant(book)
    last = len(json.loads(json.dumps(slip["pieces"]))) - 1
    wrong = 0 if place(slip) > last / 2 else last
    touched = int(str(slip["end"])) - int(str(slip["start"])) < 12
    riddle.locator(f".piece-{wrong}").first.click()
    if touched:
        expect(riddle.locator(".verdict")).to_have_attribute("data-verdict", "different")


def test_slips_of_all_chapters_can_be_read(page: Page, site_url: str) -> None:
    page.goto(f"{site_url}/book/find_the_slip.html")
    for _ in range(3):
        page.locator(".slips-start").click()
        page.locator(".slip:not([hidden]) mjx-container").wait_for()
        assert page.evaluate(UNSEEN) == []
    expect(page.locator(".slip a").first).to_have_attribute("href", re.compile("#equation-eq-"))


def test_a_slip_is_mended(book: Page) -> None:
    riddle, slip = plant(book)
    latex, start, end = str(slip["latex"]), int(str(slip["start"])), int(str(slip["end"]))
    expect(check(riddle)).to_have_attribute("data-verdict", "different")
    verdict = check(riddle, latex[:start] + str(slip["right"]) + latex[end:])
    expect(verdict).to_have_attribute("data-verdict", "equal")
    assert "Mended" in verdict.inner_text()


def test_a_preview_that_grows_takes_no_button_away(book: Page) -> None:
    """A click whose press comes before the preview and whose release after it is a click."""
    riddle, slip = plant(book)
    riddle.locator(".try-check").hover()
    riddle.locator("textarea").fill(str(slip["latex"]))
    book.mouse.down()
    riddle.locator(".try-preview mjx-container").wait_for()
    book.mouse.up()
    expect(riddle.locator(".verdict")).to_have_attribute("data-verdict", "different")


# --- Answers -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "verdict"),
    [
        ("log(2)/log(1-beta)", "different"),
        (r"\frac{\log 2", "unreadable"),
        ("__import__('os')", "unreadable"),
        ("log(2)**(1000**1000)", "different undecided unreadable stopped"),
        ("-log(2)/log(1 - beta)", "equal"),
        (r"-\frac{\log 2}{\log(1-\beta)}", "equal"),
        ("log(1/2)/log(1 - beta)", "equal"),
    ],
)
def test_answers_are_marked(book: Page, typed: str, verdict: str) -> None:
    form = book.locator("form[data-exercise=ex-half-noise]")
    form.locator("input").fill(typed)
    form.locator("button[type=submit]").click()
    told = form.locator(".verdict[data-verdict]")
    told.wait_for()
    assert told.get_attribute("data-verdict") in verdict.split()
    if verdict == "different":
        assert "Hint" in told.inner_text()
        assert "With" in told.inner_text()


def test_symbols_can_be_clicked(book: Page) -> None:
    form = book.locator("form[data-exercise=ex-covariance]")
    field = form.locator("input")
    field.fill("2 * ")
    form.get_by_role("button", name="abar_t", exact=True).click()
    assert field.input_value() == "2 * abar_t"
    field.fill("\\frac12 ")
    form.get_by_role("button", name="abar_t", exact=True).click()
    assert field.input_value() == r"\frac12 \bar{\alpha}_{t}"


def test_progress_is_kept_and_can_be_forgotten(book: Page) -> None:
    book.evaluate("() => bookProgress.solve('answer ex-half-noise 0')")
    book.reload()
    form = book.locator("form.is-solved[data-exercise=ex-half-noise]")
    expect(form).to_have_count(1)
    line = book.locator(".progress-line")
    assert "kept in your browser only" in line.inner_text()
    line.locator("button").click()
    expect(form).to_have_count(0)
    assert line.inner_text().startswith("0 of ")


# --- Cells and the sheet -------------------------------------------------------------------------


def run(cell: Locator, button: str = ".cell-run") -> Locator:
    cell.locator(button).click()
    shown = cell.locator(".cell-shown[data-verdict]")
    shown.wait_for()
    return shown


def test_a_proof_cell_is_opened_run_changed_and_reset(book: Page) -> None:
    cell = book.locator("#cell-7")
    code = cell.locator(".cell_input")
    expect(code).to_be_hidden()
    cell.locator("summary").click()
    expect(code).to_be_visible()
    shown = run(cell)
    assert (
        shown.locator(".proof-derived").count() == cell.locator(".proof-line[data-label]").count()
    )
    cell.locator(".cell-edit").click()
    editor = cell.locator("textarea")
    source = editor.input_value()
    editor.fill(source.replace("sum(terms) ** 2", "sum(terms) ** 3"))
    editor.press("Shift+Enter")
    expect(cell.locator(".cell-raised")).to_contain_text("CheckError")
    editor.fill("class Sly:\n    def _repr_html_(self): return '<img src=x>'\nSly()")
    shown = run(cell)
    assert shown.locator("img").count() == 0
    cell.locator(".cell-reset").click()
    expect(code).to_be_visible()
    assert cell.locator("textarea, .cell-shown").count() == 0


def test_cells_that_need_more_say_where_they_run(book: Page) -> None:
    assert book.locator(".cell-where").count() > 0
    assert book.locator(".cell:has(.cell-where) .cell-run").count() == 0


def test_a_sheet_is_checked_and_kept(page: Page, site_url: str, log: Log) -> None:
    page.goto(f"{site_url}/book/your_own_sheet.html")
    text = "let u = sqrt(1 - beta)\nu**2 + beta = 1\nu = 2\nlet sigma = -1"
    page.locator("#sheet").fill(text)
    page.locator(".sheet .try-check").click()
    rows = page.locator(".sheet-lines .verdict")
    expect(rows).to_have_count(4, timeout=SLOW)
    kinds = [rows.nth(k).get_attribute("data-verdict") for k in range(4)]
    assert kinds == ["defined", "equal", "different", "refused"]
    expect(page.locator(".sheet-lines mjx-container").first).to_be_visible()
    assert page.evaluate(UNSEEN) == []
    page.reload()
    expect(page.locator("#sheet")).to_have_value(
        "let u = sqrt(1 - beta)\nu**2 + beta = 1\nu = 2\nlet sigma = -1"
    )
    assert log.faults == []


def test_on_a_phone_nothing_is_wider_than_the_page(browser: Browser, site_url: str) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True)
    context.set_default_timeout(SLOW)
    page = context.new_page()
    page.goto(f"{site_url}/{CHAPTER}")
    page.evaluate(UNFOLD)  # a long formula is folded
    editor = try_it(page, "eq-three-steps")
    check(editor, r"x_t = \sqrt{\alpha_t} x_{t-1}")
    page.locator("form[data-exercise=ex-covariance] input").tap()
    page.locator(".answer-symbols").first.wait_for()
    themes: list[Literal["light", "dark"]] = ["light", "dark"]
    for theme in themes:
        page.emulate_media(color_scheme=theme)
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
        for place in (editor, page.locator(".answer-symbols")):
            box = place.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= 400
    context.close()


def test_every_formula_of_the_book_can_be_pointed_at(page: Page, site_url: str) -> None:
    """MathJax sets each formula with its marks, and each mark is on the page."""
    page.goto(f"{site_url}/{CHAPTER}")
    formulas = [
        (equation.label, with_classes(equation.latex), len(list(latex_pieces(equation.latex))))
        for path in sorted((ROOT / "book").glob("[01]*.md"))
        for equation in Chapter(path).equations.values()
    ]
    assert len(formulas) > 200
    assert page.evaluate(WITHOUT_ALL_PIECES, formulas) == []
