"""The model file comes back as it went in, or not at all with an error that says why."""

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from unspool import modelfile
from unspool.config import Config
from unspool.errors import (
    CorruptFile,
    FileError,
    ForeignFile,
    NewerFormat,
    NonFiniteWeights,
    OversizedFile,
    TruncatedFile,
    UnspoolError,
)

CONFIG = {"format": 1, "vocabulary": ["a", "ß", "日", "🧵"], "note": 'quotes " and \\ and \n'}
TENSORS = {
    "cell.R": np.arange(12, dtype=np.float32).reshape(3, 4),
    "cell.bias": np.array([0.5, -1.5]),
    "step": np.array(7, dtype=np.int32),
    "empty": np.zeros((0, 3), dtype=np.float32),
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.unspool"


@pytest.fixture
def model(path):
    modelfile.write(path, TENSORS, CONFIG)
    return path


def forge(path, header, data=b"", length=None):
    """Write a container by hand, so that it can be wrong in ways that no library writes."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(text) if length is None else length).to_bytes(8, "little") + text + data)
    return path


def header(**tensors):
    return {"__metadata__": {"unspool": '{"format":1}'}} | tensors


def entry(shape=(2,), offsets=(0, 8), dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets)}


class TestRoundTrip:
    def test_configuration_and_tensors_come_back(self, model):
        config, tensors = modelfile.read(model)
        assert config == CONFIG
        assert tensors.keys() == TENSORS.keys()
        for name, tensor in TENSORS.items():
            assert tensors[name].dtype == tensor.dtype
            np.testing.assert_array_equal(tensors[name], tensor, strict=True)

    @given(
        tensors=st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda name: name != "__metadata__"),
            arrays.arrays(
                st.sampled_from([np.float32, np.float64, np.int32, np.int64, np.uint8, np.uint32, np.uint64]),
                arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4),
                elements={"allow_nan": False, "allow_infinity": False},
            ),
            max_size=4,
        )
    )
    def test_any_names_shapes_and_types_come_back(self, tmp_path_factory, tensors):
        path = tmp_path_factory.mktemp("any") / "model.unspool"
        modelfile.write(path, tensors, CONFIG)
        found = modelfile.read(path)[1]
        assert found.keys() == tensors.keys()
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(found[name], tensor, strict=True)

    def test_views_and_foreign_byte_orders_are_written_by_value(self, path):
        tensors = {"transposed": np.arange(6.0).reshape(2, 3).T, "big": np.arange(3, dtype=">f4")}
        modelfile.write(path, tensors, CONFIG)
        found = modelfile.read(path)[1]
        np.testing.assert_array_equal(found["transposed"], tensors["transposed"])
        np.testing.assert_array_equal(found["big"], tensors["big"])

    def test_same_model_gives_same_bytes(self, model, tmp_path):
        modelfile.write(tmp_path / "again", dict(reversed(TENSORS.items())), CONFIG)
        assert (tmp_path / "again").read_bytes() == model.read_bytes()

    def test_is_a_safetensors_file(self, model):
        found = safetensors.numpy.load_file(model)
        assert found.keys() == TENSORS.keys()
        np.testing.assert_array_equal(found["cell.R"], TENSORS["cell.R"])

    def test_tensors_read_are_the_callers_own(self, model):
        tensor = modelfile.read(model)[1]["cell.R"]
        tensor += 1
        np.testing.assert_array_equal(modelfile.read(model)[1]["cell.R"], TENSORS["cell.R"])

    def test_configuration_is_read_into_its_class(self, model):
        class Config(msgspec.Struct, forbid_unknown_fields=True):
            format: int
            vocabulary: list[str]
            note: str

        assert modelfile.read_config(model, Config) == Config(**CONFIG)
        assert modelfile.read(model, Config)[0] == Config(**CONFIG)

    def test_configuration_and_entries_are_read_without_the_tensors(self, path):
        modelfile.write(path, {"large": np.zeros(4_000_000)}, CONFIG)
        tracemalloc.start()
        assert modelfile.read_config(path) == CONFIG
        assert modelfile.read_entries(path)["large"].shape == (4_000_000,)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000


class TestWritingRefuses:
    def test_weights_that_are_not_finite(self, path):
        with pytest.raises(NonFiniteWeights, match=r"'R'.*2 of 3"):
            modelfile.write(path, {"R": np.array([np.nan, 1.0, np.inf])}, CONFIG)
        assert not path.exists()

    def test_objects(self, path):
        with pytest.raises(CorruptFile, match="object"):
            modelfile.write(path, {"R": np.array([print], dtype=object)}, CONFIG)
        assert not path.exists()

    @pytest.mark.parametrize("config", [{}, {"format": "1"}, [], "text"])
    def test_a_configuration_without_its_version(self, path, config):
        with pytest.raises(CorruptFile, match="configuration"):
            modelfile.write(path, {}, config)
        assert not path.exists()


class TestCorruption:
    def test_a_truncated_file_is_truncated_wherever_it_ends(self, model):
        whole = model.read_bytes()
        for length in range(len(whole)):
            model.write_bytes(whole[:length])
            for read in (modelfile.read, modelfile.read_config):
                with pytest.raises(TruncatedFile):
                    read(model)

    @given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=8))
    def test_flipped_bits_give_a_named_error_or_a_valid_model(self, tmp_path_factory, flips):
        path = tmp_path_factory.mktemp("flip") / "model.unspool"
        modelfile.write(path, TENSORS, CONFIG)
        data = bytearray(path.read_bytes())
        for share, bits in flips:
            data[int(share * len(data))] ^= bits
        path.write_bytes(data)
        try:
            config, tensors = modelfile.read(path)
        except UnspoolError:
            return
        assert isinstance(config, dict)
        assert all(np.isfinite(tensor).all() for tensor in tensors.values())

    @given(data=st.binary(max_size=200))
    def test_any_bytes_give_a_named_error(self, tmp_path_factory, data):
        path = tmp_path_factory.mktemp("noise") / "model.unspool"
        path.write_bytes(data)
        with pytest.raises(FileError):
            modelfile.read(path)

    @pytest.mark.parametrize(
        "data",
        [
            b"name,country\nMurphy,Irish\n",
            b"PK\x03\x04" + bytes(60),
            b"\x80\x04\x95" + bytes(60),
            b"\x89PNG\r\n\x1a\n" + bytes(60),
            b'{"text": "in JSON, longer than eight bytes"}',
        ],
        ids=["csv", "zip", "pickle", "png", "json"],
    )
    def test_another_kind_of_file_is_foreign(self, path, data):
        path.write_bytes(data)
        with pytest.raises(ForeignFile, match="save"):
            modelfile.read(path)

    @pytest.mark.parametrize("metadata", [None, {"format": "pt"}])
    def test_another_program_s_safetensors_file_is_foreign(self, path, metadata):
        safetensors.numpy.save_file({"w": np.zeros(3)}, path, metadata)
        with pytest.raises(ForeignFile, match="something else"):
            modelfile.read(path)

    def test_a_newer_format_asks_for_an_upgrade(self, path):
        forge(path, {"__metadata__": {"unspool": f'{{"format":{modelfile.FORMAT_VERSION + 1},"novelty":[]}}'}})
        for read in (modelfile.read, modelfile.read_config):
            with pytest.raises(NewerFormat, match=r"(?i)upgrade unspool"):
                read(path)

    def test_unknown_keys_are_refused_by_a_strict_class(self, model):
        class Config(msgspec.Struct, forbid_unknown_fields=True):
            format: int

        with pytest.raises(CorruptFile, match="vocabulary"):
            modelfile.read_config(model, Config)

    @pytest.mark.parametrize(
        "text", ["", "{", "[]", "1", '{"format":0}', '{"format":true}', '{"format":1}}', "[" * 99999]
    )
    def test_a_configuration_that_is_not_one_is_corrupt(self, path, text):
        forge(path, {"__metadata__": {"unspool": text}})
        with pytest.raises(CorruptFile, match="configuration"):
            modelfile.read(path)

    @pytest.mark.parametrize(
        "codec",
        [
            "null",
            "[]",
            '"text"',
            "{}",
            '{"schema":1}',
            '{"schema":{"steps":1},"steps":1}',
            '{"schema":{"steps":[1]},"steps":[1]}',
            '{"schema":{"steps":[]},"steps":[{}]}',
            '{"combinations":[{}]}',
        ],
    )
    def test_an_older_configuration_that_is_not_one_is_corrupt(self, path, codec):
        forge(path, {"__metadata__": {"unspool": f'{{"format":1,"codec":{codec}}}'}})
        for read in (modelfile.read, modelfile.read_config):
            with pytest.raises(CorruptFile, match="configuration"):
                read(path, Config)

    @pytest.mark.parametrize(
        ("text", "match"),
        [
            (b"{", "unreadable JSON"),
            (b"{} {}", "unreadable JSON"),
            (b'{"\xff": 1}', "unreadable JSON"),
            (b'{"a":' + b"[" * 100_000, "unreadable JSON"),
            (b'{"a":' + b"1" * 10_000 + b"}", "unreadable JSON"),
            (b'{"w": 1, "w": 2}', "twice"),
            (b'{"__metadata__": {"unspool": "{}", "unspool": "{}"}}', "twice"),
            (b'{"__metadata__": {"unspool": "\\ud800"}}', "surrogate"),
            (b'{"__metadata__": {"unspool": 1}}', "metadata"),
            (b'{"__metadata__": {"unspool": "{}", "more": ""}}', "'more'"),
        ],
    )
    def test_a_header_that_contradicts_itself_is_corrupt(self, path, text, match):
        forge(path, text)
        with pytest.raises(CorruptFile, match=match):
            modelfile.read(path)

    @pytest.mark.parametrize(
        ("wrong", "data", "error"),
        [
            (header(a=entry(), b=entry()), 8, CorruptFile),  # both at 0
            (header(a=entry(), b=entry(offsets=(4, 12))), 12, CorruptFile),  # overlap by half
            (header(a=entry(), b=entry(offsets=(12, 20))), 20, CorruptFile),  # a gap
            (header(a=entry(offsets=(8, 16))), 16, CorruptFile),  # a gap at the start
            (header(a=entry()), 9, CorruptFile),  # a byte too many
            (header(a=entry(shape=(1,))), 8, CorruptFile),  # a shape too small
            (header(a=entry(offsets=(8, 0))), 8, OversizedFile),  # ends before it starts
            (header(a=entry(shape=(3,))), 8, OversizedFile),  # a shape too large
            (header(a=entry(shape=(2**31, 2**31))), 8, OversizedFile),
            (header(a=entry(shape=(2**62, 0), offsets=(0, 0))), 0, OversizedFile),
            (header(a=entry(shape=(2**62,), offsets=(0, 2**62))), 0, OversizedFile),
            (header(a=entry(shape=(2**58,), offsets=(0, 2**60))), 0, TruncatedFile),
            (header(a=entry(shape=(-1, -2))), 8, CorruptFile),
            (header(a=entry(shape=(2.0,))), 8, CorruptFile),
            (header(a=entry(shape=(1,) * 9)), 8, CorruptFile),
            (header(a=entry(dtype="BF16", shape=(4,))), 8, CorruptFile),
            (header(a=entry() | {"code": "print()"}), 8, CorruptFile),
            (header(a={"dtype": "F32"}), 8, CorruptFile),
            (header(a=None), 0, CorruptFile),
        ],
    )
    def test_tensors_whose_sizes_contradict_the_file_are_refused(self, path, wrong, data, error):
        forge(path, wrong, bytes(data))
        for read in (modelfile.read, modelfile.read_config, modelfile.read_entries):
            with pytest.raises(error) as caught:
                read(path)
            assert type(caught.value) is error

    @pytest.mark.parametrize(
        ("length", "error"), [(2**64 - 1, OversizedFile), (100_000_001, OversizedFile), (90_000_000, TruncatedFile)]
    )
    def test_a_header_that_claims_to_be_huge_takes_no_memory(self, path, length, error):
        forge(path, header(), length=length)
        tracemalloc.start()
        with pytest.raises(error):
            modelfile.read(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1_000_000

    def test_weights_that_are_not_finite_are_named_and_counted(self, path):
        forge(path, header(R=entry(shape=(3,), offsets=(0, 12))), np.array([1, np.nan, np.inf], "<f4").tobytes())
        with pytest.raises(NonFiniteWeights, match=r"'R'.*2 of 3"):
            modelfile.read(path)


class TestPlaces:
    def test_a_missing_file_a_folder_and_a_pipe_are_refused(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        for name, match in [("none", "no such file"), ("", "a file"), ("pipe", "pipe"), ("no/file", "no folder")]:
            with pytest.raises(FileError, match=match):
                modelfile.read(tmp_path / name)

    def test_saving_into_a_missing_folder_names_it(self, tmp_path):
        with pytest.raises(FileError, match=r"no folder .*nowhere.*Create it first"):
            modelfile.write(tmp_path / "nowhere" / "model.unspool", TENSORS, CONFIG)


KILLED = """
import os, signal, sys
import numpy as np
from unspool import modelfile
from unspool.config import Config
os.fsync = lambda handle: os.kill(os.getpid(), signal.SIGKILL)
modelfile.write(sys.argv[1], {"w": np.ones(9)}, {"format": 1, "second": True})
"""


class TestAtomicity:
    def test_a_process_killed_while_it_saves_leaves_the_old_model(self, model):
        before = model.read_bytes()
        done = subprocess.run([sys.executable, "-c", KILLED, str(model)], check=False)
        assert done.returncode == -signal.SIGKILL
        assert model.read_bytes() == before

    @pytest.mark.parametrize("deed", ["fsync", "replace"])
    def test_an_error_while_it_saves_leaves_the_old_model_and_no_litter(self, model, monkeypatch, deed):
        before = model.read_bytes()

        def fail(*_args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(f"unspool.runtime.atomic_files.os.{deed}", fail)
        with pytest.raises(FileError, match="full disk"):
            modelfile.write(model, {"w": np.ones(9)}, CONFIG)
        assert model.read_bytes() == before
        assert [file.name for file in Path(model).parent.iterdir()] == [model.name]
