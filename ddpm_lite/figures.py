"""Figures for notebooks and the book: readable on light and dark pages, with a text for the blind.

Plots and grids of images both become a `Picture`: an SVG inside the page, whose lines and letters
take the colour of the text around them. Matplotlib is needed for plots only, and imported then.
"""

import base64
import html
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ddpm_lite.pictures import GAP, grid

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#72777d"
"""Axes and letters in a plot; a `Picture` replaces it by the colour of the text around."""

PALETTE = ("#2b7bba", "#cf6a17", "#1a9270", "#9467c8", "#cc4058", "#8a7433")
"""Colours of lines and bars, at least 3 to 1 in contrast on white and on the dark page."""

LABEL_SIZE = 8
"""Height of the letters beside a grid of images, in pixels of the images."""


@dataclass(frozen=True)
class Picture:
    """An SVG that a notebook shows; on its `alt` a screen reader relies."""

    svg: str
    alt: str

    def _repr_html_(self) -> str:
        return f'<div class="book-picture">{self.svg}</div>'


def use_book_style() -> None:
    """Sets matplotlib's defaults: the palette, no frame, a transparent ground, vector output."""
    import matplotlib as mpl

    mpl.rcParams.update(
        {
            "axes.edgecolor": INK, "axes.grid": True, "axes.labelcolor": INK,
            "axes.prop_cycle": mpl.cycler(color=PALETTE),  # type: ignore[attr-defined]
            "axes.spines.right": False, "axes.spines.top": False, "axes.titlecolor": INK,
            "axes.titlesize": 11, "figure.constrained_layout.use": True, "figure.figsize": (6.2, 3),
            "font.size": 10.5, "grid.alpha": 0.25, "grid.color": INK, "legend.frameon": False,
            "lines.linewidth": 1.8, "savefig.transparent": True, "svg.fonttype": "path",
            "svg.hashsalt": "ddpm_lite", "text.color": INK, "xtick.color": INK, "ytick.color": INK,
        }
    )  # fmt: skip


def show(figure: "Figure", alt: str) -> Picture:
    """A matplotlib figure as a Picture; it is closed, so that a notebook does not show it twice.

    `alt` says what the plot shows. Raises ValueError if it is empty.
    """
    from matplotlib import pyplot as plt

    _check_alt(alt)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    plt.close(figure)
    return Picture(_inline(buffer.getvalue(), alt), alt)


def _inline(source: str, alt: str) -> str:
    """Matplotlib's SVG made fit to stand in a page: no header, no ids that another one has too."""
    body = source[source.index("<svg") :].replace(INK, "currentColor")
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.DOTALL)
    own = f"p{zlib.crc32(body.encode()):08x}-"
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{own}", body)
    return body.replace("<svg", f"<svg {_attributes(alt)}", 1)


def _attributes(alt: str) -> str:
    return (
        f'role="img" aria-label="{html.escape(alt)}" '
        'style="max-width:100%;height:auto;overflow:visible;stroke-linejoin:round"'
    )


def _check_alt(alt: str) -> None:
    if not alt.strip():
        raise ValueError("a picture needs an alt text: say what is to be seen in it")


def show_images(
    images: Tensor,
    alt: str,
    columns: int | None = None,
    column_labels: Sequence[str] = (),
    row_labels: Sequence[str] = (),
) -> Picture:
    """A grid of uint8 images (N, C, H, W), row by row, with labels above and to the left.

    Between the images the page is seen: grey there could be taken for a part of them.

    Raises ValueError if `alt` is empty or if there are no images.
    """
    _check_alt(alt)
    page, (height, width) = grid(images, columns), images.shape[-2:]
    covered = grid(torch.full_like(images[:, :1], 255), columns)
    page.putalpha(covered.point([0] * 255 + [255]))
    left = max((len(label) for label in row_labels), default=0) * 0.55 * LABEL_SIZE
    left, top = left + GAP * bool(row_labels), 1.5 * LABEL_SIZE * bool(column_labels)
    png = io.BytesIO()
    page.save(png, "PNG")
    parts = [
        f'<image x="{left}" y="{top}" width="{page.width}" height="{page.height}" '
        'style="image-rendering:pixelated" href="data:image/png;base64,'
        f'{base64.b64encode(png.getvalue()).decode()}"/>'
    ]
    for i, label in enumerate(column_labels):
        x = left + i * (width + GAP) + width / 2
        parts.append(_text(x, top - LABEL_SIZE / 2, "middle", label))
    for i, label in enumerate(row_labels):
        y = top + i * (height + GAP) + height / 2 + LABEL_SIZE / 3
        parts.append(_text(left - GAP, y, "end", label))
    full = (left + page.width, top + page.height)
    return Picture(
        f'<svg {_attributes(alt)} viewBox="0 0 {full[0]:g} {full[1]:g}" width="{2 * full[0]:g}" '
        f'font-family="sans-serif" font-size="{LABEL_SIZE}" fill="currentColor">'
        f"{''.join(parts)}</svg>",
        alt,
    )


def _text(x: float, y: float, anchor: str, label: str) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}">{html.escape(label)}</text>'
