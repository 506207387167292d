"""Small statistics that several sections share: errors by sequence, distances of two samples, bins of positions."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.errors import MissingExtra
from unspool.evaluation.document import Measured


class Beside(NamedTuple):
    """One figure of three kinds of sequences: a row of a table.

    Attributes:
        field: the field or fields that it is of.
        of: what it is of.
        train: in training.
        real: held out.
        made: generated.
    """

    field: str
    of: str | float
    train: float
    real: float
    made: float

    @property
    def gap(self) -> float:
        """How far generated sequences are from held-out ones."""
        return abs(self.made - self.real)


def extra(name: str) -> Any:
    """A module of the extra `report`.

    Raises:
        MissingExtra: it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.split(".", maxsplit=1)[0].replace("sklearn", "scikit-learn")
        hint = "pip install 'unspool[report]'"
        raise MissingExtra("report", f"the package {package}", "none", hint) from None


def by_sequence(values: NDArray[Any], owner: NDArray[np.int64]) -> Measured:
    """The mean of values, with a standard error that takes sequences, not values, to be independent; see `ratio`.

    Args:
        values: (S,) with NaN for what does not count.
        owner: (S,) the sequence that each belongs to.

    Examples:
        >>> by_sequence(np.array([1.0, 1.0, 3.0, np.nan]), np.array([0, 0, 1, 1])).value
        1.6666666666666667
    """
    kept = ~np.isnan(values)
    count, total = np.bincount(owner[kept]), np.bincount(owner[kept], values[kept])
    some = count > 0
    return ratio(total[some].astype(np.float64), count[some], np.arange(some.sum()))


def ratio(totals: NDArray[np.float64], counts: NDArray[np.int64], clusters: NDArray[np.int64]) -> Measured:
    """The sum of totals over the sum of counts, with an error for which clusters are independent, not steps.

    The linearised error of a ratio (Cochran 1977, "Sampling techniques", section 6.4), for G clusters:

        sqrt(G / (G - 1) * sum over clusters of (total - ratio * count)^2) / sum of counts

    Args:
        totals: (N,) of every sequence.
        counts: (N,) of what the mean is over, such as steps.
        clusters: (N,) which sequences belong together.

    Examples:
        >>> ratio(np.array([2.0, 4.0]), np.array([1, 1]), np.array([0, 1]))
        Measured(value=3.0, error=1.0)
    """
    size = int(counts.sum())
    if not size or np.isnan(totals).any():
        return Measured(None)
    mean = float(totals.sum() / size)
    rest = np.bincount(clusters, totals - mean * counts)
    present = int(np.count_nonzero(np.bincount(clusters)))
    if present < 2:
        return Measured(mean)
    return Measured(mean, float(np.sqrt(present / (present - 1) * (rest**2).sum()) / size))


def kolmogorov_smirnov(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The largest difference of two empirical distribution functions; NaN without values on both sides.

    Examples:
        >>> kolmogorov_smirnov(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
        0.5
    """
    if not len(a) or not len(b):
        return float("nan")
    at = np.concatenate([a, b])
    share = lambda x: np.searchsorted(np.sort(x), at, "right") / len(x)  # noqa: E731
    return float(np.abs(share(a) - share(b)).max())


def wasserstein(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """The area between two empirical distribution functions; NaN without values on both sides.

    Examples:
        >>> wasserstein(np.array([0.0, 1.0]), np.array([2.0, 3.0]))
        2.0
    """
    if not len(a) or not len(b):
        return float("nan")
    a, b = np.sort(a), np.sort(b)
    at = np.sort(np.concatenate([a, b]))
    difference = np.searchsorted(a, at[:-1], "right") / len(a) - np.searchsorted(b, at[:-1], "right") / len(b)
    return float((np.abs(difference) * np.diff(at)).sum())


def total_variation(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    """Half the summed difference of two tables of shares: the share of mass that lies elsewhere.

    Args:
        a: codes from 0.
        b: codes from 0; as many as there are.

    Examples:
        >>> total_variation(np.array([0, 0, 0, 1]), np.array([0, 1, 2, 2]))
        0.5
    """
    if not len(a) or not len(b):
        return float("nan")
    size = int(max(a.max(), b.max())) + 1
    return float(np.abs(np.bincount(a, minlength=size) / len(a) - np.bincount(b, minlength=size) / len(b)).sum() / 2)


def correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Pearson's correlation over the pairs where both are there; NaN with fewer than three, or without any spread."""
    kept = ~(np.isnan(a) | np.isnan(b))
    a, b = a[kept], b[kept]
    if len(a) < 3 or not a.std() or not b.std():
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def lagged(offsets: NDArray[np.int64], lag: int) -> NDArray[np.int64]:
    """The steps that have one `lag` steps later in their own sequence.

    Examples:
        >>> lagged(np.array([0, 3, 4, 6]), 1).tolist()
        [0, 1, 4]
    """
    at = np.arange(offsets[-1])
    return at[at + lag < np.repeat(offsets[1:], np.diff(offsets))]


def bands(longest: int) -> list[tuple[int, int]]:
    """Positions from 0 in bands that double, as (first, after the last): 1, 2, 3 to 4, 5 to 8, ... counted from 1.

    Examples:
        >>> bands(6)
        [(0, 1), (1, 2), (2, 4), (4, 6)]
    """
    edges = [0, 1]
    while edges[-1] < longest:
        edges.append(min(2 * edges[-1], longest))
    return list(itertools.pairwise(edges)) if longest else []


def band_name(band: tuple[int, int]) -> str:
    """A band as people count, from 1.

    Examples:
        >>> band_name((0, 1)), band_name((2, 4))
        ('1', '3 to 4')
    """
    first, last = band[0] + 1, band[1]
    return str(first) if first == last else f"{first} to {last}"


def present(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values that are not missing."""
    return values[~np.isnan(values)]


def worst(values: Sequence[float]) -> float:
    """The largest of the finite values; NaN without any."""
    finite = [value for value in values if np.isfinite(value)]
    return max(finite, default=float("nan"))


def spread(values: NDArray[np.float64]) -> float:
    """The standard deviation of the values that are there, or 1 where there is none to speak of: a field's unit."""
    there = present(values)
    found = float(there.std()) if len(there) else 0.0
    return found if found > 0 and np.isfinite(found) else 1.0


def decimals(units: Iterable[float]) -> int:
    """Digits after the point that show the field of the smallest unit to three figures, at most 9.

    Examples:
        >>> decimals([20.7, 0.0123]), decimals([350.0])
        (4, 0)
    """
    smallest = min(units, default=1.0)
    return int(np.clip(2 - np.floor(np.log10(smallest)), 0, 9))


def evenly(count: int, most: int, seed: int) -> NDArray[np.int64]:
    """At most `most` positions of `count`, in order, drawn without replacement."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False)).astype(np.int64)
