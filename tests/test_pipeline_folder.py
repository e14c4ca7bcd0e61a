"""Folders of diffusers' pipelines, both ways through the command line and diffusers itself."""

import hashlib
import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import DDIMScheduler, DDPMPipeline, DDPMScheduler, UNet2DModel
from diffusers.pipelines.ddpm import pipeline_ddpm
from diffusers.schedulers import scheduling_ddpm
from published import PUBLISHED, PUBLISHED_SCHEDULER, awake, theirs_of, unet_config
from safetensors.torch import load_file, save_file
from torch import Tensor

from ddpm_lite import pipeline_folder
from ddpm_lite.checkpoint import CheckpointError, new_folder, read, write
from ddpm_lite.cli import main
from ddpm_lite.data import to_uint8
from ddpm_lite.draw import DrawConfig, make_denoiser
from ddpm_lite.model import DiffusionModel, ModelConfig
from ddpm_lite.pipeline_folder import WEIGHTS, export_folder, import_folder
from ddpm_lite.sample import ancestral, ddim
from ddpm_lite.translation import Drawing
from ddpm_lite.unet import UNet, UNetConfig

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small pipeline with random weights, as diffusers writes it."""
    return saved(tmp_path / "theirs")


def saved(path: Path, scheduler: Any = None, **changes: Any) -> Path:
    scheduler = scheduler or DDPMScheduler.from_config(PUBLISHED_SCHEDULER)
    DDPMPipeline(theirs_of(unet_config(**changes)), scheduler).save_pretrained(path)
    return path


def own(path: Path, seed: int = 0, **options: Any) -> Path:
    """A checkpoint of a small network of ours with random weights."""
    config = ModelConfig(UNetConfig(channels=(8, 16), groups=4, times_from=0), side=8)
    config = ModelConfig.from_dict(config.to_dict() | options)
    net = awake(UNet(config.unet), seed)
    tensors = {f"ema.{name}": weight for name, weight in net.state_dict().items()}
    write(path, tensors, {"model": config.to_dict(), "step": 0})
    return path


def line_of(arguments: list[Any], capsys: pytest.CaptureFixture[str], status: int = 1) -> str:
    """What a command that must fail complains of, in one line."""
    assert main([str(word) for word in arguments]) == status
    error = capsys.readouterr().err
    assert error.startswith("ddpm-lite: ")
    assert error.count("\n") == 1
    return error


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7))


# --- The commands --------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_published_network_comes_in_and_goes_out(tmp_path: Path) -> None:
    theirs = theirs_of(PUBLISHED)
    DDPMPipeline(theirs, DDPMScheduler.from_config(PUBLISHED_SCHEDULER)).save_pretrained(tmp_path)
    path, out = tmp_path / "ours.safetensors", tmp_path / "out"
    assert main(["import", str(tmp_path), "--out", str(path)]) == 0
    assert main(["export", str(path), "--format", "diffusers", "--out", str(out)]) == 0
    x, t = noise(2, 3, 32, 32), torch.tensor([1, 1000])
    expected = theirs(x, t - 1).sample
    assert expected.std() > 0.1
    torch.testing.assert_close(DiffusionModel.load(path)(x, t), expected, rtol=0, atol=1e-5)
    back = DDPMPipeline.from_pretrained(out).unet
    torch.testing.assert_close(back(x, t - 1).sample, expected, rtol=0, atol=1e-5)


def test_what_is_exported_is_what_was_imported(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, out = tmp_path / "ours.safetensors", tmp_path / "deep" / "out"
    assert main(["import", str(folder), "--out", str(path)]) == 0
    said = capsys.readouterr().out
    assert "--sampler ancestral --variance beta\n" in said
    assert f"{sum(w.numel() for w in theirs_of(unet_config()).parameters()):,} parameters" in said
    assert main(["export", str(path), "--format", "diffusers", "--out", str(out)]) == 0
    before, after = DDPMPipeline.from_pretrained(folder), DDPMPipeline.from_pretrained(out)
    assert {**before.scheduler.config} == {**after.scheduler.config}
    ignored = {"_name_or_path": None}
    assert {**before.unet.config, **ignored} == {**after.unet.config, **ignored}
    old, new = before.unet.state_dict(), after.unet.state_dict()
    assert old.keys() == new.keys()
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert sorted(p.name for p in out.parent.iterdir()) == ["out"]
    assert main(["info", str(path)]) == 0
    assert "sha256" in capsys.readouterr().out
    # nobody knows what it was trained on
    assert "real images it is to be compared with: --data" in line_of(["evaluate", path], capsys, 2)


def test_the_sha256_is_that_of_the_file(folder: Path, tmp_path: Path) -> None:
    imported = import_folder(folder, tmp_path / "x.safetensors")["imported"]
    content = (folder / "unet" / WEIGHTS).read_bytes()
    assert imported == {
        "sha256": hashlib.sha256(content).hexdigest(), "variance": "beta", "clip": True,
        "spacing": "leading",
    }  # fmt: skip


def test_files_may_lie_side_by_side(folder: Path, tmp_path: Path) -> None:
    """As on the pages of the networks that were published first."""
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in [*(folder / "unet").iterdir(), *(folder / "scheduler").iterdir()]:
        (flat / file.name).write_bytes(file.read_bytes())
    import_folder(folder, tmp_path / "a.safetensors")
    import_folder(flat, tmp_path / "b.safetensors")
    a, b = read(tmp_path / "a.safetensors"), read(tmp_path / "b.safetensors")
    assert a[1] == b[1]
    assert all(torch.equal(a[0][name], b[0][name]) for name in a[0] | b[0])


def test_weights_beyond_float32_are_refused_and_nothing_is_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "unet" / WEIGHTS
    weights = load_file(path)
    save_file(weights | {"conv_in.bias": weights["conv_in.bias"].double() + 1e300}, path)
    out = tmp_path / "ours.safetensors"
    assert f"{path}: holds weights that are NaN or infinite" in line_of(
        ["import", folder, "--out", out], capsys
    )
    assert not out.exists()


def test_a_model_is_exported_as_it_wishes_to_be_drawn(tmp_path: Path) -> None:
    tensors, metadata = read(own(tmp_path / "ours"))
    wish = {"sampler": "ancestral", "variance": "beta", "clip": False}
    write(tmp_path / "ours", tensors, metadata | {"draw": wish})
    words = ["export", tmp_path / "ours", "--format", "diffusers", "--out", tmp_path / "theirs"]
    assert main([str(word) for word in words]) == 0
    scheduler = DDPMPipeline.from_pretrained(tmp_path / "theirs").scheduler.config
    assert (scheduler.variance_type, scheduler.clip_sample) == ("fixed_large", False)


@pytest.mark.parametrize("spacing", ["leading", "linspace", "trailing"])
def test_the_spacing_of_the_times_comes_back_as_it_was(tmp_path: Path, spacing: str) -> None:
    theirs = saved(tmp_path / "theirs", DDPMScheduler(timestep_spacing=spacing))
    import_folder(theirs, tmp_path / "ours")
    words = ["export", tmp_path / "ours", "--format", "diffusers", "--out", tmp_path / "back"]
    assert main([str(word) for word in words]) == 0
    config = DDPMPipeline.from_pretrained(tmp_path / "back").scheduler.config
    assert config.timestep_spacing == spacing


def test_a_model_of_big_steps_is_not_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors, metadata = read(own(tmp_path / "ours", target="x_0"))
    write(tmp_path / "ours", tensors, metadata | {"draw": {"sampler": "consistency", "steps": 1}})
    words = ["export", tmp_path / "ours", "--format", "diffusers", "--out", tmp_path / "out"]
    assert "wants to be drawn in a few big steps" in line_of(words, capsys)
    assert not (tmp_path / "out").exists()


def test_half_precision_weights_are_read_as_they_are(folder: Path, tmp_path: Path) -> None:
    file = folder / "unet" / WEIGHTS
    halves = {name: weight.half() for name, weight in load_file(file).items()}
    save_file(halves, file)
    import_folder(folder, tmp_path / "x.safetensors")
    tensors, _ = read(tmp_path / "x.safetensors")
    assert torch.equal(tensors["ema.stem.weight"], halves["conv_in.weight"].float())


def test_an_imported_model_draws(folder: Path, tmp_path: Path) -> None:
    path, out = tmp_path / "x.safetensors", tmp_path / "x.png"
    assert main(["import", str(folder), "--out", str(path)]) == 0
    assert main(["sample", str(path), "--n", "2", "--steps", "2", "--out", str(out)]) == 0
    assert out.stat().st_size > 0


# --- Drawing -------------------------------------------------------------------------------------


def same_noise(seed: int) -> Callable[..., Tensor]:
    """The noise of `ancestral` with this seed, in place of that of diffusers."""
    generator = torch.Generator().manual_seed(seed + 0x9E3779B9)
    return lambda shape, **_: torch.randn(shape, generator=generator)


@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize(("variance", "clip"), [("fixed_large", True), ("fixed_small", False)])
@pytest.mark.parametrize(("betas", "T"), [("linear", 1000), ("squaredcos_cap_v2", 10)])
def test_ten_steps_of_ddpm_are_those_of_diffusers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    prediction: str,
    variance: str,
    clip: bool,
    betas: str,
    T: int,
) -> None:
    """The first ten of a thousand, and all of ten, where the two variances differ much."""
    changes = {
        "prediction_type": prediction,
        "variance_type": variance,
        "clip_sample": clip,
        "beta_schedule": betas,
        "num_train_timesteps": T,
    }
    scheduler = DDPMScheduler.from_config(PUBLISHED_SCHEDULER | changes)
    theirs = saved(tmp_path / "theirs", scheduler)
    imported = import_folder(theirs, tmp_path / "x.safetensors")["imported"]
    config = DrawConfig(variance=imported["variance"], clip=imported["clip"], precision="float32")
    model = DiffusionModel.load(tmp_path / "x.safetensors")
    denoise, x_T = make_denoiser(model, None, config), noise(2, 3, 8, 8)
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", same_noise(5))
    pipe, x = DDPMPipeline.from_pretrained(theirs), x_T
    steps = ancestral(denoise, model.schedule, x_T, config.variance, seed=5)
    for state, t in zip(islice(steps, 10), pipe.scheduler.timesteps, strict=False):
        x = pipe.scheduler.step(pipe.unet(x, t).sample, t, x).prev_sample
        assert state.t == t
        scale = x.abs().max().clamp(min=1).item()  # unclipped, random weights say large numbers
        torch.testing.assert_close(state.x_t, x, rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("times_from", [0, 1])
def test_a_whole_run_of_the_exported_pipeline_is_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, times_from: int
) -> None:
    unet = UNetConfig(channels=(8, 16), groups=4, times_from=times_from)  # type: ignore[arg-type]
    path = own(tmp_path / "x.safetensors", schedule="cosine", T=10, target="v",
               unet=ModelConfig(unet).to_dict()["unet"])  # fmt: skip
    model = DiffusionModel.load(path)
    export_folder(model, Drawing("beta"), tmp_path / "out")
    x_T = noise(2, 1, 8, 8)
    denoise = make_denoiser(model, None, DrawConfig(precision="float32"))
    *_, end = ancestral(denoise, model.schedule, x_T, "beta", 3)
    monkeypatch.setattr(scheduling_ddpm, "randn_tensor", same_noise(3))
    monkeypatch.setattr(pipeline_ddpm, "randn_tensor", lambda *_, **__: x_T)
    pipe = DDPMPipeline.from_pretrained(tmp_path / "out")
    images = pipe(batch_size=2, num_inference_steps=10, output_type="pt").images
    torch.testing.assert_close((end.x_t / 2 + 0.5).clamp(0, 1), images, rtol=0, atol=1e-4)
    assert to_uint8(end.x_t).float().std() > 10


@pytest.mark.parametrize("clip", [True, False])
def test_ten_steps_of_ddim_are_those_of_diffusers(folder: Path, tmp_path: Path, clip: bool) -> None:
    import_folder(folder, tmp_path / "x.safetensors")
    model, x_T = DiffusionModel.load(tmp_path / "x.safetensors"), noise(2, 3, 8, 8)
    pipe = DDPMPipeline.from_pretrained(folder)
    options = {"timestep_spacing": "trailing", "clip_sample": clip}
    scheduler = DDIMScheduler.from_config({**pipe.scheduler.config, **options})
    scheduler.set_timesteps(10)
    denoise = make_denoiser(model, None, DrawConfig(clip=clip, precision="float32"))
    x, steps = x_T, ddim(denoise, model.schedule, x_T, steps=10)
    for state, t in zip(steps, scheduler.timesteps, strict=True):
        # ours finds eps anew from the x_0 that was cut off
        step = scheduler.step(pipe.unet(x, t).sample, t, x, use_clipped_model_output=clip)
        x = step.prev_sample
        scale = x.abs().max().clamp(min=1).item()
        torch.testing.assert_close(state.x_t, x, rtol=0, atol=1e-4 * scale)


# --- What is refused -----------------------------------------------------------------------------


def test_a_field_that_would_compute_something_else_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part, field, value in (
        ("unet/config.json", "norm_eps", -1e-5),
        ("unet/config.json", "num_class_embeds", 10),
        ("scheduler/scheduler_config.json", "variance_type", "learned"),
    ):
        good = (folder / part).read_text()
        (folder / part).write_text(json.dumps(json.loads(good) | {field: value}))
        line = line_of(["import", folder, "--out", tmp_path / "x.safetensors"], capsys)
        assert f"{field} = {value!r}" in line
        (folder / part).write_text(good)
    assert not (tmp_path / "x.safetensors").exists()
    import_folder(folder, tmp_path / "x.safetensors")


def _remove(path: Path) -> None:
    path.unlink()


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _change(changes: Callable[[dict[str, Tensor]], dict[str, Tensor]]) -> Callable[[Path], None]:
    return lambda path: save_file(changes(load_file(path)), path)


def _instead(suffix: str) -> Callable[[Path], Any]:
    return lambda path: path.rename(path.with_name(f"diffusion_pytorch_model.{suffix}"))


DAMAGES: dict[str, tuple[str, Callable[[Path], Any], str]] = {
    "no config": ("unet/config.json", _remove, "no unet/config.json and no config.json"),
    "no scheduler": ("scheduler/scheduler_config.json", _remove, "no scheduler/scheduler_config"),
    "no JSON": ("unet/config.json", _cut, "is no JSON"),
    "a list": ("unet/config.json", lambda p: p.write_text("[]"), "no configuration"),
    "deep": ("unet/config.json", lambda p: p.write_text("[" * 100_000), "is no JSON"),
    "endless": ("unet/config.json", lambda p: p.write_text("[" + " " * 2**24), "is no JSON"),
    "bytes": ("unet/config.json", lambda p: p.write_bytes(b"\xff\xfe{"), "is no JSON"),
    "no weights": (f"unet/{WEIGHTS}", _remove, f"holds no {WEIGHTS}"),
    "cut": (f"unet/{WEIGHTS}", _cut, "truncated or foreign"),
    "a pickle": (f"unet/{WEIGHTS}", _instead("bin"), "pickle"),
    "a pickle in disguise": (
        f"unet/{WEIGHTS}", lambda p: torch.save({"x": torch.zeros(1)}, p), "truncated or foreign",
    ),
    "many files": (f"unet/{WEIGHTS}", _instead("safetensors.index.json"), "several files"),
    "many files beside a whole one": (
        f"unet/{WEIGHTS}",
        lambda p: p.with_name(f"{WEIGHTS}.index.json").write_text("{}"),
        "several files",
    ),
    "a part that decodes": (
        "model_index.json",
        lambda p: p.write_text(
            json.dumps(json.loads(p.read_text()) | {"vqvae": ["diffusers", "VQModel"]})
        ),
        "vqvae is ['diffusers', 'VQModel']; no such part can be read here",
    ),
    "another scheduler": (
        "model_index.json",
        lambda p: p.write_text(p.read_text().replace("DDPMScheduler", "DDIMScheduler")),
        "scheduler is ['diffusers', 'DDIMScheduler']; only ['diffusers', 'DDPMScheduler'] can",
    ),
    "an unknown field of many numbers": (
        "unet/config.json",
        lambda p: p.write_text(json.dumps(json.loads(p.read_text()) | {"new": [1] * 1000})),
        "new = [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,...: no field",
    ),
    "one less": (
        f"unet/{WEIGHTS}",
        _change(lambda w: {k: v for k, v in w.items() if k != "conv_out.bias"}),
        "head.bias",
    ),
    "one more": (f"unet/{WEIGHTS}", _change(lambda w: w | {"more": torch.zeros(1)}), "more: "),
    "another shape": (
        f"unet/{WEIGHTS}", _change(lambda w: w | {"conv_in.bias": torch.zeros(7)}), "stem.bias",
    ),
    "not a number": (
        f"unet/{WEIGHTS}",
        _change(lambda w: w | {"conv_in.bias": torch.full((8,), torch.nan)}),
        "NaN or infinite",
    ),
    "whole numbers": (
        f"unet/{WEIGHTS}",
        _change(lambda w: w | {"conv_in.bias": torch.zeros(8, dtype=torch.int64)}),
        "torch.int64",
    ),
    "numbers of one byte": (
        f"unet/{WEIGHTS}",
        _change(lambda w: w | {"conv_in.bias": torch.zeros(8).to(torch.float8_e4m3fn)}),
        "torch.float8_e4m3fn",
    ),
    "complex numbers": (
        f"unet/{WEIGHTS}",
        _change(lambda w: w | {"conv_in.bias": torch.zeros(8, dtype=torch.complex64)}),
        "torch.complex64",
    ),
    "a giant": (
        "unet/config.json",
        lambda p: p.write_text(
            json.dumps(json.loads(p.read_text()) | {"block_out_channels": [65536, 65536]})
        ),
        "another shape",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_folder_is_one_line_and_nothing_is_written(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    part, damage, message = DAMAGES[name]
    damage(folder / part)
    before = sorted(tmp_path.rglob("*"))
    assert message in line_of(["import", folder, "--out", tmp_path / "x.safetensors"], capsys)
    assert sorted(tmp_path.rglob("*")) == before


def test_no_folder_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "config.json" in line_of(
        ["import", tmp_path / "gone", "--out", tmp_path / "x.safetensors"], capsys
    )


def test_nothing_that_is_there_is_replaced(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = own(tmp_path / "x.safetensors")
    content = path.read_bytes()
    assert "is there already" in line_of(["import", folder, "--out", path], capsys)
    assert ".safetensors" in line_of(["import", folder, "--out", tmp_path / "x.png"], capsys, 2)
    words = ["export", path, "--format", "diffusers", "--out"]
    assert "is there already" in line_of([*words, folder], capsys)
    assert "is there already" in line_of([*words, path], capsys)
    assert path.read_bytes() == content
    DDPMPipeline.from_pretrained(folder)


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    path, out = own(tmp_path / "x.safetensors"), tmp_path / "out"
    out.mkdir()
    assert main(["export", str(path), "--format", "diffusers", "--out", str(out)]) == 0
    assert isinstance(DDPMPipeline.from_pretrained(out).unet, UNet2DModel)
    (tmp_path / "other").mkdir()
    assert out.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_the_shipped_model_cannot_be_diffusers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["export", "--format", "diffusers", "--out", tmp_path / "out"]
    assert "patch = 2" in line_of(words, capsys)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyError("x")])
def test_a_folder_is_written_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    model = DiffusionModel.load(own(tmp_path / "x.safetensors"))

    def fail(*arguments: object) -> None:
        raise error

    monkeypatch.setattr(pipeline_folder, "save_file", fail)
    with pytest.raises(CheckpointError if isinstance(error, OSError) else KeyError):
        export_folder(model, Drawing(), tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["x.safetensors"]


def test_a_place_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = own(tmp_path / "x.safetensors")
    words = ["export", path, "--format", "diffusers", "--out", path / "out"]
    assert "cannot be written" in line_of(words, capsys)


def test_a_link_to_an_empty_folder_stays_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    with new_folder(link) as folder:
        (folder / "file").write_text("x")
    assert link.is_symlink()
    assert (real / "file").read_text() == "x"
    assert _names(tmp_path) == ["link", "real"]


def _names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_what_came_in_between_is_kept(tmp_path: Path) -> None:
    def while_another_writes() -> None:
        with new_folder(tmp_path / "out") as folder:
            (folder / "b").write_text("second")
            (tmp_path / "out").mkdir()
            (tmp_path / "out" / "a").write_text("first")

    with pytest.raises(CheckpointError, match="not empty"):
        while_another_writes()
    assert _names(tmp_path / "out") == ["a"]
    assert _names(tmp_path) == ["out"]
