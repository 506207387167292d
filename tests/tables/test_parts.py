"""Parquet in parts: folders, globs, URLs and datasets as one table, and what is refused about a part."""

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from unspool.errors import DataError, OptionError
from unspool.tables.parts import find_large, find_parts
from unspool.tables.table import read_table


@pytest.fixture
def folder(tmp_path):
    """Three parts, two of them in a folder of their own, and files that are none."""
    (tmp_path / "b").mkdir()
    for name, xs in (("a.parquet", [1, 2]), ("b/c.parquet", [3]), ("b/d.pq", [4, 5])):
        pq.write_table(pa.table({"x": xs, "y": ["é"] * len(xs)}), tmp_path / name)
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".hidden.parquet").write_text("no Parquet")
    return tmp_path


def xs(data):
    return read_table(data).columns["x"].tolist()


def test_folders_globs_urls_and_datasets_are_one_table_in_the_order_of_their_names(folder):
    assert xs(folder) == [1, 2, 3, 4, 5]
    assert xs(f"{folder}/*/*") == xs(f"{folder}/**/[cd].p*") == [3, 4, 5]
    assert xs(f"file://{folder}") == [1, 2, 3, 4, 5]
    assert xs(f"file://{folder}/b/c.parquet") == [3]
    assert xs(f"file://{folder}/*.parquet") == [1, 2]
    assert xs(ds.dataset(folder / "b", format="parquet")) == [3, 4, 5]
    assert xs(ds.dataset(pa.table({"x": [7]}))) == [7]


def test_a_text_file_at_a_url_is_read_by_its_name(folder):
    (folder / "t.csv").write_text("x,y\n1,a\n2,b\n")
    assert xs(f"file://{folder}/t.csv") == [1, 2]


def test_footers_say_how_much_parts_hold(folder):
    size = find_parts(folder).size
    assert size.rows == 5
    assert 5 + 5 <= size.cells < 100
    assert find_parts(folder / "a.parquet") is None  # a single file is read as before
    assert find_parts(folder / "a.parquet", files=True).size.rows == 2
    assert find_large(folder) is None
    pq.write_table(
        pa.table({"x": [[1, 2, 3], [4]], "t": ["a" * 80, "b"]}), folder / "lists.parquet", use_dictionary=False
    )
    lists = find_parts(folder / "lists.parquet", files=True).size
    assert lists.rows == 2
    assert lists.steps >= 10


def test_every_difference_between_schemas_is_listed_by_file(folder):
    pq.write_table(pa.table({"x": ["1"], "y": ["e"]}), folder / "b" / "e.parquet")
    pq.write_table(pa.table({"y": ["e"], "z": [1.0]}), folder / "b" / "f.parquet")
    with pytest.raises(DataError) as caught:
        read_table(folder)
    assert f"the schema of {folder}/a.parquet in all parts" in caught.value.expected
    assert f"{folder}/b/e.parquet has 'x' as string, not int64" in caught.value.found
    assert f"{folder}/b/f.parquet lacks 'x' and has 'z' too" in caught.value.found
    assert "c.parquet" not in caught.value.found


def test_a_truncated_part_is_named(folder):
    part = folder / "b" / "c.parquet"
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"footer|magic") as caught:
        read_table(folder)
    assert caught.value.location == str(part)
    assert "truncated" in caught.value.hint


def test_a_part_with_broken_pages_is_named(folder):
    part = folder / "b" / "c.parquet"
    raw = part.read_bytes()
    part.write_bytes(raw[:4] + b"\xff" * 40 + raw[44:])
    with pytest.raises(DataError) as caught:
        read_table(folder)
    assert caught.value.location == str(part)


@pytest.mark.parametrize("name", ["empty", "none*", "file:///nowhere/at/all"])
def test_where_there_is_nothing_to_read_the_error_says_so(folder, name):
    (folder / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        read_table(name if "://" in name else f"{folder}/{name}")
    assert name in caught.value.location


@pytest.mark.parametrize("url", ["s3x://bucket/folder", "s3://key:secret@bucket/folder"])
def test_a_url_of_no_store_or_with_a_password_is_refused(url):
    with pytest.raises(OptionError) as caught:
        read_table(url)
    assert "secret" not in str(caught.value)


def test_a_filtered_dataset_is_refused_with_a_way_out(folder):
    filtered = ds.dataset(folder / "b", format="parquet").filter(ds.field("x") > 3)
    with pytest.raises(DataError, match="to_table"):
        read_table(filtered)


def test_parts_are_read_in_pieces(folder):
    pieces = list(find_parts(folder).batches(["x"], rows=1))
    assert [piece.num_rows for piece in pieces] == [1] * 5
    assert pieces[0].schema.names == ["x"]


@pytest.mark.parametrize(("first", "end"), [(0, None), (0, 7), (4, 21), (13, None), (9, 10), (29, 30), (12, 12)])
def test_some_rows_are_read_from_the_row_groups_that_hold_them(tmp_path, first, end):
    for part in range(3):
        pq.write_table(
            pa.table({"x": range(10 * part, 10 * part + 10)}), tmp_path / f"{part}.parquet", row_group_size=3
        )
    parts = find_parts(tmp_path)
    assert [x for batch in parts.batches(["x"], 2, first, end) for x in batch["x"].to_pylist()] == list(range(30))[
        first:end
    ]
    groups = [group for fragment, _, _ in parts._within(first, end) for group in fragment.row_groups]
    rows = [row for group in groups for row in range(group.statistics["x"]["min"], group.statistics["x"]["max"] + 1)]
    assert len(rows) <= len(range(30)[first:end]) + 4  # two more in the first group and in the last one
