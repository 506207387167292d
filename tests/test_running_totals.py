"""A total that goes on from its value before by other columns does so in everything that a model generates."""

import msgspec
import numpy as np
import pytest

import unspool as us
from unspool.constraints.pins import encode_observed
from unspool.dataset.gather import gather, gather_fitted
from unspool.encoding.codec import Codec
from unspool.encoding.columns import Continuation
from unspool.encoding.distance import DistanceEncoder, carried_sum
from unspool.encoding.fit import fit_codec
from unspool.errors import OptionError, SchemaError
from unspool.schema.fields import Number
from unspool.schema.relations import Running

N, T = 50, 6
COLUMNS = ["won", "score", "amount", "received", "stock", "sold", "balance"]


@pytest.fixture(scope="module")
def table(running_totals):
    return running_totals(np.random.default_rng(0), N, T)


@pytest.fixture(scope="module")
def fitted(table):
    schema, examples = gather(table, inputs="kind", sequence=COLUMNS, id="id", order=None)
    return fit_codec(schema, examples), examples


def broken(columns, offsets, before=None):
    """How far each relation is from holding, at the most; at first steps, from the values before."""
    first = offsets[:-1]

    def change(name):
        last = np.concatenate([[0], columns[name][:-1]]).astype(float)
        last[first] = np.nan if before is None else before[name]
        return columns[name] - last

    wrong = {
        "score": change("score") - columns["won"],
        "stock": change("stock") - columns["received"] + columns["sold"],
        "balance": change("balance") - columns["amount"],
    }
    return {name: float(np.nanmax(np.abs(part))) for name, part in wrong.items()}


def test_they_are_found_and_learned_by_what_leaves_no_bound_open(fitted):
    """A stock must stay above 0, so it is learned by itself, and what was sold follows from it."""
    codec, _ = fitted
    relations = sorted(map(str, codec.schema.relations))
    assert relations == ["balance += amount", "score += won", "stock += received - sold"]
    learned = {field.name: field for field in codec.schema.steps}
    assert learned["balance"].references == ("amount",)
    assert learned["score"].references == ("won",)
    assert learned["sold"].references == ("received", "stock")
    assert not learned["stock"].references
    assert codec.schema.step_columns == tuple(COLUMNS)
    shown = codec.describe()
    assert "the value before + amount, distance" in shown
    assert "+ received - stock since the step before, distance" in shown


def test_values_come_back_and_distances_are_nothing_after_the_first_step(fitted):
    codec, examples = fitted
    encoded = codec.encode(examples)
    decoded = codec.decode(encoded.steps, encoded.offsets)
    for name in COLUMNS:
        np.testing.assert_allclose(decoded[name], examples.steps[name], rtol=0, atol=1e-9)
    later = np.ones(N * T, bool)
    later[encoded.offsets[:-1]] = False
    for (field, _), values in zip(codec.step_columns(), encoded.steps, strict=True):
        if field.signs:
            assert len(np.unique(values[later])) == 1
            assert field.name != "score" or len(np.unique(values)) == 1, "it starts from zero"


def test_sequences_that_are_decoded_part_by_part_are_those_decoded_at_once(fitted):
    codec, examples = fitted
    encoded = codec.encode(examples)
    blocks, before = [], {}
    for part in (slice(0, 2), slice(2, 3), slice(3, T)):
        steps = [values.reshape(N, T)[:, part].ravel() for values in encoded.steps]
        columns, last = codec.decode_on(steps, np.arange(N + 1) * (part.stop - part.start), before)
        before |= last
        blocks.append({name: column.reshape(N, -1) for name, column in columns.items()})
    for name in COLUMNS:
        together = np.concatenate([block[name] for block in blocks], 1).ravel()
        np.testing.assert_allclose(together, examples.steps[name], rtol=0, atol=1e-9)


def test_a_sum_goes_on_from_given_values():
    given = np.array([np.nan, 50.0, np.nan, np.nan])
    continuation = Continuation(np.array([0, 3, 4]), None, given)
    assert carried_sum(np.array([1.0, 1.0, 1.0, 7.0]), continuation, 2).tolist() == [1.0, 50.0, 51.0, 7.0]


@pytest.mark.slow
@pytest.mark.parametrize("first", [False, True], ids=["by an input", "from a first record"])
def test_all_records_of_a_hasty_fit_keep_them(table, first):
    training = us.Training(epochs=3, draw_inputs=False)
    asked = us.First() if first else "kind"
    model = us.OneToMany(asked, COLUMNS, network=us.Network(size=16), training=training, verbose=False)
    model.fit(table, id="id")
    inputs = {name: table[name][::T] for name in COLUMNS} if first else {"kind": ["a", "b"] * 25}
    made = model.generate(inputs, n=2, seed=0)
    before = {name: np.repeat(np.asarray(inputs[name], float), 2) for name in COLUMNS} if first else None
    assert max(broken(made.columns, made.offsets, before).values()) < 1e-6
    assert made.columns["stock"].min() >= 0
    if not first:
        assert (made.columns["score"][made.offsets[:-1]] == made.columns["won"][made.offsets[:-1]]).all()
    events = list(model.stream({name: values[:3] for name, values in inputs.items()}, n=2, seed=0))
    whole = list(made)
    assert all(event.value == whole[2 * event.row + event.sample][event.step] for event in events)


