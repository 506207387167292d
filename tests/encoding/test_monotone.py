"""Timestamps and numbers that never fall, or never rise, come back as they were; nor do generated ones."""

import itertools

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import unspool as us
from unspool.dataset.gather import gather
from unspool.encoding.columns import Continuation
from unspool.encoding.fit import fit_codec
from unspool.encoding.monotone import IncrementEncoder
from unspool.errors import Location, SchemaError
from unspool.network.build import architecture_of
from unspool.options import Network
from unspool.schema.fields import First, Number, When

RNG = np.random.default_rng(2)
PLACE = Location("the data", "x")
DAY, HOUR = 86_400_000_000, 3_600_000_000
START = int(np.datetime64("2019-03-01", "us").astype(np.int64))


def events(rows=12, unit=DAY, offset=0, **more):
    """A long table of irregular timestamps, `unit` microseconds or multiples of it apart."""
    ids, when, joined = [], [], []
    for k in range(rows):
        first = START + int(RNG.integers(0, 400)) * DAY + offset
        at = first + np.cumsum(RNG.integers(0, 9, 6)) * unit
        ids += [k] * 6
        when += at.tolist()
        joined += [first - 3 * DAY] * 6
    columns = {"when": np.array(when, "datetime64[us]"), "joined": np.array(joined, "datetime64[us]")}
    return {"id": ids, "group": [k % 2 for k in ids], **columns, **more}


def fitted(table, inputs="group", sequence="when"):
    schema, examples = gather(table, id="id", inputs=inputs, sequence=sequence)
    return fit_codec(schema, examples), examples


def decoded(column, z, offsets, before=None):
    (values,), _ = column.decode(z, Continuation(offsets, before))
    return values


def float32(codec, examples):
    encoded = codec.encode(examples)
    narrow = [np.asarray(values, np.float32) for values in encoded.steps]
    return codec.decode(narrow, encoded.offsets, examples.first)


@pytest.mark.parametrize(("unit", "offset"), [(DAY, 0), (HOUR, 0), (6 * HOUR, HOUR), (60_000_000, 0), (1, 7)])
def test_timestamps_come_back_in_their_unit(unit, offset) -> None:
    """Days as days, hours as hours, microseconds as microseconds."""
    table = events(unit=unit, offset=offset)
    codec, examples = fitted(table)
    (column,) = codec.steps
    assert isinstance(column, IncrementEncoder)
    assert column.increment.mass
    back = float32(codec, examples)["when"]
    assert back.dtype == np.dtype("datetime64[us]")
    np.testing.assert_array_equal(back, examples.steps["when"])


@given(st.data())
def test_decode_undoes_encode(data) -> None:
    """Whole numbers, decimals, missing values, any lengths, with a known value before step 0 or without."""
    rows = data.draw(st.lists(st.lists(st.integers(0, 30) | st.none(), max_size=6), min_size=2, max_size=5))
    step = data.draw(st.sampled_from([1, 0.25, 0.01]))
    values = np.array([np.nan if x is None else x * step for row in rows for x in row] + [step, np.nan], float)
    offsets = np.cumsum([0, *map(len, rows), 2])
    for start, end in itertools.pairwise(offsets):
        gone = np.isnan(values[start:end])
        values[start:end] = np.where(gone, np.nan, np.nancumsum(values[start:end]))
    base = data.draw(st.none() | st.just(np.where(np.arange(len(offsets) - 1) % 2, np.nan, 0.0)))
    transform, ceiling = data.draw(st.sampled_from([("increment", None), ("decrement", 0.0), ("decrement", 500.0)]))
    if ceiling is not None:  # the same, counted down
        values, base = ceiling - values, None if base is None else ceiling - base
    field = Number("x", transform, data.draw(st.sampled_from(["discretized", "mixture", "histogram"])))
    column = IncrementEncoder.fit(field, values, PLACE, offsets, base)
    z, slope = column.encode(values, PLACE, offsets, base)
    assert not slope[np.isnan(z)].any()
    back = decoded(column, z.astype(np.float32), offsets, base)
    np.testing.assert_allclose(back, values, rtol=1e-6, atol=1e-9)


def falling(seed=0):
    """Two sequences and a half of continuous numbers that never rise, and what stands before step 0 of the second."""
    rng = np.random.default_rng(seed)
    offsets, base = np.array([0, 5, 9, 12]), np.array([np.nan, 40.0, np.nan])
    values = np.concatenate([30 - np.cumsum(rng.gamma(1.0, 3.0, n)) for n in np.diff(offsets)])
    values[[2, 5]] = np.nan
    return values, offsets, base


