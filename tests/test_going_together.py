"""Columns that always go together do so in what a fitted model generates."""

import itertools

import numpy as np
import pytest

import unspool as us


@pytest.mark.slow
def test_columns_that_always_go_together_do_in_every_record_of_a_hasty_fit() -> None:
    """Forty sequences and four passes: a grid of hours, weekdays, an attribute, a city with its country and height."""
    rng = np.random.default_rng(0)
    hours = np.array([0, 0.25, 0.5, 1, 2, 4, 8, 12, 24, 48])
    heights = np.round(rng.normal(300, 200, 9), 1)
    city = rng.integers(0, 9, (40, 10))
    day = (rng.integers(0, 7, (40, 1)) + np.arange(10)) % 7
    columns = {
        "id": np.repeat(np.arange(40), 10),
        "country": np.array(["a", "b", "c"])[city % 3].ravel(),
        "height": heights[city].ravel(),
        "city": np.char.add("city ", city.astype(str)).ravel().astype(object),
        "hours": np.tile(hours, 40),
        "day": day.ravel(),
        "age": np.repeat(rng.normal(60, 10, 40).round(1), 10),
        "x": rng.normal(size=400),
    }
    training = us.Training(epochs=4, draw_inputs=False)
    model = us.OneToMany(None, [*columns][1:], network=us.Network(size=16), training=training, verbose=False)
    steps = model.fit(columns, id="id").generate(n=200, seed=0).to_pandas()
    which = steps["city"].str[5:].astype(int)
    later = steps["step"] > 0
    assert (steps["country"] == np.array(["a", "b", "c"])[which % 3]).all()
    assert (steps["height"] == heights[which]).all()
    before = steps.shift(1)[later]
    assert (steps["day"][later] == (before["day"] + 1) % 7).all()
    assert (steps["age"][later] == before["age"]).all()
    following = dict(itertools.pairwise(hours.tolist()))
    assert (steps["hours"][later] == before["hours"].map(following)).all()
