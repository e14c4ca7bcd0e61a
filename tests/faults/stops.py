"""Faults that stop the process: signals, and a second one in the same folder."""

import re
import signal

from chain import Chain
from process import Broken, Process, expect
from tiny_training import STEPS

from ddpm_lite.checkpoint import read
from ddpm_lite.run import WEIGHTS


def left_alone(chain: Chain) -> Process:
    """Nothing happens, and it reaches its end."""
    process = chain.start()
    expect(process, {0: "done: "})
    return process


def killed(chain: Chain) -> Process:
    """SIGKILL."""
    return kill(chain, chain.start())


def kill(chain: Chain, process: Process) -> Process:
    """SIGKILL at some moment."""
    chain.wait_for_a_moment(process)
    process.send(signal.SIGKILL)
    expect(process, {-signal.SIGKILL: "", 0: "done: "})
    return process


def _asked(chain: Chain, number: int, status: int) -> Process:
    """A signal that lets it save; before the first step it ends at once, and there is no more."""
    process = chain.start()
    chain.wait_for_a_moment(process)
    began = f"/{STEPS} " in process.said()
    sent = process.send(number)
    ended = process.wait()
    if ended == status and "stopped at step" in process.said():
        told = int(re.findall(r"stopped at step (\d+)", process.said())[-1])
        if "--resume goes on" not in process.said() or read(chain.saved()[0])[1]["step"] != told:
            raise Broken(f"promises what is not so: {process.said()[-600:]}")
    elif sent and began and ended != 0 and not (chain.folder / WEIGHTS).exists():
        raise Broken(f"ended with {ended} and: {process.said()[-600:]}")
    return process


def terminated(chain: Chain) -> Process:
    """SIGTERM."""
    return _asked(chain, signal.SIGTERM, 128 + signal.SIGTERM)


def interrupted(chain: Chain) -> Process:
    """SIGINT."""
    return _asked(chain, signal.SIGINT, 128 + signal.SIGINT)


def hung_up(chain: Chain) -> Process:
    """SIGHUP, as from a terminal that was closed."""
    return _asked(chain, signal.SIGHUP, 128 + signal.SIGHUP)


def second_run(chain: Chain) -> Process:
    """Another one in the same folder: it is refused, and the first one goes on."""
    process = chain.start()
    chain.wait_for_a_moment(process)
    if f"/{STEPS} " in process.said() and process.send(signal.SIGSTOP):
        second = chain.start(*(["--resume"] if chain.moments.random() < 0.5 else []))
        try:
            expect(second, {1: "another run is writing into"})
        finally:
            process.send(signal.SIGCONT)
    process.send(signal.SIGTERM)
    process.wait()
    return process
