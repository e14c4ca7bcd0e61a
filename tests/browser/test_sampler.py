"""The sampler widget: the page's own arithmetic, and its pictures, are PyTorch's."""

import base64
import json
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Page
from small import coloured_model
from torch import Tensor

from ddpm_lite.archives import CIFAR10
from ddpm_lite.classifier import load_classifier
from ddpm_lite.data import to_uint8
from ddpm_lite.diffusion import q_sample
from ddpm_lite.draw import DrawConfig, SamplerName, make_denoiser
from ddpm_lite.export import export
from ddpm_lite.model import DiffusionModel
from ddpm_lite.sample import Denoiser, ddim_step, denoiser, last, timesteps
from ddpm_lite.schedule import SCHEDULES, linear
from ddpm_lite.shipped import MODELS
from ddpm_lite.widgets.files import RUNTIME_FILES, model_file
from ddpm_lite.widgets.modules import module_text
from ddpm_lite.widgets.sampler import Sampler, page_noise, page_states

from .chromium import Log, serve
from .conftest import BARE, SITE, missing
from .hands import until

Show = Callable[..., Page]
SHAPE = (1, 28, 28)


@pytest.fixture
def page(blank_page: Page) -> Page:
    """One for all tests here, which leave nothing behind that the next could see."""
    return blank_page


@pytest.fixture(scope="module")
def made() -> Sampler:
    """The widget, for a page beside which its files lie."""
    return Sampler(static_root="_static/")


@pytest.fixture
def widget(made: Sampler, tmp_path: Path) -> Sampler:
    """The widget, and beside its page the model and the runtime of the built book."""
    (tmp_path / "_static").symlink_to(holding(*RUNTIME_FILES.values(), model_file("mnist")))
    return made


def holding(*names: str) -> Path:
    """The built book's folder of static files, in which these must be."""
    for name in names:
        if not (SITE / "_static" / name).is_file():
            missing(f"_static/{name} is not in the built book; `make book` puts it there")
    return SITE / "_static"


# --- The samplers' arithmetic --------------------------------------------------------------------


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


# --- The model in the page -----------------------------------------------------------------------


def choose(page: Page, **choices: object) -> None:
    """Sets controls by their data-name, as a reader would."""
    for name, value in choices.items():
        control = page.locator(f".book-widget [data-name={name}]")
        if control.evaluate("node => node.tagName") == "SELECT":
            control.select_option(str(value))
        else:
            control.fill(str(value))
            control.dispatch_event("change")


def press(page: Page, name: str = "draw") -> list[dict[str, Any]]:
    """Presses a button that draws; the frames {t, x, x0} of the run.

    The run has ended, well or not, when no button says "Stop" any more.
    """
    page.evaluate(
        """() => { window.drawn = null;
          document.addEventListener("drawn", (event) => (window.drawn = JSON.stringify(
            event.detail.map(({ t, x, x0 }) => ({ t, x: [...x], x0: x0 && [...x0] })))),
            { once: true }); }"""
    )
    page.click(f".book-widget [data-name={name}]")
    until(page, "document.querySelector('[data-name=draw]').textContent !== 'Stop'")
    drawn = page.evaluate("window.drawn")
    assert drawn, said(page)
    frames: list[dict[str, Any]] = json.loads(drawn)
    return frames


def picture(frame: dict[str, Any], key: str = "x", shape: tuple[int, int, int] = SHAPE) -> Tensor:
    return torch.tensor(frame[key]).reshape(1, *shape)


def number(page: Page, name: str) -> float:
    text = page.locator(f".book-widget output[data-name={name}]").get_attribute("data-number")
    return float(text or "nan")


def said(page: Page) -> str:
    return page.locator(".book-widget .w-note[role=status]").inner_text()


def pytorch(label: int | None, guidance: float = 1.3) -> Denoiser:
    config = DrawConfig(guidance_scale=guidance, precision="float32")
    labels = None if label is None else torch.tensor([label])
    return make_denoiser(DiffusionModel.load(), labels, config)


