"""The classifier of coloured things: its shapes, its file, and that a training teaches it."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ddpm_lite.checkpoint import CheckpointError, read, write
from ddpm_lite.classifier import accuracy, shifted
from ddpm_lite.colour_classifier import (
    WHITE,
    ColourClassifier,
    ColourNetwork,
    Plan,
    block,
    load_colour_classifier,
    save_colour_classifier,
    train,
    whiten,
    with_a_hole,
)
from ddpm_lite.data import CIFAR10, Images


def blots(n: int, seed: int) -> Images:
    """Noise that is a little redder, greener or bluer: three classes of ten."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    pixels = torch.randint(0, 160, (n, 3, 32, 32), generator=generator)
    pixels[torch.arange(n), labels] += 90
    return Images(pixels.to(torch.uint8), labels, CIFAR10)


def untrained() -> ColourClassifier:
    torch.manual_seed(0)
    return ColourClassifier(ColourNetwork(), ColourNetwork()).eval()


@pytest.mark.slow
def test_a_training_teaches_a_network() -> None:
    plan = Plan(epochs=3, batch_size=16, learning_rate=0.05)
    network = train(blots(96, 0), plan)
    assert not network.training
    assert accuracy(network, blots(60, 1)) > 0.95


def test_networks_of_other_seeds_differ_in_all_that_is_learnt() -> None:
    first, second = (train(blots(32, 0), Plan(epochs=1, batch_size=16, seed=s)) for s in (0, 1))
    for name, value in first.named_parameters():
        if value.requires_grad:
            assert not torch.equal(value, second.get_parameter(name)), name


def test_both_networks_have_half_a_voice() -> None:
    classifier = untrained()
    x = torch.rand(4, 3, 32, 32) * 2 - 1
    first, second = classifier.first(x), classifier.second(x)
    torch.testing.assert_close(classifier(x), (first + second) / 2)
    assert not torch.allclose(first, second)


def test_features_lead_to_the_logits_and_a_picture_is_judged_alone(tmp_path: Path) -> None:
    save_colour_classifier(untrained(), tmp_path / "c.safetensors", "noise")
    classifier = load_colour_classifier(tmp_path / "c.safetensors")
    x = torch.rand(5, 3, 32, 32) * 2 - 1
    features = classifier.features(x)
    assert features.shape == (5, 768)
    assert torch.equal(classifier.head(features), classifier(x))
    torch.testing.assert_close(classifier(x)[:2], classifier(x[:2]), rtol=1e-4, atol=1e-4)
    assert read(tmp_path / "c.safetensors")[1]["data"] == "noise"


def test_a_mirror_image_is_judged_as_its_picture() -> None:
    network = untrained().first
    x = torch.rand(3, 3, 32, 32) * 2 - 1
    torch.testing.assert_close(network.features(x.flip(3)), network.features(x))
    assert not torch.equal(network._features(x.flip(3)), network._features(x))


def test_a_hole_is_one_grey_square_anywhere() -> None:
    holed = with_a_hole(torch.ones(300, 3, 5, 6), torch.Generator().manual_seed(0), 2)
    corners = set()
    for image in holed:
        rows, columns = torch.nonzero(image[0] == 0, as_tuple=True)
        top, left = rows.min().item(), columns.min().item()
        wanted = torch.ones(3, 5, 6)
        wanted[:, top : top + 2, left : left + 2] = 0
        assert torch.equal(image, wanted)
        corners.add((top, left))
    assert corners == {(top, left) for top in range(4) for left in range(5)}


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "other", {"x": torch.zeros(1)}, {})
    with pytest.raises(CheckpointError, match="another shape"):
        load_colour_classifier(tmp_path / "other")


def test_what_the_stem_says_is_uncorrelated_and_of_size_1() -> None:
    """Smooth pictures, whose neighbours are nearly equal."""
    rough = torch.randn(200, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    x = 20 * torch.nn.functional.avg_pool2d(rough, 5, stride=1) + 0.3
    stem = torch.nn.Conv2d(3, WHITE, 2)
    whiten(stem, x)
    said = stem(x).movedim(1, 3).flatten(0, 2).T.numpy()  # (24, squares)
    assert np.allclose(np.cov(said[:12]), np.eye(12), atol=1e-3)
    assert np.array_equal(said[12:], -said[:12])
    assert not any(p.requires_grad for p in stem.parameters())


def test_a_new_block_hands_its_inputs_on() -> None:
    made = block(2, 4).eval()
    x = torch.rand(1, 2, 6, 6)
    halved = torch.nn.functional.max_pool2d(x, 2)
    torch.testing.assert_close(made[:2](x)[:, :2], halved)
    assert made(x).shape == (1, 4, 3, 3)


def test_what_a_move_brings_in_mirrors_the_picture() -> None:
    rows = torch.arange(6.0).reshape(1, 1, 1, 6).expand(400, 3, 6, 6)
    moved = shifted(rows, torch.Generator().manual_seed(0), most=2, border=None)
    found = {tuple(line.tolist()) for line in moved[:, 0, 0]}
    whole = [2, 1, 0, 1, 2, 3, 4, 5, 4, 3]  # reflected at both ends
    assert found == {tuple(map(float, whole[k : k + 6])) for k in range(5)}
    assert torch.equal(moved[:, 0], moved[:, 2])  # channels move together
