"""Baselines that count: an interpolated n-gram of symbols, and the hazard of stopping by position.

Both may also know a group, such as the kind of a name.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.samples.sample_set import SampleSet
from unspool.evaluation.samples.statistics import Codes, Reals
from unspool.tables.columns import offsets_from_lengths

BAND_WIDTHS = (256, 64, 16, 4, 1)
"""Widths of the bands of positions that back off to each other in the hazard of stopping, from the widest."""
MAX_SPARSITY = 32
"""Possible contexts for each that occurs, up to which an array has a place for each of them."""


class Tokens(NamedTuple):
    """Ragged sequences of symbols.

    Attributes:
        values: (S,) symbols from 0.
        offsets: (N + 1,) where each sequence starts and the last one ends.
        groups: (N,) an integer per sequence that the n-gram conditions on.
    """

    values: Codes
    offsets: Codes
    groups: Codes


def tokens_of(samples: SampleSet, symbols: Codes, *, grouped: bool = False) -> Tokens:
    """Symbols of all steps of a scorable set; the groups are the combinations of input symbols, or one group."""
    groups = samples.groups if grouped and samples.groups is not None else np.zeros(len(samples), np.int64)
    return Tokens(symbols, samples.offsets, groups)


def sequence_nats(train: Tokens, test: Tokens, symbols: int, order: int) -> tuple[Reals, Reals]:
    """(S,) and (N,) nats of test symbols and of test sequences' ends, under an n-gram learned from training sequences.

    Each context backs off to the next weaker one by Witten & Bell (1991), "The zero-frequency problem", method C:

        p(s | context) = (count(context, s) + kinds(context) p(s | weaker)) / (count(context) + kinds(context))

    From weak to strong the contexts are: nothing, the group, one symbol, one symbol and the group, two symbols, ... up
    to `order - 1` symbols and the group. Nothing backs off to the uniform over the symbols, the end, and one unseen.
    With e = p(end | context), a symbol scores log p(s | context) - log(1 - e), and a decision to go on log(1 - e). The
    nats of ends are those of all decisions of a sequence to go on, and of its decision to stop.

    A test symbol of `symbols` or more is unseen. A gram spans `order` symbols, the predicted one included.
    """
    joined = _join(train, test, symbols, ends=True)
    p = _last(_interpolations(joined, joined.values, symbols + 2, order))
    end = _last(_interpolations(joined, np.full_like(joined.values, symbols), symbols + 2, order))
    last = np.zeros(len(p), bool)
    last[joined.offsets[1:] - 1] = True
    go_on = np.log1p(-end)
    stops = np.add.reduceat(np.where(last, np.log(end), go_on), joined.offsets[:-1])[len(train.offsets) - 1 :]
    return (np.log(p) - go_on)[~last & ~joined.known], stops


def step_nats(train: Tokens, test: Tokens, symbols: int, order: int) -> Reals:
    """(S,) nats of every test symbol under an n-gram of steps alone, which knows no end; see `sequence_nats`.

    For one field of several, whose sequences stop together.
    """
    joined = _join(train, test, symbols, ends=False)
    p = _last(_interpolations(joined, joined.values, symbols + 1, order))
    return np.log(p[~joined.known])


def best_order(train: Tokens, validation: Tokens, symbols: int, max_order: int = 6, *, ends: bool = True) -> int:
    """The order up to `max_order` at which an n-gram learned from `train` scores best on `validation`.

    Ends are predicted, as in `sequence_nats`, or not, as in `step_nats`.
    """
    joined = _join(train, validation, symbols, ends)
    levels = _interpolations(joined, joined.values, symbols + 1 + ends, max_order)
    scores = [float(np.log(p[~joined.known]).sum()) for p in levels]
    return 1 + int(np.argmax(scores))


def hazard_nats(train: SampleSet, test: SampleSet, *, grouped: bool = False) -> Reals:
    """(N,) nats of all decisions to go on, and of the one to stop, from the position alone, or with the group too.

    A sequence of n steps has n decisions to go on and one to stop. Their hazard at a position is interpolated as in
    `sequence_nats`, from ever narrower bands of positions, each followed by the band within the group.
    """
    known, asked = (tokens_of(one, np.zeros(len(one.owner), np.int64), grouped=grouped) for one in (train, test))
    joined = _join(known, asked, 1, ends=True)
    ends = joined.values
    p = interpolated(np.zeros_like(ends), ends, ends, np.full(len(ends), 0.5), joined.known)
    for width in BAND_WIDTHS:
        band = joined.position // width
        p = interpolated(band, ends, ends, p, joined.known)
        if grouped:
            p = interpolated(numbered(band, joined.groups), ends, ends, p, joined.known)
    return np.add.reduceat(np.log(p), joined.offsets[:-1])[len(train) :]


class _Joined(NamedTuple):
    """Training sequences, then the sequences to score; if ends count, an end symbol closes every sequence.

    All but `offsets` are by step; `known` marks the steps of training.
    """

    values: Codes
    offsets: Codes
    position: Codes
    groups: Codes
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
    position = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    return _Joined(values, offsets, position, groups, np.arange(offsets[-1]) < offsets[len(train.offsets) - 1])


def _interpolations(joined: _Joined, asked: Codes, kinds: int, max_order: int) -> Iterator[Reals]:
    """The probability of the asked symbol at every position, by n-grams of order 1, 2, ... up to `max_order`."""
    p = np.full(len(joined.values), 1.0 / kinds)
    history = np.zeros(len(joined.values), np.int64)
    for back in range(max_order):
        if back:
            before = np.where(joined.position >= back, np.roll(joined.values, back), kinds)
            history = numbered(history, before)
        p = interpolated(history, joined.values, asked, p, joined.known)
        p = interpolated(numbered(history, joined.groups), joined.values, asked, p, joined.known)
        yield p


def _last(levels: Iterator[Reals]) -> Reals:
    *_, p = levels
    return p


def numbered(context: Codes, more: Codes) -> Codes:
    """Contexts with one more symbol each, numbered anew from 0 so that the numbers never overflow."""
    numbers = context * (int(more.max(initial=0)) + 1) + more
    most = int(numbers.max(initial=-1)) + 1
    if most > MAX_SPARSITY * len(numbers):
        return np.unique(numbers, return_inverse=True)[1]
    there = np.zeros(most, bool)  # without sorting, in a tenth of the time
    there[numbers] = True
    return (np.cumsum(there) - 1)[numbers]


def interpolated(context: Codes, values: Codes, asked: Codes, weaker: Reals, known: NDArray[np.bool_]) -> Reals:
    """(S,) one level of the interpolation of `sequence_nats`: the probability of asked symbols in contexts from 0.

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
    context_of = np.zeros(len(gram_counts), np.int64)
    context_of[grams] = context
    kinds = np.bincount(context_of[gram_counts > 0], minlength=len(counts))
    total = (counts + kinds)[context]
    return np.where(total > 0, (gram_counts[wanted] + kinds[context] * weaker) / np.maximum(total, 1), weaker)
