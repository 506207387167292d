"""Relations between the fields of a record hold in what a fitted model generates, and their distances are right."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

import unspool as us

pytestmark = pytest.mark.slow


def sessions(count: int) -> pd.DataFrame:
    rng, rows = np.random.default_rng(1), []
    for k in range(count):
        at = pd.Timestamp("2025-01-01") + pd.Timedelta(seconds=int(rng.integers(0, 365 * 86_400)))
        for _ in range(int(rng.integers(2, 9))):
            length, tries = int(rng.integers(30, 3_600)), int(rng.integers(1, 9))
            net, tax = round(float(rng.lognormal(3, 1)), 2), round(float(rng.uniform(0, 5)), 2)
            rows.append(
                {"id": k, "group": "ab"[k % 2], "start": at, "end": at + pd.Timedelta(seconds=length), "net": net}
                | {"tax": tax, "total": round(net + tax, 2), "tries": tries, "wins": int(rng.integers(0, tries + 1))}
            )
            at += pd.Timedelta(seconds=length + int(rng.integers(30, 3_600)))
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def real() -> pd.DataFrame:
    return sessions(400)


@pytest.fixture(scope="module")
def made(real: pd.DataFrame) -> pd.DataFrame:
    steps = ["start", "end", "net", "tax", "total", "tries", "wins"]
    training = us.Training(epochs=12, draw_inputs=False)
    model = us.OneToMany("group", steps, training=training, verbose=False).fit(real, id="id")
    return model.generate({"group": ["a", "b"]}, n=500, seed=1).to_pandas()


def test_every_record_keeps_the_relations(made: pd.DataFrame) -> None:
    assert len(made) > 3_000
    assert (made.start <= made.end).all()
    assert made.wins.between(0, made.tries).all()
    assert np.allclose(made.total, made.net + made.tax, atol=0.005)


def test_timestamps_are_in_whole_seconds(made: pd.DataFrame) -> None:
    assert (made.start == made.start.dt.floor("s")).all()
    assert (made.end == made.end.dt.floor("s")).all()


def test_distances_are_distributed_as_in_the_data(real: pd.DataFrame, made: pd.DataFrame) -> None:
    lengths = [(frame.end - frame.start).dt.total_seconds() for frame in (made, real)]
    losses = [frame.tries - frame.wins for frame in (made, real)]
    assert ks_2samp(*lengths).statistic < 0.05
    assert ks_2samp(*losses).statistic < 0.05
