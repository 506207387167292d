"""Baselines for one number per step: independent values, and an autoregression of order one (AR(1))."""

from dataclasses import dataclass

import numpy as np

from unspool.encoding.transforms import inverse
from unspool.evaluation.baselines.densities import StudentDensity, fit_marginal, fit_student, log_prob
from unspool.evaluation.baselines.ngram import step_nats, tokens_of
from unspool.evaluation.samples.sample_set import SampleSet, Target
from unspool.evaluation.samples.statistics import Codes, Reals

MIN_STEPS_PER_GROUP = 200
"""Training steps that a group of inputs needs for an autoregression of its own."""
MIN_FITTED = 5
"""Values that a density or an autoregression needs."""
FALLBACK_SHARE = 0.01
"""Probability that a value is not of the autoregression of logarithms, under which values below 0 have no density."""


def independent_number(train: SampleSet, test: SampleSet, target: Target) -> Reals:
    """(S,) nats of values that depend on nothing: the share of missing values and point masses, and a density."""
    nats = _kind_nats(train, test, target, order=1, grouped=False)
    x, _, clusters = _ordinary(train, target.name)
    y, scored, _ = _ordinary(test, target.name)
    if len(x):
        nats[scored] += log_prob(fit_marginal(x, clusters, target.cell), y, target.cell)
    return nats


def autoregressive_number(train: SampleSet, test: SampleSet, target: Target, *, grouped: bool = False) -> Reals:
    """(S,) nats of x_t = a + b x_{t-1} + e_t with a Student's t or normal e_t, on the scale of x or of its logarithm.

    x_{t-1} is the last present value, or the value before step 0 if the input has it. A value without a predecessor has
    a density of its own. The kind of a value (missing, point mass) depends on the kind before. If grouped, each
    combination of the inputs' symbols with enough steps has an autoregression of its own.
    """
    name, cell = target.name, target.cell
    nats = _kind_nats(train, test, target, order=2, grouped=grouped)
    x, kept, clusters = _ordinary(train, name)
    y, scored, _ = _ordinary(test, name)
    if not len(x):
        return nats
    before, asked = previous_value(train, name)[kept], previous_value(test, name)[scored]
    pairs = ~np.isnan(before)
    alone = ~pairs if (~pairs).sum() >= MIN_FITTED else np.ones_like(pairs)
    out = log_prob(fit_marginal(x[alone], clusters[alone], cell), y, cell)
    if pairs.sum() >= MIN_FITTED:
        chains = {-1: fit_ar1_chain(x[pairs], before[pairs], cell)}
        which = np.full(len(y), -1)
        if grouped and train.groups is not None and test.groups is not None:
            of_train, of_test = train.groups[train.owner[kept]][pairs], test.groups[test.owner[scored]]
            for group in np.unique(of_test):
                mine = of_train == group
                if mine.sum() >= MIN_STEPS_PER_GROUP:
                    chains[int(group)] = fit_ar1_chain(x[pairs][mine], before[pairs][mine], cell)
                    which[of_test == group] = group
        for group, chain in chains.items():
            at = ~np.isnan(asked) & (which == group)
            out[at] = chain.log_prob(y[at], asked[at])
    nats[scored] += out
    return nats


def previous_value(samples: SampleSet, name: str) -> Reals:
    """(S,) the last present value before each step, the value before step 0 included; NaN without any."""
    values = samples.numbers[name]
    base = samples.first.get(name, np.full(len(samples), np.nan))
    # The slot before every sequence holds its base; then the index of the last present slot runs forward.
    at = np.arange(len(values)) + samples.owner + 1
    slots = np.full(len(values) + len(samples), np.nan)
    slots[at] = values
    starts = samples.offsets[:-1] + np.arange(len(samples))
    slots[starts] = base
    last = np.where(np.isnan(slots), 0, np.arange(len(slots)))
    last[starts] = starts  # no value of the sequence before counts
    return slots[np.maximum.accumulate(last)][at - 1]


