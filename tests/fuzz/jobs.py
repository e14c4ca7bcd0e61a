"""The work of one process of `make fuzz`: a module of its own, which the process can import."""

import logging
import time
import traceback

from fuzz import feed_many
from targets import TARGETS


def job(work: tuple[int, int, int, float]) -> tuple[str, int, float, str]:
    """One reader: its name, the inputs, the seconds, and what went wrong."""
    number, inputs, seed, minutes = work
    logging.disable()
    begin, fed, wrong = time.perf_counter(), 0, ""
    try:
        fed = feed_many(TARGETS[number], inputs, seed, minutes)
    except BaseException:  # hypothesis adds the input to the traceback
        wrong = traceback.format_exc()
    return TARGETS[number].__name__, fed, time.perf_counter() - begin, wrong
