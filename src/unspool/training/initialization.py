"""Where training begins: at the life table, at regressions of numbers, and at what symbols decide.

Each number begins at its autoregression on the value before and on its last change, a mixture with the normals that
make up its innovations; in records without a history, its innovation begins at the regression on those of earlier
fields. The simplest model of the data does that, and the network holds it as it is: the hazard has a bias for each
position, the direct path takes a value and a change of the step before to the location of its own distribution, and the
linear path within a step those of earlier fields. Hidden units of a sequence move no location at first: what random
weights would add is many scales of a value that follows sharply. So the recurrence need not learn to count or to
repeat, and little data does not leave the model behind such baselines.

Likewise a symbol that always goes with the one before it, or with one of an earlier field of the step, begins nearly
certain: the day after Monday, the country of a city. Else one of a hundred records would contradict itself.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import numpy as np
from numpy.typing import NDArray

from unspool.encoding.encoded import Encoded
from unspool.network.decoder import Net
from unspool.network.distributions.base import innermost
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.mixture import ComponentDistribution
from unspool.network.distributions.point_masses import PointMasses, which_point
from unspool.network.distributions.where_active import WhereActive
from unspool.network.lstm import to_weights
from unspool.network.survival import EndRegression, life_table
from unspool.schema.chains import always_followed_by, goes_with
from unspool.training.autoregression import AR1, MIN_INITIAL_SCALE, MIN_STEPS_FOR_AR1, fit_ar1, fit_components

CERTAIN_PAIRS, MAX_SCALING = 100.0, 4.0
"""How much rarer than one in all an exception begins where training has none, and how far weights are scaled for it."""
MIN_UNSEEN = 0.1
"""Sequences, beside those whose first symbol is seen once, that might begin with one that is never first."""
MIN_STEPS_PER_SLOPE = 20
"""Steps, at the least, for each slope of a regression within a step."""
MAX_INNOVATION = 5.0
"""Innovations are cut there before the regression, so that single jumps don't decide."""
RIDGE = 1e-4
"""Variance that the regression adds to every innovation: columns that nearly copy each other share a slope."""
MAX_REGRESSED_STEPS, MAX_END_LOGIT, MIN_END_GAIN = 50_000, 5.0, 5.0
"""Of the regression of ends: steps at the most, the logit that a field may well add, and the nats that it must gain
on sequences that it hasn't seen."""


