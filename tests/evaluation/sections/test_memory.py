"""Copies of training sequences."""

from dataclasses import replace

import numpy as np

from unspool.evaluation.sections.memory import distances, fingerprints, memory


def test_copies_are_found_exactly(samples_of, comparison_of_sets):
    train = samples_of(x=[[0.0, 1.0], [2.0], [3.0, np.nan]], s=[["a", "b"], ["a"], ["b", None]])
    real = samples_of(x=[[0.0, 1.0], [5.0]], s=[["a", "b"], ["b"]])
    synthetic = samples_of(
        x=[[-0.0, 1.0], [3.0, np.nan], [3.0, 0.0], [5.0], [2.0], [2.0], [1.0, 0.0], [0.0]],
        s=[["a", "b"], ["b", None], ["b", None], ["b"], ["a"], ["b"], ["a", "b"], ["a"]],
    )
    section = memory(comparison_of_sets(real, synthetic, train), 0)
    table = section.parts[0]
    assert table.rows[0][1:] == (3 / 8, 1 / 8, 4 / 8, 1.0)
    assert table.rows[1][1:] == (0.5, None, 0.5, 1.0)


def test_fingerprints_tell_sequences_of_one_value_more_apart(samples_of):
    one, two, three = fingerprints(samples_of(x=[[1.0], [1.0, 1.0], []]))
    assert len({one, two, three}) == 3
    assert three == b""


def test_the_true_law_is_as_far_from_training_as_held_out_sequences_are(worlds):
    figures = memory(worlds(), 0).figures
    assert figures["copies"] == 0
    assert abs(figures["distance ratio"] - 1) < 0.1
    assert not figures["repeats"]


def test_a_model_that_nearly_repeats_is_found_out_though_no_copy_is_exact(worlds):
    world = worlds()
    rng = np.random.default_rng(0)
    copied = world.train.take(rng.integers(0, 300, len(world.synthetic)))
    moved = copied.numbers | {"x": copied.numbers["x"] + 1e-3 * rng.normal(size=len(copied.numbers["x"]))}
    near = replace(copied, numbers=moved)
    section = memory(replace(world, synthetic=near), 0)
    assert section.figures["copies"] == 0
    assert section.figures["distance ratio"] < 0.1
    assert section.figures["repeats"]
    assert memory(replace(world, synthetic=copied), 0).figures["copies"] == 1


def test_distances_are_to_the_closest_of_all(worlds):
    world = worlds()
    same = replace(world, real=world.train)
    given = distances(replace(same, synthetic=world.train, ended=np.ones(300, np.bool_)), 0)
    assert max(given["held out"]) < 1e-5
    assert max(given["generated"]) < 1e-5
