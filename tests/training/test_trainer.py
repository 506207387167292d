"""Training ends with the best weights it saw, and the same ones wherever it was interrupted."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import msgspec
import numpy as np
import pytest

from unspool.config import ValidationRound
from unspool.errors import OptionError, TrainingError
from unspool.runtime.stopping import Stop
from unspool.training.batching import Bucket
from unspool.training.scoring import score
from unspool.training.sharding import Sharding
from unspool.training.train_step import UpdateBatch, copy_tree, new_train_state, update
from unspool.training.trainer import Progress, Trainer, train


def same_bits(one, other):
    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    return all(np.asarray(a).tobytes() == np.asarray(b).tobytes() for a, b in pairs)


def course(progress):
    """All of a progress but the time it took."""
    return {name: value for name, value in msgspec.structs.asdict(progress).items() if name != "seconds"}


@pytest.fixture(scope="module")
def finished(small):
    """A training that ran through, and what it saved after every round."""
    saved = []

    def save(progress, state, best):
        saved.append((msgspec.convert(msgspec.to_builtins(progress), Progress), copy_tree(state), copy_tree(best)))

    net, progress = train(small.data, small.plan, small.net(), save=save)
    return net, progress, saved


def validation(small, net):
    return -sum(score(net, bucket).sum() for bucket in small.data.validation) / small.data.validation_steps


def test_training_returns_the_best_weights_it_saw(small, finished):
    """They give the held-out nats that the progress reports, which no round went below by more than the tolerance."""
    net, progress, _ = finished
    assert progress.phase == "done"
    assert validation(small, net) == pytest.approx(progress.best, abs=1e-5)
    assert progress.best < validation(small, small.net()) - 0.5
    rounds = progress.rounds
    assert progress.best == min(r.validation for r in rounds)
    assert next(r.validation for r in rounds if r.update == progress.best_update) == progress.best
    assert all(math.isfinite(r.train) for r in rounds)


def test_the_same_training_gives_the_same_weights_to_the_bit(small, finished):
    net, progress = train(small.data, small.plan, small.net())
    assert same_bits(net, finished[0])
    assert course(progress) == course(finished[1])


@pytest.mark.slow
def test_trainings_side_by_side_end_as_they_do_alone(small):
    """Their updates are spread over the same devices, which wait for each other within an update."""
    plan = replace(small.plan, batch=16, shards=2)
    assert Trainer(small.data, plan, small.net(), None).sharding.shards == 2
    alone, _ = train(small.data, plan, small.net())
    with ThreadPoolExecutor(3) as pool:
        many = [pool.submit(train, small.data, plan, small.net()) for _ in range(6)]
        assert all(same_bits(alone, training.result()[0]) for training in many)


def test_another_seed_gives_other_weights(small, finished):
    net, _ = train(replace(small.data, seed=4), small.plan, small.net())
    assert not same_bits(net, finished[0])


def test_training_resumed_after_any_round_ends_with_the_same_weights_to_the_bit(small, finished):
    """Dropout, order, moments, phase and best weights go on as if nothing had happened."""
    net, progress, saved = finished
    assert {p.phase for p, _, _ in saved} == {"stable", "decay", "done"}
    for so_far, state, best in saved:
        again = msgspec.convert(msgspec.to_builtins(so_far), Progress)
        resumed, end = train(small.data, small.plan, small.net(), resume=(again, copy_tree(state), copy_tree(best)))
        assert same_bits(resumed, net)
        assert course(end) == course(progress)


def test_all_64_bits_of_a_seed_count(small):
    """JAX's own keys forget the upper half; a seed of 32 bits gives the same key as theirs."""
    data = [replace(small.data, seed=seed) for seed in (5, 2**40 + 5)]
    keys = [Trainer(one, small.plan, small.net(), None).key for one in data]
    assert keys[0].tolist() == jax.random.key_data(jax.random.key(5)).tolist()
    assert [key.tolist() for key in keys] == [[0, 5], [2**8, 5]]
    with pytest.raises(OptionError, match="from 0 to"):
        Trainer(replace(small.data, seed=-1), small.plan, small.net(), None)


