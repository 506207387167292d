"""The likelihoods of all baselines, fitted to training sequences and measured as the likelihood of the model is."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from unspool.evaluation.baselines import nearest, ngram
from unspool.evaluation.baselines.autoregressive import autoregressive_number, independent_number
from unspool.evaluation.baselines.garch import GARCH_NAME, WindowedGarch
from unspool.evaluation.baselines.nearest import Neighbours
from unspool.evaluation.baselines.ngram import Tokens
from unspool.evaluation.samples.sample_set import SampleSet, Target
from unspool.evaluation.samples.statistics import Reals

NEAREST_NAME = "nearest input"
ORDER_VALIDATION_SHARE = 0.1
"""Share of the training sequences that the order of an n-gram is chosen on."""
MEMBER_ORDER = 2
"""Steps that a gram of a member of a multi-label field spans: itself and the step before."""
STEPS_PER_CHUNK = 50_000
"""Steps, about, whose neighbours are held at once."""


class LikelihoodTask(NamedTuple):
    """Held-out sequences to predict, and the sequences to learn from.

    Attributes:
        train: sequences to learn from, a scorable set.
        test: sequences to score, a scorable set.
        targets: the step fields.
        stops: whether lengths vary.
        seed: of all that is random.
    """

    train: SampleSet
    test: SampleSet
    targets: tuple[Target, ...]
    stops: bool
    seed: int


ScoredPart = tuple[str | None, Target]
"""A field, or a member of a multi-label field with the field's name; a column of nats sums over a field's parts."""
Nats = Callable[[ScoredPart], Reals]


def baseline_scores(task: LikelihoodTask, neighbours: int, garch: WindowedGarch | None = None) -> dict[str, Reals]:
    """By name from the simplest, (N, C) nats of all baselines that apply, each fitted to `task.train` alone.

    There is a column per step field, and one for the stops if lengths vary. `neighbours` is the number for "nearest
    input", see `best_neighbours`; GARCH applies to windows of returns.
    """
    found = {"independent steps": independent_scores(task), **_previous(task, grouped=False)}
    if task.train.groups is not None:
        found |= _previous(task, grouped=True)
    found[NEAREST_NAME] = _nearest(task, neighbours)
    if garch is not None and task.targets[0].cell is None:
        nats = garch.log_prob()
        found[GARCH_NAME] = _columns(task, lambda part: nats, lambda: np.zeros(len(task.test)))
    return found


def independent_scores(task: LikelihoodTask) -> Reals:
    """(N, C) nats of steps sampled anew from the marginal distributions; sequences end by the position alone."""

    def nats(part: ScoredPart) -> Reals:
        (train, test), target = _sets(task, part), part[1]
        if target.symbols is None:
            return independent_number(train, test, target)
        return ngram.step_nats(*_tokens((train, test), target), target.symbols, 1)

    return _columns(task, nats, lambda: ngram.hazard_nats(task.train, task.test))


def _previous(task: LikelihoodTask, *, grouped: bool) -> dict[str, Reals]:
    """Symbols by an n-gram, numbers by an autoregression of order one; with the input's symbols, or without."""
    ends_are_symbols = task.stops and [target.symbols is not None for target in task.targets] == [True]
    ends: list[Reals] = []
    orders: set[int] = set()

    def nats(part: ScoredPart) -> Reals:
        (train, test), target = _sets(task, part), part[1]
        if target.symbols is None:
            return autoregressive_number(train, test, target, grouped=grouped)
        order = MEMBER_ORDER
        if target in task.targets:
            order = _order(train, target, grouped, task.seed, ends=ends_are_symbols)
        orders.add(order)
        sets = _tokens((train, test), target, grouped)
        if not ends_are_symbols:
            return ngram.step_nats(*sets, target.symbols, order)
        steps, stops = ngram.sequence_nats(*sets, target.symbols, order)
        ends.append(stops)
        return steps

    def stops() -> Reals:
        return ends[0] if ends else ngram.hazard_nats(task.train, task.test, grouped=grouped)

    columns = _columns(task, nats, stops)
    grams = f"{min(orders)}-gram" if len(orders) == 1 else "n-grams"
    names = [grams] * bool(orders) + ["AR(1)"] * any(target.number for target in task.targets)
    return {" and ".join(names) + ", given the input" * grouped: columns}


