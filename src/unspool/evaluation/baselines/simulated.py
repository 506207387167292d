"""Paths that the plainest processes make, to be scored beside generated ones: independent steps, and AR(1)."""

import numpy as np

from unspool.evaluation.baselines.autoregressive import Chain, fit_chain, previous
from unspool.evaluation.baselines.densities import Measure, Reals
from unspool.evaluation.samples.evidence import ORDINARY, Evidence, Target
from unspool.evaluation.samples.sample_set import Side
from unspool.tables.columns import offsets_from_lengths

FEWEST = 50
"""Pairs of a value and the one before it, below which there is no autoregression."""


def independent(train: Side, rows: int, samples: int, seed: int) -> Side:
    """Every step is that of some training sequence, from any position; as many of them as another one has.

    Args:
        train: where steps come from.
        rows: how many inputs they are for.
        samples: sequences for each.
        seed: of the draws.
    """
    rng = np.random.default_rng([seed, 13])
    lengths = train.lengths[rng.integers(0, len(train), rows * samples)]
    at = rng.integers(0, max(len(train.position), 1), int(lengths.sum()))
    return Side(
        {},
        {name: column[at] for name, column in train.numbers.items()},
        {name: column[at] for name, column in train.symbols.items()},
        offsets_from_lengths(lengths),
        train.names,
    )


def autoregressive(
    train: Side, known: Evidence, asked: Evidence, targets: tuple[Target, ...], samples: int, seed: int
) -> Side:
    """Training sequences drawn at random, whose numbers are drawn anew: x_t = a + b x_{t-1} + e_t, or so of log x.

    What is missing, what repeats (an atom), symbols, lengths, and numbers that never fall or never rise are those of
    the training sequence. The chain starts from the value before step 0 where the input tells it, else from the
    sequence's own first value. Draws are rounded to the grid of the data, and kept within what training had.

    Args:
        train: the training sequences.
        known: the same as evidence.
        asked: the sequences whose inputs paths are made for.
        targets: the step fields.
        samples: sequences for each.
        seed: of the draws.
    """
    rng = np.random.default_rng([seed, 17])
    rows = rng.integers(0, len(train), len(asked) * samples)
    side, skeleton = train.take(rows), known.take(rows)
    numbers = dict(side.numbers)
    for target in targets:
        name = target.name
        if target.measure is None or target.gaps:
            continue
        x, before = known.numbers[name], previous(known, name)
        pairs = (known.kinds[name] == ORDINARY) & ~np.isnan(before)
        if pairs.sum() >= FEWEST:
            chain = fit_chain(x[pairs], before[pairs], target.measure)
            base = np.repeat(asked.first.get(name, np.full(len(asked), np.nan)), samples)
            numbers[name] = _drawn(chain, skeleton, name, base, target.measure, rng)
    return Side({}, numbers, side.symbols, side.offsets, side.names)


def _drawn(
    chain: Chain, skeleton: Evidence, name: str, base: Reals, measure: Measure, rng: np.random.Generator
) -> Reals:
    """(S,) the values of a skeleton with those that are neither missing nor atoms drawn anew, from a base on."""
    values, last = skeleton.numbers[name].copy(), base.copy()
    anew = skeleton.kinds[name] == ORDINARY
    low, high = values[anew].min(initial=np.inf), values[anew].max(initial=-np.inf)
    for t in range(int(skeleton.lengths.max(initial=0))):
        rows = np.flatnonzero(skeleton.lengths > t)
        at = skeleton.offsets[rows] + t
        follows = anew[at] & ~np.isnan(last[rows])
        drawn = np.clip(chain.draw(last[rows[follows]], rng), low, high)
        values[at[follows]] = drawn if measure.cell is None else np.round(drawn / measure.cell) * measure.cell
        last[rows] = np.where(np.isnan(values[at]), last[rows], values[at])
    return values
