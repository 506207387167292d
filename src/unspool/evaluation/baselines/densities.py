"""Distributions of one number that baselines use, in the measure that the model uses for it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]

FREEDOMS = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, np.inf)
"""Degrees of freedom that a Student's t is tried with; the last is the normal."""
ROUNDS = 30
"""Of reweighting, after which location and spread of a Student's t stand still to a thousandth."""
SHARPEST = 1e-3
"""Smallest spread of a fitted density, as a share of the standard deviation: repeated values would want none at all."""
BINS = (8, 16, 32, 64, 128)
"""Numbers of equally full bins that a histogram is tried with."""
OUTSIDE = 0.02
"""Share of a histogram's mass that is a wide Student's t, for what lies outside of all bins."""
MOST = 100_000
"""Values, at the most, that a Student's t is fitted to: of more, every second, third, ... is taken."""
TINY = 1e-300
"""Least mass whose logarithm is taken."""


@dataclass(frozen=True)
class Student:
    """Student's t, or the normal where there are infinitely many degrees of freedom.

    Args:
        loc: centre, one or (S,).
        scale: spread above 0, one or (S,).
        freedom: degrees of freedom.
    """

    loc: float | Reals
    scale: float | Reals
    freedom: float

    def log_density(self, x: Reals) -> Reals:
        """(S,) nats at x."""
        z = (x - self.loc) / self.scale
        return np.asarray(self._family().logpdf(z) - np.log(self.scale))

    def log_mass(self, low: Reals, high: Reals) -> Reals:
        """(S,) log-probability of lying between two bounds, from the nearer tail, where it can be told from 0."""
        a, b = (low - self.loc) / self.scale, (high - self.loc) / self.scale
        a, b = np.where(a + b > 0, -b, a), np.where(a + b > 0, -a, b)
        cdf = self._family().cdf
        return np.log(np.maximum(cdf(b) - cdf(a), TINY))

    def _family(self):  # type: ignore[no-untyped-def]  # SciPy's distributions have no type
        from scipy import stats

        return stats.norm if np.isinf(self.freedom) else stats.t(self.freedom)


@dataclass(frozen=True, eq=False)
class Histogram:
    """Bins of constant density, and a wide Student's t for the little that lies outside of them.

    Args:
        edges: (B + 1,) increasing.
        masses: (B,) sum to 1.
        outside: what has the share `OUTSIDE`.
    """

    edges: Reals
    masses: Reals
    outside: Student

    def log_density(self, x: Reals) -> Reals:
        """(S,) nats at x."""
        heights = np.concatenate([[0.0], self.masses / np.diff(self.edges), [0.0]])
        inside = heights[np.searchsorted(self.edges, x, side="right")]
        return np.log((1 - OUTSIDE) * inside + OUTSIDE * np.exp(self.outside.log_density(x)))

    def log_mass(self, low: Reals, high: Reals) -> Reals:
        """(S,) log-probability of lying between two bounds."""
        below = np.concatenate([[0.0], np.cumsum(self.masses)])
        inside = np.interp(high, self.edges, below) - np.interp(low, self.edges, below)
        return np.log((1 - OUTSIDE) * inside + OUTSIDE * np.exp(self.outside.log_mass(low, high)))


Density = Student | Histogram
"""A distribution for each of S numbers."""


@dataclass(frozen=True)
class Measure:
    """What the likelihood of a number is of: a density, or the probability of a cell of the grid that it lies on.

    Args:
        cell: width of a cell; None for a density.
    """

    cell: float | None = None

    def log_prob(self, density: Density, x: Reals) -> Reals:
        """(S,) nats of the values in this measure."""
        if self.cell is None:
            return density.log_density(x)
        return density.log_mass(x - self.cell / 2, x + self.cell / 2)


def fit_student(x: Reals, measure: Measure, design: Reals | None = None) -> tuple[Reals, float, float]:
    """Student's t whose centre is linear in a design, by maximum likelihood.

    Reweighted least squares, which is EM for the t (Lange, Little & Taylor 1989, "Robust statistical modeling using
    the t distribution"), for each of `FREEDOMS`; the best one is taken.

    Args:
        x: (S,) at least one.
        measure: in which likelihoods are compared.
        design: (S, D) what the centre is linear in; by default a constant.

    Returns:
        (D,) coefficients, spread, degrees of freedom.
    """
    every = -(-len(x) // MOST)
    x, design = x[::every], (np.ones((len(x), 1)) if design is None else design)[::every]
    floor = max(SHARPEST * float(np.std(x)), (measure.cell or 0.0) / 10, 1e-12 * float(np.abs(x).max()), TINY)

    def fitted(freedom: float) -> tuple[float, Reals, float]:
        weight = np.ones(len(x))
        for _ in range(1 if np.isinf(freedom) else ROUNDS):
            root = np.sqrt(weight)
            coefficients = np.linalg.lstsq(design * root[:, None], x * root, rcond=None)[0]
            rest = x - design @ coefficients
            scale = max(float(np.sqrt(np.mean(weight * rest**2))), floor)
            if not np.isinf(freedom):
                weight = (freedom + 1) / (freedom + (rest / scale) ** 2)
        student = Student(design @ coefficients, scale, freedom)
        return float(measure.log_prob(student, x).sum()), np.asarray(coefficients, np.float64), scale

    found = [(fitted(freedom), freedom) for freedom in FREEDOMS]
    (_, coefficients, scale), freedom = max(found, key=lambda pair: pair[0][0])
    return coefficients, scale, freedom


def fit_histogram(x: Reals, bins: int) -> Histogram:
    """Bins of about equally many of the values, and three times their spread for what lies outside.

    Edges lie in the middle between two neighbouring values, so that equal values stay together.
    """
    centre, spread = float(np.mean(x)), float(np.std(x)) or 1.0
    outside = Student(centre, 3 * spread, 2.0)
    values = np.unique(x)
    if len(values) < 2:
        return Histogram(centre + SHARPEST * spread * np.array([-0.5, 0.5]), np.ones(1), outside)
    middles = (values[1:] + values[:-1]) / 2
    wanted = np.searchsorted(middles, np.quantile(x, np.linspace(0, 1, bins + 1)[1:-1]))
    ends = np.array([values[0] - (middles[0] - values[0]), values[-1] + (values[-1] - middles[-1])])
    edges = np.unique(np.concatenate([ends, middles[np.minimum(wanted, len(middles) - 1)]]))
    counts = np.histogram(x, edges)[0] + 0.5
    return Histogram(edges, counts / counts.sum(), outside)


def fit_marginal(x: Reals, owner: NDArray[np.int64], measure: Measure) -> Density:
    """The Student's t or histogram that does best on every fifth sequence, when learned from the others.

    Args:
        x: (S,) at least one.
        owner: (S,) the sequence that each belongs to.
        measure: in which likelihoods are compared.
    """
    fits: list[Callable[[Reals], Density]] = [
        lambda x: _constant(fit_student(x, measure)),
        *(lambda x, bins=bins: fit_histogram(x, bins) for bins in BINS if 4 * bins <= len(x)),
    ]
    held = owner % 5 == 4
    if held.all() or not held.any():
        return fits[0](x)
    scores = [float(measure.log_prob(fit(x[~held]), x[held]).sum()) for fit in fits]
    return fits[int(np.argmax(scores))](x)


def _constant(found: tuple[Reals, float, float]) -> Student:
    return Student(float(found[0][0]), found[1], found[2])
