"""Baselines for one number per step: independent values, and an autoregression of order one."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.baselines.densities import Measure, Reals, Student, fit_marginal, fit_student
from unspool.evaluation.baselines.ngram import step_nats
from unspool.evaluation.samples.evidence import ORDINARY, Evidence, Target

GROUP = 200
"""Fewest training steps of a group of inputs that get an autoregression of their own."""


def independent_number(train: Evidence, test: Evidence, target: Target) -> Reals:
    """(S,) nats of values that depend on nothing: how often one is missing or an atom, and the density of the rest."""
    name, measure = target.name, target.measure or Measure()
    nats = _kinds_nats(train, test, target, order=1, grouped=False)
    x, kept = _ordinary(train, name)
    y, scored = _ordinary(test, name)
    if len(x):
        nats[scored] += measure.log_prob(fit_marginal(x, train.clusters[train.owner[kept]], measure), y)
    return nats


def autoregressive_number(train: Evidence, test: Evidence, target: Target, *, grouped: bool = False) -> Reals:
    """(S,) nats of x_t = a + b x_{t-1} + e_t with a Student's t or normal e_t, on the scale of x or of its logarithm.

    x_{t-1} is the last value that was present, or the one before step 0 where the input tells it. A value with nothing
    before it has a density of its own. Whether a value is missing or an atom depends on whether the one before it was.

    Args:
        train: to learn from.
        test: to score.
        target: the field.
        grouped: fit one autoregression for each combination of the inputs' symbols, where there is enough of it.
    """
    name, measure = target.name, target.measure or Measure()
    nats = _kinds_nats(train, test, target, order=2, grouped=grouped)
    x, kept = _ordinary(train, name)
    y, scored = _ordinary(test, name)
    if not len(x):
        return nats
    before, asked = previous(train, name)[kept], previous(test, name)[scored]
    owner = train.clusters[train.owner[kept]]
    pairs = ~np.isnan(before)
    alone = x[~pairs] if (~pairs).sum() >= 5 else x
    start = fit_marginal(alone, owner[~pairs] if len(alone) < len(x) else owner, measure)
    out = measure.log_prob(start, y)
    if pairs.sum() < 5:
        nats[scored] += out
        return nats
    chains = {-1: fit_chain(x[pairs], before[pairs], measure)}
    which = np.full(len(y), -1)
    if grouped and train.groups is not None and test.groups is not None:
        of_train, of_test = train.groups[train.owner[kept]][pairs], test.groups[test.owner[scored]]
        for group in np.unique(of_test):
            mine = of_train == group
            if mine.sum() >= GROUP:
                chains[int(group)] = fit_chain(x[pairs][mine], before[pairs][mine], measure)
                which[of_test == group] = group
    follows = ~np.isnan(asked)
    for group, chain in chains.items():
        at = follows & (which == group)
        out[at] = chain.log_prob(y[at], asked[at], measure)
    nats[scored] += out
    return nats


def previous(evidence: Evidence, name: str) -> Reals:
    """(S,) the last present value before each step, that before step 0 included; NaN where there is none."""
    values = evidence.numbers[name]
    base = evidence.first.get(name, np.full(len(evidence), np.nan))
    # One cell before every sequence holds its base; then the index of the last present cell runs forward.
    at = np.arange(len(values)) + evidence.owner + 1
    cells = np.full(len(values) + len(evidence), np.nan)
    cells[at] = values
    distributions = evidence.offsets[:-1] + np.arange(len(evidence))
    cells[distributions] = base
    marks = np.where(np.isnan(cells), 0, np.arange(len(cells)))
    marks[distributions] = distributions  # a sequence never sees the one before it
    return cells[np.maximum.accumulate(marks)][at - 1]


@dataclass(frozen=True, eq=False)
class Chain:
    """A fitted autoregression of order one.

    Attributes:
        constant: a.
        slope: b.
        scale: spread of e.
        freedom: degrees of freedom of e.
        logarithmic: whether x is the logarithm of the values.
        fallback: the density of values that have no logarithm, with the share of one in a hundred.
    """

    constant: float
    slope: float
    scale: float
    freedom: float
    logarithmic: bool
    fallback: Student

    def log_prob(self, x: Reals, before: Reals, measure: Measure) -> Reals:
        """(S,) nats of values after those before them."""
        if not self.logarithmic:
            return measure.log_prob(self._centred(before), x)
        rare = np.log(0.01) + measure.log_prob(self.fallback, x)
        legal = (x > 0) & (before > 0)
        if measure.cell is not None:
            legal &= x > measure.cell / 2
        student = self._centred(np.log(before[legal]))
        if measure.cell is None:
            known = student.log_density(np.log(x[legal])) - np.log(x[legal])
        else:
            half = measure.cell / 2
            known = student.log_mass(np.log(x[legal] - half), np.log(x[legal] + half))
        rare[legal] = np.logaddexp(rare[legal], np.log(0.99) + known)
        return rare

    def draw(self, before: Reals, rng: np.random.Generator) -> Reals:
        """(S,) a value after each of those before."""
        noise = (
            rng.standard_normal(len(before)) if np.isinf(self.freedom) else rng.standard_t(self.freedom, len(before))
        )
        if not self.logarithmic:
            return self.constant + self.slope * before + self.scale * noise
        fallback = self.fallback
        legal = before > 0
        drawn = np.exp(self.constant + self.slope * np.log(np.where(legal, before, 1.0)) + self.scale * noise)
        return np.where(legal, drawn, fallback.loc + fallback.scale * noise)

    def _centred(self, before: Reals) -> Student:
        return Student(self.constant + self.slope * before, self.scale, self.freedom)


def fit_chain(x: Reals, before: Reals, measure: Measure) -> Chain:
    """The autoregression, on the scale of the values or of their logarithms, that does better in training.

    Args:
        x: (S,) values.
        before: (S,) the one before each.
        measure: of the likelihood.
    """
    (loc,), spread, freedom_of_all = fit_student(x, measure)
    fallback = Student(float(loc), 3 * spread, freedom_of_all)

    def fitted(logarithmic: bool) -> Chain:
        target, source = (np.log(x), np.log(before)) if logarithmic else (x, before)
        inner = Measure() if logarithmic else measure
        (a, b), scale, freedom = fit_student(target, inner, np.stack([np.ones(len(x)), source], 1))
        return Chain(float(a), float(b), scale, freedom, logarithmic, fallback)

    chains = [fitted(False)]
    if min(x.min(), before.min()) > (measure.cell or 0.0) / 2:
        chains.append(fitted(True))
    return max(chains, key=lambda chain: float(chain.log_prob(x, before, measure).sum()))


def _ordinary(evidence: Evidence, name: str) -> tuple[Reals, NDArray[np.bool_]]:
    """The values that are there and no atoms, and (S,) which steps they are of."""
    kept = evidence.kinds[name] == ORDINARY
    return evidence.numbers[name][kept], kept


def _kinds_nats(train: Evidence, test: Evidence, target: Target, *, order: int, grouped: bool) -> Reals:
    """(S,) nats of what kind each value is, from the kinds before it; nothing to pay where there is only one kind."""
    known, asked = (side.kinds[target.name] for side in (train, test))
    if not known.any() and not asked.any():
        return np.zeros(len(asked))
    return step_nats(train.tokens(known, grouped), test.tokens(asked, grouped), target.kinds, order)
