"""Data in an object store: a real S3 server on this machine, with credentials from the environment."""

import pytest
from tests.streaming.conftest import gathered

from unspool.errors import DataError
from unspool.tables.table import read_table

pytestmark = pytest.mark.slow


@pytest.fixture
def bucket(shop, monkeypatch):
    """The parts of the shop in a bucket, and the end of a URL that leads to the server."""
    server = pytest.importorskip("moto.server")
    from pyarrow import fs

    running = server.ThreadedMotoServer(port=0)
    running.start()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    host, port = running.get_host_and_port()
    options = f"endpoint_override={host}:{port}&scheme=http&allow_bucket_creation=true"
    store, _ = fs.FileSystem.from_uri(f"s3://shop?{options}")
    store.create_dir("shop/data")
    fs.copy_files(str(shop.shuffled_parts), "shop/data", destination_filesystem=store)
    yield options
    running.stop()


def test_parts_in_a_bucket_are_a_table_and_a_fit(bucket, shop, models, tmp_path, small_blocks):
    read = read_table(f"s3://shop/data?{bucket}")
    assert read.columns["price"].tolist() == shop.shuffled["price"].to_pylist()
    assert len(read_table(f"s3://shop/data/part-0.parquet?{bucket}")) < len(read)
    with gathered(f"s3://shop/data?{bucket}", tmp_path / "cache") as found:
        assert found.codec == models.shuffled.codec_


def test_a_bucket_that_is_not_there_is_named(bucket):
    with pytest.raises(DataError, match="nowhere"):
        read_table(f"s3://nowhere/data?{bucket}")
