"""Values that add up are pinned and bounded inside the loop, however a sequence is asked for."""

import itertools

import numpy as np
import pytest

from unspool.constraints.base import Observed, ObservedField
from unspool.encoding.columns import Origins
from unspool.generation import sampler
from unspool.generation.sampler import SampleRequest, chunks, sample_sequences
from unspool.network.cumulative import CumulativeRule
from unspool.network.decoder import Architecture, Net
from unspool.network.distributions.base import EventShape, Support
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.grid import Grid
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.mixture import Mixture
from unspool.network.distributions.reparameterized import Reflected
from unspool.network.distributions.rules import PLAIN
from unspool.options import Network

ROWS, SAMPLES, LENGTH, V = 4, 2, 21, 5
WALK, GAPS = CumulativeRule(Grid("linear", 1.0, 0.3, 1.0, 0.0), 2.0), CumulativeRule(Grid("log1p", 1.0, 0.1, 0.5, 0.0))
ORIGINS = (
    Origins(np.array([10.0, 20.0, 30.0, 40.0]), np.array([0.0, np.nan, 0.0, np.nan]), 2.0),
    None,
    Origins(np.arange(4.0), np.zeros(4), 1.0),
)
PINNED = {2: (15.0, 1, 6.0), 13: (45.0, 3, 30.0)}
"""By step: y of the walk, the category, and y of what never falls."""


@pytest.fixture(scope="module")
def net():
    """A walk that may be missing, a category, and a number that never falls."""
    distributions = (WithMissing(Mixture(2)), Categorical(V), Reflected(Mixture(2), low=-0.2))
    shape = Architecture((EventShape(symbols=3),), distributions, 0, 8, 5, Network(dropout=0.0), (WALK, None, GAPS))
    return Net(np.random.default_rng(0), shape).map_weights(lambda w: 1.5 * w)


def observed(pins=PINNED):
    last = max(pins) + 1
    where = np.isin(np.arange(last), list(pins))
    columns = [np.array([pins[t][j] if t in pins else 0 for t in range(last)]) for j in range(3)]
    upper = np.minimum.accumulate(np.where(where, columns[2], np.inf)[::-1])[::-1]
    values = columns[0].astype(float), columns[1].astype(np.int32), columns[2].astype(float)
    fields = tuple(ObservedField(column, where, None) for column in values)
    return Observed(fields, (None, None, upper), (None,) * 3, np.array([0, last]))


def request(**changes):
    asked = {"inputs": (np.arange(ROWS, dtype=np.int32) % 3,), "samples": SAMPLES, "seed": 3, "rule": PLAIN}
    supports = (
        Support((0.0 - ORIGINS[0].at) / 2, (50.0 - ORIGINS[0].at) / 2),
        None,
        Support(np.zeros(1), np.array([np.inf])),
    )
    asked |= {"length": LENGTH, "limit": LENGTH, "origins": ORIGINS, "supports": supports, "observed": observed()}
    return SampleRequest(**(asked | changes))


def added(made, samples=SAMPLES, first=0):
    """Every sequence in the units of y: an oracle of its own, in float64."""
    values, offsets, _ = made
    sequences = []
    for n, (start, end) in enumerate(itertools.pairwise(offsets)):
        row = n // samples + first
        walk, category, gaps = (v[start:end].astype(np.float64) for v in values)
        y, before = [], ORIGINS[0].at[row] if ORIGINS[0].start[row] == 0 else None
        for z in walk:
            if np.isnan(z):
                y.append(np.nan)
                continue
            before = ORIGINS[0].at[row] + 4.0 * z if before is None else before + 2.0 * (z + 0.3)
            y.append(before)
        x = ORIGINS[2].at[row] + np.cumsum(np.expm1(0.1 + 0.5 * gaps))
        sequences.append(np.stack([y, category, x], 1))
    return sequences


@pytest.fixture(scope="module")
def whole(net):
    return added(sample_sequences(net, request()))


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


def test_steps_lead_to_what_is_pinned(whole):
    """Adding up what came out gives the pinned values, to what float32 holds, though their steps were never given."""
    for sequence in whole:
        for step, pins in PINNED.items():
            np.testing.assert_allclose(sequence[step], pins, rtol=1e-5)


