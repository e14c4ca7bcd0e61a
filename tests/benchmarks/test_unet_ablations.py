"""The ablations of chapter 7: the switches do what they say, and the written figures are these."""

import json
from pathlib import Path

import pytest
import torch
import unet_ablations as ablations

ROOT = Path(__file__).parents[2]
WRITTEN = ROOT / "book" / "data" / "unet_ablations.json"


def output(net: torch.nn.Module, t: int, seed: int = 0) -> torch.Tensor:
    """What a network with random weights in all places says to fixed noise."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(0.1 * torch.randn(parameter.shape, generator=generator))
        x = torch.randn(2, 1, 28, 28, generator=generator)
        out: torch.Tensor = net(x, torch.full((2,), t))
    return out


def test_each_switch_changes_the_network() -> None:
    outputs = [output(ablations.build(name, 0), 500) for name in ablations.VARIANTS]
    for i, a in enumerate(outputs):
        for b in outputs[i + 1 :]:
            assert not torch.allclose(a, b)


def test_without_time_the_time_does_not_matter() -> None:
    blind, seeing = (ablations.build(name, 0) for name in ("no time", "whole"))
    torch.testing.assert_close(output(blind, 1), output(blind, 900))
    assert not torch.allclose(output(seeing, 1), output(seeing, 900))


def test_without_skips_all_goes_through_the_middle() -> None:
    for name, wanted in (("no skip connections", True), ("whole", False)):
        net = ablations.build(name, 0)
        for stage in net.middle:
            stage.register_forward_hook(lambda module, inputs, out: torch.zeros_like(out))
        same = torch.allclose(output(net, 5)[0], output(net, 5)[1])
        assert same == wanted


@pytest.mark.parametrize("variant", ["whole", "no skip connections"])
def test_the_first_losses_are_those_written(variant: str) -> None:
    """The same weights, batches, times and noises: the trainings that were measured."""
    written = json.loads(WRITTEN.read_text())
    settings = written["settings"]
    row = next(row for row in written["rows"] if row["variant"] == variant)
    plan = ablations.TrainConfig(
        steps=settings["steps"],
        batch_size=settings["batch_size"],
        learning_rate=settings["learning_rate"],
        warmup_steps=written["warmup_steps"],
        seed=1,
    )
    net = ablations.build(variant, 1)
    assert row["parameters"] == ablations.count_parameters(net)
    first = row["first_losses"][1]
    losses = ablations.train(net, ablations.mnist(), plan, len(first))
    assert losses == pytest.approx(first, rel=1e-3)


def test_means_and_errors_belong_together() -> None:
    for row in json.loads(WRITTEN.read_text())["rows"]:
        seeds, thirds = row["loss_of_each_seed"], row["loss_by_third_of_t"]
        assert sum(seeds) / len(seeds) == pytest.approx(row["loss"][0], rel=1e-5)
        assert sum(mean for mean, _ in thirds) / 3 == pytest.approx(row["loss"][0], rel=0.01)
