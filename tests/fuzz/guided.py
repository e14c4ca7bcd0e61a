"""`make fuzz-guided`: the readers of `make fuzz`, fed by a fuzzer that looks for new branches.

Without arguments each reader has a process of its own, and the last line is JSON; with a reader's
name this is that process. The fuzzer begins with what `make fuzz` feeds, and changes the bytes of
what has led to a branch that nothing else had led to.
"""

import argparse
import contextlib
import gzip
import logging
import random
import re
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tally import tell

SEEDS = 300
"""Inputs of `make fuzz` to begin with."""


def _packed(content: bytes) -> bytes:
    """Packed after it was changed: else gzip's own sum refuses all."""
    return gzip.compress(content, 1)


def _unpacked(content: bytes) -> bytes:
    with contextlib.suppress(OSError, EOFError, zlib.error):
        return gzip.decompress(content)
    return content


KINDS = (".png", ".jpg", ".gif", ".bmp", ".tif", ".webp", ".ppm")


def _picture(content: bytes) -> tuple[tuple[str, bytes], str, None, int]:
    """The first byte chooses the suffix and the number of channels."""
    first, rest = content[:1] or b"\0", content[1:]
    return (KINDS[first[0] % 128 % len(KINDS)], rest), "a", None, (1, 3)[first[0] // 128]


def _of_picture(drawn: tuple[tuple[str, bytes], str, str | None, int]) -> bytes:
    (suffix, content), *_, channels = drawn
    kind = KINDS.index(suffix) if suffix in KINDS else 0
    return bytes([kind + 128 * (channels == 3)]) + content


def _same(content: bytes) -> bytes:
    return content


READERS: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    "checkpoint": (_same, _same),
    "idx": (_packed, _unpacked),
    "cifar": (_packed, _unpacked),
    "recipe": (_same, _same),
    "pictures": (_picture, _of_picture),
    "latex": (lambda content: content.decode(errors="replace"), str.encode),
}
"""The readers whose inputs are bytes: what a reader is fed with some, and the way back."""


def guide(name: str, inputs: int, seed: int) -> None:
    """Feeds one reader, in this process, which the fuzzer then ends."""
    import atheris

    with atheris.instrument_imports(include=["ddpm_lite", "PIL", "safetensors"]):
        import fuzz  # not above: what is imported without this is not watched
        from targets import TARGETS
    logging.disable()
    around = Path(tempfile.mkdtemp(prefix="ddpm_lite_fuzz_"))
    target, value_of, bytes_of = TARGETS[name](around), *READERS[name]
    corpus = around / "corpus"
    corpus.mkdir()
    for number in range(SEEDS):
        drawn = target.draw(random.Random(f"{seed} {number}"))
        (corpus / str(number)).write_bytes(bytes_of(drawn))

    def one(content: bytes) -> None:
        with fuzz.bounded_time(), contextlib.suppress(*target.documented):
            target.feed(value_of(content))

    limits = [
        "-use_value_profile=1",  # a comparison that is nearly met counts too
        "-rss_limit_mb=0",
        f"-timeout={10 * fuzz.SECONDS}",
        "-max_len=20000",
    ]  # we have our own
    words = [sys.argv[0], f"-runs={inputs}", f"-seed={seed}", *limits, str(corpus)]
    atheris.Setup(words, one)
    with fuzz.bounded_memory():
        atheris.Fuzz()


def fed(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Feeds one reader in a process of its own; what became of it."""
    words = [name, "--inputs", str(options.inputs), "--seed", str(options.seed)]
    with tempfile.TemporaryDirectory() as around:  # the fuzzer leaves here what broke a reader
        command = [sys.executable, __file__, *words]
        done = subprocess.run(command, cwd=around, capture_output=True, text=True, errors="replace")
        broke = [path.read_bytes().hex() for path in Path(around).glob("*-*")]
    runs = int((re.findall(r"^Done (\d+) runs", done.stderr, re.MULTILINE) or [0])[-1])
    branches = int((re.findall(r"cov: (\d+)", done.stderr) or [0])[-1])
    wrong = "too few" if runs < options.inputs else ""
    if done.returncode:
        wrong = f"{done.stdout[-2000:]}{done.stderr[-2000:]} input {broke}"
    return {"inputs": runs, "branches": branches, "wrong": wrong}


def main() -> int:
    """0 if all readers had their inputs, and raised nothing but what is documented."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="?", choices=list(READERS))
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1, 10**6))
    options = parser.parse_args()
    if options.only:
        guide(options.only, options.inputs, options.seed)
    return tell(options.seed, ((name, fed(name, options)) for name in READERS))


if __name__ == "__main__":
    sys.exit(main())