@pytest.mark.slow
def test_ten_digits_are_pytorchs_and_recognised(widget_page: Show, widget: Sampler) -> None:
    page, schedule = widget_page(widget), DiffusionModel.load().schedule
    seconds, pytorchs, recognised = [], [], 0
    for digit in range(10):
        choose(page, label=digit, seed=digit)
        frames = press(page)
        assert [frame["t"] for frame in frames] == timesteps(1000, 20)
        drawn = picture(frames[-1])
        if digit % 3 == 0:  # PyTorch takes as long as the page does
            denoise, noise = pytorch(digit), page_noise(digit, SHAPE)
            start = time.perf_counter()
            wanted = last(page_states(denoise, schedule, noise, "dpm_solver", 20))
            pytorchs.append(time.perf_counter() - start)
            assert (drawn - wanted).abs().max() < 1e-2
        recognised += int(load_classifier()(drawn).argmax()) == digit
        assert number(page, "done") == 20
        seconds.append(number(page, "seconds"))
    assert recognised >= 9
    # by the same clock beside the same other work, so that a busy machine is no slower here
    assert min(seconds) < 20 * min(pytorchs), f"{seconds} seconds, PyTorch {pytorchs}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "digit", "guidance", "steps"),
    [
        ("ddim", 5, 1.3, 20),
        ("ddim", 10, 1.3, 10),
        ("ancestral", 2, 2.0, 20),
        ("dpm_solver", 8, 1, 4),
        ("consistency", 6, 1.3, 2),
    ],
)
def test_every_sampler_draws_what_pytorch_draws(
    widget_page: Show,
    widget: Sampler,
    sampler: SamplerName,
    digit: int,
    guidance: float,
    steps: int,
) -> None:
    page, schedule = widget_page(widget), DiffusionModel.load().schedule
    choose(page, label=digit, sampler=sampler, guidance=guidance, steps=steps, seed=4)
    frames = press(page)
    denoise = pytorch(None if digit == 10 else digit, guidance)
    wanted = list(page_states(denoise, schedule, page_noise(4, SHAPE), sampler, steps, seed=4))
    assert len(frames) == steps + 1
    assert (picture(frames[0]) - page_noise(4, SHAPE)).abs().max() < 1e-6
    for frame, state in zip(frames[1:], wanted, strict=True):
        assert frame["t"] == state.t
        assert (picture(frame) - state.x_t).abs().max() < 1e-2
        assert (picture(frame, "x0") - state.x_0).abs().max() < 1e-2


CORES = """
  Object.defineProperty(navigator, "hardwareConcurrency", { value: %d });
  window.asked = [];
  window.ready = 0;
  window.Worker = class extends Worker {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", ({ data }) => void (data.files && window.ready++));
    }
    postMessage(message) {
      this.labels ??= window.asked[window.asked.push([]) - 1];
      if (message.labels) this.labels.push(message.labels);
      super.postMessage(message);
    }
  };"""
"""A machine with so many cores; `asked` is what each worker is asked, `ready` counts the loaded."""


@pytest.mark.slow
@pytest.mark.parametrize(("cores", "asked"), [(1, [[[3, 10]]]), (2, [[[3]], [[10]]])])
def test_two_cores_share_a_guided_step(
    widget_page: Show, widget: Sampler, cores: int, asked: list[list[list[int]]]
) -> None:
    page = widget_page(widget, first=CORES % cores)
    choose(page, label=3, steps=4)
    before = picture(press(page)[-1])
    until(page, f"window.ready === {cores}")  # a reader does not wait for the second one
    after = picture(press(page)[-1])
    assert (after - before).abs().max() < 1e-4
    assert last_asked(page) == asked


def last_asked(page: Page) -> list[list[list[int]]]:
    """The labels that each worker was asked for last."""
    return [worker[-1:] for worker in page.evaluate("window.asked")]


@pytest.mark.slow
def test_the_recorded_run_is_what_the_page_draws(widget_page: Show, widget: Sampler) -> None:
    frames = {frame["t"]: frame for frame in press(widget_page(widget))}
    for recorded in widget.state["frames"]:
        greys = np.frombuffer(base64.b64decode(recorded["x"]), np.uint8)
        mine = (np.clip(frames[recorded["t"]]["x"], -1, 1) + 1) * 127.5
        assert np.abs(mine - greys).max() < 2


@pytest.mark.slow
def test_a_sketch_is_noised_and_denoised(widget_page: Show, widget: Sampler) -> None:
    page, schedule = widget_page(widget), DiffusionModel.load().schedule
    before = painted(page)
    choose(page, test_digit=4, own_t=350, label=10, seed=2, sampler="ddim")
    assert painted(page) != before
    frames = press(page, "denoise")
    greys = np.frombuffer(base64.b64decode(widget.state["digits"][4]), np.uint8)
    digit = torch.from_numpy(greys.astype(np.float32)).reshape(1, *SHAPE) / 127.5 - 1
    x = q_sample(schedule, digit, 350, page_noise(2, SHAPE))
    assert frames[0]["t"] == 350
    assert (picture(frames[0]) - x).abs().max() < 1e-4
    denoise = pytorch(None)
    for (t, after), frame in zip(pairwise(timesteps(350, 20)), frames[1:], strict=True):
        x = ddim_step(schedule, denoise(x, t), x, t, after, 0.0).mean
        assert (picture(frame) - x).abs().max() < 1e-2
    assert int(load_classifier()(picture(frames[-1])).argmax()) == 4


