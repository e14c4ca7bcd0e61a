"""The speed table of the README, from a print of `train_speed.py`.

Ratios are taken round by round, since what slows the machine in a round slows all in it; the table
gives the ratio of the medians and, in brackets, the smallest and the largest of a round.

    python benchmarks/speed_table.py                 # of benchmarks/train_speed.txt
    python benchmarks/speed_table.py my_print.txt
"""

import argparse
import re
from pathlib import Path
from statistics import median

PRINT = Path(__file__).with_name("train_speed.txt")
NAMES = {
    "mnist": "ours, `mnist` (2x2 patches: a third of the operations)",
    "full": "ours, full resolution",
    "lucidrains": "lucidrains' denoising-diffusion-pytorch",
    "diffusers": "diffusers",
    "smalldiffusion": "smalldiffusion",
}
HEAD = (
    "| network of about 1.9 million weights | images/s | `mnist` is faster by "
    "| full resolution, with equal operations, by |\n|---|---|---|---|"
)


def speeds(text: str) -> dict[str, list[float]]:
    """Images a second of each network, a value a round."""
    found: dict[str, list[float]] = {}
    for line in re.findall(r"^ *round \d+: (.*)$", text, re.M):
        for name, value in re.findall(r"(\w+) ([\d.]+)", line):
            found.setdefault(name, []).append(float(value))
    return found


def number(value: float) -> str:
    """Two digits, or all of those before the point."""
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}"


def spread(middle: float, values: list[float]) -> str:
    """A number with the smallest and the largest of the rounds behind it."""
    return f"{number(middle)} ({number(min(values))} to {number(max(values))})"


def ratio(mine: list[float], peer: list[float]) -> str:
    """How many times as fast as the peer ours is."""
    rounds = [a / b for a, b in zip(mine, peer, strict=True)]
    return spread(median(mine) / median(peer), rounds)


def table(text: str) -> str:
    """All rows, in Markdown."""
    found, rows = speeds(text), [HEAD]
    for name, long in NAMES.items():
        own = name in ("mnist", "full")
        ratios = ["" if own else ratio(found[mine], found[name]) for mine in ("mnist", "full")]
        speed = spread(median(found[name]), found[name])
        rows.append(f"| {long} | {speed} | {' | '.join(ratios)} |")
    return "\n".join(rows)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("print", nargs="?", type=Path, default=PRINT)
    print(table(parser.parse_args().print.read_text()))


if __name__ == "__main__":
    main()