def test_a_decrement_is_the_increment_of_the_number_with_its_sign_turned() -> None:
    values, offsets, base = falling()
    down = IncrementEncoder.fit(Number("x", "decrement", "mixture"), values, PLACE, offsets, base)
    up = IncrementEncoder.fit(Number("x", "increment", "mixture"), -values, PLACE, offsets, -base)
    assert (down.increment, down.origin, down.low, down.high) == (up.increment, up.origin, -up.high, -up.low)
    z, slope = down.encode(values, PLACE, offsets, base)
    np.testing.assert_array_equal((z, slope), up.encode(-values, PLACE, offsets, -base))
    np.testing.assert_array_equal(decoded(down, z, offsets, base), -decoded(up, z, offsets, -base))


def test_the_likelihood_of_a_decrement_is_that_of_the_value() -> None:
    """Its slope is |dz/dx|, also with logarithmic decrements: by central differences, step by step."""
    values, offsets, base = falling()
    for x in (values, 30 - np.exp((30 - values) / 4)):
        column = IncrementEncoder.fit(Number("x", "decrement", "mixture"), x, PLACE, offsets, base)
        _, slope = column.encode(x, PLACE, offsets, base)
        for t in np.flatnonzero(~np.isnan(x)):
            nudge = 1e-6 * np.eye(len(x))[t]
            up, down = (column.encode(x + by, PLACE, offsets, base)[0][t] for by in (nudge, -nudge))
            assert np.log((down - up) / 2e-6) == pytest.approx(slope[t], abs=1e-5)  # z rises where x falls


def test_what_never_fell_never_falls() -> None:
    """Of a network with random weights, whatever it samples."""
    import jax.numpy as jnp

    table = events()
    day = (table["when"] - table["when"].min()).astype("timedelta64[D]").astype(int)
    for values, field in ((table["when"], When("x")), (day, Number("x")), (day * np.pi, Number("x"))):
        codec, _ = fitted({"id": table["id"], "group": table["group"], "x": values}, sequence=field)
        assert isinstance(codec.steps[0], IncrementEncoder)
        dist = architecture_of(codec, Network(), 8, 8).distributions[0]
        params = jnp.asarray(2 * RNG.normal(size=(60, dist.num_params)), jnp.float32)
        uniforms = jnp.asarray(RNG.uniform(1e-6, 1 - 1e-6, (60, dist.num_uniforms)), jnp.float32)
        z = np.asarray(dist.sample(params, uniforms))
        made = codec.decode([z], np.arange(0, 61, 6))["x"].reshape(10, 6)
        assert (np.diff(made, axis=1) >= np.zeros(1, np.diff(made).dtype)).all()


@pytest.mark.parametrize(
    ("transform", "levels", "wrong", "words"),
    [
        ("increment", [1, 4, 9, 30, 200], 2, "no smaller than the one before, for increment, found 2"),
        ("decrement", [230, 30, 20, 9, 0], 25, "no larger than the one before, for decrement, found 25"),
    ],
)
def test_a_step_that_never_falls_or_never_rises_is_inferred_and_one_that_does_is_not(
    transform, levels, wrong, words
) -> None:
    table = {"id": [k for k in range(8) for _ in range(5)], "group": [k % 2 for k in range(8) for _ in range(5)]}
    x = np.tile(levels, 8)
    x[x > 20] += RNG.integers(0, 3, (x > 20).sum())
    schema, _ = gather({**table, "x": x}, id="id", inputs="group", sequence=["x"])
    assert schema.steps == (Number("x", transform, "discretized"),)
    codec, _ = fitted({**table, "x": x}, sequence=["x"])
    assert (codec.steps[0].low, codec.steps[0].high) == (x.min(), x.max())
    assert codec.steps[0].floor == (0 if transform == "decrement" else None)
    bound = ", never below 0" if transform == "decrement" else ""
    assert f"{x.min()} to {x.max()}{bound}, {transform}s" in codec.describe()
    x[3] = wrong
    schema, _ = gather({**table, "x": x}, id="id", inputs="group", sequence=["x"])
    assert schema.steps[0].transform != transform
    with pytest.raises(SchemaError, match=f"expected a number {words}"):
        fitted({**table, "x": x}, sequence=Number("x", transform))