def painted(page: Page) -> list[str]:
    """The pictures of the widget."""
    pictures: list[str] = page.evaluate(
        "() => [...document.querySelectorAll('.book-widget canvas')].map((c) => c.toDataURL())"
    )
    return pictures


def test_a_finger_sketches_and_clear_wipes(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget)
    choose(page, own_t=1)
    page.click("[data-name=clear]")
    *_, pad, noisy = painted(page)
    box = page.locator(".book-widget .w-own canvas").first.bounding_box()
    assert box
    page.mouse.move(box["x"] + 40, box["y"] + 30)
    page.mouse.down()
    page.mouse.move(box["x"] + 110, box["y"] + 120, steps=6)
    page.mouse.up()
    *_, drawn, drawn_noisy = painted(page)
    assert drawn != pad
    assert drawn_noisy != noisy
    page.mouse.move(box["x"] + 40, box["y"] + 120, steps=3)  # the button is up: no line
    assert painted(page)[-2] == drawn
    page.click("[data-name=clear]")
    assert painted(page)[-2] == pad


@pytest.mark.slow
def test_the_page_stays_alive_while_it_loads_and_draws(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget)
    page.evaluate(
        """() => { window.ticks = 0; window.longest = 0; let last = performance.now();
          setInterval(() => { const now = performance.now();
            window.longest = Math.max(window.longest, now - last); last = now; ticks++; }, 20); }"""
    )
    press(page)
    assert page.evaluate("window.ticks") > 20
    assert page.evaluate("window.longest") < 1000


@pytest.mark.slow
def test_the_student_draws_in_one_step_and_offers_only_what_it_knows(
    widget_page: Show, tmp_path: Path
) -> None:
    (tmp_path / "_static").symlink_to(holding(model_file("mnist_one_step")))
    one = Sampler(
        model="mnist_one_step", label=2, guidance=1, sampler="consistency", steps=1,
        static_root="_static/",
    )  # fmt: skip
    page = widget_page(one)
    assert page.locator("[data-name=guidance]").count() == 0
    assert "any" not in page.locator("[data-name=label] option").all_inner_texts()
    assert "any" not in page.locator(".w-own .w-note").inner_text()
    model = DiffusionModel.load("mnist_one_step")
    config = DrawConfig(guidance_scale=1.0, precision="float32")
    for steps in (1, 2, 4):
        choose(page, label=5, steps=steps, seed=steps)
        frames = press(page)
        assert f"{steps} step{'s' if steps > 1 else ''} in" in said(page)
        denoise, noise = make_denoiser(model, torch.tensor([5]), config), page_noise(steps, SHAPE)
        wanted = last(page_states(denoise, model.schedule, noise, "consistency", steps, steps))
        assert (picture(frames[-1]) - wanted).abs().max() < 1e-2


# --- While it draws ------------------------------------------------------------------------------

AT_ONCE = """
  window.Worker = class {
    postMessage({ load, id, x, labels }) {
      const output = load ? null : new Float32Array(x.length * labels.length);
      const data = load ? { files: {} } : { id, output };
      setTimeout(() => this.onmessage({ data }));
    }
    terminate() {}
  };"""
"""A worker that answers at once, with zeros."""


def test_the_network_does_not_wait_for_the_screen(widget_page: Show, made: Sampler) -> None:
    """Where no frame of the screen comes, only the first and the last pictures are painted."""
    count = """window.requestAnimationFrame = () => 0;
      const { fillText } = CanvasRenderingContext2D.prototype;
      window.written = new Set();
      CanvasRenderingContext2D.prototype.fillText = function (text, ...place) {
        if (text.includes("at t =")) window.written.add(text.split("=")[1]);
        fillText.call(this, text, ...place);
      };"""
    page = widget_page(made, first=AT_ONCE + count)
    page.evaluate("document.querySelector('.book-widget [data-name=draw]').click()")
    until(page, "document.querySelector('.w-note').textContent.includes('20 steps in')")
    assert sorted(map(int, page.evaluate("[...window.written]"))) == [0, 1000]
    assert number(page, "t") == 0


def test_a_late_frame_does_not_take_the_reader_back(widget_page: Show, made: Sampler) -> None:
    page = widget_page(made, first=AT_ONCE)
    page.evaluate(
        """() => document.addEventListener("drawn", () => {
          const slider = document.querySelector("[data-name=step]");
          slider.value = 0;
          slider.dispatchEvent(new Event("input"));
          requestAnimationFrame(() => requestAnimationFrame(() => (window.later = true)));
        })"""
    )
    page.click("[data-name=draw]")
    until(page, "window.later")
    assert number(page, "t") == 1000


