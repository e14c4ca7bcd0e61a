"""Drawing sets of images: labels, batches, seeds, and which sampler runs."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from ddpm_lite import draw as module
from ddpm_lite.data import to_uint8
from ddpm_lite.diffusion import Variance
from ddpm_lite.draw import (
    DrawConfig,
    SamplerName,
    balanced_labels,
    draw,
    make_denoiser,
    own_config,
    states,
)
from ddpm_lite.model import DiffusionModel, ModelConfig
from ddpm_lite.sample import ancestral, consistency, ddim, dpm_solver, initial_noise, last
from ddpm_lite.unet import UNetConfig

SAMPLERS: list[SamplerName] = ["ancestral", "ddim", "dpm_solver", "consistency"]
FAST = DrawConfig(steps=3, precision="float32", guidance_scale=1.0)


class Painter(nn.Module):
    """Says that x_0 is as bright as its label, 0 black and 9 white; grey without a label."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(1, 1)
        self.seen: list[Tensor | None] = []

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        self.seen.append(label)
        if label is None:
            return torch.zeros_like(x)
        return (label / 9 * 2 - 1)[:, None, None, None].expand_as(x)


class Dreamer(Painter):
    """What it says depends on the noise, and not on the label."""

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        self.seen.append(label)
        return torch.tanh(x)


def model(net: Painter | None = None, classes: int = 10) -> DiffusionModel:
    unet = UNetConfig(channels=(8,), groups=4, classes=classes)
    config = ModelConfig(unet, schedule="cosine", T=8, target="x_0", side=4)
    return DiffusionModel(net or Painter(), config, config.build_schedule())  # type: ignore[arg-type]


def brightness(images: Tensor) -> list[int]:
    """The label that each image shows."""
    assert (images == images[:, :1, :1, :1]).all()
    return (images[:, 0, 0, 0].float() / 255 * 9).round().int().tolist()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_class_is_drawn_equally_often(sampler: SamplerName) -> None:
    images = draw(model(), 30, replace(FAST, sampler=sampler))
    assert images.shape == (30, 1, 4, 4)
    assert images.dtype == torch.uint8
    assert brightness(images) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] * 3


@pytest.mark.parametrize("batch_size", [1, 3, 7, 100])
def test_each_image_gets_its_own_label_in_any_batch(batch_size: int) -> None:
    wanted = [3, 1, 4, 1, 5, 9, 2, 6]
    config = replace(FAST, batch_size=batch_size)
    assert brightness(draw(model(), 8, config, torch.tensor(wanted))) == wanted


