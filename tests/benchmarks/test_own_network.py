"""The weights of the reader's own network: from chapter 8's lines, for chapter 7's network."""

from typing import Any

import colab
import own_network
import pytest
import torch

from ddpm_lite.checkpoint import read
from ddpm_lite.classifier import load_classifier
from ddpm_lite.measured import ASSETS
from ddpm_lite.model import DiffusionModel
from ddpm_lite.sample import ddim, denoiser, initial_noise, last

WEIGHTS = ASSETS / "own_network.safetensors"


def test_the_training_is_that_of_the_page_but_for_the_updates() -> None:
    code = own_network.cells("3")
    assert "range(3)" in code
    assert "total_steps=3" in code
    assert own_network.PAGE not in code
    page = (own_network.ROOT / "book" / "08_training.md").read_text()
    assert all(line in page for line in code.replace("3", "650").splitlines() if "650" not in line)


@pytest.mark.slow
def test_two_updates_end_in_a_network_as_the_shipped_one() -> None:
    net, losses = own_network.trained("2")
    weights, told = read(WEIGHTS)
    assert {k: v.shape for k, v in net.state_dict().items()} == {
        k: v.shape for k, v in weights.items()
    }
    assert len(losses) == 2
    assert told["updates"] == int(own_network.LONG)
    assert told["last_losses"] < 0.5 * losses[0]


def test_it_draws_what_it_is_asked_for() -> None:
    names: dict[str, Any] = {}
    exec(colab.my_unet(), names)
    net = names["SmallUNet"]()
    net.load_state_dict(read(WEIGHTS)[0])
    schedule, label = DiffusionModel.load().schedule, torch.arange(10).repeat(3)

    @torch.no_grad()
    def model(x_t: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        v: torch.Tensor = net(x_t, t, label)
        return v

    noise = initial_noise((30, 1, 28, 28), 0)
    drawn = last(ddim(denoiser(schedule, model, "v"), schedule, noise, 10))
    says = load_classifier()(drawn.clamp(-1, 1)).argmax(1)
    assert int((says == label).sum()) >= 15  # blind guesses would give three