def test_bounds_hold_at_every_step(whole):
    walks = np.array([sequence[:, 0] for sequence in whole])
    assert np.nanmin(walks) >= -1e-4
    assert np.nanmax(walks) <= 50 + 1e-4
    assert np.isnan(walks).any()
    assert np.nanstd(walks[:, -1]) > 1


def test_what_never_falls_stays_below_the_next_pin(whole):
    for sequence in whole:
        assert (np.diff(sequence[:, 2]) >= -1e-4).all()
        assert sequence[1, 2] <= 6.0 + 1e-4
        assert sequence[12, 2] <= 30.0 + 1e-4


def test_a_support_moves_nothing_that_lies_well_within(net):
    """Far bounds give what no bounds give."""
    wide = Support(np.full(ROWS, -1e6), np.full(ROWS, 1e6))
    free = added(sample_sequences(net, request(supports=(), observed=None)))
    bound = added(sample_sequences(net, request(supports=(wide, None, None), observed=None)))
    assert_same(free, bound)


def test_pins_leave_what_is_before_as_it_was(net):
    """But for what never falls."""
    supports = request().supports
    free = added(sample_sequences(net, request(observed=None, supports=supports)))
    low = observed({9: (25.0, 2, 1e6)})
    pinned = added(sample_sequences(net, request(observed=low, supports=supports)))
    assert_same([s[:9] for s in free], [s[:9] for s in pinned])
    assert not np.allclose(free[0][10:], pinned[0][10:], equal_nan=True)


@pytest.mark.parametrize("tile", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_tiles_show_in_neither(net, whole, monkeypatch, tile):
    monkeypatch.setattr(sampler, "TILE_ROWS", tile)
    assert_same(added(sample_sequences(net, request())), whole)


@pytest.mark.parametrize("chunk", [1, pytest.param(8, marks=pytest.mark.slow)])
def test_a_stream_carries_heights_across_its_parts(net, chunk):
    """To the bit: the batch has one size."""
    values, offsets, _ = sample_sequences(net, request())
    parts = list(chunks(net, request(), slice(0, ROWS * SAMPLES), chunk))
    for j, wanted in enumerate(values):
        made = np.concatenate([part.values[j] for part in parts]).swapaxes(0, 1).reshape(-1)
        np.testing.assert_array_equal(made, wanted)
    assert offsets[-1] == ROWS * SAMPLES * LENGTH


def test_a_row_alone_has_its_pins_and_bounds(net, whole):
    asked = request()
    alone = asked._replace(
        inputs=(asked.inputs[0][2:3],),
        first_row=2,
        origins=tuple(o and o._replace(at=o.at[2:3], start=o.start[2:3]) for o in ORIGINS),
        supports=(Support(asked.supports[0].low[2:3], asked.supports[0].high[2:3]), None, asked.supports[2]),
    )
    assert_same(added(sample_sequences(net, alone), first=2), whole[2 * SAMPLES : 3 * SAMPLES])


@pytest.mark.slow
def test_several_devices_do_not_show(net, whole, monkeypatch):
    monkeypatch.setattr(sampler, "MIN_WORK_PER_DEVICE", 1)
    assert_same(added(sample_sequences(net, request())), whole)


def test_each_row_may_have_facts_of_its_own(net):
    one, other = observed({1: (15.0, 1, 7.0)}), observed({3: (35.0, 4, 9.0)})
    four = [one, other, one, other]
    fields = tuple(
        ObservedField(*(np.concatenate([part.fields[j][of] for part in four]) for of in (0, 1)), None) for j in range(3)
    )
    upper = np.concatenate([part.upper[2] for part in four])
    joined = Observed(fields, (None, None, upper), (None,) * 3, np.array([0, 2, 6, 8, 12]))
    made = added(sample_sequences(net, request(observed=joined)))
    for n, sequence in enumerate(made):
        step, pins = [(1, (15.0, 1, 7.0)), (3, (35.0, 4, 9.0))][n // SAMPLES % 2]
        np.testing.assert_allclose(sequence[step], pins, rtol=1e-5)