def _order(train: SampleSet, target: Target, grouped: bool, seed: int, *, ends: bool) -> int:
    """The order that predicts some clusters of the training sequences best from the others."""
    known, cluster = np.unique(train.clusters, return_inverse=True)
    count = max(1, round(ORDER_VALIDATION_SHARE * len(known)))
    held = np.isin(cluster, np.random.default_rng([seed, 5]).permutation(len(known))[:count])
    if held.all():
        return 2
    learned, validation = (train.take(np.flatnonzero(rows)) for rows in (~held, held))
    return ngram.best_order(*_tokens((learned, validation), target, grouped), target.symbols or 0, ends=ends)


def _tokens(sets: tuple[SampleSet, SampleSet], target: Target, grouped: bool = False) -> tuple[Tokens, Tokens]:
    learned, scored = (ngram.tokens_of(one, one.symbols[target.name], grouped=grouped) for one in sets)
    return learned, scored


def best_neighbours(task: LikelihoodTask) -> int:
    """The number of nearest inputs that predicts training sequences best from the others, all fields together."""
    learned = nearest.look_up_in_training(task.train, task.seed)
    fits = [count for count in nearest.NEIGHBOURS if count <= learned.rows.shape[1]]
    scores = {count: _nearest_nats(task, *[learned.first(count)] * 2).sum() for count in fits}
    return max(fits, key=lambda count: float(scores[count]))


def _nearest(task: LikelihoodTask, neighbours: int) -> Reals:
    """(N, C) nats of the test set, computed in chunks that memory holds."""
    learned = nearest.look_up_in_training(task.train, task.seed).first(neighbours)
    near = nearest.look_up(task.test, task.train, task.seed).first(neighbours)
    chunk = task.test.offsets[:-1] // STEPS_PER_CHUNK
    rows = [np.flatnonzero(chunk == k) for k in np.unique(chunk)]
    return np.concatenate([_nearest_nats(task, near.take(some), learned) for some in rows])


def _nearest_nats(task: LikelihoodTask, near: Neighbours, learned: Neighbours) -> Reals:
    def nats(part: ScoredPart) -> Reals:
        (inner, known), target = (one.inside(part[0]) for one in (near, learned)), part[1]
        if target.symbols is None:
            return nearest.number_nats(inner, known, target)
        values, learned_values = (one.symbols[target.name] for one in (inner.asked, inner.known))
        return nearest.symbol_nats(inner, values, learned_values, target.symbols)

    return _columns(task, nats, lambda: nearest.stop_nats(near), near.asked)


def _columns(task: LikelihoodTask, nats: Nats, stops: Callable[[], Reals], scored: SampleSet | None = None) -> Reals:
    """(N, C) from the (S,) nats of every part and the (N,) nats of stops; by default the test set is scored."""
    test = task.test if scored is None else scored

    def total(part: ScoredPart) -> Reals:
        one = test if part[0] is None else test.members[part[0]]
        values = nats(part) + one.slopes.get(part[1].name, 0.0)
        return np.bincount(one.owner, values, minlength=len(test)).astype(np.float64)

    columns = [np.sum([total(part) for part in _parts(task, target)], axis=0) for target in task.targets]
    return np.stack([*columns, *([stops()] if task.stops else [])], axis=1)


def _parts(task: LikelihoodTask, target: Target) -> list[ScoredPart]:
    """A field; of a multi-label field whether a step has it, and every member by itself."""
    if not target.members:
        return [(None, target)]
    always = all(one.symbols[target.name].all() for one in (task.train, task.test))
    whole: list[ScoredPart] = [] if always else [(None, Target(target.name, symbols=2))]
    return whole + [(target.name, Target(name, symbols=2)) for name in target.members]


def _sets(task: LikelihoodTask, part: ScoredPart) -> tuple[SampleSet, SampleSet]:
    """Training and test sequences that hold a part."""
    train, test = (one if part[0] is None else one.members[part[0]] for one in (task.train, task.test))
    return train, test
