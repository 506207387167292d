"""Every fitted column keeps the one protocol, whatever it holds."""

import datetime as dt
import itertools
from dataclasses import dataclass, field
from typing import Any, get_args

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unspool.dataset.gather import gather, gather_fitted
from unspool.encoding.angle import AngleEncoder, AngleInput
from unspool.encoding.codec import AnyInputColumn, AnyStepColumn, Codec
from unspool.encoding.columns import InputColumn, StepColumn
from unspool.encoding.distance import DistanceEncoder
from unspool.encoding.fit import fit_codec
from unspool.encoding.input_columns import BinaryEncoder, TimestampEncoder, VectorEncoder
from unspool.encoding.members import JointVocabulary, MultiLabel
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.numeric import NumericEncoder
from unspool.encoding.vocabulary import Vocabulary
from unspool.errors import SchemaError
from unspool.schema.fields import Category, Flag, Flags, Number, Text, Vector, When

LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=3)
NUMBERS = st.floats(-1e3, 1e3).map(lambda x: round(x, 3))
TIMESTAMPS = st.datetimes(dt.datetime(1900, 1, 1), dt.datetime(2100, 1, 1))  # noqa: DTZ001
HOURS = st.integers(0, 999).map(lambda hours: dt.timedelta(hours=hours))
VECTORS = st.lists(NUMBERS, min_size=2, max_size=2)
MONDAY = dt.datetime(2026, 1, 5)  # noqa: DTZ001


@dataclass(frozen=True)
class Case:
    """A kind of step: the class of its column, what it is asked for, and what its values are like.

    `some` are values that training has anyway; where values add up, they and those of `value` are changes.
    """

    column: type[StepColumn]
    sequence: Any
    some: list
    value: st.SearchStrategy
    types: dict
    missing: Any = None
    start: Any = None
    options: dict = field(default_factory=dict)

    def row(self, changes: list) -> list:
        """A sequence, of changes where values add up."""
        if self.start is None:
            return changes
        sums = itertools.accumulate([change for change in changes if change is not None], initial=self.start)
        next(sums)
        return [None if change is None else round_(next(sums)) for change in changes]


def round_(value):
    return round(value, 3) if isinstance(value, float) else value


PAIR = st.fixed_dictionaries({"a": LETTERS, "b": st.integers(0, 3)})
BOTH = st.fixed_dictionaries({"a": st.booleans(), "b": st.booleans()})
NONE = {"a": None, "b": None}
CASES = {
    "categories": Case(Vocabulary, Category("x"), ["u", "v"], LETTERS, {"x": "text"}),
    "whole categories": Case(Vocabulary, Category("x"), [1, 2], st.integers(-(2**53), 2**53), {"x": "int"}),
    "truth values": Case(Vocabulary, Flag("x"), [True, False], st.booleans(), {"x": "bool"}),
    "numbers": Case(NumericEncoder, Number("x", "standardize", "mixture"), [0.5, 1.5], NUMBERS, {"x": "float"}),
    "whole numbers": Case(NumericEncoder, Number("x", "asinh"), [1, 2], st.integers(-999, 999), {"x": "int"}),
    "differences": Case(NumericEncoder, Number("x", "difference"), [0.25, 2.5], NUMBERS, {"x": "float"}),
    "log-returns": Case(NumericEncoder, Number("x", "log_return"), [0.25, 2.5], st.floats(0.01, 1e3), {"x": "float"}),
    "counters": Case(IncrementEncoder, Number("x", "increment"), [1, 4], st.integers(0, 99), {"x": "int"}, start=5),
    "stocks": Case(
        IncrementEncoder, Number("x", "decrement"), [-0.25, -1.5], NUMBERS.map(lambda x: -abs(x)), {"x": "float"},
        start=9.5,
    ),
    "timestamps": Case(
        IncrementEncoder, When("x"), [dt.timedelta(1), dt.timedelta(9)], HOURS, {"x": "time"}, start=MONDAY,
    ),
    "labels": Case(
        MultiLabel, {"x": [Flags("f", ["a", "b"])]}, [{"a": True, "b": False}, {"a": False, "b": True}], BOTH,
        {"a": "bool", "b": "bool"}, NONE,
    ),
    "combinations": Case(
        JointVocabulary, {"x": [Category("b")]}, [{"a": "u", "b": 0}, {"a": "v", "b": 1}], PAIR,
        {"a": "text", "b": "int"}, NONE, options={"combinations": [("a", "b")]},
    ),
}  # fmt: skip
TEXTS = {"characters": "char", "words": "word", "pieces": "bpe"}


