"""Months, quarters and weeks are read as the offices write them; what looks like them and isn't stays text."""

import pandas as pd
import pytest

import unspool as us
from unspool.dataset.gather import gather
from unspool.errors import SchemaError
from unspool.schema.fields import Category, When
from unspool.tables.spellings import SPELLINGS, spelling_of


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_reads_what_it_writes(name: str) -> None:
    spelling = SPELLINGS[name]
    days = pd.date_range("1997-12-29", periods=800, freq="3D").to_pydatetime().tolist()
    texts = [spelling.format(day) for day in days]
    starts = [spelling.parse(text) for text in texts]
    assert starts == sorted(starts)
    assert all(start is not None and start <= day for start, day in zip(starts, days, strict=True))
    assert [spelling.format(start) for start in starts if start] == texts
    assert len(set(texts)) == {12: 80, 4: 28, 53: 343}[len(spelling.periods)]  # from December 1997 to July 2004


def test_the_spelling_of_texts_is_the_one_that_fits_all_of_them() -> None:
    assert spelling_of(["May 1998", "June 1998"]).name == "January YYYY"
    assert spelling_of(["1998-10", "1998-9"]).name == "YYYY-1"
    assert spelling_of(["1/1998", "12/1998"]).name == "1/YYYY"
    assert spelling_of(["1998M01"]).name == "YYYYM01"


@pytest.mark.parametrize(
    "texts",
    [
        [],
        ["1998-01", "1998-13"],
        ["1998Q5"],
        ["1999-W53"],
        ["4711-05"],
        ["199801"],
        ["1998.01"],
        ["1998-01", "1998/02"],
        ["1998-99", "1999-00"],
        ["2001-02", "2002-03"],
        ["1998-01-01"],
        ["1998"],
        ["\u0661998-01"],
    ],
)
def test_texts_that_are_no_periods_have_no_spelling(texts: list[str]) -> None:
    assert spelling_of(texts) is None


@pytest.fixture(scope="module")
def table():
    months = [str(month) for month in pd.period_range("2020-01", periods=12, freq="M")]
    return pd.DataFrame({"id": [0] * 12 + [1] * 12, "month": months[::-1] * 2, "x": range(24)})


def test_rows_are_ordered_by_texts_of_months(table) -> None:
    by_name = table.assign(month=pd.to_datetime(table["month"]).dt.strftime("%b %Y"))
    schema, examples = gather(by_name, sequence=["month", "x"], id="id", order="month")
    assert isinstance(schema.steps[0], When)
    assert examples.steps["x"][:12].tolist() == list(range(11, -1, -1))
    _, alone = gather(by_name, sequence=["x"], id="id", order="month")
    assert alone.steps["x"].tolist() == examples.steps["x"].tolist()


def test_months_are_a_category_if_the_user_says_so(table) -> None:
    _, examples = gather(table, sequence=[Category("month"), "x"], id="id")
    assert examples.steps["month"].tolist() == table["month"].tolist()


def test_a_month_among_others_that_is_none_is_named(table) -> None:
    odd = table.assign(month=[*table["month"][:-1], "2020-1"])
    with pytest.raises(SchemaError, match=r"column 'month'.*found '2020-1'.*quarters \(YYYYQ1\)"):
        gather(odd, sequence=["x"], id="id", order="month")


def test_first_months_are_the_origins_of_the_later_ones(table) -> None:
    as_dates = table.assign(month=pd.to_datetime(table["month"]))
    (texts, _), (dates, _) = (
        gather(data, inputs=us.First("month", "x"), sequence=["month", "x"], id="id", order="month")
        for data in (table, as_dates)
    )
    assert texts == dates
