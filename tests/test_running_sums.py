"""A step reads where the running sums of rising numbers and dates stand: zeros, Sundays and the ends of months."""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

import unspool as us
from unspool import modelfile
from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.encoding.monotone import IncrementEncoder
from unspool.network.build import architecture_of
from unspool.network.cumulative import Calendar
from unspool.network.decoder import Net
from unspool.network.likelihood import start_decoding, teacher_forced
from unspool.network.lstm import to_weights
from unspool.network.serialization import read_model, weights
from unspool.options import Network
from unspool.schema.monotone import prefers_days

N, T = 40, 6
FIELDS = [
    us.Number("left", transform="decrement"),
    us.Number("seen", transform="increment"),
    us.When("day"),
    us.Category("ward"),
]
GOLDEN = Path(__file__).parent / "golden" / "format-2.unspool"


def test_the_numbers_of_a_day_are_those_of_the_calendar():
    """Every day of 120 years: weekday, the day of the month, and the days of this month and the next."""
    days = np.arange(-7_000, 37_000)
    calendar = Calendar(1.0, -11, 0.0, 0.0, by_month=True)
    found = [np.asarray(part) for part in calendar.of(jnp.asarray(days + 11, jnp.float32))]
    date = days.astype("datetime64[D]")
    month = date.astype("datetime64[M]")
    length = [(month + k + 1).astype("datetime64[D]") - (month + k).astype("datetime64[D]") for k in range(2)]
    np.testing.assert_array_equal(np.round(9 * found[16]) + 16, (date - month.astype("datetime64[D]")).astype(int) + 1)
    np.testing.assert_array_equal(found[17:19], [part.astype(int) - 30 for part in length])
    angle = np.outer([1, 2, 3], 2 * np.pi * (days % 7) / 7)
    np.testing.assert_allclose(found[6:12], np.stack([np.sin(angle), np.cos(angle)], 1).reshape(6, -1), atol=2e-6)
    assert (np.asarray(found[:6]) == 0).all()
    left = length[0].astype(int) - 1 - (date - month.astype("datetime64[D]")).astype(int)
    np.testing.assert_array_equal(found[-2] == 1, left == 0)
    np.testing.assert_allclose(found[-1], np.exp(-left / 2), rtol=1e-5)
    for day in (0, 24):  # no other day of the month is near in the cosines
        waves = np.stack(found[19:31])[:, date - month.astype("datetime64[D]") == np.timedelta64(day, "D")]
        others = np.stack(found[19:31])[:, date - month.astype("datetime64[D]") == np.timedelta64(day + 1, "D")]
        assert np.ptp(waves, axis=1).max() < 1e-5
        assert np.linalg.norm(waves[:, 0] - others[:, 0]) > 1
    assert len(found) == calendar.width == 33


def test_the_numbers_of_an_hour_are_harmonics_of_the_day():
    """Of moments in seconds that count from six in the morning."""
    hours = np.arange(0, 240, 0.75)
    found = np.stack(Calendar(1 / 86_400, 0, 0.25, 1.0).of(jnp.asarray(3_600 * hours, jnp.float32)))
    angle = 2 * np.pi * (hours + 6) / 24
    np.testing.assert_allclose(found[:2], [np.sin(angle), np.cos(angle)], atol=1e-3)


def table():
    """Visits with a number that falls, one that rises, and dates; some are missing, first ones are far from others."""
    rng = np.random.default_rng(0)
    left = 40.0 - rng.integers(0, 5, (N, T)).cumsum(1)
    left[rng.random((N, T)) < 0.1] = np.nan
    seen = np.exp(rng.normal(0, 2, (N, T))).cumsum(1)
    joined = 19_000 + rng.integers(0, 900, N)
    day = joined[:, None] + np.exp(rng.normal(3, 1, (N, T))).astype(int).cumsum(1)
    ids = np.repeat(np.arange(N), T)
    return {
        "id": ids,
        "kind": rng.choice(["a", "b"], N)[ids],
        "joined": joined[ids].astype("datetime64[D]"),
        "left": left.ravel(),
        "seen": seen.ravel(),
        "day": day.ravel().astype("datetime64[D]"),
        "ward": rng.choice(["north", "south"], N * T),
    }


@pytest.fixture(scope="module", params=["kind", "first"])
def fitted(request):
    """A codec, a network with random weights, inputs, and (T, N) steps.

    `First()` knows values before step 0, and days count from that on which one joined.
    """
    inputs = {"kind": us.Category("kind"), "first": us.First(), "joined": us.When("joined")}[request.param]
    fields = [*FIELDS[:2], us.When("day", since="joined"), FIELDS[3]] if request.param == "joined" else FIELDS
    codec_and_data = gather(table(), inputs=inputs, sequence=fields, id="id", order=None)
    codec = fit_codec(*codec_and_data)
    encoded = codec.encode(codec_and_data[1])
    steps = tuple(
        jnp.asarray(values.reshape(N, -1).T, jnp.int32 if values.dtype.kind == "i" else jnp.float32)
        for values in encoded.steps
    )
    inputs = tuple(jnp.asarray(a, jnp.int32 if a.dtype.kind == "i" else jnp.float32) for a in encoded.inputs)
    return codec, network(codec), inputs, steps


