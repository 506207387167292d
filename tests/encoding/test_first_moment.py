"""The first moment of a sequence is seen in parts, and comes back exactly."""

import itertools

import msgspec
import numpy as np
import pytest

from unspool.dataset.gather import gather
from unspool.encoding.columns import Continuation
from unspool.encoding.encoded import Encoded
from unspool.encoding.first_moment import DAY, HOUR, describe_parts, fit_parts, part_sizes
from unspool.encoding.fit import fit_codec
from unspool.encoding.monotone import IncrementEncoder
from unspool.errors import Location, SchemaError
from unspool.evaluation.samples.scoring import log_probs
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.options import Network
from unspool.schema.fields import When

PLACE = Location("the data", "at")
SECOND = 1_000_000
LEAP = int(np.datetime64("2024-02-28T22:00:00", "us").astype(np.int64))


def ragged(unit, rows=40, seed=0, missing=0.0):
    """Timestamps around a leap day, of 0 to 4 steps a sequence, in whole units; offsets, and what precedes step 0."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 5, rows)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    start = LEAP // unit * unit + rng.integers(0, 300 * DAY // unit, rows) * unit
    values = [first + np.cumsum(rng.integers(0, 5000, n)) * unit for first, n in zip(start, lengths, strict=True)]
    times = np.concatenate(values).astype("datetime64[us]")
    times[rng.random(len(times)) < missing] = np.datetime64("NaT")
    return times, offsets, start - rng.integers(0, 10**6, rows) * unit


def codes_of(column, times, offsets, before=None):
    """What the network sees in float32 of the column, and of its parts."""
    codes = [part.encode(times, PLACE, offsets, before)[0] for part in (column, *column.first)]
    return [code.astype(np.float32) if code.dtype.kind == "f" else code for code in codes]


def decoded(column, codes, offsets, before=None):
    return column.decode(codes[0], Continuation(offsets, before, parts=tuple(codes[1:]))).values[0]


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("since", [None, "joined"])
@pytest.mark.parametrize("unit", [DAY, HOUR, 60 * SECOND, SECOND, 1000, 1])
def test_every_moment_comes_back_exactly(unit, since, missing) -> None:
    """Over a leap day, in sequences of no, one and more steps, counted from an input's date or not."""
    times, offsets, start = ragged(unit, missing=missing)
    before = start.astype(np.float64) if since else None
    column = IncrementEncoder.fit(When("at", "mixture", since), times, PLACE, offsets, before)
    assert (column.delayed, column.nullable) == (since is not None, missing > 0)
    np.testing.assert_array_equal(decoded(column, codes_of(column, times, offsets, before), offsets, before), times)


def test_a_moment_before_all_of_training_and_one_far_after_come_back() -> None:
    times, offsets, _ = ragged(SECOND)
    column = IncrementEncoder.fit(When("at", "mixture"), times, PLACE, offsets, None)
    others = np.array(["1969-12-31T23:59:59", "2400-02-29T12:34:56"], "datetime64[us]")
    np.testing.assert_array_equal(decoded(column, codes_of(column, others, np.arange(3)), np.arange(3)), others)


def test_moments_with_time_zones_come_back_in_utc_to_the_second() -> None:
    texts = [[f"2024-0{3 + k % 5}-30T23:59:{10 + k}+05:30", f"2024-09-01T00:00:{10 + k}+05:30"] for k in range(30)]
    schema, examples = gather({"k": [k % 2 for k in range(30)], "at": texts}, inputs="k", sequence="at")
    codec = fit_codec(schema, examples)
    encoded = codec.encode(examples)
    assert len(encoded.steps) == 1 + len(codec.steps[0].first) > 1
    wanted = np.array([text[:19] for pair in texts for text in pair], "datetime64[us]") - np.timedelta64(330, "m")
    np.testing.assert_array_equal(codec.decode(encoded.steps, encoded.offsets)["at"], wanted)


def test_a_first_moment_has_parts_where_it_is_and_the_gaps_are_alone() -> None:
    """The first present one counts; a missing one is none; later steps have no parts."""
    times = np.array(["NaT", "2024-03-01", "2024-03-04", "2024-03-06", "2024-03-09"], "datetime64[us]")
    offsets = np.array([0, 3, 5])
    column = IncrementEncoder.fit(When("at", "mixture"), times, PLACE, offsets, None)
    gaps, days = codes_of(column, times, offsets)
    assert np.isnan(gaps[0])
    np.testing.assert_array_equal(np.isinf(gaps), [False, True, False, True, False])
    np.testing.assert_array_equal(np.isinf(days), [True, False, True, False, True])
    assert (column.increment.low, column.increment.high) == (3.0, 3.0)


def test_a_moment_before_the_date_that_all_of_training_follow_is_refused() -> None:
    times, offsets, start = ragged(DAY)
    column = IncrementEncoder.fit(When("at", "mixture", "joined"), times, PLACE, offsets, start.astype(np.float64))
    early, joined = np.array(["2024-05-01"], "datetime64[us]"), np.array([1.7147e15])  # 2024-05-03
    with pytest.raises(SchemaError, match=r"no earlier than the one before, 2024-05-03.*2024-05-01, 2 days before"):
        column.encode(early, PLACE, np.array([0, 1]), joined)


