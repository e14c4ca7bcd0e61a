"""What a widget's sliders can show, said once for its Python and its JavaScript."""

from ddpm_lite.schedule import SCHEDULES

Limits = dict[str, tuple[float, float]]
"""The least and the greatest value of each control."""


def checked(limits: Limits, **values: float) -> dict[str, float]:
    """The values as numbers; raises ValueError for one that its slider cannot show."""
    for name, value in values.items():
        low, high = limits[name]
        if not low <= value <= high:
            raise ValueError(f"{name} must lie between {low:g} and {high:g}, not at {value:g}")
    return {name: float(value) for name, value in values.items()}


def check_schedule(name: str, T: int) -> None:
    """Raises ValueError for an unknown schedule, and for a T that not every schedule can have.

    The reader may go from one schedule to the next; the linear one has a beta of 1 at T = 20.
    """
    if name not in SCHEDULES:
        raise ValueError(f"schedule {name!r} is not one of {', '.join(SCHEDULES)}")
    if T <= 20:
        raise ValueError(f"T must be above 20, so that every schedule can have it, not {T}")
