"""The scripts of others: installed when the lock file changes, copied, or done without."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import book_vendor
import pytest
from small_book import SmallBook

VENDOR = Path(__file__).parents[2] / "book" / "vendor"
OURS = "vendor/mathjax/startup.js"


class Npm:
    """Writes what the pages need, and more, as `npm ci` would."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, options: list[str], cwd: Path, **settings: Any) -> None:
        assert options[:2] == ["ci", "--ignore-scripts"]
        assert 0 < settings["timeout"] <= book_vendor.SECONDS
        self.calls += 1
        for source in [*book_vendor.WANTED, "mathjax/unwanted.js"]:
            place = cwd / "node_modules" / source
            file = place if place.suffix or place.name == "LICENSE" else place / "file"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(source)


def fails(error: Exception) -> Callable[..., None]:
    def npm(*args: Any, **settings: Any) -> None:
        raise error

    return npm


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock file of one's own to change."""
    return Path(shutil.copytree(VENDOR, tmp_path / "lock")) / book_vendor.LOCK


def use(monkeypatch: pytest.MonkeyPatch, *npms: Callable[..., object]) -> None:
    monkeypatch.setattr(book_vendor, "npms", lambda: iter(npms))


def test_npm_runs_again_only_when_the_lock_file_changes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lock: Path
) -> None:
    npm = Npm()
    use(monkeypatch, npm)
    for _ in range(2):
        book_vendor.install(lock, tmp_path / "vendor")
    assert npm.calls == 1
    lock.write_text(lock.read_text() + "\n")
    modules = book_vendor.install(lock, tmp_path / "vendor")
    assert npm.calls == 2
    assert (modules / "mathjax" / "LICENSE").is_file()


def test_an_install_that_failed_is_no_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lock: Path
) -> None:
    npm = Npm()
    use(monkeypatch, npm)
    book_vendor.install(lock, tmp_path / "vendor")
    changed = lock.read_text() + "\n"
    lock.write_text(changed)
    use(monkeypatch, fails(subprocess.CalledProcessError(1, "npm")))
    with pytest.raises(book_vendor.VendorError, match="network"):
        book_vendor.install(lock, tmp_path / "vendor")
    use(monkeypatch, npm)
    book_vendor.install(lock, tmp_path / "vendor")
    assert npm.calls == 2


def test_the_next_npm_stands_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lock: Path
) -> None:
    npm = Npm()
    use(monkeypatch, fails(OSError("no such file")), npm)
    book_vendor.install(lock, tmp_path / "vendor")
    assert npm.calls == 1


@pytest.mark.parametrize(
    ("npms", "reason"),
    [
        ([], "there is no npm"),
        ([fails(subprocess.TimeoutExpired("npm", 1))], "more than 300 seconds"),
        ([fails(OSError("gone"))], "gone"),
    ],
)
def test_the_reason_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lock: Path, npms: list[Any], reason: str
) -> None:
    use(monkeypatch, *npms)
    with pytest.raises(book_vendor.VendorError, match=reason):
        book_vendor.install(lock, tmp_path / "vendor")


def test_only_what_pages_need_is_copied(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lock: Path
) -> None:
    use(monkeypatch, Npm())
    target = tmp_path / "site"
    for left in ("mathjax/before.js", "fontawesome/theirs.js"):
        (target / left).parent.mkdir(parents=True)
        (target / left).touch()
    book_vendor.copy(book_vendor.install(lock, tmp_path / "vendor"), target)
    found = {file.relative_to(target).as_posix() for file in target.rglob("*.*")}
    wanted = {place for place in book_vendor.WANTED.values() if "." in place}
    assert found == wanted | {"fontawesome/theirs.js"}


def test_fonts_are_cut_again_only_when_they_change(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, lock: Path
) -> None:
    cut: list[Path] = []
    monkeypatch.setattr(
        book_vendor.book_fonts, "style_sheet", lambda modules: cut.append(modules) or str(len(cut))
    )
    use(monkeypatch, Npm())
    modules, target = book_vendor.install(lock, tmp_path / "vendor"), tmp_path / "site"
    (target / "fonts").mkdir(parents=True)
    for _ in range(2):
        book_vendor.write_fonts(modules, target)
    assert (target / book_vendor.FONTS).read_text() == "1"
    os.utime(modules.with_name("fonts.css"), (0, 0))  # older than what was installed
    book_vendor.write_fonts(modules, target)
    assert (target / book_vendor.FONTS).read_text() == "2"


@pytest.mark.slow
def test_without_npm_the_book_is_built_with_the_usual_mathjax(tmp_path: Path) -> None:
    book = SmallBook(tmp_path, "book_vendor")
    book.page("one", "# One\n\nThe number $x$.\n")
    conf = tmp_path / "conf.py"
    plain = conf.read_text() + f"mathjax_path = {OURS!r}\nexclude_patterns = ['_build']\n"
    conf.write_text(plain + "import book_vendor\nbook_vendor.npms = lambda: iter(())\n")
    assert book.build() == (0, "")
    assert book_vendor.MATHJAX_URL in book.built("one")
    assert "fonts.css" not in book.built("one")

    shutil.copytree(VENDOR, tmp_path / "book" / "vendor")
    modules = tmp_path / "_build" / "vendor"
    Npm()(["ci", "--ignore-scripts"], modules, timeout=1)
    shutil.copyfile(VENDOR / book_vendor.LOCK, modules / "installed.json")
    (modules / "fonts.css").write_text("/* letters */")
    assert book.build() == (0, "")
    assert book_vendor.MATHJAX_URL not in book.built("one")
    assert OURS in book.built("one")
    sheets = re.findall(r'<link rel="stylesheet" [^>]*href="([^"?]*)', book.built("one"))
    assert sheets[0] == "../_static/vendor/fonts/fonts.css"  # before all that is set in them
