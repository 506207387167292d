"""Forecasts of the simplest processes: training sequences, independent steps, AR(1), and the block bootstrap."""

import numpy as np

from unspool.evaluation.baselines.autoregressive import Ar1Chain, fit_ar1_chain, previous_value
from unspool.evaluation.samples.sample_set import ORDINARY, SampleSet, Target, on_circle
from unspool.evaluation.samples.statistics import Reals
from unspool.tables.columns import offsets_from_lengths

MIN_PAIRS_FOR_AR1 = 50
"""Pairs of a value and the value before it that an autoregression needs."""


def training_at_random(train: SampleSet, rows: int, samples: int, seed: int) -> SampleSet:
    """For each of `rows` inputs `samples` training sequences at random: a forecast that ignores the input."""
    return train.take(np.random.default_rng(seed).integers(0, len(train), rows * samples))


def independent_steps(train: SampleSet, rows: int, samples: int, seed: int) -> SampleSet:
    """Every step is a training step from any sequence and position; lengths are lengths of training sequences."""
    rng = np.random.default_rng([seed, 13])
    lengths = train.lengths[rng.integers(0, len(train), rows * samples)]
    at = rng.integers(0, max(len(train.position), 1), int(lengths.sum()))
    return _steps_of(train, at, lengths)


def autoregressive_sequences(
    train: SampleSet, scorable: SampleSet, asked: SampleSet, targets: tuple[Target, ...], samples: int, seed: int
) -> SampleSet:
    """Training sequences at random, whose numbers are sampled anew: x_t = a + b x_{t-1} + e_t, or the same of log x.

    Missing values, point masses, symbols, lengths, and numbers that never fall or never rise stay those of the training
    sequence. The chain starts from the value before step 0 if the input has it, else from the sequence's own first
    value. Samples are rounded to the grid of the data, and kept within the range of training.

    Args:
        train: the training sequences, a comparable set.
        scorable: the same as a scorable set.
        asked: the sequences to forecast, a scorable set.
        targets: the step fields.
        samples: forecasts for each of `asked`, row after row.
        seed: of all that is random.
    """
    rng = np.random.default_rng([seed, 17])
    rows = rng.integers(0, len(train), len(asked) * samples)
    base, skeleton = train.take(rows), scorable.take(rows)
    numbers = dict(base.numbers)
    for target in targets:
        name = target.name
        if not target.number or target.increments:
            continue
        x, before = scorable.numbers[name], previous_value(scorable, name)
        pairs = (scorable.kinds[name] == ORDINARY) & ~np.isnan(before)
        if pairs.sum() >= MIN_PAIRS_FOR_AR1:
            chain = fit_ar1_chain(x[pairs], before[pairs], target.cell)
            first = np.repeat(asked.first.get(name, np.full(len(asked), np.nan)), samples)
            anew = _resampled(chain, skeleton, name, first, rng)
            numbers |= {name: anew} if target.period is None else on_circle(name, anew, target.period)
    return SampleSet(base.offsets, numbers, base.symbols, names=base.names)


def _resampled(chain: Ar1Chain, skeleton: SampleSet, name: str, first: Reals, rng: np.random.Generator) -> Reals:
    """(S,) the values of a skeleton with its ordinary values sampled anew, from (N,) values before step 0 on."""
    values, last = skeleton.numbers[name].copy(), first.copy()
    anew = skeleton.kinds[name] == ORDINARY
    low, high = values[anew].min(initial=np.inf), values[anew].max(initial=-np.inf)
    for t in range(int(skeleton.lengths.max(initial=0))):
        rows = np.flatnonzero(skeleton.lengths > t)
        at = skeleton.offsets[rows] + t
        follows = anew[at] & ~np.isnan(last[rows])
        new = np.clip(chain.sample(last[rows[follows]], rng), low, high)
        values[at[follows]] = new if chain.cell is None else np.round(new / chain.cell) * chain.cell
        last[rows] = np.where(np.isnan(values[at]), last[rows], values[at])
    return values


def block_bootstrap(train: SampleSet, rows: int, samples: int, seed: int, block: int | None = None) -> SampleSet:
    """Sequences of blocks, each a stretch of some training sequence at its own position.

    Künsch (1989), "The jackknife and the bootstrap for general stationary observations", joins blocks of one series
    from anywhere. These blocks keep their position, so that values of the beginning stay at the beginning. Every
    sequence has the length of a random training sequence. The input plays no part. A block has `block` steps; by
    default the cube root of the mean number of steps, which is the rate for means.

    Examples:
        >>> train = SampleSet(np.array([0, 4, 8]), {"x": np.array([1.0, 2, 3, 4, 11, 12, 13, 14])})
        >>> block_bootstrap(train, 2, 2, seed=0, block=2).numbers["x"].astype(int).tolist()
        [11, 12, 13, 14, 11, 12, 13, 14, 11, 12, 13, 14, 1, 2, 13, 14]
    """
    rng = np.random.default_rng([seed, 7])
    size = block or max(1, round(float(train.lengths.mean()) ** (1 / 3)))
    lengths = train.lengths[rng.integers(0, len(train), rows * samples)]
    at = np.zeros(int(lengths.sum()), np.int64)
    offsets = offsets_from_lengths(lengths)
    # Sorted from the longest: the first few sequences are those that reach to the end of a block.
    order = np.argsort(-train.lengths, kind="stable")
    for start in range(0, int(lengths.max(initial=0)), size):
        needs = np.minimum(lengths - start, size)
        for k in np.flatnonzero(needs > 0):
            reach = int(np.searchsorted(-train.lengths[order], -(start + needs[k]), side="right"))
            source = order[int(rng.integers(0, reach))]
            within = start + np.arange(needs[k])
            at[offsets[k] + within] = train.offsets[source] + within
    return _steps_of(train, at, lengths)


def _steps_of(train: SampleSet, at: np.ndarray, lengths: np.ndarray) -> SampleSet:
    """Sequences of some training steps."""
    return SampleSet(
        offsets_from_lengths(lengths),
        {name: column[at] for name, column in train.numbers.items()},
        {name: column[at] for name, column in train.symbols.items()},
        names=train.names,
    )
