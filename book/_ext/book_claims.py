"""What is known of the claims, and where in the book each has its place.

A chapter names the claims that a paragraph or an equation settles in a comment line below it,
`% claims: S0-08 S0-09`. The place is the nearest labelled equation or heading above that line.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from book_tables import contents
from myst_parser.mdit_to_docutils.base import default_slugify

VERDICTS = ("correct", "imprecise", "typo", "wrong", "figure")
FENCE = re.compile(r"^(`{3,}|:{3,})(.*)$")
HEADING = re.compile(r"^#{1,3} +(.*?) *$")
LABEL = re.compile(r"^ *\$\$ \((eq-[a-z0-9-]+)\) *$")
NAMED = re.compile(r"^% claims: +(.*?) *$")


@dataclass(frozen=True)
class Claim:
    """One statement of a source."""

    id: str
    lines: str
    verdict: str
    says: str
    note: str = ""
    right: str = ""

    @property
    def source(self) -> str:
        """The key of the source, S0 to S4."""
        return self.id.split("-")[0]

    @property
    def anchor(self) -> str:
        """The id of the claim's row."""
        return "claim-" + self.id.lower().replace(".", "-")


@dataclass(frozen=True)
class Source:
    """One of the documents."""

    key: str
    kind: str
    title: str = ""
    author: str = ""
    links: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """An equation of a page, or a heading if there is no label."""

    page: str
    label: str = ""
    title: str = ""
    slug: str = ""

    @property
    def link(self) -> str:
        """As it is written in Markdown."""
        if self.label:
            return f"{{eq}}`{self.label}`"
        chapter = f"chapter {int(self.page[:2])}: " if self.page[:2].isdigit() else ""
        return f"[{chapter}{self.title}]({self.page}#{self.slug})"


def claims_in(book: Path) -> list[Claim]:
    """All claims, in the order of the sources."""
    return [Claim(**one) for one in contents(book / "claims.yml")["claims"]]


def sources_in(book: Path) -> list[Source]:
    """The documents."""
    return [Source(**one) for one in contents(book / "claims.yml")["sources"]]


# --- Places --------------------------------------------------------------------------------------


def prose(text: str) -> Iterator[str]:
    """The lines of a page outside of its code, which may hold comments that look like headings."""
    code = ""
    for line in text.splitlines():
        fence = FENCE.match(line)
        if code:
            code = "" if fence and fence[1] == code and not fence[2].strip() else code
        elif fence and (fence[2].startswith("{code-cell}") or re.match(r"\w", fence[2])):
            code = fence[1]
        else:
            yield line


def slug_of(title: str, taken: Iterable[str]) -> str:
    """The anchor that MyST gives a heading."""
    words = re.sub(r"\$.*?\$|[*_]{1,2}(?=\w)|(?<=\w)[*_]{1,2}", "", title)
    slug, taken = default_slugify(words), set(taken)
    copies = [slug] + [f"{slug}-{n}" for n in range(1, len(taken) + 2)]
    return next(copy for copy in copies if copy not in taken)


def places_in(page: str, text: str) -> dict[str, list[Place]]:
    """Claims and their places on one page."""
    found: dict[str, list[Place]] = {}
    place, slugs = Place(page), list[str]()
    for line in prose(text):
        if heading := HEADING.match(line):
            slugs.append(slug_of(heading[1], slugs))
            place = Place(page, title=heading[1], slug=slugs[-1])
        elif label := LABEL.match(line):
            place = Place(page, label=label[1])
        elif named := NAMED.match(line):
            for claim in re.split(r"[,\s]+", named[1]):
                found.setdefault(claim, []).append(place)
    return found


def places(pages: Iterable[Path]) -> dict[str, list[Place]]:
    """Claims and their places in the whole book, each place once."""
    found: dict[str, dict[Place, None]] = {}
    for page in sorted(pages):
        for claim, spots in places_in(page.name, page.read_text()).items():
            found.setdefault(claim, {}).update(dict.fromkeys(spots))
    return {claim: list(spots) for claim, spots in found.items()}


def own(book: Path) -> list[str]:
    """Names of identities that are the book's own."""
    return list(contents(book / "claims.yml")["own"])


def missing(book: Path, found: Mapping[str, object]) -> list[str]:
    """What is wrong: claims without a place, and names that are no claim."""
    claims = claims_in(book)
    homeless = [c.id for c in claims if c.verdict != "figure" and c.id not in found]
    unknown = set(found) - {claim.id for claim in claims} - set(own(book))
    return [f"claim {name} has no place in the book" for name in homeless] + [
        f"a page names claim {name}, which does not exist" for name in sorted(unknown)
    ]
