import json
import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from small import default

from ddpm_lite.checkpoint import CheckpointError, read, write
from ddpm_lite.model import DiffusionModel, ModelConfig, load_weights, number_type
from ddpm_lite.unet import PRESETS, UNet, UNetConfig

SMALL = ModelConfig(unet=UNetConfig(channels=(8, 8), groups=4, classes=3), T=50, side=8)


NEW_FIELDS = (
    "downsample", "times_from", "learned_variance", "freq_shift", "norm_eps", "head_width"
)  # fmt: skip


def saved(path: Path, config: ModelConfig = SMALL) -> UNet:
    torch.manual_seed(1)
    net = UNet(config.unet)
    torch.nn.init.normal_(net.head.weight)
    weights = {f"ema.{k}": v for k, v in net.state_dict().items()}
    write(path, weights, {"model": config.to_dict(), "step": 7})
    return net.eval()


def test_config_survives_json() -> None:
    for unet in PRESETS.values():
        config = ModelConfig(unet=unet, schedule="linear", T=500, target="eps", side=32)
        assert ModelConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_unknown_entries_are_refused() -> None:
    values = SMALL.to_dict()
    with pytest.raises(ValueError, match="unknown entries"):
        ModelConfig.from_dict(values | {"extra": 1})
    with pytest.raises(ValueError, match="unknown entries"):
        ModelConfig.from_dict(values | {"unet": values["unet"] | {"extra": 1}})


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": 8.0}, {"side": True}, {"shift": "1"}, {"shift": 1e200}, {"shift": 10**400},
        {"T": None}, {"target": ["v"]}, {"unet": 3}, {"unet": [["classes", 3]]},
    ],
)  # fmt: skip
def test_values_of_another_type_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"another type|below 1e100|no object"):
        ModelConfig.from_dict(SMALL.to_dict() | wrong).build_schedule()


@pytest.mark.parametrize(
    "wrong",
    [
        {"blocks": 1.0}, {"heads": 1.0}, {"channels": [8.0, 8]}, {"channels": 8},
        {"attention": "0"}, {"attention": None}, {"learned_variance": 1}, {"dropout": False},
        {"times_from": 1.0}, {"downsample": 1}, {"classes": "3"}, {"norm_eps": "1"},
    ],
)  # fmt: skip
def test_values_of_another_type_in_the_network_are_refused(wrong: dict[str, object]) -> None:
    values = SMALL.to_dict()
    with pytest.raises(ValueError, match=f"{min(wrong)} of UNetConfig is of another type"):
        ModelConfig.from_dict(values | {"unet": values["unet"] | wrong})


def test_a_whole_number_may_stand_for_a_real_one() -> None:
    """As in a file of somebody who has written 2 for 2.0."""
    assert ModelConfig.from_dict({"shift": 2}).build_schedule().T == 1000


def test_a_configuration_older_than_a_field_means_the_old_way() -> None:
    values = SMALL.to_dict()
    unet = {k: v for k, v in values["unet"].items() if k not in NEW_FIELDS}
    read = ModelConfig.from_dict(values | {"unet": unet}).unet
    assert (read.downsample, read.times_from) == ("all_sides", 1)
    assert (read.freq_shift, read.norm_eps, read.head_width) == (1, 1e-6, 0)
    assert not read.learned_variance


@pytest.mark.parametrize("wrong", [{"schedule": "steep"}, {"target": "noise"}])
def test_wrong_choices_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="is not one of"):
        ModelConfig(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [{"T": 0}, {"T": 10**11}, {"side": 0}, {"side": 4097}])
def test_sizes_beyond_all_use_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"must lie in 1\.\.[0-9]+, not"):
        ModelConfig(**wrong)  # type: ignore[arg-type]


def test_loaded_model_computes_what_was_saved(tmp_path: Path) -> None:
    net = saved(tmp_path / "m")
    model = DiffusionModel.load(tmp_path / "m")
    x, t, label = torch.randn(3, 1, 8, 8), torch.tensor([1, 25, 50]), torch.tensor([0, 1, 2])
    with torch.no_grad():
        expected = net(x, t, label)
    torch.testing.assert_close(model(x, t, label), expected, rtol=1e-4, atol=1e-5)
    assert model.schedule.T == 50
    assert not model.net.training


