"""Digits in colour: every pixel by hand, and a classifier that knows them again in grey."""

import colorsys

import pytest
import torch

from ddpm_lite.classifier import accuracy, load_classifier
from ddpm_lite.colouring import DARKEST, LIGHTEST, in_grey, paint, wheel
from ddpm_lite.data import Images, coloured_mnist, load, mnist


def test_the_wheel_goes_from_red_over_green_to_blue() -> None:
    for place, channel in enumerate((0, 1, 2)):
        colour = wheel(torch.tensor([place / 3]))[0]
        assert int(colour.argmax()) == channel
        assert float(colour.max()) == pytest.approx(1)
        hue = colorsys.rgb_to_hsv(*colour.tolist())[0]
        assert abs((hue - place / 3 + 0.5) % 1 - 0.5) < 1e-6


def test_a_pixel_lies_between_its_ground_and_its_ink() -> None:
    grey = torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(1, 1, 1, 3).expand(200, 1, 1, 3)
    painted = paint(grey).float() / 255  # (200, 3, 1, 3)
    ground, fifth, ink = painted.unbind(-1)
    assert float(ground.max()) <= DARKEST + 1 / 255
    assert float(ink.min()) >= LIGHTEST - 1 / 255
    torch.testing.assert_close(fifth, 0.8 * ground + 0.2 * ink, atol=1.5 / 255, rtol=0)
    assert float(ground.std(0).min()) > 0.1  # many colours of each
    assert float(ink.std(0).min()) > 0.1


def test_grey_levels_come_back_in_grey() -> None:
    some = mnist(train=False).pixels[:300]
    whole = some[(some.amax((1, 2, 3)) == 255) & (some.amin((1, 2, 3)) == 0)]
    assert len(whole) > 200
    gap = (in_grey(paint(whole)).float() - whole.float()).abs()
    assert float(gap.max()) <= 4  # painted in whole steps of 1/255 of a smaller span
    assert float(gap.mean()) < 0.5


def test_a_picture_of_one_colour_has_a_grey() -> None:
    assert int(in_grey(torch.full((1, 3, 4, 4), 90, dtype=torch.uint8)).max()) == 0


def test_the_classifier_of_grey_digits_reads_them() -> None:
    coloured = coloured_mnist(train=False)
    some = Images(in_grey(coloured.pixels[:2000]), coloured.labels[:2000], coloured.class_names)
    plain = mnist(train=False).subset(2000)
    assert accuracy(load_classifier(), some) > accuracy(load_classifier(), plain) - 0.003


@pytest.mark.slow
def test_the_colours_are_the_same_each_time_and_others_in_both_parts() -> None:
    test = load("coloured_mnist", train=False)
    assert test.digest == coloured_mnist(train=False).digest
    assert torch.equal(test.labels, mnist(train=False).labels)
    same = mnist(train=False).pixels[:9]
    assert not torch.equal(paint(same, seed=0), paint(same, seed=1))
    train = coloured_mnist()
    assert train.pixels.shape == (60_000, 3, 28, 28)
    # not the same grounds one after another
    assert not torch.equal(train.pixels[:100, :, 0, 0], test.pixels[:100, :, 0, 0])
