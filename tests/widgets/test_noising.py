"""The noising widget's Python side: what it sends, what it says, what it refuses."""

import json
import re

import numpy as np
import pytest
import torch

from ddpm_lite.data import mnist
from ddpm_lite.widgets.noising import DIGIT, Noising, sunset


def test_sends_a_real_digit_and_a_colour_picture() -> None:
    state = Noising().state
    digit, colours = state["pictures"]["digit"], state["pictures"]["sunset"]
    assert torch.equal(torch.tensor(digit["pixels"]), mnist(train=False).pixels[DIGIT].flatten())
    assert (digit["channels"], digit["side"]) == (1, 28)
    assert (colours["channels"], colours["side"]) == (3, 32)
    assert colours["pixels"] == sunset().ravel().tolist()


def test_the_sunset_is_a_picture() -> None:
    picture = sunset()
    assert picture.shape == (3, 32, 32)
    assert picture.dtype == np.uint8
    assert picture.std() > 40
    red, _, blue = picture[:, [0, 15, 31], [0, 19, 0]].T.tolist()[1]
    assert red > blue  # the sun is warm
    assert picture[2, 31, 0] > picture[0, 31, 0]  # and the sea blue


def test_stands_by_itself() -> None:
    page = Noising(picture="sunset", schedule="cosine", T=100, t=40)._repr_html_()
    assert not re.search(r"https?://|import\s*\{", page)
    state = json.loads(re.search(r"\nstart\(\"w[0-9a-f]+\", (\{.*\})\);", page, re.S)[1])["state"]  # type: ignore[index]
    assert (state["picture"], state["schedule"], state["T"], state["t"]) == (
        *("sunset", "cosine", 100, 40),
    )


def test_the_text_says_what_is_shown() -> None:
    text = Noising(picture="sunset", schedule="sigmoid", T=100, t=40).description
    for word in ("sunset", "40 of 100", "sigmoid", "alpha_bar", "one jump", "histogram"):
        assert word in text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"picture": "cat"}, "digit, sunset"),
        ({"schedule": "cubic"}, "linear"),
        ({"t": 1001}, r"0\.\.1000"),
        ({"t": -1}, r"0\.\.1000"),
        ({"T": 20, "t": 5}, "above 20"),
        ({"T": 12, "t": 5, "schedule": "cosine"}, "above 20"),
    ],
)
def test_refuses_what_cannot_be(wrong: dict[str, str | int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Noising(**wrong)  # type: ignore[arg-type]
