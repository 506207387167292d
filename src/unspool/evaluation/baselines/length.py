"""The baseline for lengths: the hazard of stopping by position."""

import numpy as np
from numpy.typing import NDArray

from unspool.evaluation.baselines.ngram import interpolated, numbered
from unspool.evaluation.samples.sample_set import SampleSet
from unspool.tables.columns import offsets_from_lengths

BAND_WIDTHS = (256, 64, 16, 4, 1)
"""Widths of the bands of positions that back off to each other, from the widest."""


def hazard_nats(train: SampleSet, test: SampleSet, *, grouped: bool = False) -> NDArray[np.float64]:
    """(N,) nats of all decisions to go on, and of the one to stop, from the position alone, or with the inputs.

    A sequence of n steps has n decisions to go on and one to stop. Their hazard at a position is interpolated as in
    `unspool.evaluation.ngram.witten_bell`, from ever narrower bands of positions.

    Args:
        train: to count.
        test: to score.
        grouped: after each band, also the band within the combination of the inputs' symbols.
    """
    lengths = np.concatenate([train.lengths, test.lengths]) + 1
    offsets = offsets_from_lengths(lengths)
    position = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    known = np.arange(offsets[-1]) < offsets[len(train)]
    ends = np.zeros(offsets[-1], np.int64)
    ends[offsets[1:] - 1] = 1
    groups = None
    if grouped and train.groups is not None and test.groups is not None:
        both = np.concatenate([train.groups, test.groups])
        groups = np.repeat(np.unique(both, return_inverse=True)[1], lengths)
    p = interpolated(np.zeros_like(ends), ends, ends, np.full(len(ends), 0.5), known)
    for width in BAND_WIDTHS:
        band = position // width
        p = interpolated(band, ends, ends, p, known)
        if groups is not None:
            p = interpolated(numbered(band, groups), ends, ends, p, known)
    return np.add.reduceat(np.log(p), offsets[:-1])[len(train) :]
