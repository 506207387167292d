"""Angles: numbers of which one period is a full turn, and the evidence for it."""

import re

import numpy as np

from unspool.schema.transform_choice import drop_missing, lagged

DEGREES = 360.0
"""The only period that is inferred."""
MIN_FILLED = 0.9
"""Smallest range of angles that fill the circle, in periods."""
MIN_CROSSINGS = 5
"""Fewest steps across the end of the period that show an angle whose name says nothing."""
MAX_MEAN_CHANGE = 0.125
"""Largest mean size of a change, in periods, of an angle that moves continuously; 0.25 if all angles are as likely."""
MIN_PART_VALUES, PARTS = 5, 12
"""Fewest values in the first and in the last of so many equal parts of the period."""
NAMES = re.compile(
    r"(^|[^a-z])(lon|lng|long|longitude|heading|bearing|azimuth|course|dir|direction|angle)([^a-z]|$)",
    re.IGNORECASE,
)
"""Names of angles. They decide nothing by themselves."""


def is_angle(values: np.ndarray, name: str, offsets: np.ndarray | None = None) -> bool:
    """Whether (S,) float64 numbers, NaN where missing, are angles in degrees; `offsets` are those of steps.

    They lie within [0, 360] or [-180, 180], fill it and come up to both of its ends; and their sequences cross the end
    by small steps, at least five times, or the column has the name of an angle, such as longitude or wind_direction.

    Examples:
        >>> heading = np.random.default_rng(0).normal(scale=5, size=3000).cumsum()
        >>> is_angle(heading % 360, "x", np.array([0, 3000])), is_angle(heading, "x", np.array([0, 3000]))
        (True, False)
    """
    x = values[~np.isnan(values)]
    start = start_of_period(x, DEGREES) if len(x) else None
    if start is None or np.ptp(x) < MIN_FILLED * DEGREES:
        return False
    if x.min() == 0 and x.max() == DEGREES:  # 0 is no wind, and 360 is north
        return False
    parts = np.histogram(x, PARTS, (start, start + DEGREES))[0]
    if min(parts[0], parts[-1]) < MIN_PART_VALUES:
        return False
    named = NAMES.search(name) is not None
    if offsets is None or np.diff(offsets).max(initial=0) < 2:
        return named
    plain = lagged(*drop_missing(values, offsets), 1)
    change = np.abs(wrapped(plain, DEGREES, -DEGREES / 2))
    continuous = len(change) > 0 and change.mean() <= MAX_MEAN_CHANGE * DEGREES
    crossings = np.abs(plain) > DEGREES / 2
    small = crossings.any() and np.median(change[crossings]) <= MAX_MEAN_CHANGE * DEGREES
    return named or bool(continuous and small and crossings.sum() >= MIN_CROSSINGS)


def start_of_period(x: np.ndarray, period: float) -> float | None:
    """Where the period of (S,) angles begins: at 0 or half a period below, or `None` if they lie in neither one."""
    low, high = float(x.min()), float(x.max())
    if low >= 0:
        return 0.0 if high <= period else None
    return -period / 2 if low >= -period / 2 and high <= period / 2 else None


def wrapped(x: np.ndarray, period: float, start: float) -> np.ndarray:
    """Angles in [start, start + period).

    Examples:
        >>> wrapped(np.array([-10.0, 350.0, 725.0]), 360.0, 0.0).tolist()
        [350.0, 350.0, 5.0]
    """
    x = x - period * np.floor((x - start) / period)
    return np.where(x >= start + period, start, x)  # rounding may carry it there
