"""A model of random weights whose samples meet every end there is."""

from pathlib import Path

import equinox as eqx
import msgspec
import numpy as np
import pytest

import unspool as us
from unspool.dataset.gather import gather
from unspool.encoding.fit import fit_codec
from unspool.network.build import architecture_of
from unspool.network.decoder import Net
from unspool.network.serialization import Nets, write_model

OLD = Path(__file__).parents[1] / "golden" / "format-2.unspool"


@pytest.fixture(scope="session")
def days(tmp_path_factory):
    """A model of random weights whose samples meet the ends of their levels, of their distances and of their length."""
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 12, 60)
    levels = [100 + rng.normal(size=length).cumsum() for length in lengths]
    table = {
        "kind": rng.choice(["a", "b"], 60).tolist(),
        "open": [level.tolist() for level in levels],
        "close": [
            np.where(rng.random(len(level)) < 0.3, np.nan, level * np.exp(0.01 * rng.normal(size=len(level)))).tolist()
            for level in levels
        ],
        "mood": [rng.choice(["calm", "wild", "odd"], length).tolist() for length in lengths],
    }
    fields = [
        us.Number("open", "difference", "normal"),
        us.Number("close", "standardize", "normal", near=("open",)),
        us.Category("mood"),
    ]
    codec = fit_codec(*gather(table, inputs=us.Category("kind"), sequence=fields))
    level, close, mood = codec.steps
    replace = msgspec.structs.replace
    near = replace(close, relative=True, ends=(98.0, 101.0), within=(99.0, 101.5))
    near = replace(near, distance=replace(close.distance, scale=0.01))
    codec = replace(codec, steps=(replace(level, ends=(98.0, 102.0)), near, mood), limit=9)
    net = Net(rng, architecture_of(codec, us.Network(), 8, 8)).map_weights(lambda w: w + rng.normal(0, 0.1, w.shape))
    net = eqx.tree_at(lambda net: net.stop[1], net, net.stop[1] - 3)
    others = {"network": us.Network(), "size": 8, "embedding": 8, "row": None, "arguments": None}
    path = tmp_path_factory.mktemp("days") / "days.unspool"
    write_model(path, replace(us.load(OLD).config_, codec=codec, **others), Nets(net, None))
    return path
