"""Sheets of drawn digits shuffled among real ones, for somebody who says which are malformed.

No classifier says how many digits look wrong to a person. So a person, or whoever stands in for
one, looks at numbered sheets without knowing what was drawn, writes down the numbers of all that
are no proper digit, and only then is the key opened. The real digits tell how strict that person
is, because some of them are called malformed too.

    ddpm-lite sample mnist --n 1000 --guidance-scale 2 --npz drawn.npz
    python benchmarks/blind_look.py sheets drawn.npz look/      # sheet_00.png, ..., and the key
    python benchmarks/blind_look.py score look/ answers.txt     # the numbers, blanks between
"""

import argparse
import json
import re
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ddpm_lite.data import mnist

COLUMNS, SCALE, MARGIN = 10, 3, 14
"""Pictures a row and a column of a sheet, their magnification, and the room for a number."""


def shuffled(drawn: Tensor, real: int, seed: int) -> tuple[Tensor, list[bool]]:
    """Drawn and as many real digits as asked, uint8 (N, 28, 28), and which of them were drawn."""
    generator = torch.Generator().manual_seed(seed)
    test = mnist(train=False).pixels[:, 0]
    pictures = torch.cat([drawn, test[torch.randperm(len(test), generator=generator)[:real]]])
    order = torch.randperm(len(pictures), generator=generator)
    return pictures[order], (order < len(drawn)).tolist()


def sheet(pictures: Tensor, first: int) -> Image.Image:
    """Up to COLUMNS ** 2 pictures with their numbers, which begin with `first`."""
    side = pictures.shape[-1] * SCALE
    page = Image.new("L", (COLUMNS * (side + 4), COLUMNS * (side + MARGIN)), 96)
    pen = ImageDraw.Draw(page)
    for place, picture in enumerate(pictures):
        x, y = place % COLUMNS * (side + 4), place // COLUMNS * (side + MARGIN)
        pen.text((x + 2, y + 1), str(first + place), fill=255)
        tile = Image.fromarray(picture.numpy()).resize((side, side), Image.Resampling.NEAREST)
        page.paste(tile, (x, y + MARGIN))
    return page


def write(options: argparse.Namespace) -> None:
    """The sheets and the key."""
    drawn = torch.from_numpy(np.load(options.drawn, allow_pickle=False)["images"])
    pictures, key = shuffled(drawn, options.real, options.seed)
    options.folder.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(pictures.split(COLUMNS**2)):
        sheet(part, number * COLUMNS**2).save(options.folder / f"sheet_{number:02d}.png")
    (options.folder / "key.json").write_text(json.dumps(key) + "\n")
    print(f"{len(drawn)} drawn among {options.real} real digits in {options.folder}")


def score(key: list[bool], answers: set[int]) -> dict[str, dict[str, float]]:
    """How many of the drawn and of the real digits the answers name, and their shares."""
    if unknown := sorted(number for number in answers if not 0 <= number < len(key)):
        sys.exit(f"no picture has the number {unknown[0]}: they go from 0 to {len(key) - 1}")
    found = {}
    for name, kind in (("drawn", True), ("real", False)):
        n = key.count(kind)
        named = sum(key[number] is kind for number in answers)
        found[name] = {"n": n, "malformed": named, "share": round(named / max(n, 1), 4)}
    return found


def main(arguments: list[str] | None = None) -> None:
    """Writes sheets, or holds answers against the key."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    sheets = kinds.add_parser("sheets")
    sheets.add_argument("drawn", type=Path, help="what `ddpm-lite sample --npz` wrote, grey")
    sheets.add_argument("folder", type=Path)
    sheets.add_argument("--real", type=int, default=500)
    sheets.add_argument("--seed", type=int, default=0)
    scored = kinds.add_parser("score")
    scored.add_argument("folder", type=Path)
    scored.add_argument("answers", type=Path)
    options = parser.parse_args(arguments)
    if options.kind == "sheets":
        return write(options)
    key = json.loads((options.folder / "key.json").read_text())
    answers = {int(number) for number in re.findall(r"\d+", options.answers.read_text())}
    print(json.dumps(score(key, answers)))


if __name__ == "__main__":
    main()
