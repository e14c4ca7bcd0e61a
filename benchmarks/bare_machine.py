"""Lets the GPU's kit run where there is the repository, Python 3.11, torch and NumPy, and no more.

A script imports this before anything of `ddpm_lite`. Then the repository lies on the path, and
where safetensors is missing, which checkpoints are written with, `plain_tensors` does its work.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

NEEDED = ("torch", "numpy")


def what_is_missing() -> str | None:
    """One line that says what the kit lacks here and how to get it; None if it lacks nothing."""
    if sys.version_info < (3, 11):  # noqa: UP036, as whoever runs it may have any
        return f"the kit needs Python 3.11 or newer, and this is {sys.version.split()[0]}"
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        return f"the kit needs {' and '.join(missing)}: pip install {' '.join(missing)}"
    return None


def stand_in_for_safetensors() -> None:
    """Puts `plain_tensors` in the place of safetensors."""
    import plain_tensors

    package, of_torch = ModuleType("safetensors"), ModuleType("safetensors.torch")
    vars(package).update(
        SafetensorError=plain_tensors.SafetensorError, safe_open=plain_tensors.Reader
    )
    vars(of_torch).update(save_file=plain_tensors.save_file)
    sys.modules |= {"safetensors": package, "safetensors.torch": of_torch}


if missing := what_is_missing():
    sys.exit(missing)
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
if importlib.util.find_spec("safetensors") is None:
    stand_in_for_safetensors()
