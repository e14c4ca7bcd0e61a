"""The book's own letters, so that a page takes the same room on every machine.

Text and code are set in two open typefaces that npm brings. Of each font the pages get a part, the
characters of `RANGES`, as data inside one style sheet. A browser reads that sheet before it sets
the first line; fonts in files of their own would come later, and the page would jump. It also works
where a page is opened from a file.

The licence reserves the name of the fonts for their whole, so the parts bear another one.
"""

from base64 import b64encode
from io import BytesIO
from pathlib import Path

from fontTools import subset

FONTS = {
    "source-sans/WOFF2/VF/SourceSans3VF-Upright.otf.woff2": ("Book Sans", "normal", "107%"),
    "source-sans/WOFF2/VF/SourceSans3VF-Italic.otf.woff2": ("Book Sans", "italic", "107%"),
    "source-code-pro/WOFF2/VF/SourceCodeVF-Upright.otf.woff2": ("Book Mono", "normal", "100%"),
}
"""Where a font lies in `node_modules`; its name on the pages, its style and its size: letters of
Source Sans are smaller than those of other fonts of the same size."""

RANGES = [
    (0x0020, 0x007E),  # ASCII
    (0x00A0, 0x017F),  # Latin with accents
    (0x02C6, 0x02DD),
    (0x0300, 0x030C),  # accents that stand over any letter
    (0x0370, 0x03FF),  # Greek
    (0x1FB0, 0x1FB1),  # alpha with a bar
    (0x2010, 0x203A),  # dashes and quotation marks
    (0x2070, 0x209C),  # digits and letters above and below the line
    (0x2190, 0x2199),  # arrows
    (0x2200, 0x22FF),  # mathematics
    (0x2500, 0x25FF),  # boxes, triangles
    (0x2713, 0x2717),  # ticks and crosses
]
"""What a page may contain, as far as the fonts have it."""

FEATURES = ["ccmp", "kern", "liga", "locl", "mark", "mkmk"]

RULE = """@font-face {{
  font-family: "{family}";
  font-style: {style};
  font-weight: 200 900;
  font-display: block;
  size-adjust: {size};
  src: url(data:font/woff2;base64,{data}) format("woff2");
}}
"""


def part(font: Path) -> bytes:
    """The characters of `RANGES` out of a font, as WOFF2, under no name."""
    options = subset.Options(flavor="woff2", layout_features=FEATURES, obfuscate_names=True)
    whole = subset.load_font(font, options)
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=[code for first, last in RANGES for code in range(first, last + 1)])
    cutter.subset(whole)
    written = BytesIO()
    subset.save_font(whole, written, options)
    return written.getvalue()


def style_sheet(modules: Path) -> str:
    """The style sheet, made of the fonts in `node_modules`."""
    rules = []
    for source, (family, style, size) in FONTS.items():
        data = b64encode(part(modules / source)).decode()
        rules.append(RULE.format(family=family, style=style, size=size, data=data))
    return "".join(rules)