def network(codec):
    rng = np.random.default_rng(1)
    net = Net(rng, architecture_of(codec, Network(dropout=0.0), 6, 5))
    return net.map_weights(lambda w: to_weights(np.asarray(w) + rng.normal(0, 0.1, w.shape)))


@eqx.filter_jit
def along(net, inputs, steps):
    """What all steps read."""
    state, ready = start_decoding(net, inputs, 8)
    return net.feed_back_sequence(ready, tuple(jnp.roll(values, 1, 0) for values in steps), state.feedback)


@eqx.filter_jit
def one_by_one(net, inputs, steps):
    """What each step reads, from the step before it."""
    state, ready = start_decoding(net, inputs, 8)

    def once(before, values):
        after = net.feed_back(ready, values, before)
        return after, after

    _, later = jax.lax.scan(once, state.feedback, tuple(values[:-1] for values in steps))
    return jax.tree.map(lambda first, others: jnp.concatenate([first[None], others]), state.feedback, later)


@eqx.filter_jit
def log_prob(net, inputs, steps):
    """(T, N, F) of whole sequences."""
    state, ready = start_decoding(net, inputs, 8)
    output, _ = teacher_forced(net, ready, state, steps, net.masks())
    return net.log_prob(ready, output, steps, jnp.arange(len(steps[0])), jnp.full(N, len(steps[0])))[0]


@eqx.filter_jit
def field_by_field(net, inputs, steps):
    """(T, N, F) as samples are drawn: a field reads those before it."""
    state, ready = start_decoding(net, inputs, 8)
    output, _ = teacher_forced(net, ready, state, steps, net.masks())
    context, found = net.outputs.begin(output), []
    for j, dist in enumerate(net.distributions):
        found.append(dist.log_prob(net.outputs.params(context, j), steps[j]))
        context = net.condition_on(ready, context, j, steps[j])
    return jnp.stack(found, -1)


def test_what_steps_read_along_a_sequence_is_what_one_after_the_other_feeds_back(fitted):
    _, net, inputs, steps = fitted
    found = one_by_one(net, inputs, steps)
    whole = along(net, inputs, steps)
    assert len(whole.sums) == len(net.sums) == 3
    for k, sums in enumerate(whole.sums):
        np.testing.assert_allclose(sums, found.sums[k], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(whole.direct, found.direct, rtol=1e-3, atol=2e-3)
    assert np.abs(whole.direct - along(net_without(net), inputs, steps).direct).max() > 0.1


def net_without(net):
    """The same network, but no step reads a running sum."""
    return eqx.tree_at(lambda net: net.sums, net, tuple(map(jnp.zeros_like, net.sums)))


@pytest.mark.parametrize("fitted", ["kind", pytest.param("first", marks=pytest.mark.slow)], indirect=True)
def test_later_fields_of_a_step_read_the_sums_after_it(fitted):
    """Field by field, as samples are drawn, the log-probabilities are those of whole sequences."""
    _, net, inputs, steps = fitted
    whole = np.asarray(log_prob(net, inputs, steps))
    np.testing.assert_allclose(field_by_field(net, inputs, steps), whole, rtol=1e-3, atol=2e-3)
    silent = eqx.tree_at(lambda net: net.outputs.S, net, tuple(map(jnp.zeros_like, net.outputs.S)))
    other = np.asarray(log_prob(silent, inputs, steps))
    assert np.abs(other - whole)[..., -1].max() > 0.01
    assert (other[..., 0] == whole[..., 0]).all()


@pytest.mark.parametrize("fitted", ["kind", "first", "joined"], indirect=True)
def test_a_running_sum_is_the_value_of_the_step_before(fitted):
    """In the unit of its column and from its origin; that of a missing one is the last one that is there."""
    codec, net, inputs, steps = fitted
    whole, layout = along(net, inputs, steps), net.shape.steps
    first = codec.schema.first
    for j, (field, column) in enumerate(codec.step_columns()):
        if field.name not in ("left", "seen", "day") or not isinstance(column, IncrementEncoder):
            continue
        g, i = layout.place(j)
        sums = np.asarray(whole.sums[layout.summing.index(g)], np.float64)[..., i]
        found = (sums * column.sum_unit + column.origin) * (1 if column.unit else column.sign)
        values = table()[field.name].astype(np.float64).reshape(N, T).T
        for t in range(1, T):
            values[t] = np.where(np.isnan(values[t]), values[t - 1], values[t])
        expected = values[:-1]
        if column.delayed:
            np.testing.assert_allclose(found[0], table()["joined"].astype(np.float64)[::T], atol=0.01)
            found = found[1:]
        elif not first:  # nothing is known before the first value
            assert np.isnan(found[0]).all() or np.ptp(found[0]) == 0
            found = found[1:]
        known = ~np.isnan(expected)
        scale = np.abs(expected[known]).max()
        np.testing.assert_allclose(found[known], expected[known], rtol=0, atol=3e-6 * scale + 1e-3)


def test_a_file_from_before_reads_no_running_sum(fitted, tmp_path):
    """Nor does its hazard read the step before: without these arrays it loads, as the network with zeros for them."""
    codec, net, _, _ = fitted
    start, uncounted = us.load(GOLDEN).config_, msgspec.structs.replace(codec, examples=0, total=0)
    config = msgspec.structs.replace(
        start, codec=uncounted, network=Network(), size=6, embedding=5, row=None, arguments=None
    )
    arrays = {name: array for name, array in weights(net).items() if not name.startswith("sums.") and ".S." not in name}
    modelfile.write(tmp_path / "old.unspool", arrays, config)
    _, nets = read_model(tmp_path / "old.unspool")
    assert all((np.asarray(part) == 0).all() for part in (*nets.net.sums, *nets.net.outputs.S))
    again = weights(nets.net)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)


