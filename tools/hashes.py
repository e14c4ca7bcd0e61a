"""Write requirements.hashes.txt from requirements.txt: `python tools/hashes.py`; it needs `uv`.

The same versions, each with the SHA-256 of all its files on PyPI, so that pip takes nothing else:
`pip install --require-hashes -r requirements.hashes.txt`. The package itself is no file with a
hash; it comes after, with `pip install --no-deps --no-build-isolation -e .`.

On Linux PyPI's torch brings several GB of CUDA, which this file leaves out: there it names the
build without CUDA, of https://download.pytorch.org/whl/cpu.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PINS = ROOT / "requirements.txt"
HASHES = ROOT / "requirements.hashes.txt"

COMPILE = ["uv", "pip", "compile", "--quiet", "--universal", "--no-deps", "--generate-hashes"]
HOW = ["--no-header", "--no-annotate", "--python-version", "3.11.5"]

HEAD = """# requirements.txt with the hash of every file, made by `python tools/hashes.py`:
#   pip install --require-hashes -r requirements.hashes.txt \\
#     --extra-index-url https://download.pytorch.org/whl/cpu
#   pip install --no-deps --no-build-isolation -e .
# The second address is for Linux alone, where torch is the build without CUDA.
"""

TORCH = "2.13.0"
LINUX = {
    "cp311 x86_64": "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b",
    "cp312 x86_64": "4ca4a9394b0c771238a4f73590fdbbc4debad85ed0fa63d026ae1b085da7d6e2",
    "cp313 x86_64": "3fbf9c9d1f3c10c2d59d04aca426dee9ccc6ceb32d255c61e93acc3b4f75fae6",
    "cp311 aarch64": "84453b69508ec79902f899c5ed9495acb9e2bbe9fda5f1d5d6f19e3c3842e1a7",
    "cp312 aarch64": "6f307c2c32d764ffc6ff6893b801fad6d4752f3e67966cb8abf1843427c02604",
    "cp313 aarch64": "0b8f7d0423027ae8b90c7977c627f3379f325363a08224dffad9b4b2d684a83d",
}
"""The builds of that version without CUDA, as the links of PyTorch's index give their hashes."""


def pins() -> list[str]:
    """The lines of requirements.txt that name a package and its version."""
    lines = PINS.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if re.match(r"[\w.-]+==", line)]


def with_hashes(lines: list[str]) -> str:
    """The same with the hashes that PyPI gives."""
    command = [*COMPILE, *HOW, "-"]
    done = subprocess.run(command, input="\n".join(lines), text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"uv failed: {done.stderr.strip()}")
    return done.stdout


def torch_on_linux() -> str:
    """Its line and hashes there. Raises ValueError where the version is another one."""
    if f"torch=={TORCH}" not in pins():
        raise ValueError(f"requirements.txt has another torch than {TORCH}: find its hashes")
    hashes = "".join(f" \\\n    --hash=sha256:{one}" for one in LINUX.values())
    return f'torch=={TORCH}+cpu ; sys_platform == "linux"{hashes}\n'


def main() -> None:
    """Write the file."""
    lines = [
        line + ' ; sys_platform != "linux"' if line.startswith("torch==") else line
        for line in pins()
    ]
    HASHES.write_text(HEAD + with_hashes(lines) + torch_on_linux(), encoding="utf-8")


if __name__ == "__main__":
    main()
