"""What a page's policy names, and what is done to a finished site."""

import base64
import hashlib
import logging
from pathlib import Path
from types import SimpleNamespace

import book_policy
import pytest

PAGE = """<!DOCTYPE html>
<html><head>
<meta charset="utf-8" />
<script src="own.js"></script>
<script>let a = 1;</script>
</head><body><button onclick="window.print()" class="x">Print</button>
<script type="module">
let b = "<\\u002fscript>";
</script>
<script type="application/json">{"a": 1}</script>
</body></html>"""


def named(script: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() + "'"


def finish(site: Path) -> None:
    app = SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=str(site))
    book_policy.write(app, None)  # type: ignore[arg-type]


def test_inline_scripts_are_named_and_nothing_else() -> None:
    wanted = [named("let a = 1;"), named('\nlet b = "<\\u002fscript>";\n')]
    assert book_policy.hashes(PAGE) == wanted


def test_a_page_carries_its_policy_before_all_scripts_and_once() -> None:
    html, rules = book_policy.guarded(PAGE)
    assert html.index(f'content="{rules}"') < html.index("<script")
    assert named("let a = 1;") in rules
    assert book_policy.guarded(html) == (html, rules)


def test_scripts_are_allowed_by_name_and_eval_is_not() -> None:
    _, rules = book_policy.guarded(PAGE)
    kinds = dict(part.split(" ", 1) for part in rules.split("; "))
    assert kinds["default-src"] == "'none'"
    assert "'unsafe-inline'" not in kinds["script-src"]
    assert "'unsafe-eval'" not in kinds["script-src"]
    assert kinds["base-uri"] == "'none'"
    assert not any("http" in what or "*" in what for what in kinds.values())


def test_the_site_has_headers_for_each_page(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    (tmp_path / "_static").mkdir()
    for name in ("index.html", "genindex.html", "book/a.html", "_static/template.html"):
        (tmp_path / name).write_text(PAGE)
    finish(tmp_path)
    lines = (tmp_path / "_headers").read_text().splitlines()
    assert [line for line in lines if line.startswith("/")] == [
        "/book/a.html", "/book/a", "/genindex.html", "/genindex", "/index.html", "/index", "/",
    ]  # fmt: skip
    _, rules = book_policy.guarded(PAGE)
    assert set(lines) - {line for line in lines if line.startswith("/")} == {
        f"  Content-Security-Policy: {rules}"
    }
    assert (tmp_path / "book" / "a.html").read_text() == book_policy.guarded(PAGE)[0]
    assert (tmp_path / "_static" / "template.html").read_text() == PAGE


def test_the_frame_of_the_machine_may_run_its_script() -> None:
    assets = Path(__file__).parents[2] / "book" / "assets"
    (script,) = book_policy.frame_hashes(assets)
    text = (assets / "machine_client.js").read_text()
    inside = text[text.index("<script>") + len("<script>") : text.index("</script>`;")]
    assert script == named(inside)


def test_a_handler_that_would_be_blocked_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_policy, "logger", logging.getLogger("policy"))
    (tmp_path / "a.html").write_text(PAGE.replace("<body>", '<body onload="go()">'))
    finish(tmp_path)
    assert "a.html has an inline handler, onload" in caplog.text
    (tmp_path / "a.html").write_text(PAGE)
    caplog.clear()
    finish(tmp_path)
    assert caplog.text == ""
