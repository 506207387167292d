"""The ends that numbers keep to, inferred from their values: never for what merely happens to lie below 100."""

import numpy as np

from unspool.schema.grid import find_grid

NATURAL_ENDS = (0.0, 1.0, 90.0, 100.0, 180.0, 360.0)
"""Upper ends of shares, percentages and angles; with a minus sign, lower ends."""
SIGNED_ENDS = (90.0, 180.0)
"""Ends of numbers with both signs only: latitudes and longitudes, not ages."""
MIN_VALUES_FOR_END = 100
"""Fewest values that show an end without repeating it."""
MAX_END_DISTANCE, MAX_DISTANCE_OPPOSITE = 0.03, 0.05
"""Largest distance of the outermost value from a natural end, and from that on the other side, in ranges."""
MIN_OUTER_VALUES, OUTER_SHARE = 20, 0.1
"""Values next to an end, at the least, and their share of all, whose distances from it tell how it is approached."""
MAX_END_EXPONENT, MAX_PAIR_END_EXPONENT = 1.8, 2.4
"""Exponent of the distribution at an end up to which it is one, and where the values fill the range between two ends.

It is 0.5 of a sine, 1 of uniform values and 2 of a triangle; of a normal or an exponential tail that happens to reach
just to the end it is 2 in a small sample and 3 or more in a large one.
"""
MAX_EXPECTED_BEYOND = 5.0
"""Values expected between the outermost one and an end, above which the data would have come closer."""
MIN_PILE, MIN_PILE_AT_NATURAL_END, MIN_PILE_SHARE = 10, 5, 0.02
"""Separate visits of a pile of values at the least, there and at a natural end, and its share of all values."""
VALUES_BESIDE_PILE = 4
"""Values beside a pile that must not be more frequent."""


def natural_bounds(x: np.ndarray) -> tuple[float | None, float | None]:
    """The smallest and the largest possible value of (S,) float64 numbers, none missing, where the values show them.

    Numbers that were never negative have a floor of 0, numbers that were never positive a ceiling of 0. Beyond these,
    an end needs evidence on its own side: values that pile up at the smallest or largest one; or a natural end (1, 90,
    100, 180, 360) that the outermost value comes near, and that density doesn't fade out before. With distances d from
    such an end, P(d) ~ d^b: b is estimated by Hill (1975, "A simple general approach to inference about the tail of a
    distribution") from the outermost tenth.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> natural_bounds(rng.uniform(0, 100, 500)), natural_bounds(np.clip(rng.normal(80, 20, 500), 0, 97.5))
        ((0.0, 100.0), (0.0, 97.5))
        >>> natural_bounds(rng.normal(size=500)), natural_bounds(-rng.exponential(size=500))
        ((None, None), (None, 0.0))
    """
    below = _upper_end(-x)
    return (None if below is None else 0.0 - below), _upper_end(x)


def _upper_end(x: np.ndarray) -> float | None:
    """The largest possible value, or `None`."""
    values, counts = np.unique(x, return_counts=True)
    low, high = float(values[0]), float(values[-1])
    ends = [end for end in NATURAL_ENDS if end >= high and (low < 0 or end not in SIGNED_ENDS)]
    if len(values) > 1 and _is_pile(x, values, counts, natural=high in ends):
        return high
    spread, end = high - low, ends[0] if ends else np.inf
    if end - high <= MAX_END_DISTANCE * spread and len(x) >= MIN_VALUES_FOR_END:
        paired = min(abs(low), abs(low + end)) <= MAX_DISTANCE_OPPOSITE * spread
        if _reaches(x, end, MAX_PAIR_END_EXPONENT if paired else MAX_END_EXPONENT):
            return end
    return 0.0 if high <= 0 else None


def _is_pile(x: np.ndarray, values: np.ndarray, counts: np.ndarray, *, natural: bool) -> bool:
    """Whether values come to their largest one again and again, and no less often than to those beside it."""
    at_end = np.concatenate([[False], x == values[-1]])
    visits = int((at_end[1:] & ~at_end[:-1]).sum())  # a series that stands still there has come once
    if counts[-1] < counts[-1 - VALUES_BESIDE_PILE : -1].mean():
        return False
    return visits >= (MIN_PILE_AT_NATURAL_END if natural else max(MIN_PILE, MIN_PILE_SHARE * len(x)))


def _reaches(x: np.ndarray, end: float, most: float) -> bool:
    """Whether the density goes on up to an end at or above all values, with an exponent of at most `most`."""
    count = max(MIN_OUTER_VALUES, int(OUTER_SHARE * len(x)))
    step = (find_grid(x) or (0, 0.0))[1]
    distance = end - np.sort(x)[-count - 1 :] + step / 2  # of a value on a grid, to the edge of its cell
    inner, distance = distance[0], distance[1:]
    if not 0 < distance[-1] < inner:
        return False
    exponent = 1 / float(np.log(inner / distance).mean())
    beyond = count * (max(distance[-1] - step, 0.0) / inner) ** exponent
    return exponent <= most and beyond <= MAX_EXPECTED_BEYOND