def initialize_from_data(net: Net, training: Encoded, *, changes_too: bool = True, within_steps: bool = False) -> Net:
    """A fresh network that begins at the life table and the autoregressions; and at the regressions within a step.

    With `changes_too` an autoregression has the last change. A network that is fed its own output must not begin there:
    its errors add up twice, and it doesn't learn out of that. The regressions within a step are for records without a
    history, such as inputs: `docs/log.md` has what they are worth there and for sequences, where they were worth
    nothing.
    """
    if net.stop is not None:
        hazard = life_table(training.lengths, net.positions)
        hazard = np.pad(hazard, (0, len(net.stop[1]) - len(hazard)), "edge")
        net = eqx.tree_at(lambda net: net.stop[1], net, to_weights(np.log(hazard / (1 - hazard))))
    bias, start = np.array(net.outputs.b), np.array(net.start)
    feedback, within, changes = (
        [np.array(part) for part in parts] for parts in (net.feedback, net.outputs.L, net.changes)
    )
    hidden, hidden_within = np.array(net.outputs.A), jax.tree.map(np.array, net.outputs.B)
    net = begin_ends(net, training, start, feedback)
    layout, gates = net.shape.steps, 4 * net.shape.size
    read_before = [rule is not None for rule in net.constants.before] or [False] * len(net.distributions)
    chains: dict[int, AR1] = {}
    innovations: dict[int, NDArray[np.float64]] = {}
    for j, dist in enumerate(net.distributions):
        own, (g, i) = layout.columns(j), layout.place(j)
        if isinstance(dist, WhereActive) and dist.event_shape.symbols is not None:
            counts = np.bincount(training.steps[j], minlength=dist.event_shape.symbols)[: dist.event_shape.symbols]
            bias[own] = np.log((counts + 1) / (counts + 1).mean())
        direct = slice(own.start + gates, own.stop + gates)
        if isinstance(dist, Categorical):
            known = int(dist.num_symbols)
            if not within_steps:  # records without a history have no other steps, and learn their shares at once
                firsts = training.steps[j][training.offsets[:-1][training.lengths > 0]]
                start[direct.start : direct.start + known] = log_shares(np.bincount(firsts, minlength=known)[:known])
            found = always_followed_by(training.steps[j], training.offsets, known)
            if found is not None:
                feedback[g][i, :, direct] = weights_to(dist.num_params, embedded(net, j), *found)
            for k, decided, pairs in itertools.islice(deciding_fields(net, training, j), 1):
                (h, at), weights = layout.place(k), weights_to(dist.num_params, embedded(net, k), decided, pairs)
                within[h][at, :, layout.columns_within(k, j)] = weights
        if dist.event_shape.symbols is not None or dist.event_shape.members is not None:
            continue
        values = np.where(np.isinf(training.steps[j]), np.nan, training.steps[j])
        chain = fit_ar1(values, training.offsets, changes_too=changes_too)
        points, inner, components = points_of(dist), innermost(dist), None
        if isinstance(inner, ComponentDistribution) and not within_steps and not chain.is_constant:
            counted = ~which_point(values, points).any(1)
            chain, normals = fit_components(values, training.offsets, chain, inner.num_params // 3, counted)
            components = None if normals is None else inner.params_of(normals)
        scales, slopes = (chain.first[1], chain.scale), dict[int, float]()
        if within_steps and not dist.event_shape.angle:
            chains[j], innovations[j] = chain, chain.innovations(values, training.offsets)
            scales, slopes = regress_within(innovations, j, training.offsets, scales)
        later = 0.0 if chain.is_constant and len(points) else scales[1]
        bias[own] = dist.initial_params(chain.constant, later)
        if components is not None:
            bias[own.stop - len(components) : own.stop] = components
        if not read_before[j]:
            start[direct] = dist.initial_params(chain.first[0], scales[0]) - bias[own]
        unit = dist.initial_params(1.0) - dist.initial_params(0.0)
        if not within_steps:
            hidden[:, own] *= unit == 0
            if hidden_within[g] is not None:
                hidden_within[g][i] *= unit == 0
        feedback[g][i, 0, direct] = chain.slope * unit
        if g in layout.changing:
            changes[layout.changing.index(g)][i, direct] = chain.change * unit
        feedback[g][i, 1, direct] = dist.initial_params(*chain.after_missing) - bias[own]
        for k, slope in slopes.items():
            # The value of field k, less what its own autoregression predicts of it.
            other = chains[k]
            h, at = layout.place(k)
            within[h][at, 0, layout.columns_within(k, j)] = slope * unit
            bias[own] -= slope * other.constant * unit
            start[direct] -= slope * (other.first[0] - other.constant) * unit
            feedback[h][at, 0, direct] -= slope * other.slope * unit
            feedback[h][at, 1, direct] -= slope * (other.after_missing[0] - other.constant) * unit
    lists = (tuple(map(to_weights, part)) for part in (feedback, within, changes))
    fitted = to_weights(bias), to_weights(start), *lists, *jax.tree.map(to_weights, (hidden, hidden_within))
    return eqx.tree_at(initialized, net, fitted, is_leaf=lambda part: part is None)


def initialized(net: Net) -> tuple[Any, ...]:
    """What `initialize_from_data` decides of a network, besides the hazard."""
    outputs = net.outputs
    return outputs.b, net.start, net.feedback, outputs.L, net.changes, outputs.A, outputs.B


def begin_ends(net: Net, training: Encoded, start: NDArray[Any], feedback: list[NDArray[Any]]) -> Net:
    """The network with the hazard of a regression on the last symbols, which goes into `start` and `feedback` too.

    There is none where half of the sequences don't foretell the ends of the other half with it.
    """
    layout = net.shape.steps
    fields = [j for j, event in enumerate(layout.events) if event.symbols is not None]
    if net.stop is None or not fields:
        return net
    share = min(1.0, MAX_REGRESSED_STEPS / max(1, int(training.offsets[-1])))
    some = training.take(
        np.unique(np.linspace(0, len(training) - 1, math.ceil(share * len(training))).astype(np.int64))
    )
    owner = np.repeat(np.arange(len(some)), some.lengths)
    position = np.arange(len(owner)) - some.offsets[owner] + 1
    stops, given = position == some.lengths[owner], np.asarray(net.stop[1])[np.minimum(position, net.positions - 1)]
    parts = [embedded(net, j).astype(np.float64)[some.steps[j]] for j in fields]
    x = np.concatenate(parts, 1)
    penalty = np.concatenate([np.full(part.shape[1], (part**2).sum(1).mean() / MAX_END_LOGIT**2) for part in parts])
    left = owner % 2 == 0
    half = EndRegression.fit(x[left], stops[left], given[left], penalty)
    none = EndRegression(np.zeros(x.shape[1]), 0.0)
    one, other = (found.nats(x[~left], stops[~left], given[~left]) for found in (half, none))
    if other - one < MIN_END_GAIN:
        return net
    found = EndRegression.fit(x, stops, given, penalty)
    own = np.split(found.weights, np.cumsum([part.shape[1] for part in parts])[:-1])
    for j, weights in zip(fields, own, strict=True):
        g, i = layout.place(j)
        feedback[g][i, :, -1] = weights
    start[-1] -= found.constant
    return eqx.tree_at(lambda net: net.stop[1], net, to_weights(np.asarray(net.stop[1]) + found.constant))


def deciding_fields(net: Net, training: Encoded, j: int) -> Iterator[tuple[int, NDArray[np.int64], int]]:
    """Earlier fields of the step whose symbol decides that of field j, each with what `goes_with` finds."""
    for k, dist in enumerate(net.distributions[:j]):
        if isinstance(dist, Categorical):
            found = goes_with(training.steps[k], training.steps[j], int(dist.num_symbols))
            if found is not None:
                yield k, *found


def log_shares(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """(V,) logarithms of the shares of symbols; those without a count share what Good & Turing (1953) leave to them.

    Examples:
        >>> np.exp(log_shares(np.array([98, 1, 1, 0, 0]))).round(3).tolist()
        [0.96, 0.01, 0.01, 0.01, 0.01]
        >>> np.exp(log_shares(np.array([99, 0]))).round(4).tolist()
        [0.999, 0.001]
    """
    total, unseen = counts.sum(), int((counts == 0).sum())
    left = ((counts == 1).sum() + MIN_UNSEEN) / (total + 1) if unseen else 0.0
    shares = counts / max(1, total) * (1 - left)
    return np.log(np.where(counts == 0, left / max(1, unseen), shares).clip(1e-9))


def embedded(net: Net, j: int) -> NDArray[np.floating]:
    """(V + 1, D) vectors of the symbols of field j, and of an unseen one."""
    g, i = net.shape.steps.place(j)
    embedding: Any = net.steps[g]  # a `SymbolEmbedding`
    return np.asarray(embedding.rows[i])


def weights_to(count: int, rows: NDArray[np.floating], decided: NDArray[np.int64], pairs: int) -> NDArray[np.floating]:
    """(D, count) weights that take the (V, D) embedding of a symbol to logits of the symbol that it decides.

    All others together begin with a probability of one to `CERTAIN_PAIRS` times the pairs that have shown it. Where D
    is less than V, least squares; they are scaled so that the symbol that is worst off has its margin, within bounds.
    """
    known = np.flatnonzero(decided >= 0)
    rows = rows[: len(decided)]
    margin = math.log(CERTAIN_PAIRS * pairs * count)
    wanted = np.zeros((len(rows), count))
    wanted[known, decided[known]] = margin
    weights = np.linalg.lstsq(rows, wanted, rcond=None)[0]
    logits = rows[known] @ weights
    right = logits[np.arange(len(known)), decided[known]].copy()
    logits[np.arange(len(known)), decided[known]] = -np.inf
    least = float((right - logits.max(1)).min())
    return weights * min(MAX_SCALING, max(1.0, margin / max(least, 1e-3)))


def points_of(dist: Any) -> NDArray[np.float64]:
    """(K,) point masses of a distribution of numbers."""
    while not isinstance(dist, PointMasses):
        if not hasattr(dist, "of"):
            return np.zeros(0)
        dist = dist.of
    return np.asarray(dist.values, np.float64)


def regress_within(
    innovations: dict[int, NDArray[np.float64]], j: int, offsets: NDArray[np.int64], scales: tuple[float, float]
) -> tuple[tuple[float, float], dict[int, float]]:
    """Least squares of the innovations of field j on those of earlier fields of the same step.

    Args:
        innovations: by field, (S,) values less their prediction from the step before, NaN where missing.
        j: the field.
        offsets: (N + 1,).
        scales: standard deviations of first and of later innovations.

    Returns:
        The standard deviations of what is left of both, and the slope by earlier field; none where values are few.
    """
    earlier = [k for k in innovations if k < j]
    present = np.logical_and.reduce([~np.isnan(innovations[k]) for k in (*earlier, j)])
    if not earlier or present.sum() < MIN_STEPS_PER_SLOPE * len(earlier):
        return scales, {}
    x, y = np.stack([innovations[k][present] for k in earlier], 1), innovations[j][present]
    x, y = (np.clip(part, -MAX_INNOVATION, MAX_INNOVATION) for part in (x, y))
    slopes = np.linalg.solve(x.T @ x + RIDGE * len(x) * np.eye(len(earlier)), x.T @ y)
    left, first = y - x @ slopes, np.zeros(len(present), bool)
    first[offsets[:-1][np.diff(offsets) > 0]] = True
    parts = (left[first[present]], left[~first[present]])
    spread = tuple(
        max(MIN_INITIAL_SCALE, float(part.std())) if len(part) >= MIN_STEPS_FOR_AR1 else scale
        for part, scale in zip(parts, scales, strict=True)
    )
    return (spread[0], spread[1]), dict(zip(earlier, slopes.tolist(), strict=True))
