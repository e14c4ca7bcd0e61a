"""The distillation: against laws whose consistency function is known, and against the package."""

import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import distil as script
import pytest
import torch
from small import MODEL, images
from torch import Tensor, nn

from ddpm_lite.checkpoint import read
from ddpm_lite.diffusion import q_sample
from ddpm_lite.draw import DrawConfig, draw, make_denoiser, own_config
from ddpm_lite.model import DiffusionModel, new_net
from ddpm_lite.sample import ddim, timesteps
from ddpm_lite.schedule import NoiseSchedule, cosine_fine
from ddpm_lite.unet import UNet

SCHEDULE = cosine_fine(1000)
MEAN, DEVIATION = 0.2, 0.3


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


def pixels(t: Tensor) -> Tensor:
    """Pixels at these times, none of which leads beyond black or white."""
    generator = torch.Generator().manual_seed(0)
    x_0 = MEAN + DEVIATION * torch.randn(len(t), 1, 1, 1, generator=generator).clamp(-2, 2)
    eps = torch.randn(x_0.shape, generator=generator).clamp(-1, 1)
    return q_sample(SCHEDULE, x_0, t, eps)


# --- A Gaussian: the consistency function is known -----------------------------------------------


@pytest.mark.parametrize(("steps", "most"), [(16, 0.1), (128, 0.012)])
def test_the_known_end_is_the_same_after_a_step_of_the_teacher(steps: int, most: float) -> None:
    times = torch.tensor(timesteps(1000, steps))
    t, before, labels = times[:-2], times[1:-1], torch.zeros(steps - 1, dtype=torch.long)
    x_t = pixels(t)
    _, moved = script.teacher_step(known(mean_of), SCHEDULE, x_t, t, before, labels)
    exact = known(lambda x, k: end_of(SCHEDULE, x, k))
    now = script.guess(exact, SCHEDULE, x_t, t, labels)
    then = script.guess(exact, SCHEDULE, moved, before, labels)
    assert (now - then).abs().max() < most
    # and what a network says that has learnt the mean alone is not the same on both sides
    mean = known(mean_of)
    apart = script.guess(mean, SCHEDULE, x_t, t, labels)
    apart = apart - script.guess(mean, SCHEDULE, moved, before, labels)
    assert apart.abs().max() > 2 * (now - then).abs().max()


def test_a_guess_is_what_the_network_means() -> None:
    t = torch.tensor([1, 300, 999])
    x_t, labels = pixels(t), torch.zeros(3, dtype=torch.long)
    found = script.guess(known(lambda x, k: x**2 + k / 1000), SCHEDULE, x_t, t, labels)
    torch.testing.assert_close(found, x_t**2 + t.view(-1, 1, 1, 1) / 1000, atol=1e-5, rtol=0)


# --- The teacher's step is the package's ---------------------------------------------------------


def untrained(seed: int = 0) -> DiffusionModel:
    """A small network whose words are far from zero."""
    config = replace(MODEL, schedule="cosine_fine", T=1000)
    torch.manual_seed(seed)
    net = new_net(config.unet)
    nn.init.normal_(net.head.weight, std=0.3)
    return DiffusionModel(net.eval().requires_grad_(False), config, config.build_schedule())


@pytest.mark.parametrize("place", [0, 3, 7])
def test_the_teachers_step_is_the_guided_ddim_of_the_package(place: int) -> None:
    model, labels = untrained(), torch.tensor([0, 1, 1])
    times = timesteps(1000, 8)
    x = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    config = DrawConfig(guidance_scale=1.3, precision="float32")
    seen: list[tuple[Tensor, int]] = []

    def asked(x: Tensor, t: int) -> Tensor:
        seen.append((x, t))
        return make_denoiser(model, labels, config)(x, t)

    state = list(ddim(asked, model.schedule, x, 8))[place]
    x_t, t = seen[place]
    now, then = torch.full((3,), t), torch.full((3,), times[place + 1])
    x_0, moved = script.teacher_step(model.net, model.schedule, x_t, now, then, labels)
    assert (x_0.abs() == 1).any()  # it has been clipped
    torch.testing.assert_close(x_0, state.x_0, atol=1e-5, rtol=1e-4)
    if place < 7:
        torch.testing.assert_close(moved, state.x_t, atol=1e-5, rtol=1e-4)


