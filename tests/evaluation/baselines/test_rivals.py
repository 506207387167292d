"""Real training sequences in the place of generated ones."""

from dataclasses import replace

import numpy as np

from unspool.evaluation.baselines.rivals import NEIGHBOURS, at_random, nearest


def with_inputs(side, **inputs):
    return replace(side, inputs={name: np.array(column) for name, column in inputs.items()})


def test_the_nearest_are_of_the_same_category_and_of_near_numbers(side_of):
    train = side_of(x=[[float(k)] for k in range(100)])
    train = with_inputs(train, group=np.arange(100) % 2, level=[[k / 10] for k in range(100)])
    asked = with_inputs(side_of(x=[[0.0], [0.0]]), group=[0, 1], level=[[5.0], [np.nan]])
    taken = nearest(train, asked, 200, 0)
    first = taken.numbers["x"][:200]
    assert set(first) == {float(k) for k in range(40, 60, 2)} | {60.0}  # 40 and 60 are equally near
    assert len(set(first)) == NEIGHBOURS + 1
    assert set(taken.numbers["x"][200:] % 2) == {1.0}
    assert len(set(taken.numbers["x"][200:])) > NEIGHBOURS  # a number unknown is equally far from all


def test_a_draw_at_random_takes_all_training_sequences_alike(side_of):
    train = side_of(x=[[float(k)] for k in range(10)])
    drawn = at_random(train, 1000, 10, 0).numbers["x"].astype(int)
    assert np.abs(np.bincount(drawn) / 10_000 - 0.1).max() < 5 * np.sqrt(0.09 / 10_000)