# ---- interruptions -------------------------------------------------------------------------------------------------


def test_an_interrupt_ends_training_with_the_best_weights_and_without_another_validation(small, finished, monkeypatch):
    """After the updates that are running."""
    stop, scored = Stop(), []
    nats = Trainer.validation_nats
    monkeypatch.setattr(Trainer, "validation_nats", lambda run, net: scored.append(1) or nats(run, net))

    def watch(progress):
        if progress.update > 20 and progress.phase != "done":
            stop.press()

    net, progress = train(small.data, small.plan, small.net(), stop=stop, watch=watch)
    assert progress.stopped == "interrupted"
    assert progress.phase == "done"
    assert 20 < progress.update < finished[1].update
    assert len(progress.rounds) == len(scored) - 1 > 0
    assert validation(small, net) == pytest.approx(progress.best, abs=1e-5)


def test_an_interrupt_before_the_first_validation_keeps_the_weights_and_their_training_nats(small):
    stop = Stop()
    net, progress = train(small.data, small.plan, small.net(), stop=stop, watch=lambda progress: stop.press())
    assert progress.stopped == "interrupted"
    assert progress.update == progress.best_update == 1
    assert progress.rounds == [ValidationRound(1, progress.best, None)]
    assert not same_bits(net, small.net())


def test_a_spent_time_budget_ends_training_with_the_best_weights(small):
    """The first update of each shape is not counted, so that there is always one."""
    net, progress = train(small.data, small.plan, small.net(), stop=Stop(1e-6))
    assert progress.stopped == "time"
    assert 1 <= progress.update <= 1 + len(small.data.train)
    assert validation(small, net) == pytest.approx(progress.best, abs=1e-5)


def test_the_clock_of_the_budget_leaves_out_the_compiler(small, monkeypatch):
    """The first update of a shape takes an hour here, others a thousandth of a second; so does the first validation."""
    now = iter(range(10**9))
    seconds, compiled = [0.0], set()
    dispatch, nats = Trainer.dispatch, Trainer.validation_nats

    def waits(of, what):
        seconds[0] += 1e-3 if what in compiled else 3600.0
        compiled.add(what)
        return of

    monkeypatch.setattr("unspool.runtime.stopping.time.monotonic", lambda: seconds[0] + 1e-9 * next(now))

    def waiting_dispatch(run, sharding, updates, *rest):
        return waits(dispatch, updates.data.steps)(run, sharding, updates, *rest)

    monkeypatch.setattr(Trainer, "dispatch", waiting_dispatch)
    monkeypatch.setattr(Trainer, "validation_nats", lambda run, net: waits(nats(run, net), "validation"))
    _, progress = train(small.data, small.plan, small.net(), stop=Stop(1800.0))
    assert progress.stopped == "decayed"
    assert progress.seconds == pytest.approx(1e-3 * progress.update, rel=1)


def test_the_rate_warms_up_and_decays_within_the_time_budget(small):
    """However few updates it allows: at the peak after a tenth of the time, at the end of the decay after all of it."""
    run = Trainer(small.data, replace(small.plan, updates=10_000, warmup=1_000), small.net(), stop=Stop(10.0))
    run.stop.elapsed = 0.5
    assert run.rate(1) == pytest.approx(0.5 * small.plan.rate)
    run.progress.update, run.stop.elapsed = 70, 7.0
    assert run.late
    run.decay()
    assert run.progress.decay_updates == 30
    assert not run.late
    assert run.rate(99) < 0.05 * small.plan.rate


# ---- the schedule, with scripted validation nats ------------------------------------------------------------------


@pytest.fixture
def scripted(small, monkeypatch):
    """Train with these validation nats round after round; the last one repeats."""

    def run(*nats, plan=small.plan):
        said = iter(nats)
        monkeypatch.setattr(Trainer, "validation_nats", lambda self, net: next(said, nats[-1]))
        states = []

        def save(progress, state, best):
            states.append(copy_tree(state))

        return *train(small.data, plan, small.net(), save=save), states

    return run


