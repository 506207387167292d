"""From examples to sample sets: the one module of the evaluation that asks a fitted column of which kind it is."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.examples import Examples
from unspool.encoding.angle import AngleEncoder
from unspool.encoding.codec import Codec
from unspool.encoding.columns import Continuation
from unspool.encoding.distance import DistanceEncoder
from unspool.encoding.encoded import Encoded
from unspool.encoding.input_columns import BinaryEncoder
from unspool.encoding.members import JointVocabulary, MultiLabel
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.numeric import NumericEncoder
from unspool.encoding.vocabulary import Vocabulary
from unspool.evaluation.samples.sample_set import ABSENT, MISSING, ORDINARY, Comparison, SampleSet, Target, on_circle
from unspool.evaluation.samples.statistics import Codes, Reals
from unspool.schema.angles import wrapped
from unspool.schema.fields import Angle, AnyField, Category, Flag, Flags, Schema, Text, When
from unspool.schema.grid import POINT_MASS_TOLERANCE
from unspool.schema.monotone import as_number
from unspool.tables.columns import offsets_from_lengths


def comparable_sets(schema: Schema, *examples: Examples) -> tuple[SampleSet, ...]:
    """Examples of one schema in original units, as sets that share the codes of their symbols.

    A step field is symbols if it is of kind Category, Flag or Text, or holds neither numbers nor timestamps. Timestamps
    are in days. A column of several values per step counts as that many fields, and an angle as two numbers, its sine
    and its cosine, since 359 degrees are next to 1. Missing symbols are `ABSENT`.

    Examples:
        >>> from unspool.dataset.gather import gather
        >>> schema, real = gather({"k": ["a", "b"], "x": [[1.5, 2.0], [0.5]]}, inputs="k", sequence="x")
        >>> samples, same = comparable_sets(schema, real, real)
        >>> samples.numbers["x"].tolist(), samples.inputs["k"].tolist(), samples.names["input k"]
        ([1.5, 2.0, 0.5], [0, 1], ['a', 'b'])
    """
    numbers: dict[str, list[Reals]] = {}
    symbols: dict[str, list[Codes]] = {}
    inputs: dict[str, list[NDArray[Any]]] = {}
    names: dict[str, list[Any]] = {}
    for item in schema.inputs:
        for name, columns in _on_line(item, [one.inputs[item.name] for one in examples]):
            if _numeric(item, columns[0]):
                inputs[name] = [_real(column).reshape(len(column), -1) for column in columns]
            else:
                inputs[name], names[f"input {name}"] = _coded(columns)
    for item in schema.steps:
        for name, columns in _single(item, [one.steps[item.name] for one in examples]):
            if _numeric(item, columns[0]):
                numbers[name] = [_real(column) for column in columns]
            else:
                symbols[name], names[name] = _coded(columns)
    return tuple(
        SampleSet(
            np.asarray(one.offsets, np.int64),
            {name: columns[k] for name, columns in numbers.items()},
            {name: columns[k] for name, columns in symbols.items()},
            {name: columns[k] for name, columns in inputs.items()},
            names,
            starts=one.starts,
            window=one.gap,
        )
        for k, one in enumerate(examples)
    )


def _numeric(item: AnyField, column: NDArray[Any]) -> bool:
    return not isinstance(item, (Category, Flag, Text)) and column.dtype.kind in "fiuM"


def _single(item: AnyField, columns: list[NDArray[Any]]) -> list[tuple[str, list[NDArray[Any]]]]:
    if columns[0].ndim == 1:
        return _on_line(item, columns)
    return [(name, [column[:, k] for column in columns]) for k, name in enumerate(item.columns)]


def _on_line(item: AnyField, columns: list[NDArray[Any]]) -> list[tuple[str, list[NDArray[Any]]]]:
    """A column of one value, or the two columns of an angle."""
    if not isinstance(item, Angle):
        return [(item.name, columns)]
    every = [on_circle(item.name, column, item.period) for column in columns]
    return [(name, [one[name] for one in every]) for name in every[0]]


def _real(column: NDArray[Any]) -> Reals:
    if column.dtype.kind != "M":
        return column.astype(np.float64)
    days = column.astype("datetime64[us]").astype(np.int64) / 86_400e6
    days[np.isnat(column)] = np.nan
    return days


def _coded(columns: Sequence[NDArray[Any]]) -> tuple[list[Codes], list[Any]]:
    """Codes in the order of the values' texts, so that they depend on no order of rows."""
    plain = [column.tolist() for column in columns]
    known = sorted({value for values in plain for value in values if value is not None and value == value}, key=str)
    codes = {value: code for code, value in enumerate(known)}
    return [np.array([codes.get(value, ABSENT) for value in values], np.int64) for values in plain], known


def comparison_of(
    schema: Schema,
    train: Examples,
    real: Examples,
    synthetic: Examples,
    synthetic_train: Examples,
    ended: NDArray[np.bool_] | None = None,
    drawn: Examples | None = None,
) -> Comparison:
    """Real and generated examples as a `Comparison`, whose attributes the arguments are.

    Without `ended`, all sequences stopped by themselves. Numbers of sequences that don't match are a `DataError`.
    """
    others = () if drawn is None else (drawn,)
    sets = comparable_sets(schema, train, real, synthetic, synthetic_train, *others)
    transforms = {item.name: getattr(item, "transform", "none") for item in schema.steps}
    ended = np.ones(len(synthetic), np.bool_) if ended is None else ended
    kinds = {name: "flag" for item in schema.steps if isinstance(item, Flags) for name in item.columns}
    for kind, of in (("date", When), ("text", Text)):
        kinds |= {item.name: kind for item in schema.steps if isinstance(item, of)}
    found = Comparison(sets[0], sets[1], sets[2], sets[3], ended, transforms, kinds)
    return replace(found, drawn=sets[4]) if others else found


