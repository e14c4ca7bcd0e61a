"""The sampler widget's first state: a recorded run, and what the browser needs to go on itself."""

import base64
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ipywidgets.widgets.widget import _instances
from small import coloured_model

from ddpm_lite.archives import CIFAR10
from ddpm_lite.classifier import load_classifier
from ddpm_lite.data import to_uint8
from ddpm_lite.draw import DrawConfig, make_denoiser
from ddpm_lite.model import DiffusionModel
from ddpm_lite.sample import ancestral_step, last
from ddpm_lite.schedule import linear
from ddpm_lite.shipped import MODELS
from ddpm_lite.widgets.files import PAGES
from ddpm_lite.widgets.sampler import Sampler, page_noise, page_states, reply, shipped


@pytest.fixture(scope="module")
def widget() -> Sampler:
    return Sampler()


def image(text: str) -> torch.Tensor:
    """A picture of the state as the classifier takes it."""
    greys = np.frombuffer(base64.b64decode(text), np.uint8).reshape(1, 1, 28, 28)
    return torch.from_numpy(greys.astype(np.float32)) / 127.5 - 1


def seen(text: str) -> int:
    return int(load_classifier()(image(text)).argmax())


def test_the_recorded_run_ends_in_the_digit(widget: Sampler) -> None:
    frames = widget.state["frames"]
    times = [frame["t"] for frame in frames]
    assert len(frames) == 11
    assert (times[0], times[-1]) == (1000, 0)
    assert all(before > after for before, after in pairwise(times))
    assert frames[0]["x0"] is None
    assert seen(frames[-1]["x"]) == seen(frames[-1]["x0"]) == 3
    assert image(frames[0]["x"]).abs().mean() > 0.5


def test_the_recorded_run_is_the_samplers(widget: Sampler) -> None:
    model = DiffusionModel.load()
    config = DrawConfig(guidance_scale=1.3, precision="float32")
    denoise = make_denoiser(model, torch.tensor([3]), config)
    x_0 = last(page_states(denoise, model.schedule, page_noise(0, (1, 28, 28)), "dpm_solver", 20))
    assert (image(widget.state["frames"][-1]["x"]) - x_0).abs().max() < 0.01


def test_the_state_is_the_packages(widget: Sampler) -> None:
    model = DiffusionModel.load()
    assert widget.state["betas"] == model.schedule.beta.tolist()
    assert widget.state["target"] == model.config.target
    assert not widget.state["labelled"]
    assert [seen(text) for text in widget.state["digits"]] == list(range(10))
    assert "postMessage" in widget.state["worker"]
    json.dumps(widget.state)


@pytest.mark.parametrize("sampler", ["ddim", "ancestral", "consistency"])
def test_other_samplers_and_few_steps(sampler: str) -> None:
    widget = Sampler(label=None, sampler=sampler, steps=4)  # type: ignore[arg-type]
    assert [frame["t"] for frame in widget.state["frames"]] == [1000, 750, 500, 250, 0]
    assert "a digit" in widget.description


def test_choices_out_of_range_are_refused() -> None:
    with pytest.raises(ValueError, match="label 10 is none"):
        Sampler(label=10)
    with pytest.raises(ValueError, match="own_t must lie in"):
        Sampler(own_t=0)
    with pytest.raises(ValueError, match="own_digit must lie between"):
        Sampler(own_digit=12)
    with pytest.raises(ValueError, match="guidance must lie between"):
        Sampler(guidance=-1)
    with pytest.raises(ValueError, match="'euler' is not one of"):
        Sampler(sampler="euler")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="number of steps"):
        Sampler(steps=1001)


def test_the_student_wants_a_label_and_no_guidance() -> None:
    widget = Sampler(model="mnist_one_step", label=4, guidance=1, sampler="consistency", steps=1)
    assert widget.state["labelled"]
    assert [frame["t"] for frame in widget.state["frames"]] == [1000, 0]
    assert seen(widget.state["frames"][-1]["x"]) == 4
    assert "in 1 step: " in widget.description
    for wrong in ({"guidance": 1.3}, {"guidance": 1, "label": None}):
        with pytest.raises(ValueError, match="without a label"):
            Sampler(model="mnist_one_step", **wrong)  # type: ignore[arg-type]