def test_a_prefix_is_kept_and_gone_on_from(fitted):
    codec, examples = fitted
    prefix = [{name: examples.steps[name][t].item() for name in COLUMNS} for t in range(3)]
    observed = encode_observed(codec, prefix, None, 1, None, (None,) * len(codec.steps))
    encoded = codec.encode(examples)
    assert all(found.where.all() for found in observed.fields)
    of = {field.name: j for j, (field, _) in enumerate(codec.step_columns())}
    for name in ("score", "sold", "balance"):
        np.testing.assert_array_equal(observed.fields[of[name]].values, encoded.steps[of[name]][:3])


def test_what_can_not_be_pinned_says_so(fitted):
    codec, _ = fitted
    everything = (None,) * len(codec.steps)
    with pytest.raises(OptionError, match=r"'balance', which goes on from its value before\. Give whole steps"):
        encode_observed(codec, None, {1: {"balance": 5.0}}, 1, None, everything)
    assert encode_observed(codec, None, {1: {"stock": 5}}, 1, None, everything) is not None


def test_a_relation_that_is_given_must_hold(table):
    given = {"inputs": "kind", "sequence": COLUMNS, "id": "id", "order": None}
    schema, _ = gather(table, **given, relations=["balance += amount", "stock += received - sold"])
    assert sorted(map(str, schema.relations)) == ["balance += amount", "stock += received - sold"]
    with pytest.raises(OptionError, match=r"relation 'balance -= amount': expected data in which it holds"):
        gather(table, **given, relations=["balance -= amount"])


def test_two_totals_of_one_part_and_an_order_beside_them_are_kept():
    """The first one is learned by itself, the part from it, and the second one from the part."""
    rng = np.random.default_rng(0)
    amount = rng.integers(-9, 10, (40, 12))
    low = amount.cumsum(1) - amount.cumsum(1).min(1, keepdims=True) + rng.integers(0, 30, (40, 1))
    high = low + rng.integers(0, 90, (40, 1))
    columns = {"amount": amount.ravel(), "low": low.ravel(), "high": high.ravel()}
    table = {"id": np.repeat(np.arange(40), 12), **columns}
    schema, _ = gather(table, sequence=[*columns], id="id", relations="auto")
    assert {"low += amount", "high += amount"} <= set(map(str, schema.relations))
    assert sum(bool(field.signs) for field in schema.steps) == 2


def test_an_order_that_is_given_goes_before_a_total_that_is_found(table):
    """A balance within its limit, in any order of the columns; `balance += amount` is then no relation."""
    limit = np.repeat(np.maximum.reduceat(table["balance"], np.arange(0, N * T, T)) + 5, T)
    for columns in (["limit", "amount", "balance"], ["amount", "balance", "limit"]):
        schema, _ = gather(
            {**table, "limit": limit}, inputs="kind", sequence=columns, id="id", order=None,
            relations=["auto", "balance <= limit"],
        )  # fmt: skip
        assert "balance <= limit" in map(str, schema.relations)
        assert not [relation for relation in schema.relations if isinstance(relation, Running)]


def test_columns_that_follow_from_each_other_are_refused(table):
    fields = [
        us.Number(name, running=Running(name, (other,)))
        for name, other in [("amount", "balance"), ("balance", "amount")]
    ]
    with pytest.raises(OptionError, match="don't follow from each other"):
        gather(table, inputs="kind", sequence=fields, id="id", order=None, relations=None)


def test_fields_say_it_too(table):
    fields = [us.Number("amount"), us.Number("balance", running=Running("balance", ("amount",)))]
    schema, examples = gather(table, inputs="kind", sequence=fields, id="id", order=None, relations=None)
    assert [str(relation) for relation in schema.relations] == ["balance += amount"]
    codec = fit_codec(schema, examples)
    again = msgspec.json.decode(msgspec.json.encode(codec), type=Codec)
    assert again.encode(gather_fitted(again, table)).steps[1].tolist() == codec.encode(examples).steps[1].tolist()
    with pytest.raises(OptionError, match="one of them"):
        Number("x", running=Running("x", ("a",)), near=("b",))
    with pytest.raises(OptionError, match="a relation of it"):
        Number("x", running=Running("y", ("a",)))
    column = codec.steps[1]
    assert isinstance(column, DistanceEncoder)
    with pytest.raises(SchemaError, match="one for each reference"):
        msgspec.structs.replace(column, signs=(1, 1))
    with pytest.raises(SchemaError, match="the sign of a total"):
        msgspec.structs.replace(column, signs=(), change=True)
