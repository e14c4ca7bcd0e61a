"""Guidance in the plane in Chromium: arrows against autograd, what is drawn against the sampler."""

from itertools import islice

import pytest
import torch
from playwright.sync_api import Page
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from ddpm_lite.sample import Denoiser, ddim
from ddpm_lite.schedule import cosine
from ddpm_lite.widgets.guidance import GuidancePlane

from .hands import Show, control, drag, move, normal, number, pictures, tab_to

STATE = GuidancePlane().state
CENTRES = {name: torch.tensor(at, dtype=torch.float64) for name, at in STATE["centres"].items()}
CENTRES["both"] = torch.cat([CENTRES["upper"], CENTRES["lower"]])
DRAWN, SCHEDULE = 200, cosine(200)


def law(name: str, t: int) -> MixtureSameFamily:
    """q(x_t | c), or q(x_t) for "both"."""
    bar = SCHEDULE.alpha_bar[t - 1].item() if t else 1.0
    deviation = (bar * STATE["deviation"] ** 2 + 1 - bar) ** 0.5
    bells = Independent(Normal(bar**0.5 * CENTRES[name], deviation), 1)
    return MixtureSameFamily(Categorical(torch.ones(len(CENTRES[name]))), bells)


def score(name: str, t: int, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    (slope,) = torch.autograd.grad(law(name, t).log_prob(x).sum(), x)
    return slope


def guided(asked: str, w: float, t: int, x: Tensor) -> Tensor:
    """The gradient of log q(x_t) + w log q(c | x_t), as the chapter defines guidance."""
    return score("both", t, x) + w * (score(asked, t, x) - score("both", t, x))


def denoiser(asked: str, w: float) -> Denoiser:
    """The guided guess of x_0, by Tweedie's formula."""

    def denoise(x: Tensor, t: int) -> Tensor:
        bar = SCHEDULE.alpha_bar[t - 1]
        return (x + (1 - bar) * guided(asked, w, t, x)) / bar.sqrt()

    return denoise


def drawn(asked: str, w: float, seed: int, steps: int = 40) -> Tensor:
    noise = list(islice(normal(seed), 2 * DRAWN))
    x_T = torch.tensor(noise, dtype=torch.float64).reshape(DRAWN, 2)
    return [*ddim(denoiser(asked, w), SCHEDULE, x_T, steps)][-1].x_t


def arrows_agree(page: Page, asked: str, w: float, t: int, x: float, y: float) -> None:
    at = torch.tensor([[x, y]], dtype=torch.float64)
    expected = {
        "labelled": score(asked, t, at),
        "plain": score("both", t, at),
        "guided": guided(asked, w, t, at),
    }
    for name, value in expected.items():
        found = [number(page, f"{name}_{axis}") for axis in "xy"]
        assert found == pytest.approx(value[0].tolist(), rel=1e-5, abs=1e-6), name


def what_is_drawn_agrees(page: Page, asked: str, w: float, seed: int) -> None:
    x = drawn(asked, w, seed)
    other = "lower" if asked == "upper" else "upper"
    share = (law(asked, 0).log_prob(x) > law(other, 0).log_prob(x)).double().mean().item()
    assert number(page, "share") == pytest.approx(share, abs=1e-9)
    assert number(page, "spread") == pytest.approx(
        x.var(0, correction=0).sum().sqrt().item(), rel=1e-5
    )
    assert number(page, "class_spread") == pytest.approx(
        law(asked, 0).variance.sum().sqrt().item(), rel=1e-6
    )


def test_arrows_are_the_gradients_of_the_densities(widget_page: Show) -> None:
    page = widget_page(GuidancePlane())
    arrows_agree(page, "upper", 2, 100, 0.3, -0.4)
    for asked, w, t, x, y in (
        ("lower", 0.0, 200, -3.0, 3.0),
        ("lower", 1.0, 1, 0.5, -0.2),
        ("upper", 8.0, 37, -1.25, 0.75),
    ):
        before = pictures(page)
        control(page, "asked").select_option(asked)
        move(page, w=w, t=t, x=x, y=y)
        arrows_agree(page, asked, w, t, x, y)
        assert pictures(page)[0] != before[0]


def test_what_is_drawn_is_what_the_sampler_draws(widget_page: Show) -> None:
    page = widget_page(GuidancePlane(seed=4))
    for asked, w in (("upper", 2.0), ("lower", 5.0), ("lower", 0.0)):
        before = pictures(page)
        control(page, "asked").select_option(asked)
        move(page, w=w)
        what_is_drawn_agrees(page, asked, w, seed=4)
        assert w == 2 or pictures(page)[1] != before[1]
    control(page, "again").click()
    what_is_drawn_agrees(page, "lower", 0.0, seed=5)


def test_guidance_buys_the_class_and_pays_with_the_spread(widget_page: Show) -> None:
    page = widget_page(GuidancePlane())
    shares, spreads = [], []
    for w in (0, 1, 4):
        move(page, w=w)
        shares.append(number(page, "share"))
        spreads.append(number(page, "spread"))
    assert shares[0] < 0.65 < shares[1] < shares[2]
    assert spreads[1] == pytest.approx(number(page, "class_spread"), rel=0.12)
    assert spreads[2] < spreads[1]


def test_a_hand_moves_the_probe_and_nothing_that_was_drawn(widget_page: Show) -> None:
    page = widget_page(GuidancePlane(), width=900)
    before = pictures(page)[1]
    box = page.locator("canvas").first.bounding_box()
    assert box is not None
    unit = min(box["width"], box["height"]) / 6.2
    drag(page, (30, 30), (box["width"] / 2 + unit, box["height"] / 2 - unit))
    x, y = (float(control(page, axis).input_value()) for axis in "xy")
    assert (x, y) == pytest.approx((1, 1), abs=0.02)
    arrows_agree(page, "upper", 2, 100, x, y)
    assert pictures(page)[1] == before


def test_it_works_by_keyboard_alone(widget_page: Show) -> None:
    page = widget_page(GuidancePlane(), calm=True)
    tab_to(page, "asked")
    page.keyboard.press("l")
    tab_to(page, "w")
    page.keyboard.press("ArrowRight")
    tab_to(page, "again")
    page.keyboard.press("Enter")
    tab_to(page, "t")
    page.keyboard.press("ArrowLeft")
    tab_to(page, "x")
    page.keyboard.press("Home")
    arrows_agree(page, "lower", 2.1, 99, -3, -0.4)
    what_is_drawn_agrees(page, "lower", 2.1, seed=2)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_has_room_for_it(widget_page: Show, theme: str) -> None:
    page = widget_page(GuidancePlane(), theme=theme, width=400)
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
