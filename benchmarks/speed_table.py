"""The speed tables, from benchmarks/results/*.json, for the README and for benchmarks/results/.

Ratios are taken round by round, since what slows the machine in a round slows all in it; a table
gives the ratio of the medians and, in brackets, the smallest and the largest of a round.

    python benchmarks/speed_table.py      # writes README.md and benchmarks/results/README.md
"""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from kept import RESULTS, ROOT

README = ROOT / "README.md"
BEGIN, END = "<!-- made by benchmarks/speed_table.py: begin -->", "<!-- end -->"
TASKS = ("2M-grey", "2M-colour", "8M-grey", "8M-colour")
KINDS = {"amx": "AMX (bf16)", "avx512": "AVX-512", "avx2": "AVX2 (float32)", "other": "other"}
WANTED = ("amx", "avx2")
OURS = {"patches": "ours, 2x2 patches", "full": "ours, full resolution"}
LIBRARIES = {"PyTorch": "pytorch", "oneDNN": "onednn"}
PEERS = ("lucidrains", "diffusers", "smalldiffusion")

Found = dict[str, Any]
"""A file of measurements."""


def load(folder: Path = RESULTS) -> list[Found]:
    """All that has been measured, the kinds with the widest instructions first."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return sorted(found, key=lambda f: ([*KINDS].index(f["kind"]), TASKS.index(f["task"])))


# --- Numbers ------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Two digits, or all of those before the point."""
    return f"{value:.0f}" if value >= 20 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def spread(middle: float, values: Sequence[float]) -> str:
    """A number with the smallest and the largest of the rounds behind it."""
    return f"{number(middle)} ({number(min(values))} to {number(max(values))})"


def speeds(found: Found, work: str, name: str) -> list[float]:
    """Images a second, a value a round; empty where it was not measured."""
    return [each[work][name] for each in found["rounds"] if work in each]


def speed(found: Found, work: str, name: str) -> str:
    values = speeds(found, work, name)
    return spread(median(values), values) if values else "not measured"


def ratio(found: Found, work: str, mine: str, peer: str) -> str:
    """How many times as fast as the peer ours is."""
    own, other = speeds(found, work, mine), speeds(found, work, peer)
    if not own:
        return "not measured"
    rounds = [a / b for a, b in zip(own, other, strict=True)]
    return spread(median(own) / median(other), rounds)


def peak(found: Found) -> float:
    """GFLOP/s of the best convolution: the median over the rounds."""
    rounds = [each["peaks"] for each in found["rounds"]]
    return max(float(median(each[shape] for each in rounds)) for shape in rounds[0])


def peak_share(found: Found, name: str) -> float:
    """The share of that peak that a network in training reaches."""
    operations = float(found["sizes"][name]["operations"])
    return median(speeds(found, "training", name)) * operations / 1e9 / peak(found)


def setting(found: Found, work: str, name: str) -> str:
    """The fastest in the trials."""
    trials = found["trials"][work].get(name, [])
    ran = [trial for trial in trials if trial["images_per_second"]]
    if not ran:
        return ""
    how = max(ran, key=lambda trial: float(trial["images_per_second"]))["setting"]
    parts = [
        "bf16" if how["bf16"] else "float32",
        "channels_last" if how["channels_last"] else "NCHW",
        *(["compiled"] if how["compiled"] else []),
        f"{how['threads']} thread{'s' if how['threads'] > 1 else ''}",
    ]
    return ", ".join(parts)


def others(found: Found) -> float:
    """The share of the processor that other processes used: the largest of a round."""
    return max(float(each["others"]) for each in found["rounds"])


def machine(found: Found) -> str:
    told = found["machine"]
    used = [f"{name} with {told[key]}" for name, key in LIBRARIES.items() if key in told]
    return ", ".join([told["processor"], f"{told['cores']} cores", f"torch {told['torch']}", *used])


# --- Tables -------------------------------------------------------------------------------------


def ratio_table(results: Sequence[Found]) -> str:
    """Ours beside each peer, for the tasks of one kind."""
    works = ("training", "drawing")
    rows = [
        "| task | beside | training: 2x2 patches | training: full resolution "
        "| DDIM-50: 2x2 patches | DDIM-50: full resolution |",
        "|---|---|---|---|---|---|",
    ]
    for found in results:
        for peer in PEERS:
            cells = [ratio(found, work, mine, peer) for work in works for mine in OURS]
            rows.append(f"| {found['task']} | {peer} | {' | '.join(cells)} |")
    return "\n".join(rows)


def shares(results: Sequence[Found]) -> str:
    """How near to the peak of its convolutions the machine comes."""
    parts = [f"{f['task']} {peak_share(f, 'full'):.0%} of {peak(f):.0f} GFLOP/s" for f in results]
    return f"Of the convolution peak, full resolution reaches in training: {', '.join(parts)}."


