"""What the system must be able to do: a disk that is soon full, and permissions that bind."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def small_disk(around: Path) -> Iterator[tuple[Path, bool]]:
    """A folder of 8 MB, and True; an ordinary one, and False, where none can be mounted."""
    place = around / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    mounted = False
    if os.geteuid() == 0 and shutil.which("mount"):
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield place, mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], check=True)


def permissions_bind() -> bool:
    """Whether a process of the harness can be kept from writing."""
    code = "import sys, child; sys.exit(not child.obey_permissions())"
    return subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parent).returncode == 0
