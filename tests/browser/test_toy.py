"""The toy in Chromium: its closed forms against autograd, its walkers against the samplers."""

import math
from itertools import islice, pairwise

import pytest
import torch
from playwright.sync_api import Page
from torch import Tensor

from ddpm_lite.diffusion import eps_from_x_0, q_marginal
from ddpm_lite.sample import Denoiser, ancestral_step, ddim, dpm_solver, last, timesteps
from ddpm_lite.schedule import SCHEDULES, NoiseSchedule
from ddpm_lite.widgets.toy import Cloud, ToyDiffusion, flow_betas

from .hands import Show, control, drag, move, normal, number, pictures, shown, tab_to, until

WALKERS = 120


def cloud_of(name: Cloud) -> Tensor:
    return torch.tensor(ToyDiffusion().state["clouds"][name], dtype=torch.float64)


def log_density(cloud: Tensor, schedule: NoiseSchedule, t: int, x: Tensor) -> Tensor:
    """log q(x_t) for x (B, 2): the log of the mean of q(x_t | x_0) over the cloud."""
    q = q_marginal(schedule, cloud, t)
    law = torch.distributions.Normal(q.mean, q.variance.sqrt())
    each = law.log_prob(x[:, None]).sum(-1)
    return each.logsumexp(1) - math.log(len(cloud))


def exact_denoiser(cloud: Tensor, schedule: NoiseSchedule) -> Denoiser:
    """E[x_0 | x_t] as Bayes' theorem says it: the mean of the points by their likelihood."""

    def denoise(x: Tensor, t: int) -> Tensor:
        q = q_marginal(schedule, cloud, t)
        square = (x[:, None] - q.mean).square().sum(-1)
        return (-square / (2 * q.variance.squeeze())).softmax(1) @ cloud

    return denoise


def closed_forms(
    cloud: Tensor, schedule: NoiseSchedule, t: int, x: float, y: float
) -> dict[str, float]:
    probe = torch.tensor([[x, y]], dtype=torch.float64, requires_grad=True)
    log_q = log_density(cloud, schedule, t, probe)
    (score,) = torch.autograd.grad(log_q.sum(), probe)
    x_0 = exact_denoiser(cloud, schedule)(probe.detach(), t)
    # the two agree by Tweedie's formula: the score is the mean noise, turned round
    eps = eps_from_x_0(schedule, probe.detach(), t, x_0)
    assert torch.allclose(score, -eps / schedule.one_minus_alpha_bar[t - 1].sqrt(), rtol=1e-6)
    return {
        "alpha_bar": schedule.alpha_bar[t - 1].item(),
        "log_q": log_q.item(),
        "score_x": score[0, 0].item(),
        "score_y": score[0, 1].item(),
        "x0_x": x_0[0, 0].item(),
        "x0_y": x_0[0, 1].item(),
    }


def agrees(page: Page, expected: dict[str, float]) -> None:
    for name, value in expected.items():
        assert number(page, name) == pytest.approx(value, rel=1e-6, abs=1e-6), name


def start(seed: int) -> tuple[Tensor, Tensor]:
    """x_T of all walkers, and the numbers that come after it, one row a step."""
    numbers = torch.tensor(list(islice(normal(seed), 2 * WALKERS * 200)), dtype=torch.float64)
    steps = numbers.reshape(-1, WALKERS, 2)
    return steps[0], steps[1:]


def nearest(cloud: Tensor, x: Tensor) -> float:
    return torch.cdist(x, cloud).min(1).values.square().mean().sqrt().item()


def walkers_agree(page: Page, cloud: Tensor, t: int, x: Tensor) -> None:
    assert number(page, "walker_t") == t
    x_0, y_0 = x[0].tolist()
    agrees(page, {"walker_x": x_0, "walker_y": y_0, "distance": nearest(cloud, x)})


def test_score_and_denoiser_are_those_of_the_mixture(widget_page: Show) -> None:
    page = widget_page(ToyDiffusion())
    agrees(page, closed_forms(cloud_of("moons"), SCHEDULES["cosine"](200), 60, 1.1, 1.2))
    cases: list[tuple[Cloud, str, int, float, float]] = [
        ("ring", "linear", 90, 0.0, 0.0),
        ("letters", "quadratic", 25, -1.35, 0.4),
        ("clover", "sigmoid", 200, 2.99, -3.0),
        ("moons", "cosine", 1, 0.5, 0.25),
        ("ring", "cosine", 2, -3.0, 3.0),
    ]
    for name, schedule, t, x, y in cases:
        before = pictures(page)
        control(page, "cloud").select_option(name)
        control(page, "schedule").select_option(schedule)
        move(page, t=t, probe_x=x, probe_y=y)
        agrees(page, closed_forms(cloud_of(name), SCHEDULES[schedule](200), t, x, y))
        assert pictures(page)[0] != before[0]


