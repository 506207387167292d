"""How often what holds in all of the data would fail by chance, at the least, so that it is no accident."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_FAILURES, MIN_FAILURE_SHARE = 20, 0.02
"""How often a relation of independent columns would fail, at the least; and in which share of the records."""


def is_often(failures: Any, of: Any) -> Any:
    """Whether so many failures among so many cases, each a number or an array, are no accident."""
    return failures >= np.maximum(MIN_FAILURES, MIN_FAILURE_SHARE * np.asarray(of))


def fails_often(failed: NDArray[np.bool_]) -> bool:
    """Whether what holds would fail often enough among independent columns, which fail where this (S,) is true.

    Examples:
        >>> fails_often(np.arange(100) < 50), fails_often(np.arange(100) < 19)
        (True, False)
    """
    return bool(is_often(failed.sum(), len(failed)))
