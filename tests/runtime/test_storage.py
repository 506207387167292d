"""Models, checkpoints, inputs and results by URL, against a real S3 server on this machine."""

import logging

import jax
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import unspool as us
from unspool.errors import CheckpointMismatch, FileError, ForeignFile, OptionError, TruncatedFile
from unspool.runtime.storage import file_system, names, opened_url, whole_file

KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "not-to-be-seen", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture(scope="module")
def bucket():
    """The URL of an empty bucket; credentials and the address of the server are in the environment."""
    moto = pytest.importorskip("moto.server", reason='no S3 server: pip install "moto[server]"')
    boto3 = pytest.importorskip("boto3", reason='no S3 server: pip install "moto[server]"')
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in KEYS.items():
            patch.setenv(name, value)
        server = moto.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        patch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*server.get_host_and_port()))
        boto3.client("s3").create_bucket(Bucket="bucket")
        yield "s3://bucket"
        server.stop()


def test_a_url_with_a_password_or_of_no_store_is_refused():
    with pytest.raises(OptionError, match=r"s3://\*\*\*@bucket/x: expected a URL without a key or password") as error:
        file_system("s3://key:secret@bucket/x")
    assert "secret" not in str(error.value)
    with pytest.raises(OptionError, match="a URL of an object store"):
        file_system("ftp://bucket/x")


def test_a_file_appears_whole_or_not_at_all(bucket):
    with whole_file(f"{bucket}/a/poem.txt") as file:
        file.write(b"hello")
        assert names(f"{bucket}/a") == set()
    assert names(f"{bucket}/a/") == {"poem.txt"}
    with pytest.raises(TypeError, match="int"), whole_file(f"{bucket}/a/poem.txt") as file:
        file.writelines([b"other", 1])
    with opened_url(f"{bucket}/a/poem.txt") as (file, size):
        assert (file.read(), size) == (b"hello", 5)
    with pytest.raises(FileError, match="expected an object to write"), whole_file("s3://none-such/x") as file:
        file.write(b"x")
    with pytest.raises(FileError, match="no such object"), opened_url(f"{bucket}/none"):
        pass


def test_a_model_comes_back_from_a_url(bucket, workshop):
    model = us.load(workshop.names)
    model.save(f"{bucket}/models/names.unspool")
    again = us.load(f"{bucket}/models/names.unspool")
    inputs = {"country": ["Irish", "Greek"]}
    assert list(again.generate(inputs, n=5, seed=1)) == list(model.generate(inputs, n=5, seed=1))
    with whole_file(f"{bucket}/models/cut.unspool") as file:
        file.write(workshop.names.read_bytes()[:-10])
    with pytest.raises(TruncatedFile, match=r"s3://bucket/models/cut\.unspool"):
        us.load(f"{bucket}/models/cut.unspool")
    with whole_file(f"{bucket}/models/poem.unspool") as file:
        file.write(b"a poem of a few words")
    with pytest.raises(ForeignFile, match="poem"):
        us.load(f"{bucket}/models/poem.unspool")


def test_results_and_inputs_by_url_are_those_of_the_disk(bucket, workshop, tmp_path):
    model, countries = us.load(workshop.names), {"country": ["Irish", "Greek"] * 20}
    with whole_file(f"{bucket}/given/a.parquet") as file:
        pq.write_table(pa.table(countries), file)
    model.generate_to(f"{tmp_path}/many/", countries, n=2, seed=1, per_part=30)
    model.generate_to(f"{bucket}/many/", f"{bucket}/given/", n=2, seed=1, per_part=30)
    ours, theirs = (
        sorted(name for name in found if name.startswith("part-"))
        for found in (names(f"{tmp_path}/many"), names(f"{bucket}/many"))
    )
    assert len(theirs) == len(ours) == 3
    for mine, name in zip(ours, theirs, strict=True):
        with opened_url(f"{bucket}/many/{name}") as (file, _):
            assert file.read() == (tmp_path / "many" / mine).read_bytes()
    assert {"_job.json", "_SUCCESS"} < names(f"{bucket}/many")
    with pytest.raises(FileError, match="one with other seed 1"):
        model.generate_to(f"{bucket}/many/", f"{bucket}/given/", n=2, seed=2, per_part=30)


def test_a_checkpoint_by_url_goes_on_to_the_same_bits(bucket):
    data = {"k": ["a", "b"] * 20, "x": [[1, 2], [2, 1, 2]] * 20}

    def fit(checkpoint=None, seed=0, callback=None):
        training, network = us.Training(epochs=6, draw_inputs=False), us.Network(size=8)
        model = us.OneToMany("k", us.Category("x"), network=network, training=training, seed=seed, verbose=False)
        return model.fit(data, checkpoint=checkpoint, callback=callback)

    def halt(entry):
        if names(f"{bucket}/training"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(f"{bucket}/training", callback=halt)
    whole, resumed = fit(), fit(f"{bucket}/training")
    for ours, theirs in zip(*map(jax.tree.leaves, (whole.net_, resumed.net_)), strict=True):
        assert np.array_equal(ours, theirs)
    with pytest.raises(CheckpointMismatch, match="s3://bucket/training"):
        fit(f"{bucket}/training", seed=1)


def test_credentials_are_those_of_the_environment(bucket):
    """They stand in nothing that is written."""
    for folder in ("models", "many", "training"):
        assert names(f"{bucket}/{folder}")
        for name in names(f"{bucket}/{folder}"):
            with opened_url(f"{bucket}/{folder}/{name}") as (file, _):
                assert KEYS["AWS_SECRET_ACCESS_KEY"].encode() not in file.read()
