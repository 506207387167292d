"""The baseline "nearest input": training sequences whose inputs are nearest, as a likelihood and as forecasts."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.baselines.densities import StudentDensity, fit_student, log_prob
from unspool.evaluation.baselines.ngram import numbered
from unspool.evaluation.samples.sample_set import SampleSet, Target
from unspool.evaluation.samples.statistics import Codes, Reals

NEIGHBOURS = (1, 4, 16, 64)
"""Candidates for the number of neighbours; the one that predicts training sequences best is used for everything."""
MAX_TRIED_SEQUENCES = 2000
"""Training sequences that the number of neighbours and the spread around their mean are found with."""
MAX_DISTANCES = 20_000_000
"""Distances that are held at once."""
MIN_ERRORS = 5
"""Errors of neighbours' means in training that a density around such means needs."""


class Neighbours(NamedTuple):
    """The training sequences with the nearest inputs.

    Attributes:
        asked: N sequences, a scorable set.
        known: the training sequences, a scorable set.
        rows: (N, K) positions in `known` of the neighbours of each sequence, from the nearest.
    """

    asked: SampleSet
    known: SampleSet
    rows: Codes

    def take(self, rows: Codes) -> "Neighbours":
        """The neighbours of some of the sequences."""
        return Neighbours(self.asked.take(rows), self.known, self.rows[rows])

    def first(self, count: int) -> "Neighbours":
        """The nearest of the neighbours."""
        return self._replace(rows=self.rows[:, :count])

    def inside(self, field: str | None) -> "Neighbours":
        """The same neighbours, with the steps of a multi-label field in place of all steps."""
        if field is None:
            return self
        return Neighbours(self.asked.members[field], self.known.members[field], self.rows)


def look_up(asked: SampleSet, known: SampleSet, seed: int, own: Codes | None = None) -> Neighbours:
    """The known sequences with the nearest inputs.

    The distance of two inputs is the sum over their fields of the mean squared difference of numbers on the scale that
    the network reads, or of 1 if symbols differ. A number that one of the two lacks counts 1. The seed decides the
    order of equally near sequences. `own` are (N,) the positions in `known` of the asked sequences themselves: no
    sequence is its own neighbour, nor is any window that overlaps it.
    """
    count = min(NEIGHBOURS[-1], len(known))
    if own is not None and known.starts is not None:
        return Neighbours(asked, known, _nearest_rows(asked, known, seed, count, np.arange(len(asked)), own))
    first, which = _distinct(asked)
    if own is None:
        return Neighbours(asked, known, _nearest_rows(asked, known, seed, count, first)[which])
    # One more than is wanted, since each sequence is among those with its input, or behind them all.
    found = _nearest_rows(asked, known, seed, min(count + 1, len(known)), first)[which]
    order = np.argsort(found == own[:, None], axis=1, kind="stable")
    return Neighbours(asked, known, np.take_along_axis(found, order, 1)[:, :count])


def _distinct(asked: SampleSet) -> tuple[Codes, Codes]:
    """The first sequence with each input, and which of them has the input of every sequence."""
    which = np.zeros(len(asked), np.int64)
    for column in asked.inputs.values():
        which = numbered(which, np.unique(column, axis=0, return_inverse=True)[1].ravel())
    return np.unique(which, return_index=True)[1], which


