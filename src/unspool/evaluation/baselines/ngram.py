"""The baseline for symbols: an interpolated n-gram that may also know a group, such as the kind of a name."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.samples.sample_set import SampleSet
from unspool.tables.columns import offsets_from_lengths


class Tokens(NamedTuple):
    """Ragged sequences of symbols.

    Attributes:
        values: (S,) symbols from 0.
        offsets: (N + 1,) where each sequence starts and the last one ends.
        groups: (N,) an integer per sequence that the n-gram conditions on.
    """

    values: NDArray[np.int64]
    offsets: NDArray[np.int64]
    groups: NDArray[np.int64]


def tokens_of(samples: SampleSet, symbols: NDArray[np.int64], *, grouped: bool = False) -> Tokens:
    """Symbols of all steps of a scorable set; the groups are the combinations of input symbols, or one group."""
    groups = samples.groups if grouped and samples.groups is not None else np.zeros(len(samples), np.int64)
    return Tokens(symbols, samples.offsets, groups)


class NgramScores(NamedTuple):
    """Log-probabilities of the two decisions before every step, in nats.

    Attributes:
        steps: (S,) of every symbol, given that the sequence goes on.
        stops: (N,) of all decisions of a sequence to go on, and of its decision to stop.
    """

    steps: NDArray[np.float64]
    stops: NDArray[np.float64]


def ngram_scores(train: Tokens, test: Tokens, symbols: int, order: int) -> NgramScores:
    """Log-probabilities of test sequences, their ends included, under an n-gram learned from training sequences.

    Each context backs off to the next weaker one by Witten & Bell (1991), "The zero-frequency problem", method C:

        p(s | context) = (count(context, s) + kinds(context) p(s | weaker)) / (count(context) + kinds(context))

    From weak to strong the contexts are: nothing, the group, one symbol, one symbol and the group, two symbols, ... up
    to `order - 1` symbols and the group. Nothing backs off to the uniform over the symbols, the end, and one unseen.
    With e = p(end | context), a symbol scores log p(s | context) - log(1 - e), and going on scores log(1 - e).

    Args:
        train: to count.
        test: to score.
        symbols: how many symbols there are; a test symbol of that number or more is unseen.
        order: symbols that a gram spans, the predicted one included.
    """
    joined = _join(train, test, symbols, ends=True)
    p = _last(_interpolations(joined, joined.values, symbols + 2, order))
    end = _last(_interpolations(joined, np.full_like(joined.values, symbols), symbols + 2, order))
    last = np.zeros(len(p), bool)
    last[joined.offsets[1:] - 1] = True
    go_on = np.log1p(-end)
    first = len(train.offsets) - 1
    stops = np.add.reduceat(np.where(last, np.log(end), go_on), joined.offsets[:-1])[first:]
    return NgramScores((np.log(p) - go_on)[~last & ~joined.known], stops)


def ngram_step_scores(train: Tokens, test: Tokens, symbols: int, order: int) -> NDArray[np.float64]:
    """(S,) nats of every test symbol under an n-gram of steps alone, which knows no end; see `ngram_scores`.

    For one field of several, whose sequences stop together.
    """
    joined = _join(train, test, symbols, ends=False)
    p = _last(_interpolations(joined, joined.values, symbols + 1, order))
    return np.log(p[~joined.known])


def best_order(train: Tokens, validation: Tokens, symbols: int, max_order: int = 6, *, ends: bool = True) -> int:
    """The order at which an n-gram learned from `train` scores best on `validation`.

    Args:
        train: to count.
        validation: to score.
        symbols: how many there are.
        max_order: symbols that a gram spans at most.
        ends: whether ends are predicted, as in `ngram_scores`, or not, as in `ngram_step_scores`.
    """
    joined = _join(train, validation, symbols, ends)
    levels = _interpolations(joined, joined.values, symbols + 1 + ends, max_order)
    scores = [float(np.log(p[~joined.known]).sum()) for p in levels]
    return 1 + int(np.argmax(scores))


class _Joined(NamedTuple):
    """Training sequences, then the sequences to score; an end symbol closes every sequence where ends count."""

    values: NDArray[np.int64]
    offsets: NDArray[np.int64]
    groups: NDArray[np.int64]
    known: NDArray[np.bool_]


def _join(train: Tokens, test: Tokens, symbols: int, ends: bool) -> _Joined:
    lengths = np.concatenate([np.diff(train.offsets), np.diff(test.offsets)]) + ends
    offsets = offsets_from_lengths(lengths)
    values = np.full(offsets[-1], symbols, np.int64)
    inside = np.ones(offsets[-1], bool)
    if ends:
        inside[offsets[1:] - 1] = False
    given = np.concatenate([train.values, test.values])
    values[inside] = np.where(given < symbols, given, symbols + ends)
    # Numbered from 0, so that the numbers of contexts can't overflow.
    groups = np.repeat(np.unique(np.concatenate([train.groups, test.groups]), return_inverse=True)[1], lengths)
    return _Joined(values, offsets, groups, np.arange(offsets[-1]) < offsets[len(train.offsets) - 1])


def _interpolations(
    joined: _Joined, asked: NDArray[np.int64], kinds: int, max_order: int
) -> Iterator[NDArray[np.float64]]:
    """The probability of the asked symbol at every position, by n-grams of order 1, 2, ... up to `max_order`."""
    position = np.arange(len(joined.values)) - np.repeat(joined.offsets[:-1], np.diff(joined.offsets))
    p = np.full(len(joined.values), 1.0 / kinds)
    history = np.zeros(len(joined.values), np.int64)
    for back in range(max_order):
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
    """Contexts made stronger by one more symbol, numbered anew from 0 so that the numbers never overflow."""
    return np.unique(context * (int(more.max(initial=0)) + 1) + more, return_inverse=True)[1]


def interpolated(
    context: NDArray[np.int64],
    values: NDArray[np.int64],
    asked: NDArray[np.int64],
    weaker: NDArray[np.float64],
    known: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """One level of the interpolation of `ngram_scores`, for every position at once.

    Args:
        context: (S,) numbered from 0.
        values: (S,) the symbols at the positions.
        asked: (S,) the symbols whose probability is wanted.
        weaker: (S,) their probability under the weaker context.
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