def full_table(found: Found) -> str:
    """All numbers of one task on one kind."""
    rows = [
        "| network | weights | MFLOP | training at | images/s | of the peak | MiB "
        "| drawing at | DDIM-50 images/s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, size in found["sizes"].items():
        memory = found["memory"].get(name, {}).get("peak")
        cells = [
            f"{size['name']}, {size['about']}",
            f"{size['parameters'] / 1e6:.2f}M",
            f"{size['operations'] / 1e6:.0f}",
            setting(found, "training", name),
            speed(found, "training", name),
            f"{peak_share(found, name):.0%}",
            f"{memory:.0f}" if memory else "not measured",
            setting(found, "drawing", name),
            speed(found, "drawing", name),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def quality_table(found: Found) -> str:
    """Seconds of training until the Frechet distance falls below each level."""
    names = [*found["runs"]]
    rows = [
        f"| Frechet distance below | {' | '.join(OURS.get(n, n) for n in names)} |",
        "|---|" + "---|" * len(names),
    ]
    for level in found["levels"]:
        cells = [seconds(found["runs"][name], str(level)) for name in names]
        rows.append(f"| {level:g} | {' | '.join(cells)} |")
    return "\n".join(rows)


def quality_caption(found: Found) -> str:
    return (
        f"Seconds of training, {found['task']}, {KINDS[found['kind']]}, on {machine(found)} "
        f"(n = {found['n']:,}, floor {found['floor']:.1f}; "
        f"{found['minutes']:.0f} minutes for all of it):"
    )


def seconds(run: Found, level: str) -> str:
    """When a training reached it, or how long it was tried."""
    reached = run["reached"].get(level)
    if reached is not None:
        return f"{reached:.0f} s"
    return f"not in {run['marks'][-1]['seconds']:.0f} s" if run["marks"] else "not measured"


def missing(results: Sequence[Found], what: str) -> str:
    """What of the eight measurements of both kinds is not there, as a sentence, or nothing."""
    have = {(found["kind"], found["task"]) for found in results}
    lacks = [
        f"{KINDS[kind]} {', '.join(tasks)}"
        for kind in WANTED
        if (tasks := [task for task in TASKS if (kind, task) not in have])
    ]
    return f"Not measured yet, {what}: {'; '.join(lacks)}." if lacks else ""


def split(results: Sequence[Found]) -> tuple[list[Found], list[Found]]:
    """Those of speed and those of quality."""
    return [f for f in results if "rounds" in f], [f for f in results if f.get("runs")]


def tables(results: Sequence[Found]) -> str:
    """What stands in the project's README."""
    speed_files, quality_files = split(results)
    parts = []
    for kind, name in KINDS.items():
        if own := [found for found in speed_files if found["kind"] == kind]:
            machines = sorted({machine(found) for found in own})
            parts += [f"{name}, on {' and '.join(machines)}:", ratio_table(own), shares(own)]
    parts.append(missing(speed_files, "how fast"))
    for found in quality_files:
        parts += [quality_caption(found), quality_table(found)]
    parts.append(missing(quality_files, "time to quality"))
    return "\n\n".join(part for part in parts if part)


def report(results: Sequence[Found]) -> str:
    """What stands in benchmarks/results/README.md."""
    parts = ["# Results of `make bench`", "Made by `python benchmarks/speed_table.py`."]
    for found in split(results)[0]:
        parts += [
            f"## {found['task']}, {KINDS[found['kind']]}",
            f"{machine(found)}. {len(found['rounds'])} rounds; batch {found['plan']['batch']} in "
            f"training; convolution peak {peak(found):.0f} GFLOP/s; other processes used at most "
            f"{others(found):.1%} of the processor in a round.",
            *([found["note"]] if "note" in found else []),
            full_table(found),
        ]
    return "\n\n".join(parts) + "\n"


def summary(results: Sequence[Found]) -> dict[str, dict[str, float]]:
    """For each task and kind ours over each peer, and over the machine's peak."""
    return {f"{f['task']} {f['kind']}": _summary(f) for f in split(results)[0]}


def _summary(found: Found) -> dict[str, float]:
    def over(work: str, mine: str, peer: str) -> float:
        return median(speeds(found, work, mine)) / median(speeds(found, work, peer))

    values = {f"vs_{peer}": over("training", "patches", peer) for peer in PEERS}
    values["vs_best_equal_flops"] = min(over("training", "full", peer) for peer in PEERS)
    values["peak_share"] = peak_share(found, "full")
    if speeds(found, "drawing", "full"):
        values["drawing_vs_best"] = min(over("drawing", "patches", peer) for peer in PEERS)
    return {name: round(value, 3) for name, value in values.items()}


def between(text: str, new: str) -> str:
    """The text with another part between the markers. Raises ValueError if it has none."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the README has no place for the speed tables")
    return f"{before}{BEGIN}\n\n{new}\n\n{END}{after}"


def write() -> None:
    """Writes the tables where they stand."""
    results = load()
    README.write_text(between(README.read_text(), tables(results)))
    (RESULTS / "README.md").write_text(report(results))


if __name__ == "__main__":
    write()