# --- The loss and the training -------------------------------------------------------------------


def work(steps: int = 6) -> script.Distillation:
    return script.Distillation(untrained(), images(), steps)


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


def test_at_the_last_time_the_teachers_own_guess_is_wanted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a way of one step each time is the last, so that nothing of the student is wanted."""
    seen: dict[str, Tensor] = {}
    monkeypatch.setattr(script, "GRIDS", (1,))

    def noted(x: Tensor, y: Tensor) -> Tensor:
        seen["said"], seen["wanted"] = x, y
        return (x - y).square().mean((1, 2, 3))

    monkeypatch.setattr(script, "distance", noted)
    both = work()
    both.student.head.weight.data.normal_()  # what it says is not what its teacher does
    batch = next(work().batches)
    both.loss()
    made = torch.Generator().manual_seed(0)
    torch.randint(1, (script.BATCH,), generator=made)
    t = torch.full((script.BATCH,), 1000)
    x_T = q_sample(both.shipped.schedule, batch[0], t, torch.randn(batch[0].shape, generator=made))
    config = DrawConfig(precision="float32")  # of guidance 1.3
    wanted = make_denoiser(both.shipped, batch[1], config)(x_T, 1000)
    torch.testing.assert_close(seen["wanted"], wanted, atol=1e-5, rtol=1e-4)
    assert (seen["said"] - wanted).abs().max() > 0.1
    assert not seen["wanted"].requires_grad


def test_a_training_that_goes_on_is_where_it_was(tmp_path: Path) -> None:
    first = work()
    for _ in range(3):
        first.advance()
    first.save(tmp_path / "kept.safetensors")
    again = work()
    again.go_on(tmp_path / "kept.safetensors")
    assert again.step == 3
    for mine, theirs in ((again.student, first.student), (again.average, first.average)):
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
            assert torch.equal(a, b)
    shown = [w.optimizer.state_dict()["state"] for w in (first, again)]
    assert all(torch.equal(shown[0][i]["exp_avg"], shown[1][i]["exp_avg"]) for i in shown[0])
    assert again.advance() > 0
    assert again.step == 4


def test_its_weights_are_a_model_that_says_how_it_is_drawn(tmp_path: Path) -> None:
    made = work(2)
    for _ in range(2):
        made.advance()
    path = tmp_path / "student.safetensors"
    made.write_weights(path)
    model = DiffusionModel.load(path)
    for mine, theirs in zip(model.net.parameters(), made.average.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-3)  # of float16
    assert own_config(model) == DrawConfig("consistency", steps=1, guidance_scale=1.0)
    assert draw(model, 2).shape == (2, 1, 8, 8)


def test_a_finished_training_writes_the_same_weights_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script.DiffusionModel, "load", lambda *_: untrained())
    monkeypatch.setattr(script, "mnist", images)
    kept, out = tmp_path / "kept.safetensors", tmp_path / "out.safetensors"
    words = ["distil", str(out), "--steps", "2", "--keep", str(kept)]
    monkeypatch.setattr("sys.argv", words)
    script.main()
    shutil.move(out, tmp_path / "first.safetensors")
    script.main()
    first, second = (read(path) for path in (tmp_path / "first.safetensors", out))
    assert first[1] == second[1]
    assert first[0].keys() == second[0].keys()
    assert all(torch.equal(first[0][name], second[0][name]) for name in first[0])


def test_a_small_student_learns_where_the_ways_end() -> None:
    made = work(60)
    losses = [made.advance() for _ in range(60)]
    assert sum(losses[-10:]) < 0.9 * sum(losses[:10])
