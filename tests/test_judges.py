"""The right judge for each kind of picture, and none where none can be right."""

import pytest
import torch

from ddpm_lite.classifier import load_classifier
from ddpm_lite.colour_classifier import load_colour_classifier
from ddpm_lite.data import CIFAR10, DIGITS, Images, coloured_mnist, mnist, to_float
from ddpm_lite.evaluate import sample_quality
from ddpm_lite.judges import digits, find_judge


def some(images: Images, n: int) -> Images:
    """A few of each class, whose writers differ."""
    return Images(images.pixels[:: len(images) // n], images.labels[:: len(images) // n], DIGITS)


def test_digits_are_looked_at_as_they_are() -> None:
    real = mnist(train=False).subset(30)
    judge = find_judge(real)
    assert judge is not None
    x, network = to_float(real.pixels), load_classifier()
    torch.testing.assert_close(judge.reference, network.features(x), rtol=1e-4, atol=1e-4)
    told = judge.look(real.pixels).probabilities
    torch.testing.assert_close(told, network(x).softmax(1), rtol=1e-3, atol=1e-4)
    assert judge.name == digits().name
    assert len(digits().reference) == 10_000


@pytest.mark.slow
def test_digits_in_colour_are_judged_in_grey() -> None:
    judge = find_judge(coloured_mnist(train=False))
    assert judge is not None
    assert "grey" in judge.name
    others = some(coloured_mnist(train=True), 1000)
    quality = sample_quality(others.pixels, others.labels, judge=judge)
    assert quality.label_accuracy is not None
    assert quality.label_accuracy > 0.985
    assert quality.frechet < 3 * quality.frechet_floor
    assert quality.precision is not None
    assert quality.precision > 0.8
    # ground and ink exchanged: the digits are dark, which they never are
    turned = sample_quality(255 - others.pixels, others.labels, judge=judge)
    assert turned.frechet > 10 * quality.frechet


@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ((1, 28, 28), ("cat", "dog")),
        ((1, 32, 32), DIGITS),
        ((3, 32, 32), DIGITS),
        ((3, 28, 28), ("cat", "dog")),
    ],
)
def test_other_pictures_have_no_judge(shape: tuple[int, ...], names: tuple[str, ...]) -> None:
    real = Images(torch.zeros(4, *shape, dtype=torch.uint8), torch.zeros(4).long(), names)
    assert find_judge(real) is None


def test_things_are_judged_by_their_classifier() -> None:
    pixels = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)
    judge = find_judge(Images(pixels, torch.arange(6), CIFAR10))
    assert judge is not None
    network, x = load_colour_classifier(), to_float(pixels)
    assert judge.name == "cifar10_classifier penultimate, 384-d"
    torch.testing.assert_close(judge.reference, network.features(x), rtol=1e-3, atol=1e-4)
    told = judge.look(pixels).probabilities
    torch.testing.assert_close(told, network(x).softmax(1), rtol=1e-2, atol=1e-3)


def test_a_judge_refuses_pictures_of_another_shape() -> None:
    judge = find_judge(mnist(train=False).subset(9))
    with pytest.raises(ValueError, match=r"uint8 \(N, 1, 28, 28\)"):
        sample_quality(torch.zeros(5, 3, 28, 28, dtype=torch.uint8), judge=judge)
