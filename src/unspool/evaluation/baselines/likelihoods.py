"""The simplest things that could work: rivals fitted to training sequences that give nats as the model does."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.errors import MissingExtra
from unspool.evaluation.baselines.autoregressive import autoregressive_number, independent_number
from unspool.evaluation.baselines.garch import garch_student, is_return, rejoined
from unspool.evaluation.baselines.length import hazard_nats
from unspool.evaluation.baselines.nearest import NEIGHBOURS, Looked, look_up, number_nats, stop_nats, symbol_nats, tried
from unspool.evaluation.baselines.ngram import best_order, step_nats, witten_bell_parts
from unspool.evaluation.samples.evidence import Evidence, Target

INNER = 0.1
"""Share of the training sequences that the order of an n-gram is chosen on."""
FLAG_ORDER = 2
"""Steps that a gram of a flag of a block spans: itself and the one before."""
CHUNK = 50_000
"""Steps, about, whose neighbours are held at once."""


Part = Callable[[Evidence], Evidence]
"""What of the evidence is scored: all of it, or a block of flags."""


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


def _whole(evidence: Evidence) -> Evidence:
    return evidence


def _independent(task: Task) -> Scores:
    """Every step is drawn anew: marginal distributions, and ends by the position alone."""

    def field(of: Part, target: Target) -> NDArray[np.float64]:
        train, test = of(task.train), of(task.test)
        if target.symbols is not None:
            known, asked = (side.tokens(side.symbols[target.name]) for side in (train, test))
            return step_nats(known, asked, target.symbols, 1)
        return independent_number(train, test, target)

    return Scores("independent steps", _columns(task, field, lambda: hazard_nats(task.train, task.test)))


def _previous(task: Task, *, grouped: bool) -> Scores:
    """Symbols by an n-gram, numbers by an autoregression of order one; with the input's symbols, or without."""
    alone = len(task.targets) == 1 and task.targets[0].symbols is not None and task.stops
    ends: list[NDArray[np.float64]] = []
    orders: dict[str, int] = {}

    def field(of: Part, target: Target) -> NDArray[np.float64]:
        train, test = of(task.train), of(task.test)
        if target.symbols is None:
            return autoregressive_number(train, test, target, grouped=grouped)
        known, asked = (side.tokens(side.symbols[target.name], grouped) for side in (train, test))
        order = _order(train, target, grouped, task.seed, ends=alone) if target in task.targets else FLAG_ORDER
        orders[target.name] = order
        if not alone:
            return step_nats(known, asked, target.symbols, order)
        parts = witten_bell_parts(known, asked, target.symbols, order)
        ends.append(parts.stops)
        return parts.steps

    nats = _columns(task, field, lambda: ends[0] if ends else hazard_nats(task.train, task.test, grouped=grouped))
    numbers = any(target.measure is not None for target in task.targets)
    return Scores(_previous_name(set(orders.values()), numbers, grouped), nats)


def _previous_name(orders: set[int], numbers: bool, grouped: bool) -> str:
    grams = f"{min(orders)}-gram" if len(orders) == 1 else "n-grams"
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

    def best(of: Part, score: Callable[[Looked, int], NDArray[np.float64]]) -> NDArray[np.float64]:
        mine, asked = (Looked(of(one.asked), of(one.known), one.rows) for one in (learned, looked))
        chosen = max(options, key=lambda k: float(score(mine, k).sum()))
        return np.concatenate([score(part, chosen) for part in _parts(asked)])

    def field(of: Part, target: Target) -> NDArray[np.float64]:
        if target.symbols is not None:
            return best(of, lambda part, k: symbol_nats(part, target, k))
        return best(of, lambda part, k: number_nats(part, learned, target, k))

    return Scores(
        "nearest input", _columns(task, field, lambda: best(_whole, lambda part, k: stop_nats(part, k, hazard)))
    )


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
        "GARCH(1,1)-t, every day before known", _columns(task, lambda _, __: nats, lambda: np.zeros(len(task.test)))
    )


def _columns(
    task: Task,
    field: Callable[[Part, Target], NDArray[np.float64]],
    stops: Callable[[], NDArray[np.float64]],
) -> NDArray[np.float64]:
    """(N, C) from the nats of every step of every field, and of the stops of every sequence.

    Of a block of flags: those of whether a step has it, and of every member as if it were alone.
    """

    def total(of: Part, target: Target) -> NDArray[np.float64]:
        return np.bincount(of(task.test).owner, field(of, target), minlength=len(task.test)).astype(np.float64)

    columns = []
    for target in task.targets:
        whole = Target(target.name, symbols=2) if target.members else target
        always = target.members and task.train.symbols[target.name].all() and task.test.symbols[target.name].all()
        parts = [] if always else [total(_whole, whole)]
        inside = lambda evidence, name=target.name: evidence.blocks[name]  # noqa: E731
        parts += [total(inside, Target(name, symbols=2)) for name in target.members]
        columns.append(np.sum(parts, axis=0))
    return np.stack([*columns, *([stops()] if task.stops else [])], axis=1)
