"""The baseline that looks up: the training sequences whose input is nearest, position by position."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.baselines.densities import Measure, Reals, Student, fit_student
from unspool.evaluation.samples.evidence import ORDINARY, Evidence, Target

NEIGHBOURS = (1, 4, 16, 64)
"""Numbers of neighbours that are tried; the one that suits training best is used."""
TRIED = 2000
"""Training sequences, at the most, that the number of neighbours and the spread are found with."""
CELLS = 20_000_000
"""Distances that are held at once."""


class Looked(NamedTuple):
    """The neighbours of some sequences.

    Attributes:
        asked: the sequences that neighbours were looked up for.
        known: the sequences that they are among.
        rows: (N, K) positions in `known`, from the nearest.
    """

    asked: Evidence
    known: Evidence
    rows: NDArray[np.int64]


def look_up(asked: Evidence, known: Evidence, seed: int, own: NDArray[np.int64] | None = None) -> Looked:
    """The nearest sequences by input.

    The distance of two inputs is the sum over their fields of the mean squared difference of comparable reals, or of 1
    where symbols differ; a value that one of them lacks counts 1. Which of equally near ones come first is drawn.

    Args:
        asked: for which.
        known: among which.
        seed: of the draw.
        own: (N,) the position in `known` of each one itself, which is no neighbour, nor is any window that overlaps it.
    """
    count = min(NEIGHBOURS[-1], len(known))
    rng = np.random.default_rng([seed, 3])
    jitter = rng.random(len(known)) * 1e-6
    rows = np.zeros((len(asked), count), np.int64)
    size = max(1, CELLS // max(len(known), 1))
    for at in range(0, len(asked), size):
        here = np.arange(at, min(at + size, len(asked)))
        distance = np.broadcast_to(jitter, (len(here), len(known))).copy()
        for mine, theirs in zip(asked.inputs, known.inputs, strict=True):
            distance += _distance(mine[here], theirs)
        if own is not None:
            distance[np.arange(len(here)), own[here]] = np.inf
            if known.starts is not None:
                apart = np.abs(known.starts[own[here]][:, None] - known.starts[None, :])
                distance[apart < known.gap] = np.inf
        nearest = np.argpartition(distance, count - 1, axis=1)[:, :count]
        order = np.argsort(np.take_along_axis(distance, nearest, 1), axis=1, kind="stable")
        rows[here] = np.take_along_axis(nearest, order, 1)
    return Looked(asked, known, rows)


def _distance(mine: NDArray[Any], theirs: NDArray[Any]) -> Reals:
    if mine.ndim == 1:
        return (mine[:, None] != theirs[None, :]).astype(np.float64)
    total = np.zeros((len(mine), len(theirs)))
    for axis in range(mine.shape[1]):
        gap = mine[:, None, axis].astype(np.float64) - theirs[None, :, axis].astype(np.float64)
        total += np.where(np.isnan(gap), 1.0, gap**2)
    return total / mine.shape[1]


def tried(train: Evidence, seed: int) -> Looked:
    """Neighbours of some training sequences among the others, to learn from what a look-up is worth."""
    rows = np.sort(np.random.default_rng([seed, 4]).permutation(len(train))[:TRIED])
    return look_up(train.take(rows), train, seed, rows)


def symbol_nats(looked: Looked, target: Target, neighbours: int) -> Reals:
    """(S,) nats of symbols: the neighbours' at that position, interpolated with how often each comes at all.

    p(s) = (count + kinds q(s)) / (neighbours that are so long + kinds), as in Witten & Bell (1991).
    """
    return _shares(
        looked, looked.asked.symbols[target.name], looked.known.symbols[target.name], target.symbols or 0, neighbours
    )


def _shares(
    looked: Looked, values: NDArray[np.int64], known: NDArray[np.int64], symbols: int, neighbours: int
) -> Reals:
    counts = np.bincount(known, minlength=symbols + 1) + 1.0 / (symbols + 1)
    near, there = _neighbours(looked, known, neighbours)
    hits = ((near == values[:, None]) & there).sum(1)
    near = np.sort(np.where(there, near, -1), axis=1)
    kinds = np.maximum(1, (near[:, :1] >= 0).sum(1) + ((np.diff(near, axis=1) > 0) & (near[:, 1:] >= 0)).sum(1))
    return np.log((hits + kinds * (counts / counts.sum())[values]) / (there.sum(1) + kinds))


def number_nats(looked: Looked, learned: Looked, target: Target, neighbours: int) -> Reals:
    """(S,) nats of numbers: a Student's t around the neighbours' mean at that position.

    Its spread is that of the error of such means in training; of values without a neighbour, that of all values.
    Whether a value is missing or an atom is a symbol, as in `symbol_nats`.

    Args:
        looked: the neighbours of what is scored.
        learned: the neighbours of training sequences among the others.
        target: the field.
        neighbours: how many of them.
    """
    measure = target.measure or Measure()
    kinds, known = looked.asked.kinds[target.name], looked.known.kinds[target.name]
    paid = (
        _shares(looked, kinds, known, target.kinds, neighbours) if known.any() or kinds.any() else np.zeros(len(kinds))
    )
    ordinary = _ordinary(looked.known, target.name)
    if np.isnan(ordinary).all():
        return paid
    (loc,), spread, freedom = fit_student(ordinary[~np.isnan(ordinary)], measure)
    means, centre = (_means(one, target.name, neighbours) for one in (learned, looked))
    truth, values = (_ordinary(one.asked, target.name) for one in (learned, looked))
    usable = ~np.isnan(means) & ~np.isnan(truth)
    density = Student(np.full(len(values), float(loc)), spread, freedom)
    nats = measure.log_prob(density, np.nan_to_num(values))
    if usable.sum() >= 5:
        (shift,), width, tail = fit_student((truth - means)[usable], measure)
        around = Student(np.nan_to_num(centre) + shift, width, tail)
        nats = np.where(np.isnan(centre), nats, measure.log_prob(around, np.nan_to_num(values)))
    return paid + np.where(np.isnan(values), 0.0, nats)


def stop_nats(looked: Looked, neighbours: int, hazard: float) -> Reals:
    """(N,) nats of going on and of stopping: the neighbours' hazard at that position, with one vote for `hazard`."""
    asked, known = looked.asked, looked.known
    lengths = known.lengths[looked.rows[:, :neighbours]]
    owner = np.repeat(np.arange(len(asked)), asked.lengths)
    alive = (lengths[owner] >= asked.position[:, None]).sum(1)
    ends = (lengths[owner] == asked.position[:, None]).sum(1)
    go_on = np.log1p(-(ends + hazard) / (alive + 1))
    at_end = (lengths >= asked.lengths[:, None]).sum(1)
    stop = np.log(((lengths == asked.lengths[:, None]).sum(1) + hazard) / (at_end + 1))
    return np.bincount(owner, go_on, minlength=len(asked)) + stop


def _neighbours(looked: Looked, values: NDArray[Any], neighbours: int) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """(S, K) the neighbours' values at each position, and which of them are so long."""
    rows = looked.rows[:, :neighbours][looked.asked.owner]
    position = looked.asked.position[:, None]
    there = position < looked.known.lengths[rows]
    at = np.where(there, looked.known.offsets[:-1][rows] + position, 0)
    return values[at], there


def _ordinary(evidence: Evidence, name: str) -> Reals:
    """(S,) the values, NaN where they are missing or atoms."""
    return np.where(evidence.kinds[name] == ORDINARY, evidence.numbers[name], np.nan)


def _means(looked: Looked, name: str, neighbours: int) -> Reals:
    """(S,) the mean of the neighbours' ordinary values, NaN without any."""
    near, there = _neighbours(looked, _ordinary(looked.known, name), neighbours)
    present = there & ~np.isnan(near)
    count = present.sum(1)
    total = np.where(present, near, 0.0).sum(1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)
