"""Small statistics that several sections share: standard errors over clusters, distances of samples, bands, lags."""

import importlib
import itertools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.errors import MissingExtra
from unspool.evaluation.document import Measured

Reals = NDArray[np.float64]
Codes = NDArray[np.int64]


class Compared(NamedTuple):
    """A row of a table: one statistic of a field in training, held-out (real) and generated sequences."""

    field: str
    of: str | float
    train: float
    real: float
    synthetic: float

    @property
    def difference(self) -> float:
        """The distance of generated from held-out sequences."""
        return abs(self.synthetic - self.real)


def optional_module(name: str) -> Any:
    """A module of the extra `report`, or `MissingExtra`."""
    try:
        return importlib.import_module(name)
    except ImportError:
        package = name.split(".", maxsplit=1)[0].replace("sklearn", "scikit-learn")
        hint = "pip install 'unspool[report]'"
        raise MissingExtra("report", f"the package {package}", "none", hint) from None


class Ratio(NamedTuple):
    """A ratio of sums, with the part of its linearised error that each cluster adds.

    The error of a ratio of totals to counts over G clusters (Cochran 1977, "Sampling techniques", section 6.4):

        sqrt(G / (G - 1) * sum over clusters of (total - ratio * count)^2) / sum of counts

    Attributes:
        value: the ratio.
        parts: (G,) by cluster, (total - ratio * count) / sum of counts.
    """

    value: float
    parts: Reals

    @classmethod
    def of(cls, totals: Reals, counts: Codes, clusters: Codes, size: int) -> "Ratio":
        """The ratio over sequences whose clusters are numbered from 0 to `size` - 1."""
        value = float(totals.sum() / counts.sum())
        return cls(value, np.bincount(clusters, totals - value * counts, minlength=size) / counts.sum())

    def minus(self, other: "Ratio") -> "Ratio":
        """The difference of two ratios over the same clusters."""
        return Ratio(self.value - other.value, self.parts - other.parts)

    def measured(self) -> Measured:
        """The ratio with its standard error; one cluster has none."""
        size = len(self.parts)
        return Measured(self.value, float(np.sqrt(size / (size - 1) * (self.parts**2).sum())) if size > 1 else None)


def ratio(totals: Reals, counts: Codes, clusters: Codes) -> Measured:
    """The sum of (N,) totals over the sum of (N,) counts, with the standard error of `Ratio` over (N,) clusters.

    Examples:
        >>> ratio(np.array([2.0, 4.0]), np.array([1, 1]), np.array([0, 1]))
        Measured(value=3.0, error=1.0)
    """
    if not counts.sum() or np.isnan(totals).any():
        return Measured(None)
    known, cluster = np.unique(clusters, return_inverse=True)
    return Ratio.of(totals, counts, cluster, len(known)).measured()


def clustered_mean(values: NDArray[Any], clusters: Codes) -> Measured:
    """The mean of (S,) values without NaN, with a standard error over (S,) clusters; see `Ratio`.

    Examples:
        >>> clustered_mean(np.array([1.0, 1.0, 3.0, np.nan]), np.array([0, 0, 1, 1])).value
        1.6666666666666667
    """
    kept = ~np.isnan(values)
    count, total = np.bincount(clusters[kept]), np.bincount(clusters[kept], values[kept])
    some = count > 0
    return ratio(total[some].astype(np.float64), count[some], np.arange(some.sum()))


def intraclass_correlation(values: Reals, clusters: Codes) -> float:
    """How alike (S,) values of one of (S,) clusters are: 0 if as unlike as all, 1 if equal; NaN without two clusters.

    By analysis of variance, of one way: ICC(1) of Shrout & Fleiss (1979), "Intraclass correlations", here for clusters
    of unequal size, and never below 0.

    Examples:
        >>> intraclass_correlation(np.array([1.0, 1.0, 3.0, 3.0]), np.array([0, 0, 1, 1]))
        1.0
    """
    count, total = np.bincount(clusters), np.bincount(clusters, values)
    count, total = count[count > 0], total[count > 0]
    if len(count) < 2:
        return float("nan")
    between = float((count * (total / count - values.mean()) ** 2).sum())
    within = max(float(((values - values.mean()) ** 2).sum()) - between, 0.0)
    between, within = between / (len(count) - 1), within / max(len(values) - len(count), 1)
    size = (len(values) - (count**2).sum() / len(values)) / (len(count) - 1)
    whole = between + (size - 1) * within
    return float(np.clip((between - within) / whole, 0.0, 1.0)) if whole > 0 else 0.0