@pytest.fixture
def colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small untrained model of CIFAR-10's classes among the shipped ones."""
    coloured_model(tmp_path / "colours.safetensors")
    monkeypatch.setitem(MODELS, "colours", tmp_path / "colours.safetensors")


@pytest.mark.usefixtures("colours")
def test_a_model_in_colour_draws_a_class_by_its_name() -> None:
    widget = Sampler(model="colours", label="horse", steps=3, own_t=20)
    state = widget.state
    assert (state["channels"], state["side"]) == (3, 8)
    assert (state["names"], state["label"]) == (list(CIFAR10), 7)
    assert state["files"]["model"] == "models/colours.onnx"
    assert state["digits"] == []  # nothing to sketch with: the pad is grey
    model = DiffusionModel.load(MODELS["colours"])
    denoise = make_denoiser(model, torch.tensor([7]), DrawConfig(guidance_scale=1.3))
    x_0 = last(page_states(denoise, model.schedule, page_noise(0, (3, 8, 8)), "dpm_solver", 3))
    shown = np.frombuffer(base64.b64decode(state["frames"][-1]["x"]), np.uint8)
    assert np.abs(shown.reshape(3, 8, 8).astype(int) - to_uint8(x_0)[0].numpy()).max() <= 1


@pytest.mark.usefixtures("colours")
@pytest.mark.parametrize(
    ("label", "what"),
    [("horse", "a horse"), ("airplane", "an airplane"), (None, "a picture")],
)
def test_what_is_drawn_has_its_article(label: str | None, what: str) -> None:
    widget = Sampler(model="colours", label=label, steps=1, own_t=20)
    assert widget.description.startswith(f"A diffusion model draws {what} from noise in 1 step:")
    chosen = -1 if label is None else widget.state["label"]
    assert widget.state["subjects"][chosen] == what
    assert len(widget.state["subjects"]) == len(CIFAR10) + 1


def test_a_digit_is_told_by_its_number(widget: Sampler) -> None:
    assert widget.state["subjects"] == [*(f"the digit {k}" for k in range(10)), "a digit"]


def test_a_name_that_no_model_has_is_refused() -> None:
    with pytest.raises(ValueError, match="'cifar' is not one of"):
        Sampler(model="cifar")


def test_html_stands_by_itself(widget: Sampler) -> None:
    text = widget._repr_html_()
    assert "http://" not in text
    assert "https://" not in text
    assert 'data-widget="sampler"' in text
    assert "draws the digit 3 from noise in 20 steps" in text
    assert len(text) < 150_000


# --- noise ---------------------------------------------------------------------------------------


def test_noise_is_normal_and_follows_the_seed() -> None:
    noise = page_noise(5, (1, 28, 28), draws=100)
    assert noise.shape == (100, 1, 28, 28)
    assert noise.dtype == torch.float32
    assert abs(noise.mean()) < 0.02
    assert abs(noise.std() - 1) < 0.01
    assert torch.equal(noise[:3], page_noise(5, (1, 28, 28), draws=3))
    assert not torch.equal(noise[:1], page_noise(6, (1, 28, 28)))
    assert torch.equal(page_noise(5 + 2**32, (4,)), page_noise(5, (4,)))


def test_ancestral_in_all_steps_is_ddpms() -> None:
    schedule, x_T = linear(30), page_noise(1, (1, 4, 4))
    states = list(page_states(lambda x, t: torch.tanh(x), schedule, x_T, "ancestral", 30, seed=1))
    noise = page_noise(1 + 0x9E3779B9, (1, 1, 4, 4), draws=30)
    x = x_T
    for t, eps, state in zip(range(30, 0, -1), noise, states, strict=True):
        p = ancestral_step(schedule, torch.tanh(x), x, t, "posterior")
        x = p.mean + p.variance.sqrt() * eps
        assert state.t == t - 1
        assert torch.allclose(state.x_t, x, atol=1e-5)