# --- In colour ------------------------------------------------------------------------------------

COLOUR = (3, 16, 16)


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sampler:
    """The widget of a small untrained network of CIFAR-10's classes."""
    path = tmp_path / "colours.safetensors"
    coloured_model(path, side=COLOUR[-1])
    monkeypatch.setitem(MODELS, "colours", path)
    chosen: dict[str, Any] = {"label": "horse", "guidance": 2.0, "steps": 4, "own_t": 20}
    return Sampler(model="colours", static_root="_static/", **chosen)


@pytest.mark.slow
def test_a_network_in_colour_is_pytorchs_at_every_step(
    widget_page: Show, colours: Sampler, tmp_path: Path
) -> None:
    """With guidance, for which one worker answers at first, and two when both are ready."""
    (tmp_path / "_static").mkdir()
    vendor = holding(*RUNTIME_FILES.values()) / "vendor"
    (tmp_path / "_static" / "vendor").symlink_to(vendor)
    model = DiffusionModel.load("colours")
    export(model, tmp_path / "_static" / model_file("colours"))
    page = widget_page(colours, first=CORES % 2)
    for label, seed, guidance in (("horse", 0, 2.0), ("airplane", 3, 1.5)):
        choose(page, label=label, seed=seed, guidance=guidance)
        frames = press(page)
        config = DrawConfig(guidance_scale=guidance, precision="float32")
        denoise = make_denoiser(model, torch.tensor([CIFAR10.index(label)]), config)
        wanted = page_states(denoise, model.schedule, page_noise(seed, COLOUR), "dpm_solver", 4)
        for frame, state in zip(frames[1:], wanted, strict=True):
            assert frame["t"] == state.t
            assert (picture(frame, "x", COLOUR) - state.x_t).abs().max() < 1e-3
            assert (picture(frame, "x0", COLOUR) - state.x_0).abs().max() < 1e-3
        until(page, "window.ready === 2")
    assert last_asked(page) == [[[0]], [[10]]]
    assert all("Drawing an airplane" in told for told in labels(page))


def labels(page: Page) -> list[str]:
    """What is told of the pictures of a run to those who cannot see them."""
    told = page.locator(".book-widget canvas:visible")
    return [str(node.get_attribute("aria-label")) for node in told.all()]


def test_classes_have_their_names(widget_page: Show, colours: Sampler) -> None:
    page = widget_page(colours)
    assert not page.locator(".w-own").is_visible()  # a sketch is grey
    menu = page.locator("label:has([data-name=label])")
    assert menu.locator("option").all_inner_texts() == [*CIFAR10, "any"]
    assert menu.inner_text().startswith("Class")
    assert menu.locator("select").input_value() == "7"
    group = page.locator(".book-widget").get_attribute("aria-label")
    assert str(group).startswith("A diffusion model draws a horse from noise in 4 steps:")
    large, strip = labels(page)
    assert large.startswith("Drawing a horse: the noisy picture at t = 0,")
    assert strip.startswith("Drawing a horse, step by step:")


# --- By keyboard, without motion, without a model -------------------------------------------------


def test_a_recorded_run_shows_before_anything_is_loaded(
    widget_page: Show, widget: Sampler, log: Log
) -> None:
    page = widget_page(widget)
    assert "recorded run" in said(page)
    assert not [url for url in log.requests if "_static" in url]
    assert number(page, "t") == 0
    assert number(page, "alpha_bar") == 1
    before, schedule = painted(page), DiffusionModel.load().schedule
    choose(page, step=4)
    t = int(number(page, "t"))
    assert t == widget.state["frames"][4]["t"]
    assert abs(number(page, "alpha_bar") - float(schedule.alpha_bar[t - 1])) < 1e-6
    assert painted(page)[0] != before[0]


@pytest.mark.slow
def test_by_keyboard_alone(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget)
    reached = []
    for _ in range(20):
        page.keyboard.press("Tab")
        name = page.evaluate("document.activeElement.dataset.name")
        if name in reached:
            break
        reached.append(name)
    wanted = (
        "label sampler steps guidance seed draw another step play test_digit clear own_t denoise"
    )
    assert [name for name in reached if name] == wanted.split()
    page.focus("[data-name=step]")
    page.keyboard.press("Home")
    assert number(page, "t") == 1000
    page.keyboard.press("ArrowRight")
    assert number(page, "t") == 900
    page.focus("[data-name=own_t]")
    before = painted(page)[-1]
    page.keyboard.press("ArrowLeft")
    assert painted(page)[-1] != before
    page.focus("[data-name=draw]")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('.w-note').textContent.includes('20 steps in')")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    until(page, "document.querySelector('[data-name=seed]').value === '1'")


