"""Several categories as one symbol: tuples of training come back, others are unseen."""

import jax.numpy as jnp
import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.encoding.columns import Continuation
from unspool.encoding.members import JointVocabulary
from unspool.encoding.vocabulary import Vocabulary
from unspool.errors import Location
from unspool.network.build import distribution_of
from unspool.network.decoder import Architecture, Net
from unspool.network.distributions.base import EventShape
from unspool.network.likelihood import sequence_log_prob
from unspool.options import Network
from unspool.schema.fields import Joint

PLACE = Location("the data", "x")
VALUES = (
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
    st.none() | st.integers(-3, 3),
    st.none() | st.booleans(),
)


@st.composite
def tables(draw) -> np.ndarray:
    """(S, M) values: columns of text, whole numbers or truth values, missing at times."""
    kinds = draw(st.lists(st.sampled_from(VALUES), min_size=2, max_size=4))
    rows = draw(st.lists(st.tuples(*kinds), min_size=1, max_size=12))
    table = np.empty((len(rows), len(kinds)), object)
    table[:] = rows
    return table


def encoded(column: JointVocabulary, values: np.ndarray) -> np.ndarray:
    return column.encode(values, PLACE, np.array([0, len(values)]))[0]


def decoded(column: JointVocabulary, symbols: np.ndarray) -> list[tuple]:
    members = column.decode(symbols, Continuation(np.array([0, len(symbols)]))).values
    plain = ([None if value != value else value for value in member.tolist()] for member in members)
    return list(zip(*plain, strict=True))


@given(tables())
def test_any_table_of_categories_comes_back_and_its_column_survives_json(values) -> None:
    column = JointVocabulary.fit(values)
    symbols = encoded(column, values)
    assert symbols.dtype == np.int32
    assert decoded(column, symbols) == [tuple(row) for row in values.tolist()]
    assert msgspec.json.decode(msgspec.json.encode(column), type=JointVocabulary) == column


@given(tables(), st.data())
def test_symbols_are_numbered_by_frequency_and_unseen_tuples_are_the_one_after_the_last(values, data) -> None:
    column = JointVocabulary.fit(values)
    counts = np.bincount(encoded(column, values), minlength=column.num_symbols)
    assert (np.diff(counts) <= 0).all()
    assert counts.min() > 0
    other = values.copy()
    k, m = data.draw(st.integers(0, len(values) - 1)), data.draw(st.integers(0, values.shape[1] - 1))
    other[k, m] = data.draw(st.sampled_from([*values[:, m], "never seen"]))
    known = {tuple(map(repr, row)) for row in values}
    seen = tuple(map(repr, other[k])) in known
    assert (encoded(column, other)[k] < column.num_symbols) == seen
    assert encoded(column, np.delete(other, k, 0)).tolist() == encoded(column, np.delete(values, k, 0)).tolist()


def test_the_unseen_tuple_has_the_unseen_value_of_every_member() -> None:
    column = JointVocabulary.fit(np.array([["a", 1], ["b", 2]], object))
    assert decoded(column, np.array([2, 0])) == [(None, None), ("a", 1)]


def test_the_mass_of_the_unseen_is_that_of_tuples_that_were_seen_once() -> None:
    values = np.array([["a", 1], ["a", 1], ["a", 2], ["b", 2]], object)
    assert JointVocabulary.fit(values).unseen == pytest.approx(2.5 / 5)


def test_tuples_of_many_members_are_distinguished() -> None:
    """40 members of 3 values and an unseen one have 4^40 tuples, more than 64 bits count."""
    values = np.random.default_rng(0).integers(0, 3, (50, 40)).astype(object)
    values[25:] = values[:25]
    values[25:, 0] = (values[:25, 0] + 1) % 3
    column = JointVocabulary.fit(values)
    assert decoded(column, encoded(column, values)) == [tuple(row) for row in values.tolist()]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_probabilities_of_all_tuples_and_of_the_unseen_one_sum_to_one_through_a_network(seed) -> None:
    rng = np.random.default_rng(seed)
    column = JointVocabulary.fit(rng.integers(0, 4, (12, 2 + seed)).astype(object))
    dist, V = distribution_of(Joint("x", ["a", "b"]), column), column.num_symbols
    net = Net(rng, Architecture((EventShape(symbols=2),), (dist,), 0, 4, 3, Network(dropout=0.0)))
    symbols, count = jnp.arange(V + 1, dtype=jnp.int32), jnp.ones(V + 1, jnp.int32)
    terms = sequence_log_prob(net, (0 * count,), (symbols[None],), count, net.masks())
    mass = np.exp(np.asarray(terms.fields[0, :, 0], np.float64))
    assert mass.sum() == pytest.approx(1, abs=1e-5)
    assert mass[V] == pytest.approx(column.unseen, rel=1e-5)
    assert np.ptp(mass[:V]) > 1e-3


def test_it_says_how_many_combinations_there_are_and_the_most_frequent_ones() -> None:
    values = np.array([["a", 1]] * 3 + [["b", 2]] * 2 + [["a\n", 2], [None, 2]], object)
    column = JointVocabulary.fit(values)
    assert column.describe() == "4 combinations: a/1, b/2, a\\n/2, ..., some missing"
    assert JointVocabulary.fit(values[:5]).describe() == "2 combinations: a/1, b/2"
    assert column.types == ("text", "int")
    assert (column.parse("b", "here", 0), column.parse("2", "here", 1)) == ("b", 2)


MEMBERS = tuple(Vocabulary(values) for values in (("a", "b"), (1, 2)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"members": MEMBERS[:1]}, "two or more members"),
        ({"tuples": ()}, "tuples and a probability"),
        ({"unseen": 0.0}, "a probability"),
        ({"tuples": ((0, 2),)}, "tuples of 2 symbols of its members"),
        ({"tuples": ((0,),)}, "tuples of 2 symbols"),
        ({"tuples": ((0, 1), (0, 1))}, "none twice"),
    ],
)
def test_impossible_joint_vocabularies_from_a_file_are_refused(changes, words) -> None:
    good = JointVocabulary(MEMBERS, ((0, 1), (1, 0)), 0.1)
    text = msgspec.json.encode(msgspec.to_builtins(good) | msgspec.to_builtins(changes))
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.json.decode(text, type=JointVocabulary)
