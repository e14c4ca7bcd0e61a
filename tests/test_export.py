"""The ONNX file: it says what PyTorch says, is small, and names nothing of this machine."""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from ddpm_lite import export as module
from ddpm_lite.cli import main
from ddpm_lite.export import ExportError, to_onnx
from ddpm_lite.model import DiffusionModel, ModelConfig
from ddpm_lite.unet import UNet, UNetConfig

ort = pytest.importorskip("onnxruntime")


def session(content: bytes) -> "ort.InferenceSession":
    return ort.InferenceSession(content, providers=["CPUExecutionProvider"])


def small() -> DiffusionModel:
    """A small untrained model without classes whose output is not zero."""
    torch.manual_seed(0)
    unet = UNetConfig(channels=(8, 8), groups=4)
    config = ModelConfig(unet, side=6, target="eps")
    net = UNet(unet).eval().requires_grad_(False)
    for parameter in net.parameters():
        parameter.copy_(torch.randn_like(parameter) / 4)
    return DiffusionModel(net, config, config.build_schedule())


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model, exported by the command."""
    path = tmp_path_factory.mktemp("onnx") / "deep" / "mnist.onnx"
    assert main(["export", "--out", str(path)]) == 0
    return path


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_the_shipped_model_says_what_pytorch_says(exported: Path, batch: int) -> None:
    model = DiffusionModel.load().without_variance()
    x = 2 * torch.randn(batch, 1, 28, 28, generator=torch.Generator().manual_seed(batch))
    t = torch.tensor([1, 1000, 500, 30, 999])[:batch]
    label = torch.tensor([3, 10, 0, 9, 10])[:batch]
    inputs = {"x": x.numpy(), "t": t.numpy(), "label": label.numpy()}
    [v] = session(exported.read_bytes()).run(["v"], inputs)
    assert v.shape == x.shape
    assert np.abs(v - model(x, t, label).numpy()).max() < 1e-3


@pytest.mark.slow
def test_the_null_label_is_no_label(exported: Path) -> None:
    x, t = torch.randn(2, 1, 28, 28), torch.tensor([700, 20])
    inputs = {"x": x.numpy(), "t": t.numpy(), "label": np.array([10, 10])}
    [v] = session(exported.read_bytes()).run(None, inputs)
    assert np.abs(v - DiffusionModel.load().without_variance()(x, t).numpy()).max() < 1e-3


@pytest.mark.slow
def test_the_file_is_small_and_names_nothing_of_this_machine(exported: Path) -> None:
    content = exported.read_bytes()
    assert len(content) < 6_000_000
    root = str(Path(__file__).resolve().parents[1])
    for word in (root, sys.prefix, "site-packages", "unet.py"):
        assert word.encode() not in content
    graph = onnx.load_from_string(content).graph
    halves = [i for i in graph.initializer if i.data_type == onnx.TensorProto.FLOAT16]
    whole = [i for i in graph.initializer if i.data_type == onnx.TensorProto.FLOAT]
    assert sum(int(np.prod(i.dims)) for i in halves) > 1_900_000
    assert sum(int(np.prod(i.dims)) for i in whole) < 10_000
    assert {node.domain for node in graph.node} == {""}


@pytest.mark.slow
def test_the_file_tells_what_its_numbers_mean(exported: Path) -> None:
    known = {p.key: p.value for p in onnx.load(exported).metadata_props}
    assert (
        ModelConfig.from_dict(json.loads(known["ddpm_lite"]))
        == DiffusionModel.load().without_variance().config
    )


@pytest.mark.slow
def test_a_model_without_classes_has_no_label() -> None:
    model = small()
    run = session(to_onnx(model).SerializeToString())
    assert [i.name for i in run.get_inputs()] == ["x", "t"]
    assert [o.name for o in run.get_outputs()] == ["eps"]
    x, t = torch.randn(3, 1, 6, 6), torch.tensor([1, 500, 1000])
    [y] = run.run(None, {"x": x.numpy(), "t": t.numpy()})
    wanted = model(x, t).numpy()
    assert np.abs(wanted).max() > 0.1
    assert np.abs(y - wanted).max() < 1e-2 * np.abs(wanted).max()


def complaint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert error.startswith("ddpm-lite: ")
    return error


def test_a_missing_package_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(ExportError, match="onnxscript"):
        to_onnx(small())
    error = complaint(["export", "--out", str(tmp_path / "x.onnx")], capsys)
    assert "pip install 'ddpm-lite[export]'" in error
    assert not list(tmp_path.iterdir())


def test_a_bad_checkpoint_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"no checkpoint")
    assert "truncated or foreign" in complaint(["export", str(bad)], capsys)


def test_a_place_that_cannot_be_written_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "to_onnx", lambda model: onnx.ModelProto(ir_version=10))
    (tmp_path / "wall").write_text("a file, not a folder")
    assert "cannot be written" in complaint(["export", "--out", f"{tmp_path}/wall/x.onnx"], capsys)


@pytest.mark.slow
def test_of_a_learned_variance_nothing_is_exported() -> None:
    unet = UNetConfig(channels=(8, 8), groups=4, patch=2, learned_variance=True)
    config = ModelConfig(unet=unet, T=50, side=8)
    net = UNet(unet).eval().requires_grad_(False)
    torch.nn.init.normal_(net.head.weight)
    model = DiffusionModel(net, config, config.build_schedule())
    x, t = torch.randn(3, 1, 8, 8), torch.tensor([1, 20, 50])
    (found,) = session(to_onnx(model).SerializeToString()).run(
        None, {"x": x.numpy(), "t": t.numpy()}
    )
    assert torch.from_numpy(found).shape == x.shape
    assert (torch.from_numpy(found) - model(x, t)[:, :1]).abs().max() < 0.05


@pytest.mark.slow
def test_weights_beyond_float16_are_refused() -> None:
    model = small()
    model.net.head.bias.fill_(1e5)
    with pytest.raises(ExportError, match=r"head\.bias: holds weights that are too large"):
        to_onnx(model)
