"""The baseline for symbols: an interpolated n-gram that also sees a group, such as the kind of a name."""

from collections.abc import Iterator
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


class Parts(NamedTuple):
    """Log-probabilities of the two decisions before every step, in nats.

    Attributes:
        steps: (S,) of every symbol, given that the sequence goes on.
        stops: (N,) of all the decisions to go on, and of the one to stop, of every sequence.
    """

    steps: NDArray[np.float64]
    stops: NDArray[np.float64]


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
    joined = _join(train, test, symbols, ends=True)
    p = _last(_interpolations(joined, joined.values, symbols + 2, order))
    first = len(train.offsets) - 1
    return np.add.reduceat(np.log(p), joined.offsets[:-1])[first:]


def witten_bell_parts(train: Tokens, test: Tokens, symbols: int, order: int) -> Parts:
    """The log-probabilities of `witten_bell`, the choice of symbols apart from that of when to end.

    With e = p(end | context) a symbol's part is log p(s | context) - log(1 - e); going on costs log(1 - e).
    """
    joined = _join(train, test, symbols, ends=True)
    p = _last(_interpolations(joined, joined.values, symbols + 2, order))
    end = _last(_interpolations(joined, np.full_like(joined.values, symbols), symbols + 2, order))
    last = np.zeros(len(p), bool)
    last[joined.offsets[1:] - 1] = True
    go_on = np.log1p(-end)
    first = len(train.offsets) - 1
    stops = np.add.reduceat(np.where(last, np.log(end), go_on), joined.offsets[:-1])[first:]
    return Parts((np.log(p) - go_on)[~last & ~joined.known], stops)


def step_nats(train: Tokens, test: Tokens, symbols: int, order: int) -> NDArray[np.float64]:
    """Log-probability (S,) of every test symbol under an n-gram of steps alone, which knows no end.

    For one field of several, whose sequences stop together.
    """
    joined = _join(train, test, symbols, ends=False)
    p = _last(_interpolations(joined, joined.values, symbols + 1, order))
    return np.log(p[~joined.known])


def best_order(train: Tokens, valid: Tokens, symbols: int, most: int = 6, *, ends: bool = True) -> int:
    """The order, up to `most`, at which an n-gram learned from `train` scores best on `valid`.

    Args:
        train: what to count.
        valid: what to score.
        symbols: how many there are.
        most: symbols a gram spans at most.
        ends: whether ends are predicted along, as in `witten_bell`, or not, as in `step_nats`.
    """
    joined = _join(train, valid, symbols, ends)
    levels = _interpolations(joined, joined.values, symbols + 1 + ends, most)
    scores = [float(np.log(p[~joined.known]).sum()) for p in levels]
    return 1 + int(np.argmax(scores))


class _Joined(NamedTuple):
    """Training sequences, then those to be scored; every sequence closed by the end symbol where there is one."""

    values: NDArray[np.int64]
    offsets: NDArray[np.int64]
    groups: NDArray[np.int64]
    known: NDArray[np.bool_]


def _join(train: Tokens, test: Tokens, symbols: int, ends: bool) -> _Joined:
    lengths = np.concatenate([np.diff(train.offsets), np.diff(test.offsets)]) + ends
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    values = np.full(offsets[-1], symbols, np.int64)
    inside = np.ones(offsets[-1], bool)
    if ends:
        inside[offsets[1:] - 1] = False
    given = np.concatenate([train.values, test.values])
    values[inside] = np.where(given < symbols, given, symbols + ends)
    # Numbered from 0, so that contexts told apart by them can't overflow.
    groups = np.repeat(np.unique(np.concatenate([train.groups, test.groups]), return_inverse=True)[1], lengths)
    return _Joined(values, offsets, groups, np.arange(offsets[-1]) < offsets[len(train.offsets) - 1])


def _interpolations(joined: _Joined, asked: NDArray[np.int64], kinds: int, most: int) -> Iterator[NDArray[np.float64]]:
    """The probability of the asked symbol at every position, by n-grams of order 1, 2, ... up to `most`."""
    position = np.arange(len(joined.values)) - np.repeat(joined.offsets[:-1], np.diff(joined.offsets))
    p = np.full(len(joined.values), 1.0 / kinds)
    history = np.zeros(len(joined.values), np.int64)
    for back in range(most):
        if back:
            before = np.where(position >= back, np.roll(joined.values, back), kinds)
            history = numbered(history, before)
        p = interpolated(history, joined.values, asked, p, joined.known)
        p = interpolated(numbered(history, joined.groups), joined.values, asked, p, joined.known)
        yield p


def _last(levels: Iterator[NDArray[np.float64]]) -> NDArray[np.float64]:
    *_, p = levels
    return p


def numbered(context: NDArray[np.int64], more: NDArray[np.int64]) -> NDArray[np.int64]:
    """Contexts told apart by one more symbol, numbered anew from 0 so that they never overflow."""
    return np.unique(context * (int(more.max(initial=0)) + 1) + more, return_inverse=True)[1]


def interpolated(
    context: NDArray[np.int64],
    values: NDArray[np.int64],
    asked: NDArray[np.int64],
    weaker: NDArray[np.float64],
    known: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """One level of the interpolation of `witten_bell`, for every position at once.

    Args:
        context: (S,) numbered from 0.
        values: (S,) the symbols that are there.
        asked: (S,) the symbols whose probability is wanted.
        weaker: (S,) what the weaker context says of them.
        known: (S,) which positions are counted.
    """
    both = numbered(np.tile(context, 2), np.concatenate([values, asked]))
    grams, wanted = both[: len(values)], both[len(values) :]
    gram_counts = np.bincount(grams[known], minlength=int(both.max(initial=0)) + 1)
    counts = np.bincount(context[known], minlength=int(context.max(initial=0)) + 1)
    first = np.unique(grams[known], return_index=True)[1]
    kinds = np.bincount(context[known][first], minlength=len(counts))
    total = (counts + kinds)[context]
    seen = total > 0
    return np.where(seen, (gram_counts[wanted] + kinds[context] * weaker) / np.maximum(total, 1), weaker)