def _nearest_rows(
    asked: SampleSet, known: SampleSet, seed: int, count: int, rows: Codes, own: Codes | None = None
) -> Codes:
    """(N, count) positions in `known` of the nearest to some asked sequences, but for windows that overlap `own`."""
    jitter = np.random.default_rng([seed, 3]).random(len(known)) * 1e-6
    found = np.zeros((len(rows), count), np.int64)
    size = max(1, MAX_DISTANCES // max(len(known), 1))
    for at in range(0, len(rows), size):
        here = rows[at : at + size]
        distance = np.broadcast_to(jitter, (len(here), len(known))).copy()
        for name, column in asked.inputs.items():
            distance += _distance(column[here], known.inputs[name])
        if own is not None and known.starts is not None:
            apart = np.abs(known.starts[own[here]][:, None] - known.starts[None, :])
            distance[apart < known.window] = np.inf
        nearest = np.argpartition(distance, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(distance, nearest, 1), axis=1, kind="stable")
        found[at : at + size] = np.take_along_axis(nearest, order, 1)
    return found


def _distance(asked: NDArray[Any], known: NDArray[Any]) -> Reals:
    if asked.ndim == 1:
        return (asked[:, None] != known[None, :]).astype(np.float64)
    total = np.zeros((len(asked), len(known)))
    for axis in range(asked.shape[1]):
        difference = asked[:, None, axis].astype(np.float64) - known[None, :, axis].astype(np.float64)
        total += np.where(np.isnan(difference), 1.0, difference**2)
    return total / asked.shape[1]


def look_up_in_training(train: SampleSet, seed: int) -> Neighbours:
    """Neighbours of some training sequences among the others, to fit the parameters of the baseline with."""
    rows = np.sort(np.random.default_rng([seed, 4]).permutation(len(train))[:MAX_TRIED_SEQUENCES])
    return look_up(train.take(rows), train, seed, rows)


def nearest_sequences(train: SampleSet, neighbours: Neighbours, samples: int, seed: int) -> SampleSet:
    """Forecasts, row after row: `samples` of the neighbours of each sequence, sampled with replacement.

    `train` are the training sequences as a comparable set, in the order of `neighbours.known`.
    """
    chosen = np.random.default_rng(seed).integers(0, neighbours.rows.shape[1], (len(neighbours.asked), samples))
    return train.take(np.take_along_axis(neighbours.rows, chosen, 1).ravel())


def symbol_nats(near: Neighbours, values: Codes, known: Codes, symbols: int) -> Reals:
    """(S,) nats of symbols: the neighbours' symbols at that position, interpolated with the share of each symbol.

    p(s) = (count + kinds q(s)) / (neighbours that are as long + kinds), as in Witten & Bell (1991). `values` are the
    symbols of the asked sequences, `known` those of training.
    """
    counts = np.bincount(known, minlength=symbols + 1) + 1.0 / (symbols + 1)
    found, inside = _at_positions(near, known)
    hits = ((found == values[:, None]) & inside).sum(1)
    found = np.sort(np.where(inside, found, -1), axis=1)
    kinds = np.maximum(1, (found[:, :1] >= 0).sum(1) + ((np.diff(found, axis=1) > 0) & (found[:, 1:] >= 0)).sum(1))
    return np.log((hits + kinds * (counts / counts.sum())[values]) / (inside.sum(1) + kinds))


def number_nats(near: Neighbours, learned: Neighbours, target: Target) -> Reals:
    """(S,) nats of numbers: a Student's t around the neighbours' mean at that position.

    The spread is that of the error of such means among the training sequences (`learned`, as many neighbours); a value
    without a neighbour has the spread of all values. The kind of a value (missing, point mass) is scored as a symbol.
    """
    kinds, known = near.asked.kinds[target.name], near.known.kinds[target.name]
    nats = symbol_nats(near, kinds, known, target.kinds) if known.any() or kinds.any() else np.zeros(len(kinds))
    ordinary = near.known.ordinary(target.name)
    if np.isnan(ordinary).all():
        return nats
    (loc,), spread, freedom = fit_student(ordinary[~np.isnan(ordinary)], target.cell)
    means, centre = (_means(one, target.name) for one in (learned, near))
    truth, values = (one.asked.ordinary(target.name) for one in (learned, near))
    scored = np.nan_to_num(values)
    out = log_prob(StudentDensity(np.full(len(values), float(loc)), spread, freedom), scored, target.cell)
    usable = ~np.isnan(means) & ~np.isnan(truth)
    if usable.sum() >= MIN_ERRORS:
        (shift,), spread, freedom = fit_student((truth - means)[usable], target.cell)
        around = StudentDensity(np.nan_to_num(centre) + shift, spread, freedom)
        out = np.where(np.isnan(centre), out, log_prob(around, scored, target.cell))
    return nats + np.where(np.isnan(values), 0.0, out)


def stop_nats(near: Neighbours) -> Reals:
    """(N,) nats of going on and of stopping: the neighbours' hazard at that position.

    The hazard of all training sequences counts as one more neighbour.
    """
    asked, known = near.asked, near.known
    hazard = len(known) / (max(1, int(known.offsets[-1])) + len(known))
    lengths = known.lengths[near.rows]
    alive = (lengths[asked.owner] >= asked.position[:, None]).sum(1)
    ends = (lengths[asked.owner] == asked.position[:, None]).sum(1)
    go_on = np.log1p(-(ends + hazard) / (alive + 1))
    at_end = (lengths >= asked.lengths[:, None]).sum(1)
    stop = np.log(((lengths == asked.lengths[:, None]).sum(1) + hazard) / (at_end + 1))
    return np.bincount(asked.owner, go_on, minlength=len(asked)) + stop


def _at_positions(near: Neighbours, values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(S, K) the neighbours' values at each position, and which neighbours are as long."""
    rows = near.rows[near.asked.owner]
    position = near.asked.position[:, None]
    inside = position < near.known.lengths[rows]
    return values[np.where(inside, near.known.offsets[:-1][rows] + position, 0)], inside


def _means(near: Neighbours, name: str) -> Reals:
    """(S,) the mean of the neighbours' ordinary values, NaN without any."""
    found, inside = _at_positions(near, near.known.ordinary(name))
    present = inside & ~np.isnan(found)
    count = present.sum(1)
    return np.where(count > 0, np.where(present, found, 0.0).sum(1) / np.maximum(count, 1), np.nan)
