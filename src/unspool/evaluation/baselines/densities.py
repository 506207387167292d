"""Distributions of one number for baselines, scored as the model scores the number: by density or by mass."""

import math
from dataclasses import dataclass

import numpy as np

from unspool.evaluation.samples.statistics import Codes, Reals

DEGREES_OF_FREEDOM = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0, 20.0, np.inf)
"""Candidates for the degrees of freedom of a Student's t; the last one is the normal."""
EM_ROUNDS = 30
"""Rounds of reweighting, after which location and spread of a Student's t change by less than a thousandth."""
MIN_RELATIVE_SPREAD = 1e-3
"""Smallest spread of a fitted density, as a share of the standard deviation: repeated values would fit best with 0."""
BIN_COUNTS = (8, 16, 32, 64, 128)
"""Candidates for the number of equally full bins of a histogram."""
OUTSIDE_SHARE = 0.02
"""Share of a histogram's mass that is a wide Student's t, for values outside of all bins."""
MAX_FITTED_VALUES = 100_000
"""Values that a Student's t is fitted to: of more, every second, third, ... is taken."""
MIN_MASS = 1e-300
"""Smallest mass whose logarithm is taken."""


@dataclass(frozen=True)
class StudentDensity:
    """Student's t, or the normal at infinitely many degrees of freedom; location and scale are one number or (S,)."""

    loc: float | Reals
    scale: float | Reals
    freedom: float

    def log_density(self, x: Reals) -> Reals:
        """(S,) nats at x."""
        from scipy.special import gammaln

        z, n = (x - self.loc) / self.scale, self.freedom
        if np.isinf(n):
            return np.asarray(-(z**2) / 2 - math.log(2 * math.pi) / 2 - np.log(self.scale))
        constant = gammaln((n + 1) / 2) - gammaln(n / 2) - math.log(n * math.pi) / 2
        return np.asarray(constant - (n + 1) / 2 * np.log1p(z**2 / n) - np.log(self.scale))

    def log_mass(self, low: Reals, high: Reals) -> Reals:
        """(S,) log-probability of lying between two bounds, from the nearer tail, where rounding loses least."""
        from scipy.special import ndtr, stdtr

        a, b = (low - self.loc) / self.scale, (high - self.loc) / self.scale
        a, b = np.where(a + b > 0, -b, a), np.where(a + b > 0, -a, b)
        below = ndtr(b) - ndtr(a) if np.isinf(self.freedom) else stdtr(self.freedom, b) - stdtr(self.freedom, a)
        return np.log(np.maximum(below, MIN_MASS))


@dataclass(frozen=True, eq=False)
class BinnedDensity:
    """(B,) masses of bins between (B + 1,) edges, and a wide Student's t of `OUTSIDE_SHARE` for values outside."""

    edges: Reals
    masses: Reals
    outside: StudentDensity

    def log_density(self, x: Reals) -> Reals:
        """(S,) nats at x."""
        heights = np.concatenate([[0.0], self.masses / np.diff(self.edges), [0.0]])
        inside = heights[np.searchsorted(self.edges, x, side="right")]
        return np.log((1 - OUTSIDE_SHARE) * inside + OUTSIDE_SHARE * np.exp(self.outside.log_density(x)))

    def log_mass(self, low: Reals, high: Reals) -> Reals:
        """(S,) log-probability of lying between two bounds."""
        below = np.concatenate([[0.0], np.cumsum(self.masses)])
        inside = np.interp(high, self.edges, below) - np.interp(low, self.edges, below)
        return np.log((1 - OUTSIDE_SHARE) * inside + OUTSIDE_SHARE * np.exp(self.outside.log_mass(low, high)))


Density = StudentDensity | BinnedDensity
"""A distribution for each of S numbers."""


def log_prob(density: Density, x: Reals, cell: float | None = None) -> Reals:
    """(S,) nats of values: log-densities, or log-probabilities of the cells around them, if a width is given."""
    return density.log_density(x) if cell is None else density.log_mass(x - cell / 2, x + cell / 2)


