"""Which transform and mean a number gets: the short trial decides between what the user left open.

A number keeps its default transform unless another one is clearly better. Where there is too little for a trial, the
autoregressions at which training would begin are compared instead.

Mean selection is the other way round. Hardly any part of the mean of some numbers, such as returns, can be foreseen.
The likelihood of single steps says little about a mean that the network only believes to foresee, but its errors add up
over a path. If the last value says next to nothing about the next one, the mean is constant, as under
`Number(mean="constant")`, unless the trial supports a learned one.
"""

import contextlib
import math
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec
from unspool.encoding.encoded import Encoded
from unspool.encoding.numeric import DIFFERENCE_TRANSFORMS
from unspool.encoding.transforms import forward, location_and_scale, log_slope, natural_unit
from unspool.options import Network, Training
from unspool.runtime.stopping import Stop, Stopped
from unspool.schema.fields import MONOTONE_TRANSFORMS, AnyField, Number, Schema, Transform
from unspool.schema.grid import find_point_masses
from unspool.schema.transform_choice import drop_missing, lagged, step_distribution
from unspool.training.autoregression import chained_log_prob, fit_ar1
from unspool.training.defaults import plan
from unspool.training.trial import TRIAL_UPDATES, clustered_sums, run_trial

MIN_TRIAL_STEPS = 1_000
"""Steps that a trial needs to compare candidates."""
MIN_UPDATES_RATIO, MIN_SECONDS = 10, 15.0
"""Updates (in those of a trial) and seconds of a fit with a trial, at the least: the trial is a small part of it."""
MIN_STANDARD_ERRORS, MIN_GAIN = 3.0, 0.01
"""Standard errors by which another transform must be better than the default, and nats a step."""
MAX_STEP_VARIANCE = 0.02
"""Variance of a number's steps, as a share of that of its values, up to which differences are worth a trial.

Numbers that return to their level faster gain nats too, but their sums drift in generation (figures in `docs/log.md`).
"""
MIN_FORESEEN_SHARE = 0.02
"""Share of the variance that the value before foresees, from which on the mean is always learned."""
MIN_MEAN_STANDARD_ERRORS, MIN_MEAN_GAIN = 2.0, 0.03
"""Standard errors, or nats a step, by which a learned mean must be better than a constant one."""
MIN_MEAN_CLUSTERS = 10
"""Independent clusters of validation sequences that a constant mean takes at the least."""
LEVEL_TRANSFORMS = ("standardize", "log1p", "asinh")
"""Transforms of the values themselves, which autoregressions can compare: to choose differences takes more."""
COMPARED_COMPONENTS = 3
"""Normals of the innovations that are compared."""
LOCATED_DISTRIBUTIONS = ("normal", "student_t", "mixture")
"""Distributions whose mean can be constant: densities with locations among their parameters."""


def select_fields(
    codec: Codec,
    examples: Examples,
    encoded: Encoded,
    rows: NDArray[np.int64],
    open_: set[str],
    *,
    network: Network,
    training: Training,
    seed: int,
    stop: Stop | None = None,
) -> tuple[Schema, list[str]]:
    """The schema with the best transforms and means, and a line about each change.

    Args:
        codec: fitted with the defaults.
        examples: the data.
        encoded: the same, by the codec.
        rows: the training sequences; the trial never sees the others.
        open_: names of numbers whose transform is open, see `unspool.dataset.examples.open_transforms`.
        network: options of the fit.
        training: options of the fit.
        seed: of the trial.
        stop: ends the trial early; if nothing came of it, autoregressions decide.
    """
    schema, learned = codec.schema, encoded.take(rows)
    options = [candidates(field, open_, examples) for field in schema.steps]
    steps = int(learned.offsets[-1])
    updates = plan(network, training, codec, examples=len(rows), steps=steps).updates
    short = updates < MIN_UPDATES_RATIO * TRIAL_UPDATES or (training.seconds or math.inf) < MIN_SECONDS
    few = steps < MIN_TRIAL_STEPS or training.holdout == 0
    scores = None
    if not (short or few):
        own = zip(options, codec.without_parts(learned.steps), strict=True)
        tried = [with_constant_means(choices, values, learned.offsets) for choices, values in own]
        if all(len(choices) == 1 for choices in tried):
            return schema, []
        with contextlib.suppress(Stopped):
            sizes, scores = run_trial(codec, examples, encoded, rows, tried, seed, stop)
    if scores is None:
        taken = examples.take(rows)
        chosen = [best_autoregression(choices, taken) for choices in options]
    else:
        compared = zip(tried, scores, strict=True)
        chosen = [best_candidate(choices, sizes, nats, "in a trial") for choices, nats in compared]
    fields = tuple(field for field, _ in chosen)
    return msgspec.structs.replace(schema, steps=fields), [line for _, lines in chosen for line in lines]


def candidates(field: AnyField, open_: set[str], examples: Examples) -> tuple[AnyField, ...]:
    """The candidates of a field, their means aside, the default first. The distribution is that of inference."""
    series = (*MONOTONE_TRANSFORMS, *DIFFERENCE_TRANSFORMS)
    if not isinstance(field, Number) or field.name not in open_ or field.transform in series:
        return (field,)
    return (field, *(msgspec.structs.replace(field, transform=transform) for transform in transforms(field, examples)))


