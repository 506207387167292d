"""Numbers that follow an earlier column of their record closely, and are learned as their distance from it.

The close of a trading day is within a per cent of its open, and both range over a factor of four. A network that sees
the close on the scale of its whole range must place it a hundred times more precisely than that scale; on the scale of
the distance there is nothing to be precise about.
"""

from collections.abc import Collection, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.schema.derivation import distance, is_relative
from unspool.schema.fields import AnyField, Count, Number
from unspool.schema.monotone import as_number

MAX_NEAR_SPREAD = 0.25
"""Spread of the distances, at the most, as a share of that of the values."""
MIN_VALUES_FOR_NEAR = 50
"""Fewest values that show how closely a column is followed."""


def with_near(
    fields: Mapping[str, AnyField], values: Mapping[str, NDArray[np.generic]], fixed: Collection[str] = ()
) -> dict[str, AnyField]:
    """The fields, of which numbers without references have the earlier number that they follow most closely.

    Args:
        fields: in the order in which they are sampled.
        values: (S,) of every column.
        fixed: columns of which the user gave all.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> first = rng.normal(size=500)
        >>> columns = {"first": first, "second": first + 0.01 * rng.normal(size=500), "other": rng.normal(size=500)}
        >>> fields = with_near({name: Number(name) for name in columns}, columns)
        >>> [field.near for field in fields.values()]
        [(), ('first',), ()]
    """
    found: dict[str, AnyField] = {}
    numbers: dict[str, NDArray[np.float64]] = {}
    for name, field in fields.items():
        if isinstance(field, Number) and not isinstance(field, Count):
            y = as_number(values[name])
            if name not in fixed and not field.references:
                closest = _closest(y, numbers)
                field = field if closest is None else msgspec.structs.replace(field, near=(closest,))
            numbers[name] = y
        found[name] = field
    return found


def _closest(y: NDArray[np.float64], others: Mapping[str, NDArray[np.float64]]) -> str | None:
    """The column with the smallest spread of distances, if that is small, and if it has a value wherever y has one."""
    present = ~np.isnan(y)
    if present.sum() < MIN_VALUES_FOR_NEAR:
        return None
    best, least = None, MAX_NEAR_SPREAD
    for name, other in others.items():
        if np.isnan(other[present]).any():
            continue
        relative = is_relative(y, [other], 0)
        spread = distance(y, [other], 0, relative=relative)[present].std()
        own = (np.log(y[present]) if relative else y[present]).std()
        if spread < least * own:
            best, least = name, float(spread / own)
    return best
