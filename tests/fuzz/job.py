"""The work of one process of `make fuzz`: a reader, how many inputs, the seed, minutes, a file.

The number of each input is written into the file before it is fed, so that it is known if it kills
the process. Prints one line of JSON.
"""

import json
import logging
import sys
import traceback
from pathlib import Path

from fuzz import feed_many
from targets import TARGETS


def main(name: str, inputs: int, seed: int, minutes: float, last: Path) -> None:
    """Feeds the reader."""
    logging.disable()
    fed, wrong = 0, ""
    with last.open("wb", buffering=0) as file:

        def note(part: int, number: int) -> None:
            file.seek(0)
            file.write(f"seed {seed} part {part} number {number:<20}\n".encode())

        try:
            fed = feed_many(TARGETS[name], inputs, seed, minutes, note)
        except BaseException:  # hypothesis adds the input to the traceback
            wrong = traceback.format_exc()
    print(json.dumps({"inputs": fed, "wrong": wrong}))


if __name__ == "__main__":
    name, inputs, seed, minutes, last = sys.argv[1:]
    main(name, int(inputs), int(seed), float(minutes), Path(last))