def test_a_loaded_model_knows_its_classes_by_name_as_far_as_its_file_does(tmp_path: Path) -> None:
    saved(tmp_path / "m")
    assert DiffusionModel.load(tmp_path / "m").class_names == ("0", "1", "2")
    tensors, metadata = read(tmp_path / "m")
    write(tmp_path / "m", tensors, metadata | {"class_names": ["cat", "dog"]})
    assert DiffusionModel.load(tmp_path / "m").class_names == ("cat", "dog", "2")
    saved(tmp_path / "m", replace(SMALL, unet=replace(SMALL.unet, classes=0)))
    assert DiffusionModel.load(tmp_path / "m").class_names == ()


class Elsewhere(torch.nn.Module):
    """A network on another device: it notes where its inputs lie, and answers from there."""

    def __init__(self) -> None:
        super().__init__()
        self.head = torch.nn.Conv2d(1, 1, 1, device="meta")
        self.seen: list[str] = []

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        self.seen += [x.device.type for x in inputs]
        return torch.ones(inputs[0].shape)


def test_inputs_go_to_the_networks_device_and_the_output_comes_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ddpm_lite.model.autocast", lambda *_: nullcontext())  # knows no "meta"
    net = Elsewhere()
    model = DiffusionModel(net, SMALL, SMALL.build_schedule())  # type: ignore[arg-type]
    x, one = torch.zeros(2, 1, 8, 8, dtype=torch.float64), torch.tensor([1, 1])
    out = model(x, one, one)
    assert net.seen == ["meta"] * 3
    assert (out.device.type, out.dtype) == ("cpu", torch.float64)
    assert torch.equal(out, torch.ones_like(x))


@pytest.mark.parametrize(
    ("has", "numbers"),
    [
        ({"avx512_bf16": True, "amx_bf16": True}, "bfloat16"),
        ({"avx512_bf16": True, "amx_bf16": False}, "float32"),  # slower there: number_types.py
        ({"avx2": True}, "float32"),
        ({}, "float32"),
    ],
)
def test_a_cpu_computes_in_what_is_faster(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, bool], numbers: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: has)
    assert number_type(torch.device("cpu")) == numbers
    for asked in ("float32", "bfloat16"):
        assert number_type(torch.device("cpu"), asked) == asked


def test_an_older_pytorch_that_cannot_tell_computes_in_float32(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert number_type(torch.device("cpu")) == "float32"


def test_bfloat16_differs_little_and_float32_is_the_default(tmp_path: Path) -> None:
    saved(tmp_path / "m")
    model = DiffusionModel.load(tmp_path / "m")
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([10, 40])
    exact, rough = model(x, t), model.labelled(None, "bfloat16")(x, t)
    assert rough.dtype == torch.float32
    assert 0 < float((exact - rough).abs().max()) < 0.05 * float(exact.abs().max())


def test_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    saved(tmp_path / "m")
    weights = {k.removeprefix("ema."): v for k, v in read(tmp_path / "m")[0].items()}
    other = UNet(UNetConfig(channels=(8, 16), groups=4, classes=3))
    before = {k: v.clone() for k, v in other.state_dict().items()}
    with pytest.raises(CheckpointError, match="another shape"):
        load_weights(other, weights, "m")
    assert all(torch.equal(v, before[k]) for k, v in other.state_dict().items())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, bad: float) -> None:
    saved(tmp_path / "m")
    tensors, metadata = read(tmp_path / "m")
    tensors["ema.stem.bias"][2] = bad
    write(tmp_path / "bad", tensors, metadata)
    with pytest.raises(CheckpointError, match=r"bad: .*NaN or infinite .*stem\.bias"):
        DiffusionModel.load(tmp_path / "bad")


def test_weights_beyond_float32_are_refused(tmp_path: Path) -> None:
    saved(tmp_path / "m")
    tensors, metadata = read(tmp_path / "m")
    tensors["ema.stem.bias"] = tensors["ema.stem.bias"].double() + 1e300
    write(tmp_path / "bad", tensors, metadata)
    with pytest.raises(CheckpointError, match=r"bad: .*NaN or infinite .*stem\.bias"):
        DiffusionModel.load(tmp_path / "bad")


