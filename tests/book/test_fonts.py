"""The parts of fonts that pages get, tried with fonts that matplotlib brings."""

from base64 import b64decode
from io import BytesIO
from pathlib import Path

import book_fonts
import pytest
from fontTools.ttLib import TTFont
from matplotlib import get_data_path

DEJAVU = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def characters(font: TTFont) -> set[int]:
    return set(font.getBestCmap())


@pytest.fixture(scope="module")
def part() -> TTFont:
    return TTFont(BytesIO(book_fonts.part(DEJAVU)))


def test_a_part_has_all_of_the_font_that_pages_may_contain_and_nothing_else(part: TTFont) -> None:
    wanted = {code for first, last in book_fonts.RANGES for code in range(first, last + 1)}
    assert characters(part) == wanted & characters(TTFont(DEJAVU))
    assert {ord(c) for c in "aZ0äβᾱ₀→√∞✓"} <= characters(part)


def test_a_part_is_as_wide_as_the_font(part: TTFont) -> None:
    whole = TTFont(DEJAVU)
    for code in (ord("m"), ord("β"), ord("→")):
        name = whole.getBestCmap()[code], part.getBestCmap()[code]
        assert whole["hmtx"][name[0]][0] == part["hmtx"][name[1]][0]


def test_a_part_bears_no_name_of_the_font(part: TTFont) -> None:
    names = {record.nameID: record.toUnicode() for record in part["name"].names}
    assert all("DejaVu" not in names.get(kind, "") for kind in (1, 3, 4, 6, 16))


def test_the_style_sheet_holds_each_font(monkeypatch: pytest.MonkeyPatch) -> None:
    fonts = {DEJAVU.name: ("Book Sans", "italic", "90%")}
    monkeypatch.setattr(book_fonts, "FONTS", fonts)
    sheet = book_fonts.style_sheet(DEJAVU.parent)
    for line in ('font-family: "Book Sans";', "font-style: italic;", "size-adjust: 90%;"):
        assert line in sheet
    data = sheet.split("base64,")[1].split(")")[0]
    assert TTFont(BytesIO(b64decode(data))).flavor == "woff2"
