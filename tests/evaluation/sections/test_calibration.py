"""Coverage of bands by a model of the true law, and by models of wrong ones."""

import numpy as np
import pytest

from unspool.evaluation.sections.calibration import LEVELS, calibration, misplaced


def cells(section, title):
    (table,) = [part for part in section.parts if part.title == title]
    return [dict(zip([column.name for column in table.columns], row, strict=True)) for row in table.rows]


def test_the_true_law_covers_what_it_says_in_every_field_and_band_of_positions(worlds):
    section = calibration(worlds(), 0)
    rows = [*cells(section, "By field"), *cells(section, "By position")]
    assert {row["field"] for row in rows} == {"x", "y"}
    assert {row.get("steps") for row in rows} >= {None, "1", "2", "3 to 4", "5 to 8"}
    for row in rows:
        for level in LEVELS:
            covered = row[f"in the {level:.0%} band"]
            assert abs(covered.value - level) < 5 * covered.error + 1e-9, (row, level)
    for row in cells(section, "By field"):
        assert abs(row["mean rank"].value - 0.5) < 5 * row["mean rank"].error
        assert abs(row["spread of ranks"].value - 1) < 5 * row["spread of ranks"].error


def test_paths_that_are_too_narrow_or_too_high_are_told_by_name(worlds):
    narrow = cells(calibration(worlds(spread=0.5), 0), "By field")[0]
    assert narrow["spread of ranks"].value > 1 + 5 * narrow["spread of ranks"].error
    assert narrow["in the 80% band"].value < 0.8 - 5 * narrow["in the 80% band"].error
    high = cells(calibration(worlds(shift=1.0), 0), "By field")[0]
    assert high["mean rank"].value < 0.5 - 5 * high["mean rank"].error


def test_the_same_seed_gives_the_same_section(worlds):
    assert calibration(worlds(), 3) == calibration(worlds(), 3)
    assert calibration(worlds(), 3) != calibration(worlds(), 4)


def test_misplaced_is_the_share_of_ranks_that_would_have_to_move():
    assert misplaced((np.arange(100) + 0.5) / 100) == pytest.approx(0)
    assert misplaced(np.full(7, 0.55)) == pytest.approx(0.9)


def test_what_can_not_be_judged_says_why(side_of, material_of):
    words = side_of(s=[["a", "b"], ["b"]])
    assert not calibration(material_of(words, words), 0).made
    few = side_of(x=[[1.0], [2.0]])
    section = calibration(material_of(few, few), 0)
    assert not section.made
    assert "at least 10 generated sequences for each input; there are 1" in section.verdict
