"""requirements.hashes.txt names what requirements.txt names, and hashes for all of it."""

import re

import hashes
import pytest

LINE = re.compile(
    r"^([\w.-]+)==(\S+)( ; [^\\]*)? \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.M
)


def committed() -> list[tuple[str, str, str]]:
    """Name, version and marker of each entry that has a hash."""
    text = hashes.HASHES.read_text(encoding="utf-8")
    return [(m[1].lower(), m[2], m[3] or "") for m in LINE.finditer(text)]


def test_it_has_the_same_versions() -> None:
    asked = {tuple(line.split("==")) for line in map(str.lower, hashes.pins())}
    named = {
        (name.replace("_", "-"), version.removesuffix("+cpu")) for name, version, _ in committed()
    }
    assert named == {(name.replace("_", "-"), version) for name, version in asked}, (
        "run `python tools/hashes.py`"
    )


def test_torch_is_the_build_without_cuda_on_linux() -> None:
    found = {version: marker for name, version, marker in committed() if name == "torch"}
    assert found == {
        hashes.TORCH: " ; sys_platform != 'linux'",
        f"{hashes.TORCH}+cpu": ' ; sys_platform == "linux"',
    }
    assert not [name for name, *_ in committed() if name.startswith(("nvidia", "cuda"))]


def test_another_torch_needs_other_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hashes, "TORCH", "1.0")
    with pytest.raises(ValueError, match="another torch"):
        hashes.torch_on_linux()
