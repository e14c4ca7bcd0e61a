"""The classifier of coloured things: its shapes, its file, and that a training teaches it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ddpm_lite import colour_classifier
from ddpm_lite.checkpoint import CheckpointError, read, write
from ddpm_lite.classifier import accuracy, shifted
from ddpm_lite.colour_classifier import (
    WEIGHTS,
    WHITE,
    ColourClassifier,
    Plan,
    block,
    load_colour_classifier,
    save_colour_classifier,
    train,
    views,
    whiten,
    with_a_hole,
    write_judged,
)
from ddpm_lite.data import CIFAR10, Images, to_float


def blots(n: int, seed: int) -> Images:
    """Noise that is a little redder, greener or bluer: three classes of ten."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % 3
    pixels = torch.randint(0, 160, (n, 3, 32, 32), generator=generator)
    pixels[torch.arange(n), labels] += 90
    return Images(pixels.to(torch.uint8), labels, CIFAR10)


def untrained() -> ColourClassifier:
    torch.manual_seed(0)
    return ColourClassifier().eval()


@pytest.mark.slow
def test_a_training_teaches_a_network() -> None:
    plan = Plan(cycles=((2, 0.05), (1, 0.05)), batch_size=16)
    classifier = train(blots(96, 0), plan)
    assert not classifier.training
    assert accuracy(classifier, blots(60, 1)) > 0.95


def test_trainings_of_other_seeds_differ_in_all_that_is_learnt() -> None:
    plans = (Plan(cycles=((1, 0.7),), batch_size=16, seed=seed) for seed in (0, 1))
    first, second = (train(blots(32, 0), plan) for plan in plans)
    for name, value in first.named_parameters():
        if value.requires_grad:
            assert not torch.equal(value, second.get_parameter(name)), name


def test_what_the_cycles_end_with_is_averaged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cycles that leave 1, 2 and 3 in the last layer, and go on from what is there."""
    began: list[float] = []

    def cycle(classifier: ColourClassifier, *_: object) -> None:
        began.append(classifier.head.weight.mean().item())
        torch.nn.init.constant_(classifier.head.weight, len(began))

    monkeypatch.setattr(colour_classifier, "_cycle", cycle)
    made = train(blots(64, 0), Plan(cycles=((1, 0.1),) * 3, batch_size=16))
    assert began[1:] == [1, 2]
    assert torch.equal(made.head.weight, torch.full((10, 384), 2.0))
    norm = made.blocks[0][2]
    assert norm.num_batches_tracked == 4  # it has learnt anew, from each batch once


@pytest.mark.slow
def test_the_rate_of_each_cycle_rises_to_its_own_and_falls_to_0(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates: list[float] = []

    class Watched(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            rates.append(self.param_groups[1]["lr"])
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "SGD", Watched)
    train(blots(64, 0), Plan(cycles=((3, 0.1), (2, 0.04)), batch_size=16))
    assert len(rates) == 20  # four batches in an epoch
    assert [max(rates[:12]), max(rates[12:])] == pytest.approx([0.1, 0.04], rel=0.1)
    assert max(rates[11], rates[19]) < 0.2 * 0.04


def test_features_lead_to_the_logits_and_a_picture_is_judged_alone(tmp_path: Path) -> None:
    save_colour_classifier(untrained(), tmp_path / "c.safetensors", {"data": "noise"})
    classifier = load_colour_classifier(tmp_path / "c.safetensors")
    x = torch.rand(5, 3, 32, 32) * 2 - 1
    features = classifier.features(x)
    assert features.shape == (5, 384)
    assert torch.equal(classifier.head(features), classifier(x))
    torch.testing.assert_close(classifier(x)[:2], classifier(x[:2]), rtol=1e-4, atol=1e-4)
    assert read(tmp_path / "c.safetensors")[1]["data"] == "noise"


def test_an_image_is_seen_where_it_is_and_a_pixel_away() -> None:
    x = torch.arange(3.0 * 5 * 6).reshape(1, 3, 5, 6)
    seen = views(x)
    for here, k in zip(seen[:3], (1, 0, -1), strict=True):
        moved = np.roll(x.numpy(), (-k, -k), (2, 3))
        inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
        assert np.array_equal(here[inner], moved[inner])
    assert torch.equal(seen[1], x)
    # what comes in from above is the second row, and from below the last but one
    assert torch.equal(seen[2][..., 0, 1:], x[..., 1, :-1])
    assert torch.equal(seen[0][..., -1, :-1], x[..., -2, 1:])
    for here, there in zip(seen[:3], seen[3:], strict=True):
        assert torch.equal(here.flip(3), there)
    network, images = untrained(), torch.rand(2, 3, 32, 32) * 2 - 1
    each = torch.stack([network._features(image) for image in views(images)])
    torch.testing.assert_close(network.features(images), each.mean(0))


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


def test_the_accuracy_stands_in_the_file(tmp_path: Path) -> None:
    held = blots(30, 2)
    write_judged(untrained(), held, tmp_path / "c.safetensors", "somewhere")
    told = read(tmp_path / "c.safetensors")[1]
    said = load_colour_classifier(tmp_path / "c.safetensors")(to_float(held.pixels)).argmax(1)
    assert told["accuracy"] == pytest.approx((said == held.labels).double().mean().item())
    assert (told["data"], told["test_pictures"]) == ("JPEG", 30)


def test_the_shipped_one_says_how_often_it_is_right() -> None:
    told = read(WEIGHTS)[1]
    assert told["accuracy"] >= 0.92
    assert (told["data"], told["test_pictures"]) == ("JPEG", 10_000)


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