# --- in a notebook -------------------------------------------------------------------------------


class Wire:
    """What a live widget sends."""

    sent: tuple[Any, ...] = ()

    def send(self, *what: Any) -> None:
        self.sent = what


def test_the_kernel_answers_with_the_networks_output_for_each_label() -> None:
    model, wire, x = shipped("mnist"), Wire(), page_noise(0, (1, 28, 28))
    question = {"id": "a 1", "t": 500, "labels": [3, 10]}
    reply(model, wire, question, [x.numpy().tobytes()])  # type: ignore[arg-type]
    content, (raw,) = wire.sent
    assert content == {"id": "a 1"}
    outputs = torch.frombuffer(bytearray(raw), dtype=torch.float32).reshape(2, 1, 28, 28)
    for output, label in zip(outputs, (3, 10), strict=True):
        alone = model(x, torch.tensor([500]), torch.tensor([label]))
        assert torch.allclose(output, alone[0], atol=1e-5)
    assert not torch.allclose(outputs[0], outputs[1], atol=1e-3)


def test_the_kernel_tells_what_it_cannot_do() -> None:
    wire = Wire()
    question = {"id": "a 2", "t": 500, "labels": [3]}
    reply(DiffusionModel.load(), wire, question, [b"1234"])  # type: ignore[arg-type]
    (content,) = wire.sent
    assert content["id"] == "a 2"
    assert "shape" in content["error"]


@pytest.mark.parametrize(
    ("question", "raw"),
    [
        ({"id": "a 3", "t": 500, "labels": [3]}, []),  # no image came: IndexError
        ({"id": "a 3", "labels": [3]}, [bytes(4 * 28 * 28)]),  # no time: KeyError
        ({"id": "a 3", "t": 500, "labels": "three"}, [bytes(4 * 28 * 28)]),  # TypeError
        ({"id": "a 3", "t": 500, "labels": [77]}, [bytes(4 * 28 * 28)]),  # IndexError in torch
    ],
)
def test_every_question_gets_an_answer(question: dict[str, Any], raw: list[bytes]) -> None:
    wire = Wire()
    reply(DiffusionModel.load(), wire, question, raw)  # type: ignore[arg-type]
    (content,) = wire.sent
    assert content["id"] == "a 3"
    assert "Error" in content["error"]


def test_a_cell_that_runs_again_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PAGES, raising=False)
    view = "application/vnd.jupyter.widget-view+json"
    first, _ = Sampler(steps=1, seed=5)._repr_mimebundle_()
    kept = len(_instances)
    for _ in range(3):
        again, _ = Sampler(steps=1, seed=5)._repr_mimebundle_()
        assert again[view]["model_id"] == first[view]["model_id"]
    assert len(_instances) == kept
    other, _ = Sampler(steps=1, seed=6)._repr_mimebundle_()
    assert other[view]["model_id"] != first[view]["model_id"]


def test_a_widget_that_was_closed_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PAGES, raising=False)
    view = "application/vnd.jupyter.widget-view+json"
    widget = Sampler(steps=1, seed=7)
    first, _ = widget._repr_mimebundle_()
    _instances[first[view]["model_id"]].close()
    again, _ = widget._repr_mimebundle_()
    assert again[view]["model_id"] != first[view]["model_id"]
    assert again[view]["model_id"] in _instances


def test_a_notebook_gets_the_live_widget_and_a_page_the_html(
    widget: Sampler, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = "application/vnd.jupyter.widget-view+json"
    monkeypatch.delenv(PAGES, raising=False)
    data, metadata = widget._repr_mimebundle_()
    assert live in data
    assert "text/html" not in data  # or a front end might choose that
    assert metadata == {}
    monkeypatch.setenv(PAGES, "1")
    assert widget._repr_mimebundle_().keys() == {"text/html"}
    monkeypatch.delenv(PAGES)
    monkeypatch.setattr("ddpm_lite.widgets.sampler.find_spec", lambda name: None)
    assert widget._repr_mimebundle_().keys() == {"text/html"}
