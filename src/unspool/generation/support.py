"""What samples must lie in inside the loop: bounds of what adds up, and what the caller allows."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.constraints.base import Allowed, GivenRange, Observed
from unspool.constraints.fields import constraints_of
from unspool.encoding.codec import Codec, parts_of
from unspool.encoding.columns import Origins
from unspool.encoding.first_moment import MomentPart
from unspool.generation.sampler import SampleRequest
from unspool.network.distributions.base import Ends, Support
from unspool.runtime.sizes import size_class

NO_CODE = -2
"""A code that no member of a joint symbol has."""
EVERYWHERE = Support(np.array([-np.inf]), np.array([np.inf]))
"""The support of a number without an end, for all rows."""


def with_support(
    request: SampleRequest,
    codec: Codec,
    before: Mapping[str, NDArray[np.float64]],
    rows: int,
    observed: Observed | None = None,
    allowed: tuple[Allowed | None, ...] = (),
) -> SampleRequest:
    """A request with where running sums start, what samples lie in, and what is observed.

    `before` has by name the values before step 0 of each of so many `rows`; `allowed` is by step field, see
    `unspool.constraints.fields`.

    Raises:
        OptionError: what never falls starts above all that is allowed, or what never rises below it.
    """
    origins: list[Origins | None] = []
    supports: list[Support | Ends | None] = []
    if (request.length or 0) > codec.longest:
        codec = codec.with_rises(request.max_steps / max(codec.longest, 1))
    for j, constraints in enumerate(constraints_of(codec)):
        cumulative = constraints.column.cumulative
        start = None if cumulative is None else cumulative.origins(before.get(constraints.field.name), rows)
        own = len(supports)  # among the fields of the network, which has the parts of first moments, too
        given = None
        if observed is not None and start is not None:
            given = GivenRange.of(observed.fields[own], observed.offsets, start)
        limits = constraints.support(allowed[j] if allowed else None, start, given)
        support: Support | Ends | None = None
        if limits is not None:
            symbols = as_wide(limits.symbols, False)
            support = Support(*limits[1:3], symbols) if limits.asked else Ends(*limits[1:3])
        if support is None and observed is not None and observed.upper[own] is not None:
            support = EVERYWHERE
        origins.append(start)
        supports.append(support)
        for part in parts_of(constraints.column):
            start = part.origins(before.get(constraints.field.name), rows)
            origins.append(start)
            supports.append(support_of_part(part, start, allowed[j] if allowed else None))
    if observed is not None:
        observed = observed._replace(tables=tuple(as_wide(table, NO_CODE) for table in observed.tables))
    return request._replace(origins=tuple(origins), supports=tuple(supports), observed=observed)


def as_wide(rows: NDArray[Any] | None, other: Any) -> NDArray[Any] | None:
    """A row for each symbol that a network has room for; of those that training has not, another value."""
    if rows is None:
        return None
    missing = size_class(len(rows)) - len(rows)
    return np.pad(rows, ((0, missing), *((0, 0),) * (rows.ndim - 1)), constant_values=other)


def support_of_part(part: MomentPart, origins: Origins, allowed: Allowed | None) -> Support | None:
    """The part of the ends of the allowed first moments, infinite where there is none."""
    if allowed is None:
        return None
    row, ends = np.arange(len(origins.at)), np.round(part.to_units(np.array([allowed.low, allowed.high])))
    return Support(*(origins.running_sums(end, row) for end in ends))
