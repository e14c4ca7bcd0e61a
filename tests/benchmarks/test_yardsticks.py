"""The yardsticks of chapter 10: known codes, and the committed numbers in part recomputed."""

import gzip
import json
import math
import zlib
from functools import cache
from typing import Any

import pytest
import torch
import yardsticks as script
from packing import unpack

from ddpm_lite.data import mnist
from ddpm_lite.frechet import _by_shares
from ddpm_lite.judges import digits
from ddpm_lite.measured import ASSETS


@cache
def committed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(script.OUT.read_text())
    return found


def test_the_file_tells_how_it_was_made() -> None:
    assert committed()["command"] == "python benchmarks/yardsticks.py"
    assert committed()["neighbour_levels"] == script.LEVELS
    assert committed()["pseudo_count"] == script.PSEUDO_COUNT
    assert committed()["model"]["n"] == script.DIGITS


@pytest.mark.slow
def test_packed_files_have_the_size_that_the_file_tells() -> None:
    pixels, coders = mnist(train=False).pixels, committed()["coders"]
    whole = len(gzip.compress(pixels.numpy().tobytes(), 9))
    assert coders["gzip"] == pytest.approx(8 * whole / pixels.numel(), abs=1e-3)
    first = [len(zlib.compress(one.numpy().tobytes(), 9)) for one in pixels[:1000]]
    mean = 8 * sum(first) / pixels[:1000].numel()
    assert coders["zlib, each picture alone"] == pytest.approx(mean, abs=0.1)


def test_bits_of_a_known_table() -> None:
    # two contexts: in the first only 0 and 255, three to one; in the second always 7
    pixels = torch.tensor([0, 0, 0, 255, 7, 7], dtype=torch.uint8)
    keys = torch.tensor([0, 0, 0, 0, 1, 1])
    shares = script.counted(keys, pixels, 2)
    assert shares.sum(1).tolist() == pytest.approx([1, 1])
    p0, p255 = (3 + 0.5) / (4 + 128), (1 + 0.5) / (4 + 128)
    p7 = (2 + 0.5) / (2 + 128)
    expected = -(3 * math.log2(p0) + math.log2(p255) + 2 * math.log2(p7)) / 6
    assert script.bits(shares, keys, pixels) == pytest.approx(expected)


def test_a_context_holds_only_pixels_that_come_before() -> None:
    generator = torch.Generator().manual_seed(0)
    picture = torch.randint(0, 256, (1, 1, 28, 28), generator=generator, dtype=torch.uint8)
    before = script.by_neighbours(picture)
    changed = picture.clone()
    changed[0, 0, 10, 5:] = 255 - changed[0, 0, 10, 5:]
    changed[0, 0, 11:] = 255 - changed[0, 0, 11:]
    after = script.by_neighbours(changed)
    assert torch.equal(before[0, 0, :10], after[0, 0, :10])
    assert torch.equal(before[0, 0, 10, :6], after[0, 0, 10, :6])


def test_the_four_neighbours_by_hand() -> None:
    picture = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    picture[0, 0, 0, :3] = torch.tensor([255, 1, 60], dtype=torch.uint8)  # levels 5, 1, 2
    picture[0, 0, 1, 0] = 110  # level 3
    found = script.by_neighbours(picture)[0, 0]
    assert found[0, 0] == 0  # outside all is black
    assert found[1, 1] == ((3 * 6 + 5) * 6 + 1) * 6 + 2  # left, above left, above, above right


@pytest.mark.slow
def test_the_tables_need_what_the_file_tells() -> None:
    train, test = mnist(), mnist(train=False)
    shares = script.counted(script.by_neighbours(train.pixels), train.pixels, script.LEVELS**4)
    needed = script.bits(shares, script.by_neighbours(test.pixels), test.pixels)
    assert committed()["coders"]["a table over four neighbours"] == pytest.approx(needed, abs=1e-3)
    again = script.drawn(shares, script.DRAWN)
    assert torch.equal(again, unpack(committed()["drawn_by_neighbours"], 1, 28, 28))


def test_the_label_saves_more_than_nothing_and_far_less_than_the_bound() -> None:
    found = committed()["model"]
    assert found["gain"] == pytest.approx(found["without"] - found["with"], abs=2e-4)
    assert found["gain"] > 5 * found["gain_se"] > 0
    assert found["gain"] < 0.02 * found["without"]


def test_what_chapter_10_says_of_the_shipped_model_beside_them() -> None:
    found = json.loads((ASSETS / "mnist_evaluation.json").read_text())
    ours, coders = found["bits_per_dim"], committed()["coders"]
    table, here = coders["a table over four neighbours"], committed()["model"]
    assert 0 < table - ours < 0.1 * table  # "fewer bits, though not by much"
    assert here["fixed"] - here["without"] > 2 * (table - ours)  # it would lose without its own
    assert 1 / 8 < found["distortion"] / ours < 1 / 6  # "a seventh of all bits"
    early = sum(found["terms"]["per_step"][1:40])  # each a time by itself
    assert early > found["rate"] / 2  # "most of the rest"
    assert found["frechet"] > 1.3 * found["frechet_floor"]  # "ten thousand can"
    apart = _by_shares(digits().reference, digits().real.labels, torch.ones(10))
    assert apart > found["frechet_floor"] / 2  # "more than half of the last floor"
