"""Blocks of whole sequences: together they are the table, whether its rows are sorted by id or not."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.streaming.conftest import write

from unspool.errors import DataError
from unspool.streaming.blocks import Blocks, draw, in_order
from unspool.streaming.ids import find_runs, owners_of
from unspool.tables.parts import find_parts


def blocks_of(folder, tmp_path, order="number"):
    return Blocks(find_parts(folder), None, "customer", order, tmp_path)


def test_sorted_rows_are_streamed_in_blocks_of_whole_sequences(shop, tmp_path, small_blocks):
    blocks = blocks_of(shop.sorted_parts, tmp_path)
    found = list(blocks)
    assert blocks.is_sorted
    assert len(found) > 3
    assert not list(tmp_path.iterdir())
    assert pa.concat_tables([block.table for block in found]).equals(shop.table)
    for block in found:
        ids = np.array(block.table["customer"].to_pylist())
        assert len(set(ids)) == len(block.first) == block.codes.max() + 1
        assert (ids == np.array(shop.table["customer"].to_pylist())[block.first][block.codes]).all()


def test_unsorted_rows_are_partitioned_and_come_back_in_their_order(shop, tmp_path, small_blocks):
    blocks = blocks_of(shop.shuffled_parts, tmp_path)
    found = list(blocks)
    assert not blocks.is_sorted
    assert len(found) == len(list(tmp_path.iterdir())) > 1
    assert np.sort(np.concatenate([block.first for block in found])).tolist() == blocks.first.tolist()
    whole = in_order(found)
    ids = shop.shuffled["customer"].to_pylist()
    rows = sorted(range(len(ids)), key=lambda row: (ids.index(ids[row]), row))
    assert whole.table.to_pylist() == shop.shuffled.take(rows).to_pylist()


def test_without_an_order_an_id_that_comes_again_is_refused_with_its_row(shop, tmp_path):
    ids = shop.shuffled["customer"].to_pylist()
    row = next(k for k in range(1, len(ids)) if ids[k] != ids[k - 1] and ids[k] in ids[:k])
    with pytest.raises(DataError, match=f"row {row + 1}, .*'{ids[row]}' again.*order=") as caught:
        blocks_of(shop.shuffled_parts, tmp_path, order=None)
    assert str(shop.shuffled_parts) in caught.value.location


@pytest.mark.parametrize("ids", [[-1, -1, -2, -2, 3], ["a", "", "b"], [0.5], [1, 1], [2**62, -(2**62), 0]])
def test_runs_are_found_across_pieces_and_equal_hashes(ids, tmp_path):
    pq.write_table(pa.table({"id": ids}), tmp_path / "a.parquet")
    first, again = find_runs(find_parts(tmp_path), "id")
    assert again is None
    assert first.tolist() == [k for k in range(len(ids)) if k == 0 or ids[k] != ids[k - 1]]


def test_partitions_of_ids_are_the_same_in_any_process():
    assert owners_of(pa.array(["a", "b", "a", "é"]), 5).tolist() == [2, 1, 2, 1]  # CRC-32 modulo 5
    assert owners_of(pa.array([1, 2, 1]), 3).tolist() == owners_of(pa.array(["1", "2", "1"]), 3).tolist()


def test_a_sample_is_whole_sequences_by_the_seed(shop, tmp_path, small_sample):
    blocks = blocks_of(shop.sorted_parts, tmp_path)
    one, same, other = (draw(blocks, seed) for seed in (0, 0, 1))
    assert one.first.tolist() == same.first.tolist() != other.first.tolist()
    assert 3 < len(one.first) < 30
    counts = dict(zip(*np.unique(shop.table["customer"].to_pylist(), return_counts=True), strict=True))
    ids, rows = np.unique(one.table["customer"].to_pylist(), return_counts=True)
    assert all(counts[i] == n for i, n in zip(ids, rows, strict=True))


def test_a_sequence_longer_than_a_block_is_one_block(tmp_path, small_blocks):
    table = pa.table({"customer": ["a"] * 900 + ["b"] * 10, "number": np.arange(910)})
    found = list(blocks_of(write(table, tmp_path / "long"), tmp_path))
    assert [len(block.table) for block in found] in ([900, 10], [910])