def test_the_rate_decays_from_the_best_weights_once_patience_is_spent(scripted):
    """Two rounds without improvement are the patience here; the best was the second round. Its average is kept."""
    net, progress, states = scripted(3.0, 2.0, 2.5, 2.4, 2.9, 2.9)
    updates = [r.update for r in progress.rounds]
    assert progress.best == 2.0
    assert progress.best_update == updates[1]
    assert progress.decay_from == updates[3]
    assert len(progress.rounds) > 4
    assert same_bits(states[3], states[1])
    assert same_bits(net, states[1].average)
    assert not same_bits(net, states[1].net)


def test_improvements_that_are_too_small_are_kept_but_end_the_stable_phase(scripted):
    """Two rounds of 0.0009 nats are less than the tolerance together."""
    net, progress, states = scripted(3.0, 2.9991, 2.9982, 2.9982)
    assert progress.best == 2.9982
    assert progress.decay_from == progress.best_update == progress.rounds[2].update
    assert same_bits(net, states[2].average)


def test_rounds_that_are_noisy_go_on_as_long_as_two_of_them_improve_on_all_before(small, scripted):
    """Every other round is worse than the one before."""
    nats = [3.0, 2.9, 2.95, 2.8, 2.85, 2.6, 2.7, 2.65, 2.5]
    _, progress, _ = scripted(*nats, plan=replace(small.plan, updates=200))
    assert progress.decay_from == progress.rounds[7].update


def test_training_that_always_improves_ends_when_the_rate_has_decayed(small, scripted):
    _, progress, _ = scripted(*np.linspace(5, 1, 30).tolist())
    assert progress.stopped == "decayed"
    assert progress.decay_from >= 0.75 * small.plan.updates
    assert progress.update >= progress.decay_from + progress.decay_updates
    assert progress.best_update == progress.update


def test_a_decay_that_still_brings_much_at_its_end_is_followed_by_a_longer_one_from_a_smaller_rate(small, scripted):
    """The second half of the first decay brings 0.2 nats, that of the second one 0.2, that of the third one 0.05."""
    nats = [3.0, 2.0, 2.0, 2.0, 2.2, 2.0, 1.9, 1.8, 1.9, 1.8, 1.8, 1.7, 1.7, 1.6, 1.55, 1.5]
    _, progress, states = scripted(*nats, plan=replace(small.plan, updates=400))
    ended = [one.update for one in progress.rounds if one.validation == 1.55]
    assert progress.decay_updates == 4 * 4 * small.plan.round
    assert progress.peak == 0.125
    assert progress.stopped == "decayed"
    assert ended == [progress.decay_from]
    assert progress.decay_from + progress.decay_updates <= progress.update < 400
    assert same_bits(states[3], states[1])


def test_each_decay_begins_at_a_smaller_rate(small):
    run = Trainer(small.data, small.plan, small.net(), None)
    rates = []
    for at in (40, 80, 160):
        run.progress.update = at
        run.decay()
        rates.append(run.rate(at) / small.plan.rate)
    np.testing.assert_allclose(rates, [1, 0.25, 0.125])


def test_no_decay_begins_beyond_the_most_updates(small, scripted):
    plan = replace(small.plan, updates=80)
    _, progress, _ = scripted(*np.linspace(50, 1, 30).tolist(), plan=plan)
    assert progress.stopped == "decayed"
    assert progress.decay_from < 80 <= progress.update < 80 + 2 * plan.round


def test_weights_that_diverge_later_are_given_up_for_the_best(scripted):
    """A NaN is never the best, starts the decay at once, and never reaches a file, which couldn't be read again."""
    net, progress, states = scripted(3.0, math.nan, 2.0, 2.5)
    assert len(states) == len(progress.rounds) + 1
    assert progress.rounds[0].update < progress.decay_from < progress.rounds[1].update
    assert msgspec.json.decode(msgspec.json.encode(progress), type=Progress) == progress
    assert same_bits(states[1], states[0])
    assert progress.best == 2.0
    assert same_bits(net, states[2].average)


