"""What a page's policy blocks; that it blocks nothing else, all other tests of pages see."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from .chromium import serve
from .conftest import SITE

WATCH = """() => {
  window.blocked = {};
  document.addEventListener("securitypolicyviolation", (event) =>
    (window.blocked[`${event.effectiveDirective} ${event.blockedURI}`] = true));
}"""
"""Each is told twice: the tag blocks it, and the header."""

BLOCKED = "() => Object.keys(window.blocked)"

PUT = """(html) => {
  const box = document.createElement("div");
  box.innerHTML = html;
  for (const dead of box.querySelectorAll("script")) {
    const live = document.createElement("script"); // one that innerHTML makes never runs
    for (const { name, value } of dead.attributes) live.setAttribute(name, value);
    live.textContent = dead.textContent;
    dead.replaceWith(live);
  }
  document.body.append(box);
  box.querySelector("button, a")?.click();
}"""
"""Somebody else's HTML has come into the page, and what can be clicked is clicked."""

SMUGGLED = {
    "a script": ("<script>window.harmed = 1</script>", "script-src-elem inline"),
    "a module": ('<script type="module">window.harmed = 1</script>', "script-src-elem inline"),
    "a handler": ('<button onclick="window.harmed = 1">x</button>', "script-src-attr inline"),
    "an address": ('<a href="javascript:window.harmed = 1">x</a>', "script-src-elem inline"),
    "a script as data": (
        '<script src="data:text/javascript,window.harmed = 1"></script>',
        "script-src-elem data",
    ),
    "a script from elsewhere": (
        '<script src="{away}/x.js"></script>',
        "script-src-elem {away}/x.js",
    ),
    "a picture from elsewhere": ('<img src="{away}/x.png">', "img-src {away}/x.png"),
    "a frame from elsewhere": ('<iframe src="{away}/x.html"></iframe>', "frame-src {away}"),
    "a frame of its own": (
        '<iframe srcdoc="<script>parent.harmed = 1</script>"></iframe>',
        "",  # told in the frame
    ),
}


@pytest.fixture
def page(blank_page: Page) -> Page:
    """One for all tests here, which leave nothing behind that the next could see."""
    return blank_page


@pytest.fixture
def away(tmp_path: Path) -> Any:
    """Another place, from which no page shall take anything."""
    (tmp_path / "x.js").write_text("window.harmed = 1")
    for name in ("x.png", "x.html", "x.json"):
        (tmp_path / name).touch()
    with serve(tmp_path) as url:
        yield url


@pytest.mark.parametrize("what", SMUGGLED)
def test_what_is_smuggled_in_does_not_run(site_url: str, page: Page, away: str, what: str) -> None:
    page.goto(f"{site_url}/book/bibliography.html")
    page.evaluate(WATCH)
    html, told = (text.replace("{away}", away) for text in SMUGGLED[what])
    page.evaluate(PUT, html)
    if told:
        page.wait_for_function("() => Object.keys(window.blocked).length")
    page.wait_for_timeout(300)
    assert page.evaluate("() => window.harmed") is None
    assert page.evaluate(BLOCKED) == ([told] if told else [])


def test_nothing_is_sent_elsewhere(site_url: str, page: Page, away: str) -> None:
    page.goto(f"{site_url}/book/bibliography.html")
    page.evaluate(WATCH)
    send = "(url) => fetch(url, { mode: 'no-cors' }).then(() => 'sent', () => 'refused')"
    assert page.evaluate(send, f"{away}/x.json") == "refused"
    assert page.evaluate(BLOCKED) == [f"connect-src {away}/x.json"]


def test_a_text_is_never_run(site_url: str, page: Page) -> None:
    """`eval` and its like, tried by a script of the page's own origin."""
    page.goto(f"{site_url}/book/bibliography.html")
    tried = """() => new Promise((resolve) => {
      const code = "try { eval('1'); answer('ran') } catch (error) { answer(error.name) }";
      window.answer = resolve;
      const script = document.createElement("script");
      script.src = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
      document.head.append(script);
    })"""
    assert page.evaluate(tried) == "EvalError"


def test_the_header_says_what_the_page_says(site_url: str, page: Page) -> None:
    """Either holds alone: GitHub Pages sends no such header, and a proxy may cut off the tag."""
    for built in SITE.glob("**/*.html"):
        path = built.relative_to(SITE).as_posix()
        if path.startswith("_static/"):
            continue
        reply = page.request.get(f"{site_url}/{path}")
        sent = reply.headers["content-security-policy"]
        assert f'content="{sent}"' in reply.text(), path


def test_the_buttons_of_the_header_do_what_they_say(site_url: str, page: Page) -> None:
    """Without MathJax, which takes most of a page's time."""
    page.route("**/mathjax/**", lambda route: route.abort())
    page.goto(f"{site_url}/book/01_gaussians.html", wait_until="load")
    page.evaluate(
        """() => {
      window.print = () => (window.done = "printed");
      document.documentElement.requestFullscreen = async () => { window.done = "filled"; };
    }"""
    )
    buttons = {".btn-download-pdf-button": "printed", ".btn-fullscreen-button": "filled"}
    for button, done in buttons.items():
        page.evaluate("() => void (window.done = '')")
        page.evaluate("(button) => document.querySelector(button).click()", button)
        assert page.evaluate("() => window.done") == done


def test_the_file_of_headers_is_one_that_usual_hosts_take(site_url: str) -> None:
    """Cloudflare Pages reads a hundred rules, of 2,000 characters a line at the most."""
    lines = (SITE / "_headers").read_text().splitlines()
    assert len([line for line in lines if line.startswith("/")]) <= 100
    assert max(map(len, lines)) <= 2000