@pytest.mark.parametrize(("bounds", "floor"), [("auto", 0.0), (None, None), ((0.0, None), 0.0)])
def test_decrements_stop_at_zero_by_default(bounds, floor) -> None:
    values, offsets, _ = falling()
    values -= np.nanmin(values)
    field = Number("x", "decrement", "mixture", bounds)
    assert IncrementEncoder.fit(field, values, PLACE, offsets, None).floor == floor
    assert IncrementEncoder.fit(Number("x", "decrement", "mixture"), values - 1, PLACE, offsets, None).floor is None


def test_float32_carries_no_value_across_the_floor_but_a_sequence_may_start_below_it() -> None:
    offsets, values = np.array([0, 3, 6]), np.array([1e6, 4e5, 0.0, 9e5, 3e5, 0.0])
    column = IncrementEncoder.fit(Number("x", "decrement", "mixture"), values, PLACE, offsets, np.full(2, np.nan))
    base = np.array([7e5, -7.0])
    z, _ = column.encode(np.array([7e5, 3e5, -1.0, -7.0, -7.0, -8.0]), PLACE, offsets, base)
    assert decoded(column, z, offsets, base).tolist() == [7e5, 3e5, 0, -7, -7, -8]


@pytest.mark.parametrize(("transform", "sign"), [("increment", 1), ("decrement", -1)])
def test_data_below_the_bound_that_was_asked_for_are_refused(transform, sign) -> None:
    table = {"id": np.repeat(np.arange(8), 5), "group": np.repeat(np.arange(8), 5) % 2}
    x = sign * np.tile(np.arange(5), 8) - 2
    with pytest.raises(SchemaError, match=f"column 'x': expected numbers of at least 0, its bound, found {x.min()}"):
        fitted({**table, "x": x}, sequence=Number("x", transform, bounds=(0.0, None)))
    with pytest.raises(SchemaError, match=f"no bounds, since a {transform} is one in itself"):
        fitted({**table, "x": x}, sequence=Number("x", transform, bounds=(-9.0, None)))


@pytest.fixture(scope="module")
def stock():
    """A model of what is left of a stock, which never rises and never falls below 0, and of an empty day or not."""
    ids = np.repeat(np.arange(30), 8)
    left = np.maximum(60 - 6 * np.tile(np.arange(8), 30) - RNG.integers(0, 5, (30, 8)).cumsum(1).ravel(), 0)
    table = {"id": ids, "kind": ids % 2, "left": left, "late": np.round(RNG.random(240), 3)}
    options = {"network": us.Network(size=8), "training": us.Training(epochs=1, draw_inputs=False), "verbose": False}
    return us.OneToMany("kind", ["left", "late"], **options).fit(table, id="id", order=None)


def test_whole_numbers_that_never_rise_stay_whole_and_reach_zero(stock) -> None:
    """Of a network that has learned next to nothing, far past the lengths of training."""
    sequences = [[step["left"] for step in sequence] for sequence in stock.generate({"kind": [0, 1]}, n=40, length=40)]
    assert all(left == sorted(left, reverse=True) and left[-1] >= 0 for left in sequences)
    assert min(left[-1] for left in sequences) == 0
    assert all(isinstance(value, int) for left in sequences for value in left)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"pin": {1: {"left": 20}, 3: {"left": 21}}}, r"step 3.*'left'.*no more than 20.*step 1.*never rises.*21"),
        ({"pin": {1: {"left": -1}}}, r"step 1.*'left'.*at least 0.*-1"),
        ({"pin": {1: {"left": 2.5}}}, "whole number"),
        ({"pin": {1: {"left": 61}}}, r"step 1.*'left'.*no more than 60, the value before.*never rises, found 61"),
        ({"allow": {"left": (70, None)}}, "'left'.*never rises, found one that begins above"),
        ({"allow": {"left": (None, -1)}}, "'left'.*a range in which values lie, found None to -1"),
        ({"prefix": [{"left": 9, "late": 0.5}], "allow": {"left": (20, None)}}, "prefix.*at least 20.*rises, found 9"),
        ({"prefix": [{"left": -5, "late": 0.5}]}, r"prefix.*'left'.*at least 0, the bound.*found -5.*bounds=None"),
    ],
)
def test_what_contradicts_a_number_that_never_rises_is_refused(stock, asked, message) -> None:
    with pytest.raises(us.errors.UnspoolError, match=message):
        stock.generate({"kind": 0}, **asked)


