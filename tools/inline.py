"""Tell what the formulas in the book's running text are: `python tools/inline.py`.

Counts them by kind (see ddpm_lite.symbolic.inline), and names with page and line what cannot be
read, what is false, what is neither proved nor listed in book/inline.yml, and what stands in that
list in vain. The exit code is 1 if there is anything to name.
"""

import sys
from collections import Counter
from pathlib import Path

import yaml

from ddpm_lite.symbolic.inline import INLINE_KINDS, dead, findings
from ddpm_lite.symbolic.page import equations_of

BOOK = Path(__file__).parents[1] / "book"


def main() -> int:
    """Page by page."""
    texts = {page: page.read_text(encoding="utf-8") for page in sorted(BOOK.glob("*.md"))}
    displays = {e.label: e for text in texts.values() for e in equations_of(text) if e.label}
    listing = yaml.safe_load((BOOK / "inline.yml").read_text(encoding="utf-8"))
    count: Counter[str] = Counter()
    faulty = False
    for page, text in texts.items():
        listed = listing.get(page.stem, {})
        found = findings(text, listed, displays)
        count.update(str(f.verdict.kind) for f in found if not f.verdict.fault)
        faults = [f"{page.name}:{f.line}: {f.verdict.fault}" for f in found if f.verdict.fault]
        faults += [f"{page.name}: {fault}" for fault in dead(listed, (f.latex for f in found))]
        for fault in faults:
            print(fault)
        faulty |= bool(faults)
    print(", ".join(f"{count[kind]:,} {kind}" for kind in INLINE_KINDS))
    return int(faulty)


if __name__ == "__main__":
    sys.exit(main())
