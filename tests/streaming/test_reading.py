"""Scores and reports of data larger than memory: all sequences block by block, or a sample that is called one."""

import numpy as np
import pytest

from unspool.evaluation.split import read_split
from unspool.streaming.reading import gather_sample


@pytest.fixture(autouse=True)
def tiny_memory(small_sample, monkeypatch):
    """Everything is larger than memory."""
    monkeypatch.setattr("unspool.tables.parts.MAX_VALUES_IN_MEMORY", 100)


def test_scores_are_those_of_the_table_in_memory_in_its_order(shop, models):
    model = models.table
    known = model.log_prob(shop.table)
    np.testing.assert_allclose(model.log_prob(shop.sorted_parts), known, rtol=1e-6)
    assert model.score(shop.sorted_parts) == pytest.approx(model.score(shop.table), rel=1e-6)
    shuffled = model.log_prob(shop.shuffled)
    np.testing.assert_allclose(model.log_prob(shop.shuffled_parts), shuffled, rtol=1e-6)
    assert np.abs(known - shuffled).max() > 0.1  # the order of sequences does matter


def test_a_sample_says_that_it_is_one(shop, models):
    examples, notes = gather_sample(models.table.codec_, shop.sorted_parts, None, seed=0)
    same, _ = gather_sample(models.table.codec_, shop.sorted_parts, None, seed=0)
    others, _ = gather_sample(models.table.codec_, shop.sorted_parts, None, seed=1)
    assert 3 < len(examples) < 40
    assert examples.ids == same.ids != others.ids
    assert notes == (
        (
            f"{shop.sorted_parts} is larger than memory: every figure is about {len(examples)} of its 60 sequences, a "
            "sample by the seed."
        ),
    )
    assert gather_sample(models.table.codec_, shop.table, None, seed=0)[1] == ()


def test_the_split_of_a_report_has_both_notes(shop, models):
    split = read_split(models.table, (shop.sorted_parts, None), (shop.shuffled_parts, None), seed=0)
    assert len(split.test) < 40
    assert len(split.train) < 40
    assert str(shop.sorted_parts) in split.notes[0]
    assert str(shop.shuffled_parts) in split.notes[1]


@pytest.mark.slow
def test_a_report_on_data_larger_than_memory(shop, models):
    report = models.table.evaluate(str(shop.sorted_parts), samples=2, train=shop.table)
    assert "is larger than memory" in report.notes[0]
    assert "larger than memory: every figure is about" in str(report)
