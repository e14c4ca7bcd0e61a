"""Classes by their names: those that a checkpoint holds, or their numbers where it holds none."""

from collections.abc import Mapping, Sequence
from typing import Any


def class_names(metadata: Mapping[str, Any], classes: int) -> tuple[str, ...]:
    """The names of a model's classes in their order; their numbers where it holds no names."""
    known = [str(name) for name in metadata.get("class_names", [])]
    return tuple(known[i] if i < len(known) else str(i) for i in range(classes))


def needs_label(metadata: Mapping[str, Any]) -> bool:
    """Whether a model was never trained without its label, so that guidance asks it in vain."""
    return bool(metadata.get("train", {}).get("label_dropout") == 0)


def class_number(label: str, names: Sequence[str]) -> int:
    """The number of a class, given by its name or else by its number. Raises ValueError."""
    if label in names:
        return list(names).index(label)
    if label in map(str, range(len(names))):
        return int(label)
    raise ValueError(f"label {label} is none of the model's classes: {listed(names, 20)}")


def with_article(name: str) -> str:
    """One of a class, such as "a horse" or "an airplane": told by the first letter alone."""
    return f"{'an' if name[:1].lower() in tuple('aeiou') else 'a'} {name}"


def listed(names: Sequence[str], most: int) -> str:
    """Class names with their numbers, on one line."""
    shown = [f"{number} {visible(name)}" for number, name in enumerate(names[:most])]
    rest = [f"and {len(names) - most} more"] if len(names) > most else []
    return ", ".join(shown + rest) or "none"


def visible(text: str) -> str:
    """A text of somebody else's on one line: what cannot be printed is written as Python does.

    A file's name may hold line ends, and codes that a terminal obeys.
    """
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )
