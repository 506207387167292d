"""What draws are confined to inside the loop: bounds of what adds up, and what the caller allows."""

from collections.abc import Mapping
from dataclasses import replace

import jax
import numpy as np
from numpy.typing import NDArray

from unspool.constraints.allowed import Allowed, ways_allowed
from unspool.constraints.cumulative import CumulativeOrigin, never_goes_back, origin_of, running_sum
from unspool.constraints.pins import Observed
from unspool.encoding.codec import Codec
from unspool.encoding.columns import StepColumn, Vocabulary
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.multilabel import MultiLabel
from unspool.encoding.numeric import NumericEncoder
from unspool.errors import OptionError
from unspool.generation.sampler import SampleRequest
from unspool.network.combinations import combination
from unspool.network.decoder import Net
from unspool.network.distributions.base import Support

NOWHERE = np.array([-np.inf])
"""Where a room ends that has no lower end, for all rows."""


def with_support(
    request: SampleRequest,
    codec: Codec,
    bases: Mapping[str, NDArray[np.float64]],
    rows: int,
    observed: Observed | None = None,
    allowed: tuple[Allowed | None, ...] = (),
) -> SampleRequest:
    """A request with where paths start, and what draws are confined to.

    Args:
        request: of some rows.
        codec: the fitted columns.
        bases: by name, (rows,) the values before step 0.
        rows: how many.
        observed: what is given.
        allowed: by step field, what may be drawn; see `unspool.constraints.allowed`.

    Raises:
        OptionError: what never falls starts above all that is allowed, or what never rises below it.
    """
    fields = list(zip(codec.schema.steps, codec.steps, strict=True))
    origins = tuple(origin_of(column, bases.get(field.name), rows) for field, column in fields)
    supports = []
    for j, ((field, column), origin) in enumerate(zip(fields, origins, strict=True)):
        support = _room(column, origin, allowed[j] if allowed else None)
        if support is not None and origin is not None and never_goes_back(column) and (support.high < 0).any():
            expected = f"a range that reaches what the first step is counted from, because it never {column.never}"
            found = "one that ends before" if column.never == "falls" else "one that begins above"
            raise OptionError(f"allow, column {field.name!r}", expected, found)
        supports.append(
            Support(NOWHERE, -NOWHERE) if support is None and observed and observed.most[j] is not None else support
        )
    return request._replace(origins=origins, supports=tuple(supports), observed=observed)


def _room(column: StepColumn, origin: CumulativeOrigin | None, allowed: Allowed | None) -> Support | None:
    """The support of a field, as `SampleRequest` has it; distributions keep the bounds of numbers that don't add up."""
    if isinstance(column, Vocabulary):
        return None if allowed is None else Support(symbols=allowed.symbols)
    if isinstance(column, MultiLabel):
        return None if allowed is None else Support(allowed.low[None], allowed.high[None])
    low, high = (-np.inf, np.inf) if allowed is None else (allowed.low, allowed.high)
    if origin is not None and isinstance(column, NumericEncoder):
        low = low if column.floor is None else max(low, column.floor)
        high = high if column.ceiling is None else min(high, column.ceiling)
    if origin is not None:
        ends = [_height(column, origin, end) for end in (low, high)]
        if isinstance(column, IncrementEncoder) and column.never == "rises":
            ends.reverse()
        if isinstance(column, IncrementEncoder) and column.floor is not None:
            # What starts below its floor stays where it is.
            ends[1] = np.minimum(ends[1], np.maximum(_height(column, origin, column.floor), 0.0))
        ends[0] = np.where(np.isnan(ends[0]), -np.inf, ends[0])  # the logarithm of what is below 0
    elif isinstance(column, NumericEncoder):
        ends = [np.array([column.placed(end) if np.isfinite(end) else end]) for end in (low, high)]
    return None if all(np.isinf(end).all() for end in ends) else Support(ends[0], ends[1])


def _height(column: NumericEncoder | IncrementEncoder, origin: CumulativeOrigin, value: float) -> NDArray[np.float64]:
    """The height of a value in every row."""
    return (running_sum(column, np.array([value])) - origin.origin) / origin.unit


def prune_combinations(net: Net, codec: Codec, allowed: tuple[Allowed | None, ...]) -> Net:
    """The network with those tuples of its combinations that are allowed, so that no field is left without a symbol."""
    parts = []
    for one, fitted in zip(net.shape.combinations, codec.combinations, strict=True):
        ways = ways_allowed(codec, fitted, allowed)
        parts.append(one if len(ways) == len(one.seen) else combination(one.fields, one.sizes, one.unseen, ways))
    if tuple(parts) == net.shape.combinations:
        return net
    leaves, structure = jax.tree.flatten(net)
    other = jax.tree.unflatten(structure, leaves)
    object.__setattr__(other, "shape", replace(net.shape, combinations=tuple(parts)))
    return other
