"""Angles and bounds in whole models: inferred, generated, given, allowed, saved and scored."""

import numpy as np
import pytest

import unspool as us

pytestmark = pytest.mark.slow

STORMS, STEPS = 120, 12


def storms():
    """Tracks that drift east across the date line, with a shaky heading and cloud cover up to 100."""
    rng = np.random.default_rng(0)
    rows = []
    for storm in range(STORMS):
        lon = rng.uniform(-180, 180) + np.cumsum(rng.normal(2.0, 0.5, STEPS))
        cloud = np.minimum(100, rng.normal(90, 15, STEPS))
        wind = rng.normal(0, 40, STEPS) % 360
        lon = (lon + 180) % 360 - 180
        rows += [(storm, t, "ab"[storm % 2], lon[t], wind[t], cloud[t]) for t in range(STEPS)]
    names = ("id", "t", "kind", "lon", "wind_dir", "cloud")
    return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


@pytest.fixture(scope="module")
def model():
    training = us.Training(epochs=8, batch=16)
    unfitted = us.OneToMany(
        ["kind", us.First("lon")], ["lon", "wind_dir", "cloud"], network=us.Network(size=16), training=training
    )
    return unfitted.fit(storms(), id="id", order="t")


@pytest.fixture(scope="module")
def inputs():
    lon = np.random.default_rng(1).uniform(-180, 180, 60)
    return {"kind": ["a", "b"] * 30, "lon": lon.tolist()}


@pytest.fixture(scope="module")
def made(model, inputs):
    return model.generate(inputs, n=3, seed=1)


def columns(sequences, name):
    return np.array([[step[name] for step in sequence] for sequence in sequences], float)


def turned(x):
    return (x + 180) % 360 - 180


def test_angles_are_inferred_and_described(model) -> None:
    kinds = {field.name: field.kind for field in model.schema_.steps}
    assert kinds == {"lon": "Angle", "wind_dir": "Angle", "cloud": "Number"}
    assert model.schema_.inputs[1].kind == "Angle"
    text = model.codec_.describe()
    assert "angles from -180 to 180, changes of" in text
    assert "angles from 0 to 360" in text
    assert "never outside 0 to 100" in text


def test_no_jump_is_invented_and_the_date_line_is_crossed_as_often_as_in_the_data(made, inputs) -> None:
    lon = columns(made, "lon")
    assert lon.min() >= -180
    assert lon.max() <= 180
    start = np.repeat(inputs["lon"], 3)
    changes = turned(np.diff(np.column_stack([start, lon]), axis=1))
    assert np.mean(np.abs(changes) > 15) < 0.005
    data = np.array(storms()["lon"]).reshape(STORMS, STEPS)
    crossings = [np.mean(np.abs(np.diff(tracks, axis=1)) > 180) for tracks in (data, lon)]
    assert crossings[1] == pytest.approx(crossings[0], abs=0.012)


def test_independent_directions_pile_up_around_north_on_both_sides(made) -> None:
    wind = turned(columns(made, "wind_dir"))
    assert np.mean(np.abs(wind) < 60) > 0.6
    assert np.mean(wind < 0) == pytest.approx(0.5, abs=0.15)
    assert np.mean(np.abs(wind) < 5) > 0.04


def test_every_generated_value_is_within_inferred_bounds(made) -> None:
    assert columns(made, "cloud").max() <= 100


def test_given_and_allowed_angles_are_kept(model, inputs) -> None:
    one = {name: values[:4] for name, values in inputs.items()}
    prefix = [{"lon": 179.5, "wind_dir": 10.0, "cloud": 50.0}]
    rest = columns(model.generate(one, n=2, seed=2, prefix=prefix), "lon")
    np.testing.assert_array_equal(rest[:, 0], 179.5)
    assert np.abs(turned(rest[:, 1] - 179.5)).max() < 60
    allowed = columns(model.generate(one, n=5, seed=2, allow={"wind_dir": (350.0, 360.0)}), "wind_dir")
    assert allowed.min() >= 350
    assert allowed.max() <= 360
    north = columns(model.generate(one, n=5, seed=2, allow={"wind_dir": (350.0, 10.0), "lon": (170, -170)}), "wind_dir")
    assert ((north >= 350) | (north <= 10)).all()
    assert np.mean(north <= 10) == pytest.approx(0.5, abs=0.2)
    free = columns(model.generate(inputs, n=40, seed=3), "wind_dir")
    within = turned(free[np.abs(turned(free)) <= 10])
    both = columns(model.generate(inputs, n=5, seed=4, allow={"wind_dir": (350, 10)}), "wind_dir")
    assert np.mean(turned(both) < 0) == pytest.approx(np.mean(within < 0), abs=0.05)
    pinned = model.generate(one, seed=2, pin={2: {"lon": -5.0}})
    np.testing.assert_array_equal(columns(pinned, "lon")[:, 2], -5.0)
    with pytest.raises(us.errors.SchemaError, match="an angle from -180 to 180, as in training, found 185"):
        model.generate(one, pin={2: {"lon": 185.0}})


def test_a_saved_model_scores_and_streams_the_same(model, inputs, tmp_path) -> None:
    path = tmp_path / "storms.unspool"
    model.save(path)
    again = us.load(path)
    table = storms()
    scores = model.log_prob(table)
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(again.log_prob(table), scores, rtol=1e-5)
    one = {name: values[0] for name, values in inputs.items()}
    whole = model.generate(one, seed=7)
    streamed = [event.value for event in again.stream(one, seed=7) if event.value is not None]
    assert [step["lon"] for step in streamed] == [step["lon"] for step in next(iter(whole))]


def test_sampled_inputs_are_angles_within_the_period(model) -> None:
    lon = np.array(model.sample(200, seed=3).inputs.column("lon"), float)
    assert lon.min() >= -180
    assert lon.max() <= 180
    assert np.histogram(lon, 4, (-180, 180))[0].min() > 10
