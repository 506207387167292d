"""A fit to data on disk: the model of the same data in memory, and true of all data where only a sample was seen."""

import errno
import os

import jax
import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from tests.streaming.conftest import fit, gathered, purchases, write

import unspool as us
from unspool import pipeline
from unspool.cli.app import main
from unspool.dataset.gather import gather, gather_fitted
from unspool.encoding.fit import fit_codec
from unspool.errors import DataError, FileError, OptionError, SchemaError
from unspool.streaming.source import Source


def same_model(one, other):
    assert one.codec_ == other.codec_
    for a, b in zip(jax.tree.leaves(one.net_), jax.tree.leaves(other.net_), strict=True):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
    assert one.config_.data == other.config_.data
    assert one.summary_.rounds == other.summary_.rounds


def test_data_no_larger_than_the_sample_give_the_model_of_memory_to_the_bit(shop, models, tmp_path, small_blocks):
    same_model(fit(shop.sorted_parts, cache=tmp_path / "cache"), models.table)


def test_ids_that_span_parts_unsorted_give_the_model_of_memory_to_the_bit(shop, models, tmp_path, small_blocks, caplog):
    caplog.set_level("INFO", "unspool")
    model = us.OneToMany("region", ["price", "kind", "items"], network=us.Network(size=4), verbose=True)
    model.training = us.Training(epochs=1, draw_inputs=False)
    model.fit(ds.dataset(shop.shuffled_parts), id="customer", order="number", cache=tmp_path / "cache")
    same_model(model, models.shuffled)
    assert "all rows were written to disk once more" in caplog.text
    assert not list((tmp_path / "cache").glob("partition-*"))  # they go when the data are encoded


def test_a_cache_is_read_in_place_of_the_data(shop, models, tmp_path, monkeypatch):
    folders = {"cache": tmp_path / "cache", "checkpoint": tmp_path / "checkpoint"}
    fit(shop.sorted_parts, **folders)
    monkeypatch.setattr(Source, "blocks", property(lambda self: pytest.fail("the data were read again")))
    same_model(fit(shop.sorted_parts, **folders), models.table)


def test_other_columns_or_changed_parts_are_read_anew(tmp_path):
    parts = write(purchases(20), tmp_path / "parts")
    whole = len(purchases(20))
    with gathered(parts, tmp_path / "cache", ["kind"]) as found:
        assert found.codec.total == whole
    with gathered(parts, tmp_path / "cache", ["kind", "items"]) as found:
        assert found.codec.schema.step_columns == ("kind", "items")
    os.remove(parts / "part-2.parquet")
    with gathered(parts, tmp_path / "cache", ["kind", "items"]) as found:
        assert found.codec.total < whole