def targets_of(codec: Codec) -> tuple[Target, ...]:
    """The step fields, in their order."""
    found = []
    for item, column in zip(codec.schema.steps, codec.steps, strict=True):
        match column:
            case Vocabulary() | JointVocabulary():
                found.append(Target(item.name, symbols=column.num_symbols))
            case MultiLabel(members=members):
                found.append(Target(item.name, members=members))
            case AngleEncoder():
                kinds, cell = 2 + len(column.point_masses), column.step if column.mass else None
                found.append(Target(item.name, None, kinds, cell, period=column.period))
            case IncrementEncoder(increment=number) | DistanceEncoder(distance=number) | (NumericEncoder() as number):
                kinds, cell = 2 + len(number.point_masses), number.step if number.mass else None
                found.append(Target(item.name, None, kinds, cell, increments=number is not column))
    return tuple(found)


def scorable_sets(codec: Codec, *parts: tuple[Examples, Encoded]) -> tuple[SampleSet, ...]:
    """Examples, given in original units and as the network reads them, as the likelihood measures them.

    The first part is training. Symbols are the codes of the model's vocabulary, and V is a symbol that the model never
    saw. Numbers are in original units; timestamps and numbers that never fall or never rise are increments, and those
    that never cross another column are distances from it, logarithms of ratios with their slopes among them. Angles are
    those of the period around their mean direction in training. Inputs are comparable numbers. Whether a step has a
    multi-label field at all is a symbol under the field's name.
    """
    starts = {}
    for item, column in codec.step_columns():
        if isinstance(column, AngleEncoder):
            x = parts[0][0].steps[item.name].astype(np.float64) / column.per_radian
            starts[item.name] = float(np.angle(np.nansum(np.exp(1j * x))) - np.pi) * column.per_radian
    return tuple(_scorable(codec, *part, starts) for part in parts)


def _scorable(codec: Codec, examples: Examples, encoded: Encoded, starts: Mapping[str, float]) -> SampleSet:
    """One scorable set; `starts` says by field where the period of its angles begins."""
    inputs = {item.name: column for item, column in zip(codec.schema.inputs, encoded.inputs, strict=True)}
    groups = _groups(codec, encoded)
    numbers, first = dict[str, Reals](), dict[str, Reals]()
    symbols, kinds, slopes = dict[str, Codes](), dict[str, Codes](), dict[str, Reals]()
    members: dict[str, SampleSet] = {}
    for item, column, values in zip(codec.schema.steps, codec.steps, codec.without_parts(encoded.steps), strict=True):
        match column:
            case Vocabulary() | JointVocabulary():
                symbols[item.name] = values.astype(np.int64)
            case MultiLabel():
                known = ~np.isnan(values[:, 0])
                symbols[item.name] = known.astype(np.int64)
                labels = dict(zip(column.members, (values[known] > 0).astype(np.int64).T, strict=True))
                offsets = offsets_from_lengths(known)[encoded.offsets]
                members[item.name] = SampleSet(offsets, {}, labels, inputs, groups=groups)
            case IncrementEncoder(increment=increment):
                y = column.to_sum(as_number(examples.steps[item.name]))
                numbers[item.name], _ = column.increments_of(y, examples.offsets, examples.first.get(item.name))
                kinds[item.name] = _kinds(increment, values)
            case DistanceEncoder(distance=increment):
                (increments,), _ = increment.decode(values, Continuation(encoded.offsets))
                numbers[item.name] = increments.astype(np.float64)
                kinds[item.name] = _kinds(increment, values)
                slopes[item.name] = column.log_slope(examples.steps[item.name], values)
            case NumericEncoder() | AngleEncoder():
                numbers[item.name] = examples.steps[item.name].astype(np.float64)
                kinds[item.name] = _kinds(column, values)
                if item.name in examples.first:
                    first[item.name] = examples.first[item.name]
        if isinstance(column, AngleEncoder):
            for found in (numbers, first):
                if item.name in found:
                    found[item.name] = wrapped(found[item.name], column.period, starts[item.name])
    whole = SampleSet(encoded.offsets, numbers, symbols, inputs, {}, kinds, first, groups, members, slopes)
    return replace(whole, starts=examples.starts, window=examples.gap)


def _kinds(column: NumericEncoder | AngleEncoder, values: Reals) -> Codes:
    """(S,) the kind of each value (`SampleSet.kinds`), from the values that the network reads."""
    kinds = np.where(np.isnan(values), MISSING, ORDINARY).astype(np.int64)
    for k, location in enumerate(column.point_mass_positions):
        kinds[np.abs(values - location) <= POINT_MASS_TOLERANCE * (1 + abs(location))] = MISSING + 1 + k
    return kinds


def _groups(codec: Codec, encoded: Encoded) -> Codes | None:
    """(N,) a number for every combination of inputs that are symbols or flags; None without such inputs."""
    joint = None
    for column, values in zip(codec.inputs, encoded.inputs, strict=True):
        match column:
            case Vocabulary():
                size, codes = column.num_symbols, values.astype(np.int64)
            case BinaryEncoder():
                size, codes = 3, np.where(np.isnan(values[:, 0]), 2, values[:, 0] > 0).astype(np.int64)
            case _:
                continue
        joint = codes if joint is None else joint * size + codes
    return joint
