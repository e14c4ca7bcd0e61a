"""The map of the U-Net: that it shows the network's own layers and what really flows through."""

import base64
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ddpm_lite.data import mnist, to_float, to_uint8
from ddpm_lite.diffusion import predict
from ddpm_lite.model import DiffusionModel, ModelConfig
from ddpm_lite.unet import PRESETS, Stage, UNet, UNetConfig, count_parameters
from ddpm_lite.widgets.unet_map import Block, UNetMap, lay_out, record, signed_bytes

DIGITS, TIMES = (2, 7), (100, 350, 600, 850)


@cache
def shipped() -> DiffusionModel:
    return DiffusionModel.load()


@cache
def widget() -> UNetMap:
    return UNetMap(model=shipped())


@cache
def outputs() -> dict[str, torch.Tensor]:
    return record(shipped(), lay_out(shipped().net, "v"), DIGITS, TIMES, seed=0)


def untrained(config: UNetConfig) -> DiffusionModel:
    torch.manual_seed(0)
    net = UNet(config).eval().requires_grad_(False)
    whole = ModelConfig(unet=config, target="eps")
    return DiffusionModel(net, whole, whole.build_schedule())


@pytest.mark.parametrize(
    "config",
    [
        PRESETS["mnist"],
        UNetConfig(channels=(8, 16), blocks=2, groups=4, classes=10),
        UNetConfig(channels=(8,), groups=4, patch=4, attention=(0,), classes=10),
    ],
)
def test_every_learnt_number_belongs_to_one_block(config: UNetConfig) -> None:
    net = UNet(config)
    blocks = lay_out(net, "v")
    assert sum(block.parameters for block in blocks) == count_parameters(net)
    assert len({(block.column, block.row) for block in blocks}) == len(blocks)
    assert len({block.name for block in blocks}) == len(blocks)


def test_the_bridges_are_those_of_the_network() -> None:
    """Each stage of the way up gets as many channels as the two blocks before it have."""
    shapes = {name: seen.shape[1:] for name, seen in outputs().items()}
    blocks = lay_out(shipped().net, "v")
    path = [block for block in blocks if block.name != "embed"]
    bridges = [(before, block) for before, block in pairwise(path) if block.skip]
    assert [block.skip for _, block in bridges] == [*[f"down_{k}" for k in (5, 4, 3, 2, 1)], "stem"]
    for before, block in bridges:
        assert block.skip is not None
        below, across = shapes[before.name], shapes[block.skip]
        assert below[1:] == across[1:] == shapes[block.name][1:]
        assert below[0] + across[0] == _inputs(block)


def _inputs(block: Block) -> int:
    stage = block.modules[-1]
    assert isinstance(stage, Stage)
    return stage.block.norm1.num_channels


def test_what_is_recorded_flows_through_the_network() -> None:
    seen, model = outputs(), shipped()
    t = torch.tensor(TIMES).repeat(2)
    label = torch.tensor(DIGITS).repeat_interleave(4)
    assert torch.equal(seen["output"], model(seen["x_t"], t, label))
    assert torch.allclose(seen["stem"], model.net.stem(seen["fold"]), atol=1e-5)
    assert torch.equal(F.pixel_shuffle(seen["head"], 2)[..., :28, :28], seen["output"])
    x_0 = predict(model.schedule, seen["output"], seen["x_t"], t, "v").x_0
    assert torch.equal(seen["x_0"][:, :1], x_0)
    assert seen["x_0"][0, :1].sub(seen["x_0"][0, 1:]).abs().mean() < 0.1  # t = 100 is easy
    digits = mnist(train=False)
    first = digits.pixels[int((digits.labels == 7).nonzero()[0])]
    assert torch.equal(seen["x_0"][4, 1:], to_float(first))


def test_the_page_holds_the_maps_that_vary_most() -> None:
    state = widget().state
    assert len(state["maps"]) == len(DIGITS) * len(TIMES)
    for number, text in enumerate(state["maps"]):
        frame = torch.from_numpy(np.frombuffer(base64.b64decode(text), np.uint8).copy())
        start = 0
        for block in state["blocks"]:
            size = [len(block["kept"]), *block["shape"]]
            maps = frame[start : start + int(np.prod(size))].reshape(size)
            start += maps.numel()
            real = outputs()[block["name"]][number, block["kept"]]
            if block["grey"]:
                assert torch.equal(maps, to_uint8(real))
            else:
                assert ((maps.float() - 128).sign() * real.sign() >= 0).all()
        assert start == len(frame)
    up = next(block for block in state["blocks"] if block["name"] == "up_8")
    spread = outputs()["up_8"].flatten(2).std(2).mean(0)
    assert up["kept"] == spread.argsort(descending=True)[:8].tolist()
    assert up["rms"][5] == pytest.approx(outputs()["up_8"][5].square().mean().sqrt().item())


def test_zero_is_the_middle_byte_and_the_largest_size_an_end() -> None:
    maps = torch.tensor([[0.0, 2.0, -2.0, 1.0]]).reshape(1, 1, 2, 2)
    assert signed_bytes(maps).flatten().tolist() == [128, 255, 1, 192]
    assert (signed_bytes(torch.zeros(1, 1, 2, 2)) == 128).all()


def test_the_html_is_light_and_stands_by_itself() -> None:
    html = widget()._repr_html_()
    assert len(html.encode()) < 300_000
    assert "http" not in html
    assert f"a U of {len(widget().state['blocks'])} blocks" in html
    assert "48 and 64 and 96 channels" not in widget().description
    assert "48, 64, 96 channels" in widget().description


def test_hooks_are_gone_afterwards() -> None:
    widget()
    assert not any(layer._forward_hooks for layer in shipped().net.modules())


def test_other_networks_have_a_map_too() -> None:
    model = untrained(UNetConfig(channels=(8, 16), blocks=2, groups=4, classes=10))
    drawn = UNetMap(model=model, digits=(0,), times=(500,), channels=3)
    names = [block["name"] for block in drawn.state["blocks"]]
    assert "fold" not in names
    assert drawn.state["target"] == "eps"
    assert max(len(block["kept"]) for block in drawn.state["blocks"]) == 3


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"digits": (10,)}, "digit"),
        ({"digits": ()}, "digit"),
        ({"times": ()}, "time"),
        ({"times": (0,)}, "1..1000"),
        ({"times": tuple(range(1, 8))}, "heavy"),
        ({"channels": 9}, "heavy"),
    ],
)
def test_it_refuses_what_it_cannot_show(arguments: dict[str, object], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        UNetMap(model=shipped(), **arguments)  # type: ignore[arg-type]


def test_it_refuses_a_model_without_labels() -> None:
    with pytest.raises(ValueError, match="MNIST"):
        UNetMap(model=untrained(UNetConfig(channels=(8,), groups=4)))