@dataclass(frozen=True, eq=False)
class Ar1Chain:
    """A fitted autoregression x_t = constant + slope x_{t-1} + e_t, of values or of their logarithms.

    e is a Student's t of this scale and freedom. The fallback, with the share `FALLBACK_SHARE`, is the density of
    values that have no logarithm. For the cell see `unspool.evaluation.baselines.densities.log_prob`.
    """

    constant: float
    slope: float
    scale: float
    freedom: float
    logarithmic: bool
    fallback: StudentDensity
    cell: float | None

    def log_prob(self, x: Reals, before: Reals) -> Reals:
        """(S,) nats of values after the values before them."""
        if not self.logarithmic:
            return log_prob(self._given(before), x, self.cell)
        out = np.log(FALLBACK_SHARE) + log_prob(self.fallback, x, self.cell)
        half = (self.cell or 0.0) / 2
        legal = (x > half) & (before > 0)
        student = self._given(np.log(before[legal]))
        if self.cell is None:
            known = student.log_density(np.log(x[legal])) - np.log(x[legal])
        else:
            known = student.log_mass(np.log(x[legal] - half), np.log(x[legal] + half))
        out[legal] = np.logaddexp(out[legal], np.log(1 - FALLBACK_SHARE) + known)
        return out

    def sample(self, before: Reals, rng: np.random.Generator) -> Reals:
        """(S,) a value after each value before."""
        normal = np.isinf(self.freedom)
        noise = rng.standard_normal(len(before)) if normal else rng.standard_t(self.freedom, len(before))
        if not self.logarithmic:
            return self.constant + self.slope * before + self.scale * noise
        legal = before > 0
        logarithms = self.constant + self.slope * np.log(np.where(legal, before, 1.0)) + self.scale * noise
        values = inverse(logarithms, "log_return", 1.0)
        return np.where(legal, values, self.fallback.loc + self.fallback.scale * noise)

    def _given(self, before: Reals) -> StudentDensity:
        return StudentDensity(self.constant + self.slope * before, self.scale, self.freedom)


def fit_ar1_chain(x: Reals, before: Reals, cell: float | None = None) -> Ar1Chain:
    """The autoregression of (S,) values on those before, or of their logarithms: whichever fits training better."""
    (loc,), spread, freedom_of_all = fit_student(x, cell)
    fallback = StudentDensity(float(loc), 3 * spread, freedom_of_all)

    def fitted(logarithmic: bool) -> Ar1Chain:
        y, source = (np.log(x), np.log(before)) if logarithmic else (x, before)
        design = np.stack([np.ones(len(x)), source], 1)
        (a, b), scale, freedom = fit_student(y, None if logarithmic else cell, design)
        return Ar1Chain(float(a), float(b), scale, freedom, logarithmic, fallback, cell)

    chains = [fitted(False)]
    if min(x.min(), before.min()) > (cell or 0.0) / 2:
        chains.append(fitted(True))
    return max(chains, key=lambda chain: float(chain.log_prob(x, before).sum()))


def _ordinary(samples: SampleSet, name: str) -> tuple[Reals, Codes, Codes]:
    """Values that are neither missing nor point masses, their steps, and their clusters from 0."""
    values = samples.ordinary(name)
    kept = np.flatnonzero(~np.isnan(values))
    clusters = np.unique(samples.clusters, return_inverse=True)[1]
    return values[kept], kept, clusters[samples.owner[kept]]


def _kind_nats(train: SampleSet, test: SampleSet, target: Target, *, order: int, grouped: bool) -> Reals:
    """(S,) nats of the kind of each value, given the kinds before it; 0 if there is only one kind."""
    known, asked = (samples.kinds[target.name] for samples in (train, test))
    if not known.any() and not asked.any():
        return np.zeros(len(asked))
    sets = tokens_of(train, known, grouped=grouped), tokens_of(test, asked, grouped=grouped)
    return step_nats(*sets, target.kinds, order)
