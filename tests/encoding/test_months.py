"""Dates that are the same day of a month are counted in months, and come back exactly."""

from datetime import date

import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

import unspool as us
from unspool.dataset.gather import gather
from unspool.encoding.columns import Continuation
from unspool.encoding.fit import fit_codec
from unspool.encoding.monotone import IncrementEncoder
from unspool.errors import Location, OptionError, SchemaError
from unspool.network.build import architecture_of
from unspool.network.cumulative import MonthCalendar
from unspool.schema.fields import When
from unspool.schema.monotone import Months, as_number

PLACE = Location("the data", "at")
DAY = 86_400_000_000
N, T = 40, 6


def dates(count=1, day=1, seed=0, hours=0):
    """(N * T,) dates, once in so many months at the most, over leap days."""
    rng = np.random.default_rng(seed)
    months = count * (rng.integers(-30, 200, (N, 1)) + rng.integers(1, 4, (N, T)).cumsum(1)).ravel()
    first, after = ((months + k).astype("datetime64[M]").astype("datetime64[D]") for k in (0, 1))
    length = (after - first).astype(int)
    return (
        first.astype("datetime64[us]")
        + (np.minimum(day, length) - 1) * np.timedelta64(1, "D").astype("timedelta64[us]")
        + np.timedelta64(hours, "h")
    )


OFFSETS = np.arange(0, N * T + 1, T)


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("since", [None, "joined"])
@pytest.mark.parametrize(
    ("count", "day", "hours"), [(1, 1, 0), (1, 31, 0), (1, 30, 9), (3, 31, 0), (12, 1, 0), (6, 15, 23)]
)
def test_every_date_comes_back_exactly(count, day, hours, since, missing):
    """In sequences that count from an input's date or not, of months, quarters, half-years and years."""
    times = dates(count, day, hours=hours)
    before = as_number(times)[::T] - np.random.default_rng(1).integers(0, 500, N) * DAY if since else None
    times[np.random.default_rng(2).random(N * T) < missing] = np.datetime64("NaT")
    column = IncrementEncoder.fit(When("at", "discretized", since), times, PLACE, OFFSETS, before)
    assert column.months == Months(count, 0, day, hours * DAY / 24)
    assert (column.delayed, column.nullable) == (since is not None, missing > 0)
    codes = [part.encode(times, PLACE, OFFSETS, before)[0] for part in (column, *column.first)]
    seen = [code.astype(np.float32) if code.dtype.kind == "f" else code for code in codes]
    found = column.decode(seen[0], Continuation(OFFSETS, before, parts=tuple(seen[1:]))).values[0]
    np.testing.assert_array_equal(found, times)
    again = msgspec.json.decode(msgspec.json.encode(column), type=IncrementEncoder)
    assert again == column


def test_first_dates_are_seen_by_year_and_month_where_they_follow_the_year():
    """Else by one number."""
    rng = np.random.default_rng(0)
    summer = (12 * rng.integers(30, 50, N * T) + rng.integers(5, 8, N * T)).astype("datetime64[M]")
    pairs = np.arange(0, N * T + 1, 2)
    summer = np.sort(summer.reshape(-1, 2)).ravel().astype("datetime64[us]")
    column = IncrementEncoder.fit(When("at", "discretized"), summer, PLACE, pairs, None)
    assert [part.name for part in column.first] == ["year", "month"]
    assert "first by year, month" in column.describe()
    anytime = IncrementEncoder.fit(When("at", "discretized"), dates(), PLACE, OFFSETS, None)
    assert [part.name for part in anytime.first] == ["month"]


@pytest.mark.parametrize("other", ["2024-01-15", "2024-02-02"])
def test_dates_of_other_days_are_counted_in_days(other):
    times = dates()
    times[7] = np.datetime64(other)
    assert Months.of(as_number(times)) is None
    assert Months.of(as_number(times[:3])) is None, "three dates show nothing"


def test_a_date_between_two_is_between_their_counts():
    months = Months(3, 1, 31)
    times = as_number(np.array(["2024-02-29", "2024-04-15", "2024-05-31", "1969-11-30", "NaT"], "datetime64[us]"))
    y = months.to_units(times)
    np.testing.assert_array_equal(y[[0, 2, 3]], [216, 217, -1])
    assert 216.4 < y[1] < 216.6
    assert np.isnan(y[4])
    np.testing.assert_allclose(months.to_times(y[:4]), times[:4], rtol=1e-12)
    np.testing.assert_array_equal(months.to_units(np.array([-np.inf, np.inf])), [-np.inf, np.inf])


