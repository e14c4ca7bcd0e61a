"""The classifier that comes with the package, and how it was trained."""

from pathlib import Path

import pytest
import torch
from small import default

from ddpm_lite.checkpoint import CheckpointError, read, write
from ddpm_lite.classifier import (
    WEIGHTS,
    Classifier,
    accuracy,
    load_classifier,
    save_classifier,
    shifted,
)
from ddpm_lite.data import mnist, to_float


@pytest.mark.slow
def test_it_is_right_about_the_whole_test_set() -> None:
    assert accuracy(load_classifier(), mnist(train=False)) > 0.993


def test_the_file_is_small() -> None:
    assert WEIGHTS.stat().st_size < 500_000


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    tensors, metadata = read(WEIGHTS)
    write(tmp_path / "other", {"x": torch.zeros(1)}, metadata)
    with pytest.raises(CheckpointError, match="another shape"):
        load_classifier(tmp_path / "other")
    write(tmp_path / "bad", tensors | {"head.bias": torch.full((10,), float("nan"))}, metadata)
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        load_classifier(tmp_path / "bad")


@pytest.mark.parametrize("other", [torch.float64, "meta"])
def test_the_sessions_defaults_change_no_feature(other: torch.dtype | str) -> None:
    x = torch.rand(2, 1, 28, 28) * 2 - 1
    expected = load_classifier()(x)
    with default(other):
        assert torch.equal(load_classifier()(x), expected)


def test_an_image_is_judged_alone() -> None:
    classifier = load_classifier()
    assert not any(module.training for module in classifier.modules())
    x = to_float(mnist(train=False).pixels[:20])
    torch.testing.assert_close(classifier(x)[:3], classifier(x[:3]), rtol=1e-4, atol=1e-4)


def test_features_lead_to_the_logits() -> None:
    classifier = load_classifier()
    x = to_float(mnist(train=False).pixels[:5])
    features = classifier.features(x)
    assert features.shape == (5, 128)
    assert torch.equal(classifier.head(features), classifier(x))


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    classifier = Classifier().eval()
    save_classifier(classifier, tmp_path / "file.safetensors")
    loaded = load_classifier(tmp_path / "file.safetensors")
    for name, tensor in classifier.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"nothing\.safetensors"):
        load_classifier(tmp_path / "nothing.safetensors")


def test_shifts_move_by_at_most_two_pixels() -> None:
    x = torch.full((500, 1, 9, 9), -1.0)
    x[:, :, 4, 4] = 1.0
    moved = shifted(x, torch.Generator().manual_seed(0))
    assert moved.shape == x.shape
    places = (moved[:, 0] == 1).nonzero()[:, 1:]
    assert len(places) == 500
    assert {tuple(place) for place in places.tolist()} == {
        (row, column) for row in range(2, 7) for column in range(2, 7)
    }
