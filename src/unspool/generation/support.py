"""What samples must lie in inside the loop: bounds of what adds up, and what the caller allows."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from unspool.constraints.base import Allowed, Observed
from unspool.constraints.fields import constraints_of
from unspool.encoding.codec import Codec
from unspool.generation.sampler import SampleRequest
from unspool.network.distributions.base import Support

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
    origins, supports = [], []
    for j, constraints in enumerate(constraints_of(codec)):
        cumulative = constraints.column.cumulative
        start = None if cumulative is None else cumulative.origins(before.get(constraints.field.name), rows)
        limits = constraints.support(allowed[j] if allowed else None, start)
        support = None if limits is None else Support(limits.low, limits.high, limits.symbols)
        if support is None and observed is not None and observed.upper[j] is not None:
            support = EVERYWHERE
        origins.append(start)
        supports.append(support)
    return request._replace(origins=tuple(origins), supports=tuple(supports), observed=observed)
