"""The student: against laws whose path from noise to picture is known, and against the package."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import distil as script
import pytest
import torch
from small import MODEL
from torch import Tensor, nn

from ddpm_lite.checkpoint import read
from ddpm_lite.draw import DrawConfig, draw, own_config
from ddpm_lite.model import DiffusionModel, new_net
from ddpm_lite.schedule import NoiseSchedule, cosine_fine
from ddpm_lite.unet import UNet

SCHEDULE = cosine_fine(1000)
MEAN, DEVIATION = 0.2, 0.15


def spread(schedule: NoiseSchedule, t: int) -> float:
    """The standard deviation of x_t for x_0 ~ N(MEAN, DEVIATION^2)."""
    bar = float(schedule.alpha_bar[t - 1])
    return math.sqrt(bar * DEVIATION**2 + 1 - bar)


def end_of(schedule: NoiseSchedule, x: Tensor, t: int) -> Tensor:
    """Where the ODE ends from x_t: the same quantile of the data's law."""
    signal = float(schedule.alpha_bar[t - 1].sqrt())
    return MEAN + DEVIATION * (x - signal * MEAN) / spread(schedule, t)


class Known(nn.Module):
    """Says the v of what it takes the pixel for, whatever its label."""

    def __init__(self, says: Any) -> None:
        super().__init__()
        self.says, self.config = says, MODEL.unet
        self.head = nn.Linear(1, 1)  # tells the device

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        each = [
            (float(SCHEDULE.alpha_bar[k - 1].sqrt()) * row - self.says(row, k))
            / float(SCHEDULE.one_minus_alpha_bar[k - 1].sqrt())
            for row, k in zip(x, t.tolist(), strict=True)
        ]
        return torch.stack(each)


def mean_of(x: Tensor, t: int) -> Tensor:
    """E[x_0 | x_t], which a trained network says."""
    bar = float(SCHEDULE.alpha_bar[t - 1])
    slope = DEVIATION**2 * math.sqrt(bar) / (bar * DEVIATION**2 + 1 - bar)
    return MEAN + slope * (x - math.sqrt(bar) * MEAN)


def known(says: Any) -> UNet:
    return cast(UNet, Known(says))


def teacher(net: UNet) -> DiffusionModel:
    """A model of 1000 steps with this network."""
    config = replace(MODEL, schedule="cosine_fine", T=1000, target="v")
    return DiffusionModel(net.eval().requires_grad_(False), config, config.build_schedule())


def untrained() -> DiffusionModel:
    """A small network whose words are far from zero."""
    torch.manual_seed(0)
    net = new_net(MODEL.unet)
    nn.init.normal_(net.head.weight, std=0.3)
    return teacher(net)


# --- A Gaussian: its paths are known -------------------------------------------------------------


