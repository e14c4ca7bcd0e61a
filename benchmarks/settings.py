"""At which setting each network is fastest: a short measured trial of each, all of them kept."""

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import torch
from measuring import timed

PILOT = 8
"""A setting is first tried on one image of so many."""
TOO_SLOW = 2.0
"""One that is so many times slower there than the best is not tried further."""


@dataclass(frozen=True)
class Setting:
    """How a network is run."""

    bf16: bool
    channels_last: bool
    threads: int
    compiled: bool = False

    def __str__(self) -> str:
        precision = "bf16" if self.bf16 else "fp32"
        layout = "NHWC" if self.channels_last else "NCHW"
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{precision} {layout}{' compiled' if self.compiled else ''}, {threads}"

    @property
    def memory_format(self) -> torch.memory_format:
        return torch.channels_last if self.channels_last else torch.contiguous_format


class Work(Protocol):
    """What is timed, for a network under a setting."""

    batch: int
    """Images in a step."""

    def step(self) -> object:
        """Does it once."""


Make = Callable[[Setting, int], Work]
"""A work for a setting and a number of images."""

Trial = dict[str, Any]
"""What a setting gave: images a second, or the reason why it has none. For a JSON file."""


def setting_of(trial: Trial) -> Setting:
    return Setting(**trial["setting"])


def fastest(trials: Sequence[Trial]) -> Trial:
    """The best one. Raises RuntimeError if none ran."""
    ran = [trial for trial in trials if trial["images_per_second"]]
    if not ran:
        raise RuntimeError("the network runs under no setting")
    return max(ran, key=lambda trial: float(trial["images_per_second"]))


def settings(trials: Sequence[Trial], cores: int) -> Iterator[Setting]:
    """What is to be tried; the later ones follow from the trials, which grow meanwhile.

    Precision and layout first, then one thread with the best of these, then the compiler in the
    best precision, in both layouts.
    """
    yield from (Setting(bf, last, cores) for bf in (False, True) for last in (False, True))
    plain = [trial for trial in trials if not trial["setting"]["compiled"]]
    best = setting_of(fastest([t for t in plain if t["setting"]["threads"] == cores]))
    if cores > 1:
        yield replace(best, threads=1)
    best = setting_of(fastest([t for t in trials if not t["setting"]["compiled"]]))
    yield from (replace(best, channels_last=last, compiled=True) for last in (False, True))


def pilot(make: Make, setting: Setting, batch: int, trials: Sequence[Trial]) -> tuple[float, bool]:
    """Images a second on a part of the batch, and whether that is worth a trial.

    A processor that only imitates bf16 would else need minutes to say so.
    """
    best = max((t["pilot"] or 0.0 for t in trials), default=0.0)
    work = make(setting, max(1, batch // PILOT))
    first = work.batch / timed(work.step)
    if first * 2 * TOO_SLOW < best:
        return first, False
    speed = work.batch / min(timed(work.step) for _ in range(2))
    return speed, speed * TOO_SLOW >= best


def measure(make: Make, setting: Setting, batch: int) -> dict[str, float]:
    """Images a second, the best of three steps, and the seconds of the first step."""
    work = make(setting, batch)
    first = timed(work.step)
    # The second step still warms allocators; compiled networks may compile once more in it.
    work.step()
    speed = batch / min(timed(work.step) for _ in range(3))
    return {"images_per_second": round(speed, 2), "first_step": round(first, 2)}


def attempt(make: Make, setting: Setting, batch: int, trials: Sequence[Trial]) -> Trial:
    """Tries a setting; one that the network cannot run is told and passed over."""
    trial: Trial = {"setting": asdict(setting), "pilot": None, "images_per_second": None}
    torch.set_num_threads(setting.threads)
    try:
        if not setting.compiled:
            speed, worth = pilot(make, setting, batch, trials)
            trial["pilot"] = round(speed, 2)
            if not worth:
                return trial | {"why": f"too slow on {max(1, batch // PILOT)} images"}
        return trial | measure(make, setting, batch)
    except Exception as error:  # whatever a peer or the compiler raises: the others go on
        reason = (str(error).strip() or "no message").splitlines()[0][:80]
        return trial | {"why": f"{type(error).__name__}: {reason}"}
    finally:
        # A class that is compiled too often is no longer compiled, without a word.
        torch.compiler.reset()
        gc.collect()


def try_settings(
    make: Make, batch: int, trials: list[Trial], cores: int, tell: Callable[[Trial], None]
) -> None:
    """Adds to the trials what is not among them yet. Raises RuntimeError if nothing runs."""
    for setting in settings(trials, cores):
        if asdict(setting) not in [trial["setting"] for trial in trials]:
            trials.append(attempt(make, setting, batch, trials))
            tell(trials[-1])