def test_ddim_walkers_are_those_of_the_sampler(widget_page: Show) -> None:
    page = widget_page(ToyDiffusion(sampler="ddim", seed=3))
    cloud, schedule = cloud_of("moons"), SCHEDULES["cosine"](200)
    x_T, _ = start(3)
    for steps in (20, 5, 200):
        control(page, "steps").select_option(str(steps))
        states = [*ddim(exact_denoiser(cloud, schedule), schedule, x_T, steps)]
        move(page, t=200)
        walkers_agree(page, cloud, 200, x_T)
        for state in (states[steps // 3], states[-1]):
            before = pictures(page)
            move(page, t=state.t)
            walkers_agree(page, cloud, state.t, state.x_t)
            assert pictures(page)[1] != before[1]
    move(page, t=0)
    assert number(page, "distance") < 0.02  # the exact denoiser gives the points back


def heun(denoise: Denoiser, schedule: NoiseSchedule, x: Tensor, steps: int) -> Tensor:
    """Heun's method in z = (1 - u) x_0 + u eps, whose velocity is (z - x_0) / u; u falls to 0."""
    signal, noise = schedule.alpha_bar.sqrt(), schedule.one_minus_alpha_bar.sqrt()
    whole = signal + noise
    z = x / whole[-1]

    def velocity(z: Tensor, t: int) -> Tensor:
        return (z - denoise(z * whole[t - 1], t)) / (noise / whole)[t - 1]

    for t, before in pairwise(timesteps(schedule.T, steps)):
        then = (noise / whole)[before - 1] if before else torch.tensor(0.0)
        first = velocity(z, t)
        step = then - (noise / whole)[t - 1]
        slope = (first + velocity(z + step * first, before)) / 2 if before else first
        z = z + step * slope
    return z


def rms(x: Tensor, y: Tensor) -> float:
    return (x - y).square().sum(1).mean().sqrt().item()


def test_the_error_is_the_distance_from_the_flow(widget_page: Show) -> None:
    page = widget_page(ToyDiffusion(sampler="ddim", seed=5))
    move(page, t=0)
    cloud = cloud_of("moons")
    clocks = {
        "cosine": SCHEDULES["cosine"](200),
        "flow": NoiseSchedule(torch.tensor(flow_betas(200))),
    }
    for name, schedule in clocks.items():
        control(page, "schedule").select_option(name)
        denoise, (x_T, _) = exact_denoiser(cloud, schedule), start(5)
        exact = heun(denoise, schedule, x_T, 200)
        errors = {}
        for sampler, steps, guesses, end in (
            ("ddim", 10, 10, last(ddim(denoise, schedule, x_T, 10))),
            ("heun", 5, 9, heun(denoise, schedule, x_T, 5)),
            ("two_m", 10, 10, last(dpm_solver(denoise, schedule, x_T, 10))),
        ):
            control(page, "sampler").select_option(sampler)
            control(page, "steps").select_option(str(steps))
            walkers_agree(page, cloud, 0, end)
            agrees(page, {"error": rms(end, exact), "evaluations": guesses})
            errors[sampler] = number(page, "error")
        assert errors["two_m"] < errors["ddim"]
    control(page, "sampler").select_option("heun")
    control(page, "steps").select_option("200")
    assert number(page, "error") == 0
    control(page, "sampler").select_option("ancestral")
    assert shown(page, "error") == "none"
    assert number(page, "evaluations") == 200


def test_ancestral_walkers_are_those_of_the_posterior(widget_page: Show) -> None:
    page = widget_page(ToyDiffusion(cloud="ring", schedule="linear", seed=7))
    cloud, schedule = cloud_of("ring"), SCHEDULES["linear"](200)
    denoise = exact_denoiser(cloud, schedule)
    x, noise = start(7)
    assert control(page, "steps").is_disabled()
    for t in range(200, 0, -1):
        p = ancestral_step(schedule, denoise(x, t), x, t, "posterior")
        x = p.mean if t == 1 else p.mean + p.variance.sqrt() * noise[200 - t]
        if t in (200, 101, 31, 1):
            move(page, t=t - 1)
            walkers_agree(page, cloud, t - 1, x)


def test_new_noise_moves_the_walkers(widget_page: Show) -> None:
    page = widget_page(ToyDiffusion(seed=1))
    left, right = pictures(page)
    control(page, "again").click()
    move(page, t=200)
    walkers_agree(page, cloud_of("moons"), 200, start(2)[0])
    move(page, t=60)
    assert pictures(page)[0] == left
    assert pictures(page)[1] != right


def test_at_time_0_there_is_no_score(widget_page: Show) -> None:
    page = widget_page(ToyDiffusion())
    move(page, t=0)
    assert number(page, "alpha_bar") == 1
    assert {shown(page, name) for name in ("score_x", "x0_y", "log_q")} == {"none"}


def test_a_drawn_point_draws_all_walkers(widget_page: Show) -> None:
    page = widget_page(ToyDiffusion(sampler="ddim"), width=900)
    control(page, "cloud").select_option("own")
    assert control(page, "t").input_value() == "0"
    assert shown(page, "distance") == "none"
    box = page.locator("canvas").first.bounding_box()
    assert box is not None
    unit = min(box["width"], box["height"]) / 6.2
    middle = box["width"] / 2, box["height"] / 2
    drag(page, (middle[0] + unit, middle[1]), (middle[0] + unit, middle[1]))
    assert number(page, "distance") < 1e-9
    assert number(page, "walker_x") == pytest.approx(1, abs=0.02)
    x = round(number(page, "walker_x"), 2)
    assert number(page, "walker_y") == pytest.approx(0, abs=0.01)
    move(page, t=80, probe_x=-1, probe_y=2)
    y = number(page, "x0_y")
    cloud = torch.tensor([[x, y]], dtype=torch.float64)
    agrees(page, closed_forms(cloud, SCHEDULES["cosine"](200), 80, -1, 2))


def test_a_line_is_drawn_and_wiped(widget_page: Show) -> None:
    page = widget_page(ToyDiffusion())
    assert control(page, "clear").is_disabled()
    control(page, "cloud").select_option("own")
    empty = pictures(page)
    drag(page, (60, 60), (250, 200))
    assert number(page, "distance") < 0.2
    assert pictures(page)[0] != empty[0]
    control(page, "clear").click()
    assert pictures(page) == empty


def test_the_mouse_moves_the_probe(widget_page: Show) -> None:
    page = widget_page(ToyDiffusion(), width=900)
    box = page.locator("canvas").first.bounding_box()
    assert box is not None
    unit = min(box["width"], box["height"]) / 6.2
    drag(page, (box["width"] / 2, 40), (box["width"] / 2 - unit, box["height"] / 2 + unit))
    found = [float(control(page, f"probe_{axis}").input_value()) for axis in "xy"]
    assert found == pytest.approx([-1, -1], abs=0.02)
    x, y = found
    agrees(page, closed_forms(cloud_of("moons"), SCHEDULES["cosine"](200), 60, x, y))


def test_time_runs_both_ways_and_stops(widget_page: Show) -> None:
    page = widget_page(ToyDiffusion(t=150, sampler="ddim", steps=5))
    control(page, "forward").click()
    until(page, "document.querySelector('[data-name=t]').value === '200'")
    assert control(page, "forward").get_attribute("aria-pressed") == "false"
    control(page, "backward").click()
    until(page, "+document.querySelector('[data-name=t]').value < 190")
    control(page, "backward").click()
    stopped = control(page, "t").input_value()
    page.wait_for_timeout(200)
    assert control(page, "t").input_value() == stopped


def test_where_motion_is_unwanted_a_press_is_a_step(widget_page: Show) -> None:
    page = widget_page(ToyDiffusion(t=190), calm=True)
    for expected in ("200", "10"):
        control(page, "forward").click()
        assert control(page, "t").input_value() == expected
    for expected in ("0", "190"):
        control(page, "backward").click()
        assert control(page, "t").input_value() == expected


def test_it_works_by_keyboard_alone(widget_page: Show) -> None:
    page = widget_page(ToyDiffusion(), calm=True)
    tab_to(page, "cloud")
    page.keyboard.press("r")
    tab_to(page, "t")
    page.keyboard.press("ArrowRight")
    tab_to(page, "backward")
    page.keyboard.press("Enter")
    tab_to(page, "probe_x")
    page.keyboard.press("Home")
    agrees(page, closed_forms(cloud_of("ring"), SCHEDULES["cosine"](200), 51, -3, 1.2))


def test_a_phone_has_room_for_it(widget_page: Show) -> None:
    page = widget_page(ToyDiffusion(), theme="dark", width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
