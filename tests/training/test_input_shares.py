"""The model of a single category is known without training."""

import numpy as np
import pytest

from unspool.dataset.gather import gather
from unspool.encoding.input_rows import fit_rows
from unspool.network.decoder import Net
from unspool.training import input_model
from unspool.training.input_model import InputRows, fit_input_model
from unspool.training.scoring import score_all


def test_a_single_category_has_the_shares_of_all_rows_and_no_training(monkeypatch):
    monkeypatch.setattr(input_model, "train", None)
    kinds = ["a"] * 70 + ["b"] * 20 + [None] * 10
    codec, ragged = fit_rows(*gather({"k": kinds, "s": ["xy"] * 100}, inputs="k", sequence="s"))
    inputs = InputRows(codec, codec.encode(ragged), "dict")
    row, net = fit_input_model(inputs, np.arange(90), np.arange(90, 100), seed=0)
    assert isinstance(net, Net)
    nats = -score_all(net, inputs.encoded)[:, 0]
    seen = 1 - float(net.distributions[0].unseen)
    assert nats[[0, 70, 90]] == pytest.approx(-np.log(np.array([0.7, 0.2, 0.1]) * seen), abs=1e-5)
    assert row.nats == pytest.approx(nats.mean(), abs=1e-5)