def test_parts_follow_the_calendar_where_the_data_do() -> None:
    rng = np.random.default_rng(0)
    day = rng.integers(0, 2000, 3000)
    hour = rng.integers(8, 18, len(day))
    rest = rng.integers(0, 3600, len(day))
    y = day * 86_400.0 + rng.integers(0, 86_400, len(day))
    cases = {
        ", first by day, time": y,
        ", first by day, hour, time": day * 86_400.0 + hour * 3600 + rest,
        ", first by week, weekday, time": y[(day + 3) % 7 < 5],
        ", first by week, weekday, hour, time": (day * 86_400.0 + hour * 3600 + rest)[(day + 3) % 7 < 5],
        ", first by year, week, weekday, time": y[day % 364 < 150],
    }
    for wanted, moments in cases.items():
        assert describe_parts(fit_parts(moments, 1e6, None, "at", PLACE)) == wanted
    weekdays = fit_parts(y[(day + 3) % 7 < 5], 1e6, None, "at", PLACE)[1]
    monday = np.datetime64("2024-07-01T09:00", "s").astype(np.float64)
    assert weekdays.seen(np.array([monday]), np.array([weekdays.origin]))[0].tolist() == [0.0]


def test_a_part_is_small_enough_for_float32() -> None:
    for unit in (1, 1000, SECOND, HOUR, DAY):
        sizes = part_sizes(unit, 100 * 365 * DAY / unit, ())
        counts = [100 * 365 * DAY / unit / sizes[0], *(large / small for large, small in itertools.pairwise(sizes))]
        assert sizes[-1] == 1
        assert max(counts) <= 2**17
        assert counts[1:] == [round(count) for count in counts[1:]]


@pytest.mark.parametrize("hours", [pytest.param(True, marks=pytest.mark.slow), False])
def test_the_probabilities_of_all_first_moments_sum_to_one(hours) -> None:
    """And of a sequence whose first moment is certain, those of the gap after it."""
    rng = np.random.default_rng(1)
    day = rng.integers(0, 60, 400) + 20_000
    hour = np.where(hours, rng.integers(9, 13, 400), 0)
    first = day * DAY + hour * HOUR
    unit = HOUR if hours else DAY
    times = np.stack([first, first + rng.integers(0, 5, 400) * unit], 1).ravel().astype("datetime64[us]")
    table = {"id": np.repeat(np.arange(400), 2), "k": np.zeros(800, int), "at": times}
    schema, examples = gather(table, id="id", inputs="k", sequence="at")
    codec = fit_codec(schema, examples)
    assert [part.name for part in codec.steps[0].first] == (["day", "hour"] if hours else ["day"])
    shape = architecture_of(codec, Network(), 8, 4)
    net = Net(rng, shape).map_weights(lambda w: w + 0.1 * rng.standard_normal(w.shape).astype(np.float32))

    def nats(moments):
        offsets = 2 * np.arange(len(moments) + 1)
        steps = [part.encode(moments.ravel(), PLACE, offsets) for _, part in codec.step_columns()]
        codes, slopes = zip(*steps, strict=True)
        return log_probs(net, Encoded((np.zeros(len(moments), np.int32),), codes, offsets, slopes))

    def pairs(first, later):
        moments = np.stack(np.broadcast_arrays(first, later), 1).astype(np.int64)
        return moments.astype("datetime64[us]")

    start = 20_000 * DAY
    grid = start + np.arange(-150 * DAY // unit, 150 * DAY // unit) * unit
    gap = start + 5 * HOUR // unit * unit + np.arange(200) * unit  # of one first moment, all that may follow
    found = nats(pairs(gap[:1], gap))
    assert found.shape == (200, 1)
    share = np.exp(found[:, 0] - found[0, 0])
    each = nats(pairs(grid, grid))[:, 0]
    # p(first) p(gap = 0 | first) over all first moments, and p(gap | first) over all gaps of one of them:
    none = np.exp(found[0, 0]) / np.exp(first_alone(net, codec, gap[:1]))[0]
    np.testing.assert_allclose(share.sum() * none, 1.0, atol=1e-3)
    assert np.exp(each).sum() < 1
    np.testing.assert_allclose(np.exp(first_alone(net, codec, grid)).sum(), 1.0, atol=1e-3)


def first_alone(net, codec, moments):
    """Nats of first moments alone, of sequences of one step."""
    offsets = np.arange(len(moments) + 1)
    times = moments.astype("datetime64[us]")
    codes, slopes = zip(*(part.encode(times, PLACE, offsets) for _, part in codec.step_columns()), strict=True)
    return log_probs(net, Encoded((np.zeros(len(moments), np.int32),), codes, offsets, slopes))[:, 0]


def test_parts_that_make_no_moment_are_refused() -> None:
    times, offsets, _ = ragged(SECOND)
    column = IncrementEncoder.fit(When("at", "mixture"), times, PLACE, offsets, None)
    day, second = column.first
    with pytest.raises(SchemaError, match="parts of one moment"):
        msgspec.structs.replace(column, first=(second, day))
    with pytest.raises(SchemaError, match="parts of one moment"):
        msgspec.structs.replace(column, first=(day,))
    with pytest.raises(SchemaError, match="2 to 24"):
        msgspec.structs.replace(second, number=None)
    with pytest.raises(SchemaError, match="masses"):
        msgspec.structs.replace(day, number=msgspec.structs.replace(day.number, mass=False))
