"""The simplest things that could work: rivals fitted to training sequences that give nats as the model does."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.errors import MissingExtra
from unspool.evaluation.evidence import Evidence, Target
from unspool.evaluation.nearest import NEIGHBOURS, Looked, look_up, number_nats, stop_nats, symbol_nats, tried
from unspool.evaluation.ngram import best_order, step_nats, witten_bell_parts
from unspool.evaluation.returns import garch_student, is_return, rejoined
from unspool.evaluation.series import autoregressive_number, independent_number
from unspool.evaluation.stops import hazard_nats

INNER = 0.1
"""Share of the training sequences that the order of an n-gram is chosen on."""
CHUNK = 50_000
"""Steps, about, whose neighbours are held at once."""


class Scores(NamedTuple):
    """What the model or a rival gives to held-out sequences.

    Attributes:
        name: in the tables.
        nats: (N, C) log-probabilities, a column per step field and one for the stops where lengths vary; NaN where
            it has nothing to say.
    """

    name: str
    nats: NDArray[np.float64]


class Task(NamedTuple):
    """What baselines are asked.

    Attributes:
        train: sequences to learn from.
        test: sequences to score.
        targets: the step fields.
        stops: whether lengths vary.
        seed: of all that is drawn.
    """

    train: Evidence
    test: Evidence
    targets: tuple[Target, ...]
    stops: bool
    seed: int


def baselines(task: Task) -> list[Scores]:
    """All that apply, from the plainest; each is fitted on `task.train` alone."""
    found = [_independent(task), _previous(task, grouped=False)]
    if task.train.groups is not None:
        found.append(_previous(task, grouped=True))
    found.append(_nearest(task))
    garch = _garch(task)
    return [*found, garch] if garch else found


def _independent(task: Task) -> Scores:
    """Every step is drawn anew: marginal distributions, and ends by the position alone."""

    def field(target: Target) -> NDArray[np.float64]:
        if target.symbols is not None:
            known, asked = (side.tokens(side.symbols[target.name]) for side in (task.train, task.test))
            return step_nats(known, asked, target.symbols, 1)
        return independent_number(task.train, task.test, target)

    return Scores("independent steps", _columns(task, field, lambda: hazard_nats(task.train, task.test)))


def _previous(task: Task, *, grouped: bool) -> Scores:
    """Symbols by an n-gram, numbers by an autoregression of order one; with the input's symbols, or without."""
    train, test = task.train, task.test
    alone = len(task.targets) == 1 and task.targets[0].symbols is not None and task.stops
    ends: list[NDArray[np.float64]] = []
    orders: list[int] = []

    def field(target: Target) -> NDArray[np.float64]:
        if target.symbols is None:
            return autoregressive_number(train, test, target, grouped=grouped)
        known, asked = (side.tokens(side.symbols[target.name], grouped) for side in (train, test))
        order = _order(train, target, grouped, task.seed, ends=alone)
        orders.append(order)
        if not alone:
            return step_nats(known, asked, target.symbols, order)
        parts = witten_bell_parts(known, asked, target.symbols, order)
        ends.append(parts.stops)
        return parts.steps

    nats = _columns(task, field, lambda: ends[0] if ends else hazard_nats(train, test, grouped=grouped))
    return Scores(_previous_name(orders, len(task.targets) - len(orders), grouped), nats)


def _previous_name(orders: list[int], numbers: int, grouped: bool) -> str:
    grams = f"{orders[0]}-gram" if len(set(orders)) == 1 else "n-grams"
    name = " and ".join([*([grams] if orders else []), *(["AR(1)"] if numbers else [])])
    return f"{name}, given the input" if grouped else name


def _order(train: Evidence, target: Target, grouped: bool, seed: int, *, ends: bool) -> int:
    """The order that predicts a part of the training sequences best from the rest."""
    clusters = train.clusters
    kinds = int(clusters.max(initial=0)) + 1
    held = np.random.default_rng([seed, 5]).permutation(kinds)[: max(1, round(INNER * kinds))]
    inner = np.isin(clusters, held)
    if inner.all():
        return 2
    sides = (train.take(np.flatnonzero(rows)) for rows in (~inner, inner))
    known, asked = (side.tokens(side.symbols[target.name], grouped) for side in sides)
    return best_order(known, asked, target.symbols or 0, ends=ends)


def _nearest(task: Task) -> Scores:
    """The look-up, with as many neighbours for each field as suit training."""
    learned = tried(task.train, task.seed)
    looked = look_up(task.test, task.train, task.seed)
    options = [k for k in NEIGHBOURS if k <= looked.rows.shape[1]]
    steps = max(1, int(task.train.offsets[-1]))
    hazard = len(task.train) / (steps + len(task.train))

    def best(score: Callable[[Looked, int], NDArray[np.float64]]) -> NDArray[np.float64]:
        chosen = max(options, key=lambda k: float(score(learned, k).sum()))
        return np.concatenate([score(part, chosen) for part in _parts(looked)])

    def field(target: Target) -> NDArray[np.float64]:
        if target.symbols is not None:
            return best(lambda of, k: symbol_nats(of, target, k))
        return best(lambda of, k: number_nats(of, learned, target, k))

    return Scores("nearest input", _columns(task, field, lambda: best(lambda of, k: stop_nats(of, k, hazard))))


def _parts(looked: Looked) -> list[Looked]:
    """The same in pieces that memory holds."""
    which = looked.asked.offsets[:-1] // CHUNK
    rows = [np.flatnonzero(which == part) for part in np.unique(which)]
    return [Looked(looked.asked.take(some), looked.known, looked.rows[some]) for some in rows]


def _garch(task: Task) -> Scores | None:
    """GARCH(1,1)-t, where the one field is windows of a series of returns and `arch` is installed."""
    if len(task.targets) != 1 or task.targets[0].measure is None or task.targets[0].measure.cell is not None:
        return None
    name = task.targets[0].name
    learned, judged = (rejoined(side.numbers[name], side.offsets, side.starts) for side in (task.train, task.test))
    if learned is None or judged is None or not is_return(learned[0]):
        return None
    series, at = judged
    try:
        nats = garch_student(np.concatenate([learned[0], series]), len(learned[0]))[len(learned[0]) :][at]
    except MissingExtra:
        return None
    return Scores(
        "GARCH(1,1)-t, every day before known", _columns(task, lambda _: nats, lambda: np.zeros(len(task.test)))
    )


def _columns(
    task: Task,
    field: Callable[[Target], NDArray[np.float64]],
    stops: Callable[[], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """(N, C) from the nats of every step of every field, and of the stops of every sequence."""
    owner, count = task.test.owner, len(task.test)
    columns = [
        np.full(count, np.nan)
        if target.symbols is None and target.measure is None
        else np.bincount(owner, field(target), minlength=count)
        for target in task.targets
    ]
    return np.stack([*columns, *([stops()] if task.stops else [])], axis=1)