@pytest.fixture
def rare(tmp_path):
    """A folder of 300 customers where single sequences have what no other has, and what is rare about each column."""
    table = purchases(300, seed=5).to_pydict()
    steps = len(table["kind"])
    table["kind"][steps // 3] = "rare"
    table["kind"][steps - 1] = "last"
    table["price"][steps // 2], table["price"][steps // 5] = 500.25, -80.5
    table["items"][2 * steps // 3] = None
    at = table["customer"].index("c70")
    for row in range(at, steps):
        if table["customer"][row] == "c70":
            table["region"][row] = "west"
    return write(pa.table(table), tmp_path / "rare")


def test_what_a_sample_lacks_joins_it_until_the_columns_hold_all(rare, tmp_path, small_sample, monkeypatch):
    passes = []
    original = Source.encode

    def encode(self, *args, **options):
        found = original(self, *args, **options)
        passes.append((self, found is not None))
        return found

    monkeypatch.setattr(Source, "encode", encode)
    sequence = [us.Number("price", distribution="mixture"), "kind", "items"]
    with gathered(rare, tmp_path / "cache", sequence) as found:
        codec, (train, held) = found.codec, found.stored
    source, whole = passes[-1]
    assert whole
    assert len(passes) <= 4
    assert len(source.sample.first) < 40
    assert f"those of {len(source.sample.first)} of 300 sequences" in source.notes[0]
    price, kind, items = codec.steps
    assert set(kind.values) == {"a", "b", "c", "rare", "last"}
    assert (price.low, price.high) == (-80.5, 500.25)
    assert items.nullable
    assert set(codec.inputs[0].values) == {"north", "south", "west"}
    lengths = np.unique(purchases(300, seed=5)["customer"].to_pylist(), return_counts=True)[1]
    assert (codec.examples, codec.total) == (300, lengths.sum())
    assert (codec.shortest, codec.longest) == (lengths.min(), lengths.max())
    assert len(train) + len(held) == 300
    assert train.distinct + held.distinct == lengths.sum()
    encoded = codec.encode(gather_fitted(codec, rare))  # every sequence is one that the columns hold
    for column, values in zip(codec.steps, encoded.steps, strict=True):
        assert column.num_symbols is None or values.max() < column.num_symbols


def test_parts_of_categoricals_with_other_codes_are_those_of_memory(shop, tmp_path, small_blocks):
    parts = tmp_path / "parts"
    parts.mkdir()
    for number, rows in enumerate(np.array_split(np.arange(len(shop.shuffled)), 3)):
        part = shop.shuffled.take(rows)
        for name in ("kind", "region", "customer"):
            place = part.column_names.index(name)
            part = part.set_column(place, name, part[name].dictionary_encode())
        pq.write_table(part, parts / f"{number}.parquet")
    known = gather(
        pq.read_table(parts), inputs="region", sequence=["price", "kind", "items"], id="customer", order="number"
    )
    with gathered(parts, tmp_path / "cache") as found:
        assert found.codec == fit_codec(*known)
        assert set(found.codec.origins["kind"].categories) == {"a", "b", "c"}


def test_a_cell_a_sequence_needs_no_id(tmp_path, small_sample):
    lists = [[float(k), 2.5 * k, -1.0][: 1 + k % 3] for k in range(400)]
    parts = write(pa.table({"k": ["a", "b"] * 200, "x": lists}), tmp_path / "lists")
    sequence = us.Number("x", distribution="mixture")
    with gathered(parts, tmp_path / "cache", sequence, "k", key=None, order=None) as found:
        assert len(found.examples) < 100
        assert (found.codec.examples, found.codec.total) == (400, sum(map(len, lists)))
        assert (found.codec.steps[0].low, found.codec.steps[0].high) == (-1.0, max(map(max, lists)))


def test_a_fit_goes_on_with_data_on_disk(shop, models, tmp_path, small_blocks):
    again = fit(shop.sorted_parts, None, None, start=models.table, cache=tmp_path / "cache")
    same_model(again, fit(shop.table, None, None, start=models.table))
    table = shop.table.set_column(3, "price", [[None, *shop.table["price"].to_pylist()[1:]]])
    with pytest.raises(SchemaError, match=r"'price'.*missing"):
        fit(write(table, tmp_path / "other"), None, None, start=models.table, cache=tmp_path / "cache")


def test_the_command_line_takes_a_pattern_and_a_cache(shop, models, tmp_path):
    columns = ["-i", "region", "-s", "price,kind,items", "--id", "customer", "--order", "number"]
    output, cache = str(tmp_path / "shop.unspool"), str(tmp_path / "cache")
    options = ["--size", "4", "--epochs", "1", "--no-draw-inputs", "-q", "--cache", cache, "-o", output]
    assert main(["fit", f"{shop.sorted_parts}/*.parquet", *columns, *options]) == 0
    loaded = us.load(output)
    assert (loaded.codec_, loaded.summary_.rounds) == (models.table.codec_, models.table.summary_.rounds)
    assert (tmp_path / "cache" / "manifest.json").exists()


def test_small_parts_are_read_into_memory(shop, models, monkeypatch):
    monkeypatch.setattr(pipeline, "gather_stored", lambda *args: pytest.fail("small data went to disk"))
    same_model(fit(shop.sorted_parts), models.table)


def test_a_column_that_parts_lack_is_named(shop, tmp_path):
    with pytest.raises(SchemaError, match=r"'prize'.*Closest in the data: 'price'"):
        fit(shop.sorted_parts, ["prize"], cache=tmp_path / "cache")  # before any training


def test_an_input_that_differs_within_an_id_is_refused_as_in_memory(shop, tmp_path, small_sample):
    with pytest.raises(DataError, match=r"customer 'c.*one value in all rows of an id"):
        fit(shop.sorted_parts, ["price"], "kind", cache=tmp_path / "cache")


def test_a_cache_of_data_in_memory_is_refused(shop, tmp_path):
    with pytest.raises(OptionError, match=r"fit\(cache=\.\.\.\): expected one table of Parquet"):
        fit(shop.table, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the device of a full disk is Linux's")
@pytest.mark.parametrize(
    ("name", "folder"), [("step-1.bin", "sorted_parts"), ("partition-0-0.arrow", "shuffled_parts")]
)
def test_a_full_disk_is_said_and_leaves_nothing_that_looks_whole(shop, tmp_path, monkeypatch, name, folder):
    cache = tmp_path / "cache"
    original = Source.blocks.func

    def on_a_full_disk(self):
        (cache / name).symlink_to("/dev/full")
        return original(self)

    blocks = type(Source.blocks)(on_a_full_disk)
    blocks.__set_name__(Source, "blocks")
    monkeypatch.setattr(Source, "blocks", blocks)
    monkeypatch.setattr("unspool.streaming.cache.Cache.clear", keep_links(name))
    with pytest.raises(FileError, match="full disk") as caught:
        fit(getattr(shop, folder), cache=cache)
    assert caught.value.__cause__.errno == errno.ENOSPC
    assert not (cache / "manifest.json").exists()


def keep_links(name):
    """`Cache.clear`, which leaves the link to the full disk where it is."""
    from unspool.streaming.cache import OWN_FILES

    def clear(self, *patterns):
        for pattern in patterns or OWN_FILES:
            for path in self.folder.glob(pattern):
                if path.name != name:
                    path.unlink()

    return clear


def test_without_a_cache_nothing_is_left_on_disk(shop, models, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("unspool.tables.parts.MAX_VALUES_IN_MEMORY", 100)
    seen = []
    original = pipeline.gather_stored
    monkeypatch.setattr(pipeline, "gather_stored", lambda *args: seen.append(args[2].folder) or original(*args))
    same_model(fit(shop.sorted_parts), models.table)
    assert [folder.parent for folder in seen] == [tmp_path]
    assert list(tmp_path.iterdir()) == []
