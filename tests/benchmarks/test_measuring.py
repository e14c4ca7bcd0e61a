"""What a file of measurements says of itself."""

import sys
from pathlib import Path

import measuring
import pytest
import torch


def test_the_command_has_its_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmarks/study.py", "colour", "--data", "my pictures"])
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    wanted = "OMP_NUM_THREADS=3 python benchmarks/study.py colour --data 'my pictures'"
    assert measuring.command() == wanted


def test_a_folder_is_told_by_its_files(tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    for name in ("cat/1.jpg", "cat/2.JPG", "3.png"):
        (tmp_path / name).touch()
    assert measuring.kind_of(str(tmp_path)) == "2 .jpg files and 1 .png files"
    assert measuring.kind_of("cifar10") == "cifar10"
