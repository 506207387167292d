"""The baseline for symbols: an interpolated n-gram that also sees a group, such as the kind of a name."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Tokens(NamedTuple):
    """Sequences of symbols laid end to end.

    Attributes:
        values: (S,) symbols from 0.
        offsets: (N + 1,) where each sequence starts and the last one ends.
        groups: (N,) an integer per sequence that the model may condition on.
    """

    values: NDArray[np.int64]
    offsets: NDArray[np.int64]
    groups: NDArray[np.int64]


def witten_bell(train: Tokens, test: Tokens, symbols: int, order: int) -> NDArray[np.float64]:
    """Log-probability of every test sequence, its end included, under an n-gram learned from `train`.

    Each context backs off to the next weaker one by Witten & Bell (1991), "The zero-frequency problem", method C:

        p(s | context) = (count(context, s) + kinds(context) p(s | weaker)) / (count(context) + kinds(context))

    From weak to strong the contexts are: nothing, the group, one symbol, one symbol and the group, two symbols, ... up
    to `order - 1` symbols and the group. Nothing backs off to the uniform over the symbols, the end, and one unseen.

    Args:
        train: what to count.
        test: what to score.
        symbols: how many symbols there are; a test symbol of that number or more is an unseen one.
        order: symbols that a gram spans, the predicted one included.

    Returns:
        (N,) nats, negative.
    """
    end, unseen, pad = symbols, symbols + 1, symbols + 2
    values, offsets, groups, first_test = _joined(train, test, end, unseen)
    known = np.arange(len(values)) < first_test
    group = np.repeat(groups, np.diff(offsets))
    position = np.arange(len(values)) - np.repeat(offsets[:-1], np.diff(offsets))
    p = np.full(len(values), 1.0 / (symbols + 2))
    history = np.zeros(len(values), np.int64)
    for back in range(order):
        if back:
            before = np.where(position >= back, np.roll(values, back), pad)
            history = _numbered(history, before, pad + 1)
        for context in (history, _numbered(history, group, int(groups.max(initial=0)) + 1)):
            p = _interpolated(context, values, p, known, pad)
    return np.add.reduceat(np.log(p), offsets[:-1])[len(train.offsets) - 1 :]


def best_order(train: Tokens, valid: Tokens, symbols: int, most: int = 6) -> int:
    """The order, up to `most`, at which an n-gram learned from `train` scores best on `valid`."""
    return max(range(1, most + 1), key=lambda order: float(witten_bell(train, valid, symbols, order).sum()))


def _joined(
    train: Tokens, test: Tokens, end: int, unseen: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], int]:
    """Both sets after one another, every sequence closed by the end symbol."""
    lengths = np.concatenate([np.diff(train.offsets), np.diff(test.offsets)]) + 1
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    values = np.full(offsets[-1], end, np.int64)
    inside = np.ones(offsets[-1], bool)
    inside[offsets[1:] - 1] = False
    symbols = np.concatenate([train.values, test.values])
    values[inside] = np.where(symbols < end, symbols, unseen)
    return values, offsets, np.concatenate([train.groups, test.groups]), int(offsets[len(train.offsets) - 1])


def _numbered(context: NDArray[np.int64], more: NDArray[np.int64], base: int) -> NDArray[np.int64]:
    """Contexts told apart by one more symbol, numbered anew from 0 so that they never overflow."""
    return np.unique(context * base + more, return_inverse=True)[1]


def _interpolated(
    context: NDArray[np.int64],
    values: NDArray[np.int64],
    weaker: NDArray[np.float64],
    known: NDArray[np.bool_],
    base: int,
) -> NDArray[np.float64]:
    """One level of the interpolation, for every position at once."""
    grams = _numbered(context, values, base)
    gram_counts = np.bincount(grams[known], minlength=int(grams.max()) + 1)
    counts = np.bincount(context[known], minlength=int(context.max()) + 1)
    first = np.unique(grams[known], return_index=True)[1]
    kinds = np.bincount(context[known][first], minlength=len(counts))
    total = (counts + kinds)[context]
    seen = total > 0
    return np.where(seen, (gram_counts[grams] + kinds[context] * weaker) / np.maximum(total, 1), weaker)
