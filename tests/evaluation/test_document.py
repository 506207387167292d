"""The plain data that a report is made of."""

import msgspec
import numpy as np
import pytest

from unspool.errors import DataError
from unspool.evaluation.document import Heading, Measured, Panel, Picture, ReportTable, Section, Trace, numbers

COLUMNS = (Heading("of", "text"), Heading("nats"), Heading("steps", "count"))


def test_a_section_survives_json_whatever_kind_of_number_it_was_made_of():
    rows = (("a", Measured(np.float64(1.5), np.nan), np.int64(3)), ("b", np.float32(0.5), None), ("c", np.inf, 2))
    trace = Trace("a", numbers(np.arange(3)), (1.0, np.float64(2), np.nan), mark="points")
    parts = (ReportTable("t", COLUMNS, rows), Picture("p", (Panel("", "x", "y", (trace,)),)))
    section = Section("nats", "Nats", "Fine.", parts, {"nats": np.float64(1.5), "none": np.nan})
    assert msgspec.json.decode(msgspec.json.encode(section), type=Section) == section
    assert section.parts[0].rows == (("a", Measured(1.5), 3), ("b", 0.5, None), ("c", None, 2))
    assert section.figures == {"nats": 1.5, "none": None}


def test_a_row_that_does_not_fit_its_table_is_refused():
    with pytest.raises(DataError, match="table 't': expected rows of 3 cells, found 2"):
        ReportTable("t", COLUMNS, (("a", 1.0),))


def test_a_trace_whose_heights_do_not_fit_its_positions_is_refused():
    with pytest.raises(DataError, match="trace 'a', high: expected 2 values, as of x, found 1"):
        Trace("a", (0.0, 1.0), (0.0, 1.0), high=(1.0,))
