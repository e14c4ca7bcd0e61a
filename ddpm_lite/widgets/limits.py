"""What a widget's sliders can show, said once for its Python and its JavaScript."""

Limits = dict[str, tuple[float, float]]
"""The least and the greatest value of each control."""


def checked(limits: Limits, **values: float) -> dict[str, float]:
    """The values as numbers; raises ValueError for one that its slider cannot show."""
    for name, value in values.items():
        low, high = limits[name]
        if not low <= value <= high:
            raise ValueError(f"{name} must lie between {low:g} and {high:g}, not at {value:g}")
    return {name: float(value) for name, value in values.items()}
