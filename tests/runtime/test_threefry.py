"""A uniform depends on (seed, row, sample, step, draw), on nothing else, and on each of them well."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.random import threefry_2x32
from scipy import stats

from unspool.errors import OptionError
from unspool.runtime.threefry import seed_words, threefry, uniforms

KNOWN_ANSWERS = [
    ("00000000 00000000", "00000000 00000000", "6b200159 99ba4efe"),
    ("ffffffff ffffffff", "ffffffff ffffffff", "1cb996fc bb002be7"),
    ("13198a2e 03707344", "243f6a88 85a308d3", "c4923a9c 483df7a0"),
]
"""Key, counter and result of Threefry-2x32-20, from `kat_vectors` of Random123, the authors' own code."""


def words(text):
    return tuple(jnp.array([int(word, 16)], jnp.uint32) for word in text.split())


def draw(seed=0, rows=8, samples=3, steps=5, num_uniforms=4, first=0):
    """Uniforms of every sample of every row: (T, B, U)."""
    row, sample = np.divmod(np.arange(rows * samples), samples)
    return np.asarray(
        uniforms(seed_words(seed), jnp.asarray(row), jnp.asarray(sample), first + jnp.arange(steps), num_uniforms)
    )


@pytest.mark.parametrize(("key", "counter", "answer"), KNOWN_ANSWERS)
def test_threefry_gives_the_known_answers_of_its_authors(key, counter, answer):
    assert [f"{int(word[0]):08x}" for word in threefry(words(key), words(counter))] == answer.split()


def test_threefry_is_the_one_of_jax():
    """Elementwise, for many keys and counters at once, where JAX offers only one key for many counters."""
    rng = np.random.default_rng(0)
    keys, counters = (jnp.asarray(rng.integers(0, 2**32, (2, 20)), jnp.uint32) for _ in range(2))
    first, second = threefry(tuple(keys), tuple(counters))
    for n in range(20):
        assert threefry_2x32(keys[:, n], counters[:, n]).tolist() == [int(first[n]), int(second[n])]


def test_a_uniform_is_two_blocks_of_threefry():
    """The documented construction, one number at a time: backends that follow it draw the same."""
    made = draw(seed=2**40 + 7)
    for step, row, sample, k in [(0, 0, 0, 0), (4, 7, 2, 3), (2, 5, 1, 0)]:
        key = threefry_2x32(seed_words(2**40 + 7), jnp.array([row, sample], jnp.uint32))
        bits = int(threefry_2x32(key, jnp.array([step, k], jnp.uint32))[0])
        assert made[step, row * 3 + sample, k] == ((bits >> 9) + 0.5) / 2**23


def test_the_smallest_and_the_largest_uniform_are_inside_of_zero_and_one(monkeypatch):
    """Even for the most extreme bits, in float32, where 1 - 2**-25 would round to one."""
    for bits, expected in [(0, 2**-24), (2**32 - 1, 1 - 2**-24)]:
        block = (jnp.full((1, 1, 1), bits, jnp.uint32),) * 2
        monkeypatch.setattr("unspool.runtime.threefry.threefry", lambda key, counter, block=block: block)
        value = uniforms(seed_words(0), jnp.arange(1), jnp.arange(1), jnp.arange(1), 1)
        assert np.asarray(value).item() == expected
        assert 0 < expected < 1


def test_uniforms_depend_neither_on_batch_nor_order_nor_chunk():
    """To the bit: a part, in any order and from any step on, is that part of the whole."""
    whole = draw()
    assert (draw(steps=2) == whole[:2]).all()
    assert (draw(steps=3, first=2) == whole[2:]).all()
    assert (draw(num_uniforms=2) == whole[..., :2]).all()
    chosen = np.array([17, 3, 23])
    row, sample = np.divmod(chosen, 3)
    some = uniforms(seed_words(0), jnp.asarray(row), jnp.asarray(sample), jnp.arange(5), 4)
    assert (np.asarray(some) == whole[:, chosen]).all()


def test_compiled_uniforms_are_the_same():
    made = jax.jit(uniforms, static_argnums=4)(seed_words(3), jnp.arange(6) // 2, jnp.arange(6) % 2, jnp.arange(5), 4)
    assert (np.asarray(made) == draw(seed=3, rows=3, samples=2)).all()


def test_uniforms_are_uniform():
    """Kolmogorov-Smirnov over 120,000, and every one of the leading 12 bits half of the time, at five sigma."""
    u = draw(rows=100, samples=10, steps=30).ravel()
    assert stats.kstest(u, "uniform").pvalue > 5.7e-7
    for bit in range(1, 13):
        share = (np.floor(u * 2**bit) % 2).mean()
        assert abs(share - 0.5) < 5 * 0.5 / np.sqrt(u.size)


@pytest.mark.parametrize("axis", ["seed", "row", "sample", "step", "draw"])
def test_neighbours_are_uncorrelated_along_every_axis(axis):
    """Neither they, nor their squares, nor whether both are small: within five standard errors of nothing."""
    u = np.stack([draw(seed, rows=12, samples=10, steps=8, num_uniforms=4) for seed in range(6)])
    u = u.reshape(6, 8, 12, 10, 4)  # seed, step, row, sample, draw
    at = {"seed": 0, "step": 1, "row": 2, "sample": 3, "draw": 4}[axis]
    before, after = (np.take(u, np.arange(s, u.shape[at] - 1 + s), at).ravel() for s in (0, 1))
    for f in (lambda a: a, lambda a: (a - 0.5) ** 2, lambda a: a < 0.1):
        x, y = f(before).astype(float), f(after).astype(float)
        assert abs(np.corrcoef(x, y)[0, 1]) < 5 / np.sqrt(x.size)
    assert (before != after).mean() > 0.9999


def test_different_seeds_give_different_uniforms():
    """Also when they differ in the high word only."""
    seeds = [0, 1, 2**31, 2**32, 2**32 + 1, 2**63, 2**64 - 1]
    assert len({draw(seed).tobytes() for seed in seeds}) == len(seeds)


def test_a_seed_is_two_words():
    assert seed_words(0x0123456789ABCDEF).tolist() == [0x01234567, 0x89ABCDEF]


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_a_seed_that_is_no_64_bit_number_is_refused(seed):
    """Rather than folded onto another seed, which would quietly give that one's sequences."""
    with pytest.raises(OptionError, match=r"seed=.*from 0 to 2\*\*64 - 1"):
        seed_words(seed)