@pytest.mark.parametrize("far", [1e9, -1e9, 1e300])
def test_no_count_is_beyond_the_years_of_four_digits(far):
    found = Months(1).to_times(np.array([far])).astype("datetime64[us]")[0].item()
    assert found.year in (2, 9998)


@pytest.mark.parametrize(
    "changed", [{"phase": 3}, {"count": 0}, {"count": 5}, {"count": 13}, {"day": 32}, {"time": float(DAY)}]
)
def test_months_that_are_none_are_refused(changed):
    text = msgspec.json.encode({"count": 3, "phase": 1, "day": 5} | changed)
    with pytest.raises((SchemaError, msgspec.ValidationError)):
        msgspec.json.decode(text, type=Months)


def test_what_a_step_reads_of_months_is_the_month():
    """Harmonics of the year; in years there is nothing to read."""
    found = np.stack(MonthCalendar(2.0, 3.0).of(jnp.arange(24.0) / 2))
    angle = 2 * np.pi * (np.arange(24) + 3) / 12
    np.testing.assert_allclose(found[:2], [np.sin(angle), np.cos(angle)], atol=1e-5)
    assert len(found) == MonthCalendar(1.0, 0.0).width
    for count, expected in ((1, MonthCalendar), (12, type(None))):
        table = {"id": np.repeat(np.arange(N), T), "k": np.repeat(["a", "b"], N * T // 2), "at": dates(count)}
        codec = fit_codec(*gather(table, inputs="k", sequence="at", id="id"))
        rule = architecture_of(codec, us.Network(), 8, 8).cumulative[0]
        assert isinstance(rule.features.calendar, expected)


@pytest.fixture(scope="module")
def bills():
    """A model of bills at the ends of months, one a month with gaps, of which those of December are larger."""
    rng = np.random.default_rng(0)
    number = rng.integers(540, 600, (N, 1)) + np.arange(12) + (rng.random((N, 12)) < 0.1).cumsum(1)
    table = {
        "id": np.repeat(np.arange(N), 12),
        "plan": np.repeat(rng.choice(["basic", "full"], N), 12),
        "due": ((number.ravel() + 1).astype("datetime64[M]").astype("datetime64[D]") - 1),
        "amount": np.round(rng.normal(20, 2, N * 12) + 20 * (number.ravel() % 12 == 11), 2),
    }
    training = us.Training(epochs=40, draw_inputs=False)
    model = us.OneToMany("plan", ["due", "amount"], training=training, network=us.Network(size=16), verbose=False)
    return model.fit(table, id="id"), table


def is_end(days):
    days = days.astype("datetime64[D]")
    return (days + 1).astype("datetime64[M]") > days.astype("datetime64[M]")


def test_generated_dates_are_ends_of_months(bills):
    model, table = bills
    made = model.generate({"plan": ["basic", "full"]}, 100, seed=0)
    assert is_end(made.columns["due"]).all()
    same = (np.diff(made.columns["due"].astype("datetime64[M]").astype(int)) == 1).mean()
    real = (np.diff(table["due"].astype("datetime64[M]").astype(int)) == 1).mean()
    assert abs(same - real) < 0.1


def test_dates_may_be_given_and_bounded(bills):
    """A pin, a prefix and an allowed range keep to the ends of months; the range has those that lie within it."""
    model, _ = bills
    prefix = [{"due": date(2018, 2, 28), "amount": 20.0}]
    made = model.generate({"plan": "full"}, 20, seed=1, prefix=prefix, pin={2: {"due": "2018-05-31"}})
    assert is_end(made.columns["due"]).all()
    assert (made.columns["due"][made.offsets[:-1]] == np.datetime64("2018-02-28")).all()
    third = made.columns["due"][made.offsets[:-1] + 2]
    assert (third == np.datetime64("2018-05-31")).all()
    made = model.generate({"plan": "full"}, 50, seed=2, allow={"due": ["2016-03-01", "2017-01-30"]}, length=3)
    found = made.columns["due"].astype("datetime64[D]")
    assert is_end(found).all()
    assert (found.min(), found.max()) >= (np.datetime64("2016-03-31"), np.datetime64("2016-05-31"))
    assert found.max() <= np.datetime64("2016-12-31")
    with pytest.raises(OptionError, match="a range in which values lie"):
        model.generate({"plan": "full"}, allow={"due": ["2016-03-01", "2016-03-30"]})


def test_a_date_between_is_scored_as_the_mass_beside_it(bills):
    """As moments between two hours are where training has whole hours."""
    model, _ = bills
    rows = {"id": [0, 0], "plan": ["full"] * 2, "due": ["2018-03-31", "2018-04-29"], "amount": [20.0, 21.0]}
    assert np.isfinite(model.log_prob(rows)).all()