def fit_student(x: Reals, cell: float | None = None, design: Reals | None = None) -> tuple[Reals, float, float]:
    """Coefficients, scale and degrees of freedom of a Student's t, linear in a design, by maximum likelihood.

    Reweighted least squares, which is EM for the t (Lange, Little & Taylor 1989, "Robust statistical modeling using
    the t distribution"), for each of `DEGREES_OF_FREEDOM`; the best one is taken. Likelihoods are compared as in
    `log_prob` with this cell. The location of (S,) values is linear in the (S, D) design; by default it is constant.
    """
    every = -(-len(x) // MAX_FITTED_VALUES)
    x, design = x[::every], (np.ones((len(x), 1)) if design is None else design)[::every]
    floor = max(MIN_RELATIVE_SPREAD * float(np.std(x)), (cell or 0.0) / 10, 1e-12 * float(np.abs(x).max()), MIN_MASS)

    def fitted(freedom: float) -> tuple[float, Reals, float]:
        weight = np.ones(len(x))
        for _ in range(1 if np.isinf(freedom) else EM_ROUNDS):
            root = np.sqrt(weight)
            coefficients = np.linalg.lstsq(design * root[:, None], x * root, rcond=None)[0]
            residual = x - design @ coefficients
            scale = max(float(np.sqrt(np.mean(weight * residual**2))), floor)
            if not np.isinf(freedom):
                weight = (freedom + 1) / (freedom + (residual / scale) ** 2)
        student = StudentDensity(design @ coefficients, scale, freedom)
        return float(log_prob(student, x, cell).sum()), np.asarray(coefficients, np.float64), scale

    found = [(fitted(freedom), freedom) for freedom in DEGREES_OF_FREEDOM]
    (_, coefficients, scale), freedom = max(found, key=lambda pair: pair[0][0])
    return coefficients, scale, freedom


def fit_histogram(x: Reals, bins: int) -> BinnedDensity:
    """Bins with about equally many values, and a density of three times their spread outside of the bins.

    Edges lie in the middle between two neighbouring values: equal values share a bin.
    """
    centre, spread = float(np.mean(x)), float(np.std(x)) or 1.0
    outside = StudentDensity(centre, 3 * spread, 2.0)
    values = np.unique(x)
    if len(values) < 2:
        return BinnedDensity(centre + MIN_RELATIVE_SPREAD * spread * np.array([-0.5, 0.5]), np.ones(1), outside)
    middles = (values[1:] + values[:-1]) / 2
    wanted = np.searchsorted(middles, np.quantile(x, np.linspace(0, 1, bins + 1)[1:-1]))
    ends = np.array([values[0] - (middles[0] - values[0]), values[-1] + (values[-1] - middles[-1])])
    edges = np.unique(np.concatenate([ends, middles[np.minimum(wanted, len(middles) - 1)]]))
    counts = np.histogram(x, edges)[0] + 0.5
    return BinnedDensity(edges, counts / counts.sum(), outside)


def fit_marginal(x: Reals, clusters: Codes, cell: float | None = None) -> Density:
    """The Student's t or histogram that, fitted to the other clusters, predicts every fifth cluster best.

    `x` are (S,) values, at least one, of (S,) clusters of sequences, numbered from 0; for the cell see `log_prob`.
    """

    def fit(bins: int | None, x: Reals) -> Density:
        if bins is not None:
            return fit_histogram(x, bins)
        (loc,), scale, freedom = fit_student(x, cell)
        return StudentDensity(float(loc), scale, freedom)

    held = clusters % 5 == 4
    if held.all() or not held.any():
        return fit(None, x)
    candidates = [None, *(bins for bins in BIN_COUNTS if 4 * bins <= len(x))]
    scores = [float(log_prob(fit(bins, x[~held]), x[held], cell).sum()) for bins in candidates]
    return fit(candidates[int(np.argmax(scores))], x)