def fitted(rows: list, sequence: Any = "x", **options: Any):
    """A codec of one step field, its examples, and what the network sees of them."""
    table = {"k": list(range(len(rows))), "x": rows}
    schema, examples = gather(table, inputs=Number("k"), sequence=sequence, **options)
    codec = fit_codec(schema, examples)
    return codec, examples, codec.encode(examples)


def same(found: Any, wanted: Any) -> bool:
    """Whether two rows are equal: numbers to what float64 holds of the largest, all else exactly."""
    if not any(isinstance(value, float) for row in wanted for value in row):
        return found == wanted
    size = max(abs(value) for row in wanted for value in row if value is not None)
    return found == [
        [value if value is None else pytest.approx(value, rel=1e-9, abs=1e-9 * size) for value in row] for row in wanted
    ]


def check_protocol(codec: Codec, encoded: Any, rows: list, types: dict, *, missing: bool) -> None:
    """What all step columns promise, of one to which these rows were fitted."""
    (asked, column), *parts = codec.step_columns()
    assert all(part.columns == () for part, _ in parts)
    values, log_jacobian = encoded.steps[0], encoded.log_jacobian[0]
    assert type(msgspec.json.decode(msgspec.json.encode(column), type=AnyStepColumn)) is type(column)
    assert msgspec.json.decode(msgspec.json.encode(codec), type=Codec) == codec
    assert codec.types == types == dict(zip(asked.columns, column.types, strict=True))
    assert column.nullable == missing
    assert ("missing" in column.describe()) == missing
    assert "\n" not in column.describe()
    assert values.shape == (encoded.offsets[-1], *([column.width] if column.width > 1 else []))
    assert log_jacobian.shape == (encoded.offsets[-1],)
    if column.num_symbols is None:
        assert np.isnan(values).any() == missing
        assert not log_jacobian[np.isnan(values).reshape(len(values), -1).any(1)].any()
    else:
        assert values.dtype == np.int32
        assert 0 <= values.min() <= values.max() < column.num_symbols
        assert not log_jacobian.any()
    shown = codec.show(codec.decode(encoded.steps, encoded.offsets), encoded.offsets)
    assert same(shown, rows)


def check_parts(codec: Codec, encoded: Any, cut: int) -> None:
    """Decoded in two parts, the second going on from the first, sequences are those decoded whole."""
    whole, _ = codec.decode_on(encoded.steps, encoded.offsets)
    step = np.arange(encoded.offsets[-1]) - np.repeat(encoded.offsets[:-1], encoded.lengths)
    first = np.minimum(encoded.lengths, cut)
    last: Any = {}
    for inside, lengths in ((step < cut, first), (step >= cut, encoded.lengths - first)):
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        columns, last = codec.decode_on([values[inside] for values in encoded.steps], offsets, last)
        for name, values in columns.items():
            wanted = whole[name][inside]
            if values.dtype.kind == "f":
                np.testing.assert_allclose(values, wanted.astype(float), rtol=1e-9, atol=1e-9)
            else:
                assert values.tolist() == wanted.tolist()


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", CASES)
@given(data=st.data())
def test_a_step_column_comes_back_and_says_what_it_is(kind: str, missing: bool, data) -> None:
    case = CASES[kind]
    value = case.value | st.just(case.missing) if missing else case.value
    sampled = data.draw(st.lists(st.lists(value, max_size=6), max_size=4))
    known = [[*case.some, case.missing, case.some[0]] if missing else case.some, case.some[:1]]
    rows = [case.row(changes) for changes in [*known, *sampled]]
    codec, _, encoded = fitted(rows, case.sequence, **case.options)
    assert type(codec.steps[0]) is case.column
    check_protocol(codec, encoded, rows, case.types, missing=missing)
    check_parts(codec, encoded, data.draw(st.integers(0, 4)))


@pytest.mark.parametrize("kind", TEXTS)
@given(data=st.data())
def test_so_does_a_column_of_text(kind: str, data) -> None:
    rows = ["ab", "ba ab", *data.draw(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=3))]
    codec, _, encoded = fitted(rows, Text("x", TEXTS[kind]))
    check_protocol(codec, encoded, rows, {"x": "text"}, missing=False)
    check_parts(codec, encoded, data.draw(st.integers(0, 4)))