def transforms(field: Number, examples: Examples) -> list[Transform]:
    """Other transforms that the field may have, with the distribution that inference gave it."""
    values, first = examples.steps[field.name].astype(np.float64), examples.first.get(field.name)
    kept, bounds = drop_missing(values, examples.offsets)
    if not np.ptp(kept) > 0:
        return []
    others: list[Transform] = []
    if kept.min() >= 0:
        others.append("standardize" if field.transform == "log1p" else "log1p")
    if field.bounds not in ("auto", None):
        return others
    steps = lagged(kept, bounds, 1)  # none where no sequence has two values
    if not len(steps) or not steps.var() < MAX_STEP_VARIANCE * kept.var():
        return others
    masses = field.distribution == "discretized"
    if not masses or step_distribution(values, examples.offsets, first, "difference") == field.distribution:
        others.append("difference")
    if not masses and min(kept.min(), np.inf if first is None else np.nanmin(first, initial=np.inf)) > 0:
        others.append("log_return")
    return others


def with_constant_means(
    choices: tuple[AnyField, ...], values: NDArray[Any], offsets: NDArray[np.int64]
) -> tuple[AnyField, ...]:
    """Candidates, and those whose mean is in doubt again with a constant one.

    `values` (S,) are those of the default on the network's axis, NaN where missing.
    """
    partners = constant_partners(choices)
    if not partners or fit_ar1(values, offsets).foreseen >= MIN_FORESEEN_SHARE:
        return choices
    return (*choices, *partners.values())


def constant_partners(choices: tuple[AnyField, ...]) -> dict[AnyField, AnyField]:
    """By candidate whose mean is open and can be constant, the same with a constant mean."""
    return {
        field: msgspec.structs.replace(field, mean="constant")
        for field in choices
        if isinstance(field, Number) and field.mean == "auto" and field.distribution in LOCATED_DISTRIBUTIONS
    }


def best_autoregression(choices: tuple[AnyField, ...], examples: Examples) -> tuple[AnyField, list[str]]:
    """What `best_candidate` says of the candidates that keep the level, as autoregressions of the examples.

    Only of densities: masses of cells would have to be summed.
    """
    levels = tuple(one for one in choices if isinstance(one, Number) and one.transform in LEVEL_TRANSFORMS)
    if len(levels) < 2 or levels[0].distribution == "discretized":
        return choices[0], []
    x = examples.steps[levels[0].name].astype(np.float64)
    present = ~np.isnan(x)
    counted = present & ~np.isin(x, find_point_masses(x[present]))
    owner = np.repeat(np.arange(len(examples)), examples.lengths)

    def nats(transform: Transform) -> NDArray[np.float64]:
        """Of every value that counts, given the one before."""
        unit = natural_unit(x[present], transform)
        y = forward(x, transform, unit)
        loc, scale = location_and_scale(y[counted])
        chained = chained_log_prob((y - loc) / scale, examples.offsets, counted, COMPARED_COMPONENTS)
        return chained + log_slope(x, transform, unit) - math.log(scale)

    def sums(steps: NDArray[Any]) -> NDArray[Any]:
        """Over every cluster of sequences."""
        return clustered_sums(np.bincount(owner, steps, len(examples)), examples.starts, examples.gap)

    each = {one: nats(one.transform) for one in levels}
    steps = sums(~np.isnan(each[levels[0]]))
    by_candidate = dict[AnyField, NDArray[Any]]((one, sums(np.nan_to_num(part))) for one, part in each.items())
    return best_candidate(levels, steps, by_candidate, "as an autoregression")


def best_candidate(
    choices: tuple[AnyField, ...], steps: NDArray[Any], nats: Mapping[AnyField, NDArray[np.float64]], where: str
) -> tuple[AnyField, list[str]]:
    """The candidate that a field gets, and a line for the user if that isn't the default, which is the first.

    `steps` (N,) are those of every validation cluster, `nats` by candidate its (N,) log-probabilities of them, and
    `where` says what gave these.
    """
    lines, best = [], choices[0]
    partners = constant_partners(choices)
    learned = [choice for choice in choices if choice not in partners.values()]
    best_learned = max(learned, key=lambda field: nats[field].sum())
    gain, error = mean_gain(nats[best_learned] - nats[best], steps)
    if gain > max(MIN_GAIN, MIN_STANDARD_ERRORS * error):
        instead = f"{describe_choice(best_learned)} in place of {describe_choice(best)}"
        lines.append(f"{best.name}: {instead}, {gain:.3f} nats a step better {where}")
        best = best_learned
    constant = partners.get(best, best)
    if constant != best and constant in nats and len(steps) >= MIN_MEAN_CLUSTERS:
        gain, error = mean_gain(nats[best] - nats[constant], steps)
        if gain < min(MIN_MEAN_GAIN, MIN_MEAN_STANDARD_ERRORS * error):
            lines.append(f"{best.name}: constant mean; a learned one is worth {gain:.4f} nats a step {where}")
            best = constant
    return best, lines


def mean_gain(gain: NDArray[np.float64], steps: NDArray[Any]) -> tuple[float, float]:
    """Mean gain in nats a step, and its standard error over N independent clusters, by their gains and steps.

    Examples:
        >>> mean_gain(np.array([5.0, 15.0]), np.array([10.0, 10.0]))
        (1.0, 0.3535533905932738)
    """
    mean = gain.sum() / max(1.0, steps.sum())
    return float(mean), math.sqrt(float(((gain - mean * steps) ** 2).sum())) / max(1.0, float(steps.sum()))


def describe_choice(field: AnyField) -> str:
    """Distribution and transform, for the user."""
    return f"{field.distribution} on {field.transform}" if isinstance(field, Number) else field.kind
