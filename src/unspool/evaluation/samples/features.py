"""A sequence as one row of figures, for classifiers that compare sequences of any length and kind."""

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.samples.sample_set import ABSENT, Side
from unspool.evaluation.samples.statistics import lagged

SYMBOLS = 20
"""The most frequent symbols of a field whose shares are features of their own."""
HASHED = 32
"""Bins that pairs of neighbouring symbols are hashed into."""
LARGEST = 1e100
"""What a figure of a sequence that blew up is set to, because learners take no infinity."""
SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)


def features(side: Side, like: Side, *, inputs: bool = True) -> NDArray[np.float64]:
    """(N, D) figures of each sequence, NaN where one can't be had, which gradient-boosted trees can take.

    Of every number: mean, standard deviation, quantiles, first and last value, share missing, share of zeros, mean size
    of the changes, autocorrelation within the sequence, and correlation with the next number field. Of every symbol
    field: the shares of the most frequent symbols, of missing ones and of repetitions, the first and the last symbol,
    how many different ones, and pairs of neighbours hashed into bins. The length. The input's own columns.

    Args:
        side: the sequences.
        like: whose most frequent symbols are counted; the same for all sides that are compared.
        inputs: whether the input's columns are among them.
    """
    columns: list[NDArray[Any]] = [side.lengths]
    for values in side.numbers.values():
        columns += _of_number(side, values)
    fields = list(side.numbers.values())
    columns += [_correlation(side, a, b) for a, b in itertools.pairwise(fields)]
    for name, codes in side.symbols.items():
        columns += _of_symbol(side, codes, like.symbols[name])
    if inputs:
        columns += [part for column in side.inputs.values() for part in np.atleast_2d(column.T)]
    table = np.stack([np.asarray(column, np.float64) for column in columns], axis=1)
    return np.clip(table, -LARGEST, LARGEST)


def _of_number(side: Side, values: NDArray[np.float64]) -> list[NDArray[Any]]:
    missing = np.isnan(values)
    mean = _mean(side, values)
    centred = values - mean[side.owner]
    spread = np.sqrt(_mean(side, centred**2))
    before = lagged(side.offsets, 1)
    change, product = np.full((2, len(values)), np.nan)
    change[before + 1] = np.abs(values[before + 1] - values[before])
    product[before + 1] = centred[before + 1] * centred[before]
    with np.errstate(divide="ignore", invalid="ignore"):
        echo = np.where(spread > 0, _mean(side, product) / spread**2, np.nan)
    return [
        mean,
        spread,
        *_quantiles(side, values),
        *_ends(side, values),
        _mean(side, missing.astype(np.float64)),
        _mean(side, np.where(missing, np.nan, values == 0)),
        _mean(side, change),
        echo,
    ]


def _of_symbol(side: Side, codes: NDArray[np.int64], like: NDArray[np.int64]) -> list[NDArray[Any]]:
    known, counts = np.unique(like[like != ABSENT], return_counts=True)
    common = known[np.argsort(-counts, kind="stable")[:SYMBOLS]]
    before = lagged(side.offsets, 1)
    repeated = np.full(len(codes), np.nan)
    repeated[before + 1] = codes[before + 1] == codes[before]
    pairs = np.full(len(codes), np.nan)
    # A multiplicative hash: neighbouring codes fall into different bins (Knuth, "The Art of Computer Programming" 6.4).
    mixed = (codes[before] + 2) * np.int64(2654435761) + (codes[before + 1] + 2) * np.int64(40503)
    pairs[before + 1] = (mixed >> 7) % HASHED
    different = np.unique(np.stack([side.owner, codes]), axis=1)[0]
    out: list[NDArray[Any]] = [_mean(side, (codes == symbol).astype(np.float64)) for symbol in common]
    out += [_mean(side, (codes == ABSENT).astype(np.float64)), _mean(side, repeated)]
    out += [np.bincount(different, minlength=len(side)), *_ends(side, codes.astype(np.float64))]
    if len(common) > 1:
        kept = ~np.isnan(pairs)
        cells = side.owner[kept] * HASHED + pairs[kept].astype(np.int64)
        table = np.bincount(cells, minlength=len(side) * HASHED).reshape(-1, HASHED)
        out += list((table / np.maximum(side.lengths[:, None] - 1, 1)).T)
    return out


def _mean(side: Side, values: NDArray[Any]) -> NDArray[np.float64]:
    """(N,) of the values that are there; NaN where there is none."""
    kept = ~np.isnan(values)
    count = np.bincount(side.owner[kept], minlength=len(side))
    total = np.bincount(side.owner[kept], values[kept].astype(np.float64), minlength=len(side))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _correlation(side: Side, a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    both = np.isnan(a) | np.isnan(b)
    a, b = (np.where(both, np.nan, x) for x in (a, b))
    a, b = (x - _mean(side, x)[side.owner] for x in (a, b))
    scale = np.sqrt(_mean(side, a**2) * _mean(side, b**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(scale > 0, _mean(side, a * b) / scale, np.nan)


def _quantiles(side: Side, values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """By sequence, the sorted value nearest to each share of the way up."""
    kept = ~np.isnan(values)
    owner, there = side.owner[kept], values[kept]
    ordered = there[np.lexsort((there, owner))]
    count = np.bincount(owner, minlength=len(side))
    start = np.cumsum(count) - count
    out = []
    for share in SHARES:
        column = np.full(len(side), np.nan)
        some = count > 0
        column[some] = ordered[start[some] + np.rint(share * (count[some] - 1)).astype(np.int64)]
        out.append(column)
    return out


def _ends(side: Side, values: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    first, last = np.full((2, len(side)), np.nan)
    some = side.lengths > 0
    first[some] = values[side.offsets[:-1][some]]
    last[some] = values[side.offsets[1:][some] - 1]
    return [first, last]