@pytest.mark.parametrize("kind", CASES)
def test_a_missing_value_where_training_had_none_is_unseen_or_refused(kind: str) -> None:
    case = CASES[kind]
    rows = [case.row([*case.some, case.some[0]]), case.row(case.some[:1])]
    codec, _, _ = fitted(rows, case.sequence, **case.options)
    lacking = {"k": [0], "x": [case.row([case.some[0], case.missing, case.some[1]])]}
    if codec.steps[0].num_symbols is None:
        with pytest.raises(SchemaError, match=r"row 1, step 2, column .*: expected a value, because none was"):
            codec.encode(gather_fitted(codec, lacking))
    else:
        encoded = codec.encode(gather_fitted(codec, lacking))
        assert encoded.steps[0].tolist()[1] == codec.steps[0].num_symbols
        back = codec.show(codec.decode(encoded.steps, encoded.offsets), encoded.offsets)
        assert back == [[case.some[0], case.missing, case.some[1]]]


@pytest.mark.parametrize("kind", CASES)
def test_a_typed_text_is_the_value(kind: str) -> None:
    case = CASES[kind]
    rows = [case.row([*case.some, case.some[0]]), case.row(case.some[:1])]
    column = fitted(rows, case.sequence, **case.options)[0].steps[0]
    values = rows[0][0].values() if isinstance(rows[0][0], dict) else [rows[0][0]]
    for member, value in enumerate(values):
        typed = column.parse(str(value), "here", member)
        assert typed == (str(value) if column.types == ("time",) else value)


INPUTS = {
    "categories": (Vocabulary, Category("k"), ["u", "v"], LETTERS.filter(len), "text"),
    "whole categories": (Vocabulary, Category("k"), [1, 2], st.integers(0, 9), "int"),
    "numbers": (NumericEncoder, Number("k"), [0.5, 1.5], NUMBERS, "float"),
    "whole numbers": (NumericEncoder, Number("k"), [1, 2], st.integers(-999, 999), "int"),
    "truth values": (BinaryEncoder, Flag("k"), [True, False], st.booleans(), "bool"),
    "timestamps": (TimestampEncoder, When("k"), [MONDAY, MONDAY + dt.timedelta(1)], TIMESTAMPS, "time"),
    "vectors": (VectorEncoder, Vector("k"), [[0.5, 1.5], [2.5, 0.5]], VECTORS, "float"),
}


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("kind", INPUTS)
@given(data=st.data())
def test_an_input_column_says_what_it_is_and_reads_typed_texts(kind: str, missing: bool, data) -> None:
    wanted, asked, some, value, type_ = INPUTS[kind]
    rows = [*some, *([None] if missing else []), *data.draw(st.lists(value, max_size=5))]
    codec = fit_codec(*gather({"k": rows, "x": ["ab", "b", *[""] * (len(rows) - 2)]}, inputs=asked, sequence="x"))
    (column,) = codec.inputs
    assert type(column) is wanted
    assert msgspec.json.decode(msgspec.json.encode(column), type=AnyInputColumn) == column
    assert column.types == (type_,)
    assert ("missing" in column.describe()) == missing
    assert "\n" not in column.describe()
    (values,) = codec.encode_inputs({"k": rows})
    if column.num_symbols is None:
        assert values.shape == (len(rows), column.width)
        assert np.isnan(values).any() == missing
    else:
        assert values.dtype == np.int32
        assert values.max() < column.num_symbols
    typed = codec.parse_inputs({"k": ["" if value is None else str(value) for value in rows]})
    np.testing.assert_array_equal(codec.encode_inputs(typed)[0], values)
    if not missing:
        with pytest.raises(SchemaError, match="row 2, column 'k': expected a value, because none was missing"):
            codec.encode_inputs({"k": [rows[0], None]})


def test_these_are_all_the_columns_that_there_are() -> None:
    others = {AngleEncoder, DistanceEncoder}  # tests/encoding/test_angle.py and test_distance.py
    assert {case.column for case in CASES.values()} == set(get_args(AnyStepColumn)) - others
    assert {case[0] for case in INPUTS.values()} == set(get_args(AnyInputColumn)) - {AngleInput}
    for kind in (*get_args(AnyStepColumn), *get_args(AnyInputColumn)):
        assert issubclass(kind, StepColumn if kind in get_args(AnyStepColumn) else InputColumn)
        assert not kind.__abstractmethods__
