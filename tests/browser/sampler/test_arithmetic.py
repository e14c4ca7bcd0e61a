"""The samplers' arithmetic, with no network in the page."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Page
from torch import Tensor

from ddpm_lite.data import to_uint8
from ddpm_lite.draw import SamplerName
from ddpm_lite.sample import denoiser, timesteps
from ddpm_lite.schedule import SCHEDULES, linear
from ddpm_lite.widgets.modules import module_text
from ddpm_lite.widgets.sampler import page_noise, page_states


def run(page: Page, body: str, **values: Any) -> Any:
    """What an async function body returns, with three modules of the widgets as S."""
    modules = [module_text(name) for name in ("shared", "samplers", "sketch")]
    return page.evaluate(
        """async ({ modules, body, values }) => {
          const load = async (text) => {
            const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
            return import(url);
          };
          const S = Object.assign({}, ...(await Promise.all(modules.map(load))));
          const run = new Function("S", "values", `return (async () => {${body}})()`);
          return JSON.parse(JSON.stringify(await run(S, values), (_, v) =>
            ArrayBuffer.isView(v) ? Array.from(v) : v));
        }""",
        {"modules": modules, "body": body, "values": values},
    )


def test_noise_is_the_same_in_both_languages(page: Page) -> None:
    body = "const z = S.normal(S.uniform(values.seed)); return Array.from({ length: 500 }, z);"
    for seed in (0, 1, 77, 2**32 - 1, 5 + 0x9E3779B9):
        drawn = torch.tensor(run(page, body, seed=seed))
        assert torch.allclose(drawn.float(), page_noise(seed, (500,))[0], atol=1e-6)


def test_times_are_the_same_in_both_languages(page: Page) -> None:
    asked = [(1000, s) for s in (1, 5, 16, 20, 37, 300, 999, 1000)] + [(500, 16), (7, 4), (1, 1)]
    times = run(page, "return values.asked.map(([t, s]) => S.timesteps(t, s));", asked=asked)
    assert times == [timesteps(T, steps) for T, steps in asked]


@pytest.mark.parametrize("channels", [1, 3])
def test_numbers_become_points_of_their_colours(page: Page, channels: int) -> None:
    """Channel after channel, as PyTorch has them; what lies beyond black and white is clamped."""
    x = torch.linspace(-1.2, 1.2, channels * 4).reshape(channels, 2, 2)
    body = """const image = S.picture(Float32Array.from(values.x), 2);
      return image.getContext("2d").getImageData(0, 0, 2, 2).data;"""
    points = torch.tensor(run(page, body, x=x.flatten().tolist())).reshape(2, 2, 4)
    wanted = to_uint8(x).expand(3, 2, 2).permute(1, 2, 0)
    assert torch.equal(points[..., :3], wanted.long())
    assert (points[..., 3] == 255).all()


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
def test_tables_are_the_schedules(page: Page, schedule: str) -> None:
    wanted = SCHEDULES[schedule](1000)
    tables = run(page, "return S.tables(values.betas);", betas=wanted.beta.tolist())
    assert tables["T"] == 1000
    assert np.allclose(tables["alphaBar"], wanted.alpha_bar, rtol=1e-10, atol=0)
    assert np.allclose(tables["oneMinusAlphaBar"], wanted.one_minus_alpha_bar, rtol=1e-10, atol=0)


@pytest.mark.parametrize("sampler", ["ddim", "dpm_solver", "ancestral", "consistency"])
@pytest.mark.parametrize("steps", [1, 2, 7, 40])
def test_samplers_are_the_packages(page: Page, sampler: SamplerName, steps: int) -> None:
    schedule = linear(40)
    x_T = page_noise(3, (1, 4, 4)).double()
    body = """
      const { betas, x, steps, sampler } = values;
      const schedule = S.tables(betas);
      const noise = S.normal(S.uniform(3 + 0x9e3779b9));
      const denoise = async (x, t) => x.map((value) => Math.tanh(value + t / 100));
      const options = { steps, eta: sampler === "ancestral" ? 1 : 0, noise };
      const named = { dpm_solver: S.dpmSolver, consistency: S.consistency };
      const states = (named[sampler] ?? S.ddim)(
        denoise, schedule, Float64Array.from(x), options);
      const all = [];
      for await (const state of states) all.push(state);
      return all;"""
    values = {"betas": schedule.beta.tolist(), "x": x_T.flatten().tolist()}
    drawn = run(page, body, **values, steps=steps, sampler=sampler)
    wanted = page_states(lambda x, t: torch.tanh(x + t / 100), schedule, x_T, sampler, steps, 3)
    for mine, state in zip(drawn, wanted, strict=True):
        assert mine["t"] == state.t
        assert np.allclose(mine["x"], state.x_t.flatten(), atol=1e-6)
        assert np.allclose(mine["x0"], state.x_0.flatten(), atol=1e-6)


@pytest.mark.parametrize("target", ["v", "eps", "x_0"])
@pytest.mark.parametrize("guidance", [0, 1, 2.5])
@pytest.mark.parametrize("label", [3, 10])
def test_guidance_and_clipping_are_the_packages(
    page: Page, target: Any, guidance: float, label: int
) -> None:
    schedule, x = linear(40), page_noise(8, (1, 4, 4)).double()
    body = """
      const schedule = S.tables(values.betas);
      const network = (v, t, label) => Math.sin(v * (label + 1) + t);
      const evaluate = async (x, t, labels) =>
        Float64Array.from(labels.flatMap((label) => values.x.map((v) => network(v, t, label))));
      const denoise = S.makeDenoiser({ schedule, evaluate, none: 10, ...values });
      return [39, 17, 1].map(async (t) => denoise(Float64Array.from(values.x), t)).reduce(
        async (all, one) => [...(await all), await one], []);"""
    choices = {"target": target, "guidance": guidance, "label": label}
    values = {"betas": schedule.beta.tolist(), "x": x.flatten().tolist()}
    drawn = run(page, body, **values, **choices)

    def network(labelled: int) -> Callable[[Tensor, Tensor], Tensor]:
        return lambda x, t: torch.sin(x * (labelled + 1) + t.double())

    none = None if label == 10 else network(10)
    scale = 1.0 if label == 10 else guidance
    wanted = denoiser(schedule, network(label), target, none, scale)
    for mine, t in zip(drawn, (39, 17, 1), strict=True):
        assert np.allclose(mine, wanted(x, t).flatten(), atol=1e-6)
