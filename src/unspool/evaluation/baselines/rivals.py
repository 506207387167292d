"""Paths that no model made, to be scored beside generated ones: real training sequences, taken whole."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.samples.sample_set import Side
from unspool.evaluation.samples.statistics import present

NEIGHBOURS = 10
"""The training sequences that count as nearest, before ties."""


def at_random(train: Side, rows: int, samples: int, seed: int) -> Side:
    """Training sequences drawn at random, the same for no two rows: what one knows without the input.

    Args:
        train: where they come from.
        rows: how many inputs they are for.
        samples: sequences for each.
        seed: of the draw.
    """
    return train.take(np.random.default_rng(seed).integers(0, len(train), rows * samples))


def nearest(train: Side, real: Side, samples: int, seed: int) -> Side:
    """For each row of `real`, training sequences whose inputs are nearest to its own: a look-up of the input.

    Drawn with replacement from the `NEIGHBOURS` nearest and all that are as near as the last of them. The distance is
    the sum over input fields of |difference| in units of the training standard deviation for numbers (the root mean
    square over a vector's numbers), and 1 for symbols that differ and for a number that only one of the two has.
    """
    rng = np.random.default_rng(seed)
    chosen = np.zeros((len(real), samples), np.int64)
    take = min(NEIGHBOURS, len(train)) - 1
    columns = [_in_units(column, real.inputs[name]) for name, column in train.inputs.items()]
    for row in range(len(real)):
        away = sum((_apart(known, asked[row]) for known, asked in columns), np.zeros(len(train)))
        pool = np.flatnonzero(away <= np.partition(away, take)[take] + 1e-12)
        chosen[row] = rng.choice(pool, samples)
    return train.take(chosen.ravel())


def _in_units(known: NDArray[Any], asked: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    if known.ndim == 1:
        return known, asked
    units = np.array([present(column).std() if len(present(column)) else 0.0 for column in known.T])
    units[units == 0] = 1.0
    return known / units, asked / units


def _apart(known: NDArray[Any], one: Any) -> NDArray[np.float64]:
    if known.ndim == 1:
        return (known != one).astype(np.float64)
    lone = np.isnan(known) != np.isnan(one)
    apart = np.where(lone, 1.0, np.nan_to_num(known - one))
    return np.sqrt((apart**2).sum(1) / max(known.shape[1], 1))