def kolmogorov_smirnov(a: NDArray[Any], b: NDArray[Any]) -> float:
    """The largest difference of two empirical distribution functions; NaN if either sample is empty."""
    if not len(a) or not len(b):
        return float("nan")
    at = np.concatenate([a, b])
    below_a, below_b = (np.searchsorted(np.sort(x), at, "right") / len(x) for x in (a, b))
    return float(np.abs(below_a - below_b).max())


def wasserstein(a: Reals, b: Reals) -> float:
    """The area between two empirical distribution functions; NaN if either sample is empty."""
    if not len(a) or not len(b):
        return float("nan")
    a, b = np.sort(a), np.sort(b)
    at = np.sort(np.concatenate([a, b]))
    difference = np.searchsorted(a, at[:-1], "right") / len(a) - np.searchsorted(b, at[:-1], "right") / len(b)
    return float((np.abs(difference) * np.diff(at)).sum())


def total_variation(a: Codes, b: Codes) -> float:
    """Half the summed difference of the shares of codes from 0; NaN if either sample is empty."""
    if not len(a) or not len(b):
        return float("nan")
    size = int(max(a.max(), b.max())) + 1
    return float(np.abs(np.bincount(a, minlength=size) / len(a) - np.bincount(b, minlength=size) / len(b)).sum() / 2)


def entropy(codes: Codes) -> float:
    """The entropy of the shares of codes, in nats."""
    shares = np.bincount(codes) / len(codes)
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def placement(values: Reals, among: Reals) -> Reals:
    """(N,) the share of others below each value; ties count half."""
    ordered = np.sort(among)
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (2 * len(ordered))


def correlation(a: Reals, b: Reals, min_pairs: int = 3) -> float:
    """Pearson's correlation over pairs without NaN; NaN with too few pairs, or without spread."""
    kept = ~(np.isnan(a) | np.isnan(b))
    a, b = a[kept], b[kept]
    if len(a) < min_pairs or not a.std() or not b.std():
        return float("nan")
    return float(np.corrcoef(a, b)[0, 1])


def lagged_steps(offsets: Codes, lag: int) -> Codes:
    """The steps that have another step `lag` steps later in their own sequence."""
    at = np.arange(offsets[-1])
    return at[at + lag < np.repeat(offsets[1:], np.diff(offsets))]


def step_changes(values: NDArray[Any], offsets: Codes) -> Reals:
    """(S,) each value less the value of the step before; NaN at the first step of a sequence."""
    out = np.full(len(values), np.nan)
    before = lagged_steps(offsets, 1)
    out[before + 1] = values[before + 1] - values[before]
    return out


def lagged_correlation(a: Reals, b: Reals, offsets: Codes, lag: int, min_pairs: int) -> float:
    """The correlation of a step's `a` with the `b` of `lag` steps later, over all sequences; NaN with too few pairs."""
    before = lagged_steps(offsets, lag)
    return correlation(a[before], b[before + lag], min_pairs)


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
    """A band of positions counted from 1, such as "3 to 4"."""
    first, last = band[0] + 1, band[1]
    return str(first) if first == last else f"{first} to {last}"


def present(values: Reals) -> Reals:
    """The values that are not missing."""
    return values[~np.isnan(values)]


def mean_or_nan(values: NDArray[Any]) -> float:
    """The mean; NaN without any value."""
    return float(values.mean()) if len(values) else float("nan")


def unit(values: Reals) -> float:
    """The standard deviation of values without NaN, as the unit of a field; 1 without any spread."""
    known = present(values)
    found = float(known.std()) if len(known) else 0.0
    return found if found > 0 and np.isfinite(found) else 1.0


def decimals(units: Iterable[float]) -> int:
    """Digits after the point that show the field of the smallest unit to three figures, at most 9.

    Examples:
        >>> decimals([20.7, 0.0123]), decimals([350.0])
        (4, 0)
    """
    smallest = min(units, default=1.0)
    return int(np.clip(2 - np.floor(np.log10(smallest)), 0, 9))


def subsample(count: int, size: int, seed: int) -> Codes:
    """At most `size` positions of `count`, in order, sampled without replacement."""
    if count <= size:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, size, replace=False)).astype(np.int64)
