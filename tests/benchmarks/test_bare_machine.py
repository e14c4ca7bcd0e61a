"""What the GPU's kit says of a machine, and its files where safetensors is missing."""

import importlib.util
from pathlib import Path

import bare_machine
import plain_tensors
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

TENSORS = {
    "a": torch.arange(3, dtype=torch.uint8),  # of odd length: what comes after it must not be askew
    "b": torch.tensor(7.0),
    **{
        str(dtype): torch.arange(-4, 5).reshape(3, 3).to(dtype)
        for dtype in plain_tensors.NAMES
        if dtype != torch.uint8
    },
}
TEXTS = {"format": "x/1", "json": '{"é": 1}'}


def test_files_are_those_of_safetensors_both_ways(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "theirs", TEXTS)
    plain_tensors.save_file(TENSORS, tmp_path / "ours", TEXTS)
    for name, read in (("theirs", plain_tensors.Reader), ("ours", safe_open)):
        with read(str(tmp_path / name), framework="pt") as file:
            assert file.metadata() == TEXTS
            assert sorted(file.keys()) == sorted(TENSORS)
            for key, wanted in TENSORS.items():
                found = file.get_tensor(key)
                assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
                assert torch.equal(found, wanted)


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ((), None),
        (("numpy",), "the kit needs numpy: pip install numpy"),
        (("torch", "numpy"), "the kit needs torch and numpy: pip install torch numpy"),
        (("tqdm", "safetensors"), None),
    ],
)
def test_what_is_missing_is_named_with_the_command_that_brings_it(
    monkeypatch: pytest.MonkeyPatch, gone: tuple[str, ...], said: str | None
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in gone else name)
    assert bare_machine.what_is_missing() == said


def test_an_old_python_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.version_info", (3, 10, 9))
    monkeypatch.setattr("sys.version", "3.10.9 (main)")
    assert (
        bare_machine.what_is_missing() == "the kit needs Python 3.11 or newer, and this is 3.10.9"
    )