def test_a_countdown_ends_at_zero_and_only_there():
    """Without running sums half of the sequences went past their zero, and half of them ended elsewhere."""
    rng = np.random.default_rng(0)
    rows = []
    for k in range(200):
        left = int(rng.integers(3, 15))
        while left > 0:
            rows.append((k, "ab"[k % 2], left))
            left = max(0, left - int(rng.integers(1, 4)))
        rows.append((k, "ab"[k % 2], 0))
    ids, kind, left = (np.array(column) for column in zip(*rows, strict=True))
    model = us.OneToMany("kind", "left", verbose=False, training=us.Training(draw_inputs=False))
    model.fit({"id": ids, "kind": kind, "left": left}, id="id")
    made = model.generate({"kind": ["a", "b"]}, 200, seed=0)
    ends = made.offsets[1:] - 1
    zeros = made.columns["left"] == 0
    assert zeros[ends].mean() > 0.9
    assert zeros.sum() - zeros[ends].sum() < 0.05 * len(ends)


@pytest.mark.slow
def test_a_weekday_is_that_of_its_date():
    """Of dates some days apart; without running sums five of six were wrong."""
    rng = np.random.default_rng(0)
    days = 19_000 + rng.integers(0, 300, (150, 1)) + rng.integers(1, 12, (150, 8)).cumsum(1)
    table = {
        "id": np.repeat(np.arange(150), 8),
        "kind": np.repeat(rng.choice(["a", "b"], 150), 8),
        "date": days.ravel().astype("datetime64[D]"),
        "weekday": np.array(["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"])[days.ravel() % 7],
    }
    model = us.OneToMany("kind", ["date", "weekday"], verbose=False, training=us.Training(draw_inputs=False))
    model.fit(table, id="id")
    made = model.generate({"kind": ["a", "b"]}, 100, seed=0)
    number = made.columns["date"].astype("datetime64[D]").astype(np.int64) % 7
    wrong = np.array(["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"])[number] != made.columns["weekday"]
    assert wrong.mean() < 0.2


@pytest.mark.slow
def test_a_salary_is_paid_on_its_day():
    """Among bookings of any day; without numbers for the days of a month nine of ten were on others."""
    rng = np.random.default_rng(0)
    rows = []
    for k in range(120):
        for day in range(19_000 + int(rng.integers(0, 300)), 19_400):
            date = np.datetime64(day, "D")
            if (date - date.astype("datetime64[M]").astype("datetime64[D]")).astype(int) == 24:
                rows.append((k, "ab"[k % 2], date, "salary"))
            if rng.random() < 0.12:
                rows.append((k, "ab"[k % 2], date, rng.choice(["food", "fuel"])))
    ids, kind, date, what = (np.array(column) for column in zip(*rows, strict=True))
    model = us.OneToMany("kind", ["date", "what"], verbose=False, training=us.Training(draw_inputs=False))
    model.fit({"id": ids, "kind": kind, "date": date, "what": what}, id="id")
    (when, _) = model.codec_.steps
    assert when.by_month
    made = model.generate({"kind": ["a", "b"]}, 60, seed=0)
    dates = made.columns["date"].astype("datetime64[D]")
    days = (dates - dates.astype("datetime64[M]").astype("datetime64[D]")).astype(int) + 1
    assert (days[made.columns["what"] == "salary"] != 25).mean() < 0.3


def test_days_that_all_sequences_begin_with_are_not_preferred():
    """Nor are those of a single month; the same day of every month is, whether it counts from the first or the last."""
    start = np.datetime64("2024-01-01") - np.datetime64(0, "D")
    together = np.tile(start.astype(int) + np.arange(20), 50) * 86_400e6
    assert not prefers_days(together, np.arange(0, 1001, 20))
    rng = np.random.default_rng(0)
    days = np.sort(rng.integers(19_000, 19_730, 2_000))
    assert not prefers_days(days * 86_400e6, np.array([0, len(days)]))
    months = np.arange(625, 648).astype("datetime64[M]").astype("datetime64[D]").astype(int)
    for fixed in (months + 9, months - 1):
        both = np.sort(np.concatenate([days, np.repeat(fixed, 10)]))
        assert prefers_days(both * 86_400e6, np.array([0, len(both)]))
    assert not prefers_days(np.array([np.nan, 0.0]), np.array([0, 2]))
