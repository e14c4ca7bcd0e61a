"""A bar of progress where one is asked for; what draws it is read only then."""

from collections.abc import Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def with_bar(items: Sequence[Item], shown: bool, what: str, unit: str) -> Iterable[Item]:
    """The items in their order; `shown`, a bar on stderr or in the notebook counts them."""
    if not shown:
        return items
    from tqdm.auto import tqdm

    bar: Iterable[Item] = tqdm(items, desc=what, unit=unit)
    return bar
