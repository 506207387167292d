"""A sequence in the slots is the one that it is alone, whatever shares its chunks."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import jax.numpy as jnp
import numpy as np
import pytest

from unspool.constraints.base import Observed, ObservedField
from unspool.generation.sampler import SampleRequest, no_values, sample_sequences
from unspool.generation.slots import CHUNK_STEPS, LONG_CHUNK_STEPS, Packing, SlotRequest, Slots, pack_rows
from unspool.network.decoder import Architecture, Net
from unspool.network.distributions.base import EventShape, Support
from unspool.network.distributions.categorical import Categorical
from unspool.network.distributions.missing import WithMissing
from unspool.network.distributions.normal import Normal
from unspool.network.distributions.rules import PLAIN, Rule
from unspool.options import Network
from unspool.runtime.devices import available, device_lock

ROWS, LIMIT = 3, 2 * CHUNK_STEPS + 5


@pytest.fixture(scope="module")
def net():
    """A record of a category and a number that may be missing, which learned when to stop."""
    fields = (Categorical(6), WithMissing(Normal()))
    shape = Architecture((EventShape(symbols=3), EventShape(members=2)), fields, 3, 8, 5, Network(dropout=0.0))
    return Net(np.random.default_rng(0), shape).map_weights(lambda w: 1.5 * w)


def request(**changes):
    rng = np.random.default_rng(1)
    inputs = (rng.integers(0, 4, ROWS).astype(np.int32), rng.normal(size=(ROWS, 2)))
    return SampleRequest(inputs, **({"samples": 1, "seed": 5, "rule": PLAIN, "length": None, "limit": LIMIT} | changes))


def observed():
    """The first steps of each row: the category of one, of two, and of none."""
    where = np.array([True, True, True])
    fields = (
        ObservedField(np.array([1, 2, 3], np.int32), where, None),
        ObservedField(np.array([0.0, 0.5, 0.0]), ~where, None),
    )
    return Observed(fields, (None, None), (None, None), np.array([0, 1, 3, 3]))


SUPPORTS = (
    Support(symbols=np.array([True, True, False, True, True, False])),
    Support(np.array([-0.5]), np.array([0.5])),
)
TWO = [{"samples": 2}, {"samples": 2, "seed": 6}]
PLAIN_ONES = [{"seed": 2**64 - 1}, {"samples": 3}, {"samples": 2, "seed": 6}]
WARM_ONES = [{"rule": Rule(False, jnp.float32(t)), "seed": 7, "samples": 2} for t in (0.5, 1.0, 2.0)]
FIXED_ONES = [{"length": length, "samples": 2} for length in (0, 1, CHUNK_STEPS, LIMIT)]
LONG_ONES = [{"length": 2 * LONG_CHUNK_STEPS + more, "seed": more} for more in (0, 9, 70)]
KNOWN_ONES = [{"observed": observed(), "seed": seed} for seed in (1, 2)]
ALLOWED_ONES = [{"supports": SUPPORTS, "observed": observed(), "seed": seed, "length": 20} for seed in (1, 2)]
slow = pytest.mark.slow


def generated(slots, requests, seed):
    """The requests in the slots, which choose at random whom to move on, and how many sequences of each."""
    rng, left = random.Random(seed), list(requests)
    while left := [one for one in left if one.left]:
        kind, room, members = rng.choice(left).kind, slots.widths[-1], []
        for one in rng.sample(left, len(left)):
            which = one.waiting(rng.randint(1, room)) if one.kind == kind and room else []
            if len(which):
                members.append((one, which))
                room -= len(which)
        slots.advance(members)
    return requests


@pytest.mark.parametrize(
    "wanted",
    [
        TWO,
        LONG_ONES,
        pytest.param([*PLAIN_ONES, *WARM_ONES], marks=slow),
        pytest.param([*FIXED_ONES, *LONG_ONES], marks=slow),
        pytest.param([*KNOWN_ONES, *ALLOWED_ONES, *PLAIN_ONES], marks=slow),
    ],
)
def test_sequences_are_those_of_the_sampler_to_the_bit(net, wanted):
    slots = Slots(net, (8,))
    asked = [request(**changes) for changes in wanted]
    for one in generated(slots, [SlotRequest(net, part) for part in asked], 3):
        values, offsets, ended = sample_sequences(net, one.request)
        own, own_offsets = one.values(no_values(net))
        assert own_offsets.tolist() == offsets.tolist()
        assert one.ended.tolist() == ended.tolist()
        assert [part.tobytes() for part in own] == [part.tobytes() for part in values]


def test_a_request_that_is_ahead_waits(net):
    one = SlotRequest(net, request(samples=2))
    assert one.waiting(4) == [0, 1, 2, 3]
    Slots(net, (8,)).advance([(one, [0, 1])])
    open_ = [k for k in range(2) if k in one.states]
    assert one.waiting(64) == [*open_, 2, 3, 4, 5]
    assert one.waiting(64, ahead=CHUNK_STEPS) == [2, 3, 4, 5]
    assert one.progress == 0


def test_long_chunks_are_those_that_all_sequences_have_room_for(net):
    slots, length = Slots(net, (8,)), 2 * LONG_CHUNK_STEPS + 1
    long, longer = (SlotRequest(net, request(length=length + more)) for more in (0, LONG_CHUNK_STEPS))
    assert slots.advance([(longer, [0, 1]), (long, [2])]) == LONG_CHUNK_STEPS
    assert slots.advance([(longer, [0]), (long, [1])]) == LONG_CHUNK_STEPS
    assert slots.advance([(longer, [1]), (long, [2])]) == CHUNK_STEPS
    for short in (SlotRequest(net, request(length=length), stream=True), SlotRequest(net, request(limit=200))):
        assert slots.advance([(short, [0])]) == CHUNK_STEPS


def test_a_packed_row_is_the_row():
    row = {"a": jnp.arange(12.0).reshape(2, 2, 3), "b": jnp.array([True, False]), "c": jnp.array([jnp.nan, 1.0])}
    packed = pack_rows(row)
    assert packed.shape == (2, 8)
    back = Packing.of(row).unpack(packed)
    for name, value in row.items():
        assert back[name].dtype == value.dtype
        np.testing.assert_array_equal(back[name], value)


def test_sequences_that_rest_go_on_where_they_were(net):
    slots, one = Slots(net, (8,)), SlotRequest(net, request(**TWO[0]))
    while one.left:
        slots.advance([(one, one.waiting(8))])
        held = [owner is one for owner, _ in slots.owners]
        assert all(held)
        slots.rest()
        assert slots.owners == []
        assert all(state is not None for state in one.states.values())
    values, _, _ = sample_sequences(net, one.request)
    assert [part.tobytes() for part in one.values(no_values(net))[0]] == [part.tobytes() for part in values]


@pytest.mark.skipif(available() < 2, reason="needs two devices")
def test_rows_on_two_devices_are_those_on_one(net, monkeypatch):
    monkeypatch.setattr("unspool.generation.sampler.MIN_WORK_PER_DEVICE", 16)
    slots = Slots(net, (8,))
    assert slots.devices[8] > 1
    for one in generated(slots, [SlotRequest(net, request(**changes)) for changes in TWO], 4):
        alone, _, _ = sample_sequences(net, one.request)
        assert [part.tobytes() for part in one.values(no_values(net))[0]] == [part.tobytes() for part in alone]


@pytest.mark.skipif(available() < 2, reason="needs two devices")
def test_programs_are_compiled_while_others_run(net, monkeypatch):
    monkeypatch.setattr("unspool.generation.sampler.MIN_WORK_PER_DEVICE", 16)
    slots, asked = Slots(net, (8,)), SlotRequest(net, request(rule=Rule(greedy=False, temperature=jnp.float32(0.5))))
    assert slots.devices[8] > 1
    with ThreadPoolExecutor(1) as pool, device_lock(slots.devices[8]):
        assert not slots.is_prepared(asked)
        pool.submit(slots.prepare, asked).result(120)
    assert slots.is_prepared(asked)


def test_a_request_of_a_new_kind_waits_for_one_program_alone(net, monkeypatch):
    slots, asked, go_on = Slots(net, (2, 8)), SlotRequest(net, request(samples=8)), threading.Event()

    def compile_(self, request, steps, width):
        assert width == 2 or go_on.wait(120)

    monkeypatch.setattr(Slots, "compile", compile_)
    assert not slots.is_prepared(asked)
    slots.prepare(asked, wait=False)
    assert slots.is_prepared(asked)
    assert slots.room(asked.kind) == 2
    go_on.set()
    while slots.open:
        time.sleep(0.01)
    assert slots.room(asked.kind) == 8


def test_a_program_that_can_not_be_compiled_is_tried_again(net, monkeypatch):
    slots, asked = Slots(net, (2, 8)), SlotRequest(net, request())
    monkeypatch.setattr(Slots, "compile", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        slots.prepare(asked, wait=False)
    assert not slots.is_prepared(asked)
    monkeypatch.setattr(Slots, "compile", lambda *_: None)
    slots.prepare(asked)
    assert slots.is_prepared(asked)
    assert slots.room(asked.kind) == 8