def test_labels_may_be_names() -> None:
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "0")
    named = replace(model(), class_names=names)
    labels = ["seven", "one", "0", "7"]  # 0 is the name of the last one
    assert brightness(draw(named, 4, FAST, labels)) == [7, 1, 9, 7]
    assert brightness(draw(named, 2, FAST, ("two", "eight"))) == [2, 8]
    assert brightness(draw(named, 3, FAST, [3, 0, "two"])) == [3, 9, 2]  # as the command line reads
    assert brightness(draw(model(), 2, FAST, ["3", "4"])) == [3, 4]  # it knows no names


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["ten"], "label ten is none of the model's classes: 0 0, 1 1"),
        (["10"], "label 10 is none"),
        (["1", "2"], "as many labels"),
    ],
)
def test_names_of_no_class_are_refused(labels: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw(model(), 1, FAST, labels)


def test_balanced_labels_differ_by_at_most_one() -> None:
    assert balanced_labels(7, 3) is not None
    assert balanced_labels(7, 3).tolist() == [0, 1, 2, 0, 1, 2, 0]  # type: ignore[union-attr]
    assert balanced_labels(7, 0) is None


def test_a_model_without_classes_gets_no_label() -> None:
    net = Painter()
    images = draw(model(net, classes=0), 4, replace(FAST, guidance_scale=3.0))
    assert set(net.seen) == {None}
    assert images.unique().tolist() == [128]  # grey: 0 lies between 127 and 128


def test_a_seed_says_everything_and_batches_differ() -> None:
    config = replace(FAST, batch_size=2, sampler="ancestral")
    images = draw(model(Dreamer()), 6, config)
    assert torch.equal(images, draw(model(Dreamer()), 6, config))
    assert not torch.equal(images, draw(model(Dreamer()), 6, replace(config, seed=1)))
    assert len({image.numpy().tobytes() for image in images}) == 6


def test_more_images_begin_with_the_same_batches() -> None:
    config = replace(FAST, batch_size=4, sampler="ancestral")
    assert torch.equal(draw(model(Dreamer()), 12, config)[:8], draw(model(Dreamer()), 8, config))


@pytest.mark.parametrize(("scale", "level"), [(0.0, 128), (0.5, 191), (1.0, 255), (3.0, 255)])
def test_guidance_moves_from_grey_to_the_label(scale: float, level: int) -> None:
    """x_0 = 0 without and 1 with the label, so scale says where it ends: (scale + 1) * 127.5."""
    config = replace(FAST, guidance_scale=scale)
    images = draw(model(), 2, config, torch.tensor([9, 9]))
    assert images.unique().tolist() == [level]


def test_guidance_beyond_1_goes_beyond_the_label_unless_clipped() -> None:
    x = torch.zeros(1, 1, 4, 4)
    label = torch.tensor([9])
    for clip, expected in ((False, 3.0), (True, 1.0)):
        config = replace(FAST, guidance_scale=3.0, clip=clip)
        assert make_denoiser(model(), label, config)(x, 5).unique().tolist() == [expected]


@pytest.mark.parametrize(("scale", "calls"), [(1.0, 1), (2.0, 2), (0.0, 2)])
def test_the_network_is_asked_twice_only_for_guidance(scale: float, calls: int) -> None:
    net = Painter()
    config = replace(FAST, guidance_scale=scale)
    make_denoiser(model(net), torch.tensor([3]), config)(torch.zeros(1, 1, 4, 4), 5)
    assert len(net.seen) == calls
    assert sum(label is None for label in net.seen) == calls - 1


@pytest.mark.parametrize("variance", ["posterior", "beta"])
def test_ancestral_is_run_as_configured(variance: Variance) -> None:
    m, x = model(Dreamer()), initial_noise((2, 1, 4, 4))
    config = replace(FAST, sampler="ancestral", variance=variance)
    denoise = make_denoiser(m, None, config)
    expected = last(ancestral(denoise, m.schedule, x, variance, seed=3))
    assert torch.equal(last(states(m, x, None, config, 3)), expected)


def test_the_samplers_in_few_steps_are_run_as_configured() -> None:
    m, x = model(Dreamer()), initial_noise((2, 1, 4, 4))
    config = replace(FAST, steps=4, eta=0.7)
    denoise = make_denoiser(m, None, config)
    expected = last(ddim(denoise, m.schedule, x, 4, 0.7, seed=3))
    assert torch.equal(last(states(m, x, None, config, 3)), expected)
    config = replace(config, sampler="dpm_solver")
    expected = last(dpm_solver(denoise, m.schedule, x, 4))
    assert torch.equal(last(states(m, x, None, config, 3)), expected)
    config = replace(config, sampler="consistency")
    expected = last(consistency(denoise, m.schedule, x, 4, seed=3))
    assert torch.equal(last(states(m, x, None, config, 3)), expected)


# --- What a model asks for -----------------------------------------------------------------------


def test_a_model_that_asks_for_nothing_is_drawn_as_all_are() -> None:
    assert own_config(model()) == DrawConfig()


def test_a_model_is_drawn_as_its_file_asks_unless_it_is_told_otherwise() -> None:
    wishes = {"sampler": "consistency", "steps": 2, "guidance_scale": 1.0}
    net = Dreamer()
    asks = replace(model(net), wishes=wishes)
    assert own_config(asks) == DrawConfig("consistency", steps=2, guidance_scale=1.0)
    drawn = draw(asks, 3)
    assert len(net.seen) == 2  # two steps, and none without a label
    assert torch.equal(drawn, draw(model(Dreamer()), 3, own_config(asks)))
    assert not torch.equal(drawn, draw(asks, 3, FAST))


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"steps": "two"}, "unusable steps"),
        ({"steps": True}, "unusable steps"),
        ({"steps": 0}, "at least 1"),
        ({"steps": None}, "unusable steps"),
        ({"colour": 3}, "unusable colour"),
        ({"sampler": "magic"}, "'magic' is not one of"),
        ({"guidance_scale": math.nan}, "finite"),
    ],
)
def test_a_wish_that_nobody_can_fulfil_is_refused(wishes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        own_config(replace(model(), wishes=wishes))


def test_a_picture_is_the_last_state_in_grey_levels() -> None:
    m, config = model(Dreamer()), replace(FAST, seed=5)
    x = initial_noise((3, 1, 4, 4), seed=5)
    label = torch.tensor([0, 1, 2])
    assert torch.equal(draw(m, 3, config), to_uint8(last(states(m, x, label, config, 5))))


@pytest.mark.parametrize(
    ("n", "labels"), [(0, None), (-1, None), (3, torch.tensor([1, 2])), (1, torch.tensor([1, 2]))]
)
def test_no_images_or_other_numbers_of_labels_are_refused(n: int, labels: Tensor | None) -> None:
    with pytest.raises(ValueError, match="n must be at least 1"):
        draw(model(), n, FAST, labels)


def test_progress_is_shown_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    draw(model(), 2, FAST)
    assert capsys.readouterr().err == ""
    draw(model(), 2, FAST, progress=True)
    assert "sampling: 100%" in capsys.readouterr().err
    draw(model(), 2, replace(FAST, batch_size=1), progress=True)
    shown = capsys.readouterr().err
    assert "drawing: 100%" in shown
    assert "sampling" not in shown


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampler": "euler"}, "'euler' is not one of ancestral, ddim, dpm_solver, consistency"),
        ({"steps": 0}, "at least 1"),
        ({"batch_size": 0}, "at least 1"),
        ({"eta": -0.5}, "eta must be at least 0"),
        ({"eta": math.nan}, "eta must be a finite number"),
        ({"eta": math.inf}, "eta must be a finite number"),
        ({"guidance_scale": math.nan}, "guidance_scale must be a finite number"),
        ({"guidance_scale": -math.inf}, "guidance_scale must be a finite number"),
        ({"seed": 2**64}, "seed must lie between"),
    ],
)
def test_unusable_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DrawConfig(**changes)  # type: ignore[arg-type]


def test_more_steps_than_the_model_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must lie in 1\.\.8, not 9"):
        draw(model(), 1, replace(FAST, steps=9))


class Broken(Painter):
    """Says a number, but for one image."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def forward(self, x: Tensor, t: Tensor, label: Tensor | None) -> Tensor:
        out = torch.zeros_like(x)
        out[1, 0, 2, 3] = self.value
        return out


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_none_do_not_become_pixels(sampler: SamplerName, value: float) -> None:
    config = replace(FAST, sampler=sampler, clip=False)
    with pytest.raises(ValueError, match="not finite"):
        draw(model(Broken(value)), 3, config)


def test_every_sampler_name_is_known() -> None:
    for sampler in SAMPLERS:
        assert hasattr(module, sampler)