def test_weights_that_diverge_at_once_are_an_error_with_a_hint(small):
    """Before anything is saved."""
    broken = eqx.tree_at(lambda net: net.start, small.net(), jnp.full_like(small.net().start, jnp.nan))
    saved = []
    with pytest.raises(TrainingError, match=r"finite likelihood after the first round, found nan.*Training\(rate="):
        train(small.data, small.plan, broken, save=lambda *state: saved.append(state))
    assert not saved


def test_the_rate_warms_up_stays_and_falls_as_half_a_cosine(small):
    """Linearly over four updates; from the peak to a hundredth of it."""
    run = Trainer(small.data, small.plan, small.net(), None)
    peak = small.plan.rate
    np.testing.assert_allclose([run.rate(n) / peak for n in (0, 1, 3, 4, 40)], [0.25, 0.5, 1, 1, 1])
    run.progress.phase, run.progress.decay_from, run.progress.decay_updates = "decay", 100, 10
    np.testing.assert_allclose([run.rate(n) / peak for n in (100, 105, 110, 200)], [1, 0.505, 0.01, 0.01])


def test_the_share_of_its_own_output_rises_to_a_half(small):
    """Linearly, over the first half of the updates; under free feeding it is one from the start."""
    run = Trainer(small.data, small.plan, small.net(), None)
    np.testing.assert_allclose([run.share(n) for n in (0, 6, 12, 24, 48)], [0, 0.125, 0.25, 0.5, 0.5])
    free = replace(small.plan, update_config=replace(small.config, feeding="free"))
    assert Trainer(small.data, free, small.net(), None).share(0) == 1.0


def test_without_held_out_data_the_training_nats_decide(small):
    """They fall, and the rounds say that nothing was held out."""
    _, progress = train(replace(small.data, validation=[], validation_steps=0), small.plan, small.net())
    assert all(r.validation is None for r in progress.rounds)
    assert progress.best == pytest.approx(min(r.train for r in progress.rounds), abs=1e-4)
    assert progress.best < progress.rounds[0].train


def test_the_average_reaches_over_a_tenth_of_the_updates_so_far(small):
    """Update k weighs in the average of n as much as a power of k / n foresees: nine tenths of them little."""
    run = Trainer(small.data, small.plan, small.net(), None)
    n = 2_000
    left = np.append(np.cumprod([1 - run.mix(k) for k in range(n - 1, 0, -1)])[::-1], 1.0)
    weights = np.array([run.mix(k) for k in range(n)]) * left
    assert run.mix(0) == 1.0
    assert weights.sum() == pytest.approx(1.0)
    assert (weights * np.arange(n, 0, -1)).sum() == pytest.approx(n / 11, rel=0.02)


@pytest.mark.slow
def test_training_in_segments_learns_and_is_repeatable(small):
    """With dropout and over several shards, and through the decay."""
    plan = replace(small.plan, segment=2)
    (net, progress), (again, _) = (train(small.data, plan, small.net()) for _ in range(2))
    assert progress.best < progress.rounds[0].validation
    assert progress.best < validation(small, small.net()) - 0.3
    assert same_bits(net, again)


@pytest.mark.slow
def test_memory_of_an_update_does_not_grow_with_the_length_of_sequences(small):
    """What the compiled program needs besides the data themselves, for 2,048 and 16,384 steps in segments of 512."""
    B = 8
    state = new_train_state(small.net(), small.config)
    state = jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), state)

    def temporary(T):
        K = T // 512
        f32, i32 = (lambda *shape, kind=kind: jax.ShapeDtypeStruct(shape, kind) for kind in (np.float32, np.int32))
        data = Bucket((i32(K, B),), (i32(K, B, 512), f32(K, B, 512)), i32(K, B))
        updates = UpdateBatch(data, i32(K), f32(K, B), f32(K), f32(K), f32(K), f32(K))
        key = jax.ShapeDtypeStruct((2,), np.uint32)
        asked = update.question(small.config, Sharding(1, 2, True), state, updates, i32(), f32(), key, i32(), i32())
        return update.compile(*asked).run.memory_analysis().temp_size_in_bytes

    assert temporary(16_384) <= temporary(2_048) + 16_384 // 512 * B * 4
