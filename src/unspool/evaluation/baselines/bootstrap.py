"""The block bootstrap: a rival that has no likelihood, but makes sequences out of pieces of real ones."""

import numpy as np

from unspool.dataset.examples import Examples
from unspool.tables.columns import offsets_from_lengths


def block_bootstrap(train: Examples, asked: Examples, samples: int, seed: int, block: int | None = None) -> Examples:
    """Sequences of blocks, each a stretch of some training sequence at its own place.

    Künsch (1989), "The jackknife and the bootstrap for general stationary observations", joins blocks of one series
    from anywhere. Ours come from the same positions of other sequences, so that what belongs to the beginning stays
    there; every sequence has the length of a training sequence drawn for it. The input plays no part.

    Args:
        train: the sequences that blocks are taken from.
        asked: for whose inputs sequences are made.
        samples: sequences per input, row after row.
        seed: of the draws.
        block: steps of a block; by default the cube root of the mean number of steps, which is the rate for means.

    Returns:
        `samples` times as many examples as `asked`, each with the input of its row.

    Examples:
        >>> import numpy as np
        >>> train = Examples({}, {"x": np.array([1, 2, 3, 4, 11, 12, 13, 14])}, np.array([0, 4, 8]))
        >>> block_bootstrap(train, train, 2, seed=0, block=2).steps["x"].tolist()
        [11, 12, 13, 14, 11, 12, 13, 14, 11, 12, 13, 14, 1, 2, 13, 14]
    """
    rng = np.random.default_rng([seed, 7])
    size = block or max(1, round(float(train.lengths.mean()) ** (1 / 3)))
    rows = np.repeat(np.arange(len(asked)), samples)
    lengths = train.lengths[rng.integers(0, len(train), len(rows))]
    at = np.zeros(int(lengths.sum()), np.int64)
    offsets = offsets_from_lengths(lengths)
    # From the longest: of the sorted sequences, the first few are those that reach to the end of a block.
    order = np.argsort(-train.lengths, kind="stable")
    for start in range(0, int(lengths.max(initial=0)), size):
        needs = np.minimum(lengths - start, size)
        for k in np.flatnonzero(needs > 0):
            reach = int(np.searchsorted(-train.lengths[order], -(start + needs[k]), side="right"))
            source = order[int(rng.integers(0, reach))]
            here = offsets[k] + start + np.arange(needs[k])
            at[here] = train.offsets[source] + start + np.arange(needs[k])
    return Examples(
        {name: column[rows] for name, column in asked.inputs.items()},
        {name: column[at] for name, column in train.steps.items()},
        offsets,
        {name: column[rows] for name, column in asked.first.items()},
        location="the block bootstrap",
    )