@pytest.mark.slow
def test_a_run_can_be_stopped(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget)
    choose(page, steps=1000)
    page.click("[data-name=draw]")
    until(page, "+document.querySelector('output[data-name=done]').dataset.number < 20")
    until(page, "+document.querySelector('output[data-name=done]').dataset.number > 2")
    assert page.inner_text("[data-name=draw]") == "Stop"
    page.click("[data-name=draw]")
    assert said(page) == "Stopped."
    assert page.inner_text("[data-name=denoise]") == "Denoise it"
    assert page.inner_text("[data-name=draw]") == "Draw"
    choose(page, steps=4)
    assert len(press(page)) == 5


def test_play_goes_one_step_where_motion_is_not_wanted(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget, calm=True)
    page.click("[data-name=play]")
    assert number(page, "t") == 1000
    page.wait_for_timeout(400)
    assert number(page, "t") == 1000
    page.click("[data-name=play]")
    assert number(page, "t") == 900
    page = widget_page(widget)
    page.click("[data-name=play]")
    until(page, "document.querySelector('output[data-name=t]').dataset.number === '0'")


@pytest.mark.parametrize("name", MODELS)
def test_the_button_tells_how_much_will_be_loaded(widget_page: Show, name: str) -> None:
    static = holding(RUNTIME_FILES["wasm"], model_file(name))
    size = sum((static / f).stat().st_size for f in (RUNTIME_FILES["wasm"], model_file(name)))
    made = Sampler(model=name, label=0, guidance=1, steps=1)
    told = widget_page(made).inner_text("[data-name=draw]")
    assert told == f"Load the model ({size / 1e6:.0f} MB) and draw"
    assert made.state["sizes"]["total"] == pytest.approx(size, rel=0.01)  # what the bar goes by


def test_a_missing_file_is_named(widget_page: Show, log: Log) -> None:
    page = widget_page(Sampler(steps=1, static_root="nowhere/"))
    page.click("[data-name=draw]")
    until(page, "document.querySelector('.w-note').textContent.includes('could not')")
    assert "nowhere/" in said(page)
    assert "recorded run" in said(page)
    assert number(page, "t") == 0
    assert page.inner_text("[data-name=draw]") == "Load the model (18 MB) and draw"
    log.faults.clear()  # the browser tells of each file that is not there


def test_without_webassembly(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget, first="delete window.WebAssembly")
    assert "no WebAssembly" in said(page)
    assert "recorded run" in said(page)
    assert page.is_disabled("[data-name=draw]")
    assert page.is_disabled("[data-name=denoise]")


BROKEN = """window.Worker = class {
  postMessage() {
    setTimeout(() => {
      this.onerror({ preventDefault() {}, message: "it broke" });
      this.onmessage({ data: { ready: true } });
    });
  }
  terminate() {}
};"""


def test_a_message_after_an_error_is_nobodys(widget_page: Show, widget: Sampler) -> None:
    page = widget_page(widget, first=BROKEN)
    page.click("[data-name=draw]")
    page.wait_for_selector("text=it broke")  # and no exception, as widget_page sees to


def test_from_a_file_without_its_files(page: Page, made: Sampler, tmp_path: Path) -> None:
    path = tmp_path / "opened.html"
    text = BARE.format(fonts="", title="From a file", theme="light", body=made._repr_html_())
    path.write_text(text, encoding="utf-8")
    page.goto(path.as_uri())
    page.wait_for_selector(".book-widget[data-ready]")
    page.click("[data-name=draw]")
    page.wait_for_selector("text=could not be loaded")
    assert f"{RUNTIME_FILES['runtime']}.js is not there" in said(page)
    choose(page, step=2)
    assert number(page, "t") == 800


def test_sphinx_tells_where_the_files_are(page: Page, tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    body = Sampler(steps=1)._repr_html_()
    text = BARE.format(fonts="", title="Deep", theme="light", body=body)
    text = text.replace("<html ", '<html data-content_root="../" ')
    (tmp_path / "deep" / "index.html").write_text(text, encoding="utf-8")
    with serve(tmp_path) as url:
        page.goto(f"{url}/deep/")
        page.wait_for_selector(".book-widget[data-ready]")
        with page.expect_request(f"{url}/_static/{model_file('mnist')}"):
            page.click("[data-name=draw]")
