"""A checkpoint goes on where a fit stood, to the bit, and belongs to that fit alone."""

import json

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

from unspool import modelfile
from unspool.config import fingerprint
from unspool.encoding.encoded import Encoded
from unspool.errors import CheckpointMismatch, CorruptFile, FileError, TrainingError
from unspool.options import Training
from unspool.training.checkpoint import FILE_NAME, Checkpoint, CheckpointState, arrays_by_name, from_arrays
from unspool.training.train_step import new_train_state
from unspool.training.trainer import train

PARTS = {"data": "a", "training": "b", "seed": "c"}


def interrupted_after(rounds, small, folder):
    """Train, and be killed while the next round runs."""
    checkpoint = Checkpoint(folder, PARTS)

    def watch(progress):
        if len(progress.rounds) >= rounds:
            raise MemoryError

    with pytest.raises(MemoryError):
        train(small.data, small.plan, small.net(), watch=watch, save=checkpoint.save)


def test_a_fit_that_was_killed_ends_with_the_weights_of_one_that_was_not(small, tmp_path):
    """To the bit, through the file."""
    whole, _ = train(small.data, small.plan, small.net())
    interrupted_after(3, small, tmp_path)
    resume = Checkpoint(tmp_path, PARTS).load(new_train_state(small.net(), small.config))
    assert len(resume[0].rounds) == 3
    resumed, _ = train(small.data, small.plan, small.net(), resume=resume)
    for a, b in zip(jax.tree.leaves(whole), jax.tree.leaves(resumed), strict=True):
        assert np.asarray(a).tobytes() == np.asarray(b).tobytes()


def test_an_empty_folder_has_no_checkpoint(small, tmp_path):
    """It is made if it isn't there."""
    assert Checkpoint(tmp_path / "a" / "b", PARTS).load(new_train_state(small.net(), small.config)) is None
    assert (tmp_path / "a" / "b").is_dir()


def test_the_checkpoint_of_another_fit_is_refused_by_the_parts_that_differ(small, tmp_path):
    interrupted_after(1, small, tmp_path)
    other = Checkpoint(tmp_path, PARTS | {"data": "x", "seed": "y"})
    with pytest.raises(CheckpointMismatch, match=r"found another data and seed\. Name another folder"):
        other.load(new_train_state(small.net(), small.config))
    assert issubclass(CheckpointMismatch, TrainingError)


def test_a_checkpoint_that_lacks_an_array_is_refused(small, tmp_path):
    interrupted_after(1, small, tmp_path)
    state, arrays = modelfile.read(tmp_path / FILE_NAME, CheckpointState)
    arrays = dict(arrays)
    arrays.pop(next(name for name in arrays if name.startswith("best")))
    modelfile.write(tmp_path / FILE_NAME, arrays, state)
    with pytest.raises(CorruptFile, match=r"expected the array 'best.*found none.*Empty the folder"):
        Checkpoint(tmp_path, PARTS).load(new_train_state(small.net(), small.config))


def test_a_checkpoint_that_was_altered_by_hand_is_refused(small, tmp_path):
    """A shape, a type, one number, where training stands, an array too many: none goes unseen."""
    interrupted_after(1, small, tmp_path)
    path = tmp_path / FILE_NAME
    state, arrays = modelfile.read(path, CheckpointState)
    name = next(name for name, array in arrays.items() if array.ndim == 2)
    changed = arrays[name].copy()
    changed[0, 0] += 1
    bad = msgspec.structs.replace(state, progress=msgspec.structs.replace(state.progress, best_update=7))
    for config, wrong, match in (
        (state, arrays | {name: arrays[name][:-1]}, r"the array .*float32 of shape .*found float32 of shape"),
        (state, arrays | {name: arrays[name].astype(np.float64)}, r"float32 of shape .*found float64"),
        (state, arrays | {name: changed}, "contents of its own checksum"),
        (state, arrays | {"more": changed}, "the array 'more', none"),
        (bad, arrays, "contents of its own checksum"),
        (msgspec.structs.replace(state, checksum=""), arrays, "contents of its own checksum"),
    ):
        modelfile.write(path, wrong, config)
        with pytest.raises(CorruptFile, match=match + r".*Empty the folder"):
            Checkpoint(tmp_path, PARTS).load(new_train_state(small.net(), small.config))
    modelfile.write(path, arrays, state)
    assert Checkpoint(tmp_path, PARTS).load(new_train_state(small.net(), small.config)) is not None


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="a folder for the checkpoint"):
        Checkpoint(tmp_path / "file", PARTS)


def test_the_fingerprint_sees_every_value_and_every_option():
    """One value, one length, one option: each changes its part and no other."""

    def parts(step=1.0, offsets=(0, 1, 2), **options):
        steps = np.array([0.0, step])
        data = Encoded((np.zeros(2, np.int32),), (steps,), np.array(offsets), (0 * steps,))
        return fingerprint(data, training=Training(**options), seed=0)

    base = parts()
    assert parts() == base
    assert json.loads(json.dumps(base)) == base
    for changed, names in [
        (parts(2.0), {"data"}),
        (parts(offsets=(0, 0, 2)), {"data"}),
        (parts(rate=0.1), {"training"}),
    ]:
        assert {name for name in base if changed[name] != base[name]} == names


def test_a_state_is_its_named_arrays(small):
    """Weights and moments: a checkpoint holds them by name."""
    state = new_train_state(small.net(), small.config)
    arrays = arrays_by_name(state)
    assert len(arrays) == len(jax.tree.leaves(state))
    again = from_arrays(jax.tree.map(jnp.zeros_like, state), {f"x{name}": a for name, a in arrays.items()}, "x")
    for one, other in zip(jax.tree.leaves(again), jax.tree.leaves(state), strict=True):
        np.testing.assert_array_equal(one, other)