@pytest.fixture(scope="module")
def paths() -> script.Paths:
    """Walked with the exact denoiser of the Gaussian, in steps so small that they hardly err."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(script, "WALK", replace(script.WALK, steps=100))
        return script.walks(teacher(known(mean_of)), 2 * script.BATCH)


def test_a_path_ends_where_the_odes_does(paths: script.Paths) -> None:
    assert paths.states.shape == (128, 100, 1, 8, 8)
    assert paths.times[0] == 1000
    assert (paths.times.diff() < 0).all()
    exact = end_of(SCHEDULE, paths.states[:, 0].float(), 1000)
    assert exact.std() > 0.9 * DEVIATION
    assert (paths.ends - exact).abs().mean() < 0.01


def test_all_states_of_a_path_lead_to_its_end(paths: script.Paths) -> None:
    for place, t in enumerate(paths.times.tolist()):
        exact = end_of(SCHEDULE, paths.states[:, place].float(), t)
        assert (paths.ends - exact).abs().mean() < 0.01


def test_the_exact_student_has_almost_no_loss_and_the_mean_has_much(paths: script.Paths) -> None:
    losses = {}
    for name, says in (("exact", lambda x, k: end_of(SCHEDULE, x, k)), ("mean", mean_of)):
        student = script.Student(teacher(known(mean_of)), paths)
        student.net = known(says)
        losses[name] = student.loss().item()
    assert losses["exact"] < 0.01 * 8  # the distance of 8 x 8 pixels that miss by a hundredth
    assert losses["mean"] > 5 * losses["exact"]


def test_labels_and_noises_are_those_of_the_numbers_of_the_paths(paths: script.Paths) -> None:
    again = script.walks(teacher(known(mean_of)), script.BATCH)
    assert torch.equal(again.states[:, 0], paths.states[: script.BATCH, 0])
    assert torch.equal(again.labels, paths.labels[: script.BATCH])
    assert set(paths.labels.tolist()) == set(range(MODEL.unet.classes))
    noise = paths.states[:, 0].float()
    assert not torch.equal(noise[: script.BATCH], noise[script.BATCH :])
    assert abs(noise.mean()) < 0.05
    assert noise.std() == pytest.approx(1, abs=0.05)


# --- The loss and the training -------------------------------------------------------------------


def test_the_distance_is_almost_the_euclidean_and_flat_where_it_is_zero() -> None:
    x, y = torch.zeros(1, 1, 28, 28, requires_grad=True), torch.full((1, 1, 28, 28), 0.5)
    assert script.distance(x, y).item() == pytest.approx(14, abs=0.02)  # 28 * 0.5
    (pull,) = torch.autograd.grad(script.distance(x, y).sum(), x)
    assert pull.norm().item() == pytest.approx(1, abs=1e-3)  # however far it is
    (pull,) = torch.autograd.grad(script.distance(x, x.detach()).sum(), x)
    assert pull.norm() == 0
    near = script.distance(x, x.detach() + 1e-5).item()
    c = 0.00054 * 28
    assert near == pytest.approx((28e-5) ** 2 / (2 * c), rel=0.01)


def student(paths: int = 64) -> script.Student:
    return script.Student(untrained(), script.walks(untrained(), paths))


def test_half_of_a_batch_begins_at_the_noise_and_the_rest_anywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[tuple[Tensor, Tensor]] = []
    made = student()

    def noted(x_t: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        asked.append((x_t, t))
        return x_t

    monkeypatch.setattr(made, "guess", noted)
    for _ in range(4):
        made.loss()
    noises = made.paths.states[:, 0].float()
    for x_t, t in asked:
        assert (t[: script.FROM_NOISE] == 1000).all()
        assert all((noises == x).flatten(1).all(1).any() for x in x_t[: script.FROM_NOISE])
    later = torch.cat([t[script.FROM_NOISE :] for _, t in asked])
    assert set(later.tolist()) == set(made.paths.times.tolist())


def test_its_weights_are_a_model_that_says_how_it_is_drawn(tmp_path: Path) -> None:
    made = student()
    for _ in made.learn(2):
        pass
    path = tmp_path / "student.safetensors"
    made.write_weights(path, 2)
    model = DiffusionModel.load(path)
    for mine, theirs in zip(model.net.parameters(), made.average.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-3)  # of float16
    assert own_config(model) == DrawConfig("consistency", steps=1, guidance_scale=1.0)
    assert draw(model, 2).shape == (2, 1, 8, 8)


def test_the_command_writes_the_same_weights_each_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script.DiffusionModel, "load", lambda *_: untrained())
    found = []
    for name in ("first", "second"):
        out = tmp_path / f"{name}.safetensors"
        monkeypatch.setattr("sys.argv", ["distil", str(out), "--paths", "64", "--steps", "2"])
        script.main()
        found.append(read(out))
    assert found[0][1] == found[1][1]
    assert found[0][0].keys() == found[1][0].keys()
    assert all(torch.equal(found[0][0][name], found[1][0][name]) for name in found[0][0])


@pytest.mark.slow
def test_a_small_student_learns_where_the_paths_end() -> None:
    losses = list(student().learn(60))
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