@pytest.mark.parametrize(
    "kind", [torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64, torch.int32, torch.bool]
)
def test_weights_of_other_types_are_refused(tmp_path: Path, kind: torch.dtype) -> None:
    saved(tmp_path / "m")
    tensors, metadata = read(tmp_path / "m")
    tensors["ema.stem.bias"] = tensors["ema.stem.bias"].to(kind)
    write(tmp_path / "bad", tensors, metadata)
    with pytest.raises(CheckpointError, match=rf"bad: holds numbers that are {kind}, not one of"):
        DiffusionModel.load(tmp_path / "bad")


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_every_precision_are_read(tmp_path: Path, kind: torch.dtype) -> None:
    net = saved(tmp_path / "m")
    tensors, metadata = read(tmp_path / "m")
    write(tmp_path / "other", {k: v.to(kind) for k, v in tensors.items()}, metadata)
    weight = DiffusionModel.load(tmp_path / "other").net.stem.weight
    assert weight.dtype == torch.float32
    assert torch.equal(weight, net.stem.weight.to(kind).float())


@pytest.mark.parametrize("other", [torch.float64, torch.bfloat16, "meta"])
def test_the_sessions_defaults_change_nothing(tmp_path: Path, other: torch.dtype | str) -> None:
    net = saved(tmp_path / "m")
    x, t = torch.randn(2, 1, 8, 8), torch.tensor([1, 50])
    with torch.no_grad():
        expected = net(x, t)
    with default(other):
        model = DiffusionModel.load(tmp_path / "m")
        found = model(x, t)
    assert found.dtype == model.net.head.weight.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    for name, table in vars(SMALL.build_schedule()).items():
        assert torch.equal(getattr(model.schedule, name), table)


@pytest.mark.parametrize("metadata", [{}, {"model": {"unet": {"channels": []}}}, {"model": 3}])
def test_checkpoint_without_a_usable_configuration_is_refused(
    tmp_path: Path, metadata: dict[str, object]
) -> None:
    write(tmp_path / "m", {"ema.x": torch.zeros(1)}, metadata)
    with pytest.raises(CheckpointError, match="cannot be built"):
        DiffusionModel.load(tmp_path / "m")


def test_a_small_file_that_describes_a_huge_network_is_refused_before_room_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    huge = ModelConfig(unet=UNetConfig(channels=(1024,) * 5, blocks=4))
    write(tmp_path / "x", {"ema.head.bias": torch.zeros(1)}, {"model": huge.to_dict()})
    monkeypatch.setattr("ddpm_lite.model.new_net", lambda config: pytest.fail("room was made"))
    with pytest.raises(CheckpointError, match="another shape"):
        DiffusionModel.load(tmp_path / "x")


@pytest.mark.parametrize("patch", [1, 2])
def test_without_its_variance_a_model_says_the_same_of_the_target(patch: int) -> None:
    unet = UNetConfig(
        image_channels=2, channels=(8, 8), groups=4, classes=3, patch=patch, learned_variance=True
    )
    config = ModelConfig(unet=unet, T=50, side=8)
    torch.manual_seed(0)
    net = UNet(unet).eval().requires_grad_(False)
    torch.nn.init.normal_(net.head.weight)
    torch.nn.init.normal_(net.head.bias)
    whole = DiffusionModel(net, config, config.build_schedule())
    x, t, label = torch.randn(3, 2, 8, 8), torch.tensor([1, 20, 50]), torch.tensor([0, 2, 1])
    both, target = whole(x, t, label), whole.without_variance()(x, t, label)
    assert both.shape == (3, 4, 8, 8)
    assert target.shape == x.shape
    torch.testing.assert_close(target, both[:, :2], rtol=1e-5, atol=1e-5)
    assert not torch.allclose(both[:, :2], both[:, 2:], atol=0.1)
    plain = DiffusionModel(UNet(SMALL.unet), SMALL, SMALL.build_schedule())
    assert plain.without_variance() is plain
