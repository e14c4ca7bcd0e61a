import errno
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from ddpm_lite.checkpoint import (
    CheckpointError,
    load_optimizer,
    optimizer_tensors,
    read,
    write,
    write_whole,
)

TENSORS = {"ema.a": torch.arange(6.0).reshape(2, 3), "rng.b": torch.arange(3, dtype=torch.uint8)}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.safetensors"
    write(path, TENSORS, {"step": 3, "names": ["a"]})
    tensors, metadata = read(path)
    assert metadata == {"step": 3, "names": ["a"]}
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in tensors.items():
        assert tensor.dtype == TENSORS[name].dtype
        torch.testing.assert_close(tensor, TENSORS[name], rtol=0, atol=0)


def test_only_a_part_is_read(tmp_path: Path) -> None:
    write(tmp_path / "x", TENSORS, {})
    assert read(tmp_path / "x", only="ema.")[0].keys() == {"ema.a"}


def test_channels_last_weights_keep_their_values(tmp_path: Path) -> None:
    weight = torch.randn(4, 3, 5, 5).to(memory_format=torch.channels_last)
    write(tmp_path / "x", {"w": weight}, {})
    assert torch.equal(read(tmp_path / "x")[0]["w"], weight)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_truncated_file_is_refused_in_one_line(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "x.safetensors"
    write(path, TENSORS, {})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CheckpointError, match="truncated or foreign") as error:
        read(path)
    assert "\n" not in str(error.value)


def test_foreign_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pickle.pt").write_bytes(b"\x80\x04}q\x00.")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="truncated or foreign"):
        read(tmp_path / "pickle.pt")
    with pytest.raises(CheckpointError, match="not a checkpoint of ddpm_lite"):
        read(tmp_path / "other.safetensors")
    with pytest.raises(CheckpointError, match="no such file"):
        read(tmp_path / "none.safetensors")
    with pytest.raises(CheckpointError):
        read(tmp_path)


def test_full_disk_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    write_whole(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match="No space left"):
        write_whole(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CheckpointError, match="cannot be written"):
        write(tmp_path / "file" / "x.safetensors", TENSORS, {})


def test_optimizer_comes_back_and_takes_the_same_step() -> None:
    def make() -> tuple[torch.nn.Conv2d, torch.optim.AdamW]:
        torch.manual_seed(0)
        net = torch.nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
        return net, torch.optim.AdamW(net.parameters(), lr=0.1, fused=True)

    def step(net: torch.nn.Conv2d, optimizer: torch.optim.AdamW, scale: float) -> None:
        optimizer.zero_grad()
        (net(torch.ones(1, 3, 5, 5)).square().sum() * scale).backward()
        optimizer.step()

    net, optimizer = make()
    step(net, optimizer, 1.0)
    other, fresh = make()
    # The moments as a file would return them: in plain layout.
    load_optimizer(fresh, {k: v.contiguous() for k, v in optimizer_tensors(optimizer).items()})
    other.load_state_dict(net.state_dict())
    step(net, optimizer, 2.0)
    step(other, fresh, 2.0)
    assert torch.equal(net.weight, other.weight)
    assert torch.equal(net.bias, other.bias)