def test_a_file_keeps_numbers_that_never_rise(stock, tmp_path) -> None:
    stock.save(tmp_path / "stock.unspool")
    again = us.load(tmp_path / "stock.unspool")
    assert list(again.generate({"kind": 1}, n=3, seed=5)) == list(stock.generate({"kind": 1}, n=3, seed=5))
    (column, _) = stock.codec_.steps
    with pytest.raises(SchemaError, match="1 or -1"):
        IncrementEncoder(column.increment, 0.0, sign=2.0)
    with pytest.raises(SchemaError, match="1, of timestamps, found -1"):
        IncrementEncoder(column.increment, 0.0, unit=float(DAY), sign=-1.0)


def test_a_file_without_numbers_that_never_rise_is_as_it_was_before_there_were_any() -> None:
    """Older programs refuse keys that they don't know; and what they wrote has none of them."""
    table = events()
    day = (table["when"] - table["when"].min()).astype("timedelta64[D]").astype(int)
    for values, field in ((table["when"], When("x")), (day, Number("x"))):
        (column,) = fitted({**table, "x": values}, sequence=field)[0].steps
        written = msgspec.json.encode(column)
        assert not {"sign", "floor"} & msgspec.json.decode(written).keys()
        assert msgspec.json.decode(written, type=IncrementEncoder) == column


def test_timestamps_that_go_back_have_increments_of_both_signs() -> None:
    table = events()
    table["when"][2] = table["when"][0] - np.timedelta64(5, "D")
    codec, examples = fitted(table)
    assert codec.steps[0].increment.floor is None
    np.testing.assert_array_equal(float32(codec, examples)["when"], examples.steps["when"])


def test_first_timestamps_count_from_the_nearest_date_among_the_inputs() -> None:
    """Or from the one that `since` names, or from the first record; else from the earliest start of training."""
    table = events()
    table["born"] = table["joined"] - np.timedelta64(9000, "D")
    codec, examples = fitted(table, inputs=["joined", "born"])
    assert codec.schema.steps[0].since == "joined"
    np.testing.assert_array_equal(examples.first["when"], examples.inputs["joined"].astype(np.int64))
    assert codec.steps[0].high > 0
    encoded = codec.encode(examples)
    np.testing.assert_array_equal(codec.decode(encoded.steps, encoded.offsets, examples.first)["when"], table["when"])
    assert fitted(table, ["joined", "born"], When("when", since="born"))[0].schema.steps[0].since == "born"
    with pytest.raises(SchemaError, match=r"When\('when', since=...\): expected the name of an input that is a date"):
        fitted(table, "group", When("when", since="group"))
    codec, examples = fitted(table, inputs=First("when"), sequence=["when"])
    np.testing.assert_array_equal(examples.first["when"], examples.inputs["when"].astype(np.int64))
    np.testing.assert_array_equal(float32(codec, examples)["when"], examples.steps["when"])


def test_missing_timestamps_are_missing() -> None:
    table = events()
    table["when"][[0, 8, 9, 17]] = np.datetime64("NaT")
    codec, examples = fitted(table)
    assert codec.steps[0].nullable
    back = float32(codec, examples)["when"]
    np.testing.assert_array_equal(back, examples.steps["when"])
    assert codec.show({"when": back}, examples.offsets)[0][0] is None


@pytest.mark.slow
def test_a_model_of_events_streams_and_survives_its_file(tmp_path) -> None:
    """From the table to generated dates: never before the input date, never falling, the same when streamed."""
    table = events(rows=24, amount=np.round(RNG.gamma(2, 20, 144), 2))
    options = {"network": us.Network(size=8), "training": us.Training(epochs=2), "verbose": False}
    model = us.OneToMany(["joined", "group"], ["when", "amount"], **options).fit(table, id="id", order=None)
    joined = ["2020-01-01", "2019-05-05"]
    asked = {"inputs": {"joined": joined, "group": [0, 1]}, "n": 3, "length": 12, "seed": 3}
    made = model.generate(**asked)
    for k, sequence in enumerate(made):
        days = [step["when"] for step in sequence]
        assert days == sorted(days)
        assert days[0].isoformat() >= joined[k // 3]
    for event in model.stream(**asked):
        assert event.value["when"] == made[event.row * 3 + event.sample][event.step]["when"]
    model.save(tmp_path / "events.unspool")
    assert list(us.load(tmp_path / "events.unspool").generate(**asked)) == list(made)
    assert np.isfinite(model.log_prob(table)).all()
    assert "since joined" in model.codec_.describe()
