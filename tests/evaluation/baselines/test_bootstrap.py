"""The block bootstrap."""

import numpy as np

from unspool.dataset.examples import Examples
from unspool.evaluation.baselines.bootstrap import block_bootstrap


def examples(lengths, seed=0):
    """Steps that say which sequence and which position they are: 100 * sequence + position."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    x = np.concatenate([100 * k + np.arange(n) for k, n in enumerate(lengths)])
    return Examples({"k": np.arange(len(lengths))}, {"x": x, "twice": 2 * x}, offsets)


def test_every_block_is_a_stretch_of_one_training_sequence_at_its_own_place():
    train = examples([3, 10, 7, 7, 1])
    made = block_bootstrap(train, train, 40, seed=0, block=3)
    position = np.concatenate([np.arange(n) for n in made.lengths])
    np.testing.assert_array_equal(made.steps["x"] % 100, position)
    np.testing.assert_array_equal(made.steps["twice"], 2 * made.steps["x"])
    source = made.steps["x"] // 100
    owner = np.repeat(np.arange(len(made)), made.lengths)
    block = owner * 10 + position // 3
    assert all(len(set(source[block == one])) == 1 for one in np.unique(block))
    whole = [set(source[owner == k]) for k in range(len(made)) if made.lengths[k] == 7]
    assert any(len(sources) > 1 for sources in whole)


def test_lengths_are_those_of_training_and_inputs_those_that_were_asked():
    train, asked = examples([2, 5, 9]), examples([4, 4])
    made = block_bootstrap(train, asked, 300, seed=1)
    np.testing.assert_array_equal(made.inputs["k"], np.repeat([0, 1], 300))
    share = [np.mean(made.lengths == n) for n in (2, 5, 9)]
    np.testing.assert_allclose(share, 1 / 3, atol=5 * np.sqrt(2 / 9 / 600))


def test_the_seed_decides():
    train = examples([5, 6, 7])
    values = [block_bootstrap(train, train, 5, seed).steps["x"].tolist() for seed in (0, 0, 1)]
    assert values[0] == values[1] != values[2]
