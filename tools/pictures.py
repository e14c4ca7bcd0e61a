"""Makes the pictures of the README, and notes beside them what they show: `make pictures`.

`docs/pictures.json` holds for each picture the SHA-256 of what it shows and of the picture itself.
A test compares both with what is there now, so a picture cannot grow old unnoticed.

    python tools/pictures.py               # after `make book`
    python tools/pictures.py samples.png   # this one only; needs no book
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
NOTES = DOCS / "pictures.json"
MODEL = ROOT / "ddpm_lite" / "assets" / "mnist.safetensors"
SAMPLE = ["sample", "--n", "256", "--sampler", "ddim", "--steps", "50", "--guidance-scale", "1.3"]
PAGE = "04_forward_closed_form"
WINDOW = "1280,1750"


def digest(*parts: bytes) -> str:
    """The SHA-256 of all parts, each with its length before it."""
    return hashlib.sha256(b"".join(b"%d:%s" % (len(part), part) for part in parts)).hexdigest()


def opening(text: str) -> str:
    """A page up to its second section: as much as the picture of it shows."""
    return "\n## ".join(text.split("\n## ")[:2])


def titles(root: Path) -> list[str]:
    """The headings of all pages in the table of contents, which stand beside each page."""
    toc = yaml.safe_load((root / "_toc.yml").read_text())
    names = [toc["root"]] + [c["file"] for part in toc["parts"] for c in part["chapters"]]
    found = [re.search(r"^# (.*)$", (root / f"{name}.md").read_text(), re.M) for name in names]
    return [heading[1] for heading in found if heading]


def shows(root: Path = ROOT) -> dict[str, str]:
    """The digest of what each picture shows as things stand now."""
    page = opening((root / "book" / f"{PAGE}.md").read_text())
    parts = [page, WINDOW, *titles(root)]
    return {
        "samples.png": digest(MODEL.read_bytes(), *(word.encode() for word in SAMPLE)),
        "page.png": digest(*(part.encode() for part in parts)),
    }


def draw_samples(to: Path) -> None:
    """A grid of digits by the model of the package."""
    command = [sys.executable, "-m", "ddpm_lite.cli", *SAMPLE, "--out", str(to)]
    subprocess.run(command, check=True)


def photograph_page(to: Path) -> None:
    """The top of a built page in Chromium, without a server."""
    page = ROOT / "_build" / "html" / "book" / f"{PAGE}.html"
    if not page.is_file():
        sys.exit(f"{page} is missing: run `make book` first")
    if page.stat().st_mtime < (ROOT / "book" / f"{PAGE}.md").stat().st_mtime:
        sys.exit(f"{page} is older than its source: run `make book` first")
    named = os.environ.get("CHROMIUM", "chromium")
    chromium = shutil.which(named)
    if not chromium:
        sys.exit(f"{named} is missing: install Chromium, or say where it is in CHROMIUM")
    options = ["--headless", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=20000"]
    options += [f"--window-size={WINDOW}", f"--screenshot={to}", page.as_uri()]
    subprocess.run([chromium, *options], check=True, stderr=subprocess.DEVNULL)


MAKERS = {"samples.png": draw_samples, "page.png": photograph_page}


def stale() -> list[str]:
    """Pictures that show something else than their notes say, or are not those of the notes."""
    notes = json.loads(NOTES.read_text()) if NOTES.exists() else {}
    now = shows()
    return [
        name
        for name in MAKERS
        if notes.get(name) != {"shows": now[name], "picture": digest((DOCS / name).read_bytes())}
    ]


def main() -> None:
    """Makes the pictures asked for, or all, and notes what they show."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(MAKERS)}; else all")
    names = parser.parse_args().names or list(MAKERS)
    if unknown := set(names) - set(MAKERS):
        parser.error(f"no such picture: {', '.join(sorted(unknown))}")
    for name in names:
        part = DOCS / f".{name}"  # the old one stays if something fails
        MAKERS[name](part)
        part.replace(DOCS / name)
        notes = json.loads(NOTES.read_text()) if NOTES.exists() else {}
        notes[name] = {"shows": shows()[name], "picture": digest((DOCS / name).read_bytes())}
        NOTES.write_text(json.dumps(notes, indent=1, sort_keys=True) + "\n")
        print(DOCS / name)


if __name__ == "__main__":
    main()
