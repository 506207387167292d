"""Given values of sequences, which are not sampled: first steps (a prefix), and values pinned at any step."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.constraints.base import Allowed, FieldConstraints, Observed, ObservedField, ObservedRows, Pin
from unspool.constraints.fields import constraints_of, unknown_column
from unspool.constraints.prefix import read_prefix
from unspool.encoding.codec import MAX_SEQUENCE_STEPS, Codec, parts_of
from unspool.errors import OptionError, SchemaError
from unspool.tables.columns import offsets_from_lengths


def encode_observed(
    codec: Codec,
    prefix: Any,
    pin: Any,
    rows: int,
    before: Mapping[str, NDArray[np.float64]] | None,
    allowed: tuple[Allowed | None, ...],
) -> Observed | None:
    """Prefix and pins as the network sees them, checked against each other and the fitted columns.

    Args:
        codec: the fitted columns.
        prefix: one sequence in the schema's form for all rows, a list with one for each, or `None`.
        pin: `{step: {column: value}}` for all rows, a list with one for each, or `None`.
        rows: number of input rows.
        before: by name, (rows,) the values before step 0, see `Codec.bases`; `None` while unknown.
        allowed: by step field, see `unspool.constraints.fields.read_allow`.

    Raises:
        SchemaError: another number of prefixes or pins than rows; values that no step can have.
        UnknownCategory: a symbol that training never saw.
        OptionError: pins that contradict the prefix, each other, or a bound of the column.
    """
    if prefix is None and pin is None:
        return None
    steps, prefix_offsets = read_prefix(codec, prefix, rows)
    pins = list(read_pins(codec, pin, rows))
    carried = {field.name for field in codec.schema.steps if field.signs} & set(before or {})
    if (isinstance(pin, Sequence) or carried) and len(prefix_offsets) == 2:
        prefix_offsets = offsets_from_lengths(np.full(rows, prefix_offsets[-1]))
        steps = {name: np.concatenate([part] * rows) for name, part in steps.items()}
    lengths = np.diff(prefix_offsets)
    for item in pins:
        lengths[item.row] = max(lengths[item.row], item.step + 1)
    offsets = offsets_from_lengths(lengths)
    if not offsets[-1]:
        return None
    step = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    inside = step < np.repeat(np.diff(prefix_offsets), lengths)
    fields: list[ObservedField] = []
    uppers, tables = [], []
    known: dict[str, ObservedField] = {}
    for j, constraints in enumerate(constraints_of(codec)):
        chosen = [item for item in pins if item.field == j]
        at = np.array([offsets[item.row] + item.step for item in chosen], np.int64)
        values = steps.get(constraints.field.name)
        references = [_numbers(known[name], steps.get(name), inside) for name in constraints.field.references]
        observed = constraints.observe(
            values,
            inside,
            chosen,
            at,
            allowed=allowed[j],
            offsets=prefix_offsets,
            references=references,
            before=before[constraints.field.name] if before and constraints.field.name in carried else None,
        )
        pinned = dict(zip(at.tolist(), (item.name for item in chosen), strict=True))
        known_rows = ObservedRows(offsets, _origin(constraints, before, rows))
        known[constraints.field.name] = observed
        count = 1 + len(parts_of(constraints.column))  # the parts of a first moment are given with it
        fields += [observed] * count
        uppers += [constraints.check(observed, pinned, allowed[j], known_rows)] * count
        tables += [constraints.table] * count
    last = max(pins, key=lambda item: item.step, default=None)
    pinned_end = (-1, "") if last is None else (last.step, last.name)
    return Observed(tuple(fields), tuple(uppers), tuple(tables), offsets, pinned_end)


def _numbers(given: ObservedField, prefix: NDArray[Any] | None, inside: NDArray[np.bool_]) -> ObservedField:
    """The given values of a reference; of whole numbers that are categories, those of the prefix in original units."""
    if given.exact is not None or prefix is None:
        return given
    exact = np.full(len(inside), np.nan)
    exact[inside] = prefix.astype(np.float64)
    return given._replace(exact=exact)


def read_pins(codec: Codec, pin: Any, rows: int) -> Iterator[Pin]:
    """Every pin, with its names resolved.

    Raises:
        SchemaError: another number of pins than rows.
        OptionError: another form, a step that is no whole number from 0 on, or a column that a step doesn't have.
    """
    if pin is None:
        return
    each = isinstance(pin, Sequence) and not isinstance(pin, str)
    if each and len(pin) != rows:
        raise SchemaError("pin", f"one for all, or one for each of the {rows} rows", str(len(pin)))
    columns = {name: (j, m) for j, field in enumerate(codec.schema.steps) for m, name in enumerate(field.columns)}
    for row, steps in enumerate(pin if each else [pin]):
        location = f"pin, row {row}" if each else "pin"
        if not isinstance(steps, Mapping):
            raise OptionError(location, "{step: {column: value}}", repr(steps)[:60])
        for step, values in steps.items():
            if isinstance(step, bool) or not isinstance(step, (int, np.integer)) or not 0 <= step < MAX_SEQUENCE_STEPS:
                expected = f"steps as whole numbers, counted from 0, below {MAX_SEQUENCE_STEPS:,}"
                raise OptionError(location, expected, repr(step))
            name = f"row {row}, step {step}" if each else f"step {step}"
            if not isinstance(values, Mapping) and len(columns) > 1:
                raise OptionError(f"pin: {name}", "{column: value}", repr(values)[:60])
            given = values if isinstance(values, Mapping) else {next(iter(columns)): values}
            for label, value in given.items():
                column = str(label)
                if column not in columns:
                    raise unknown_column(f"pin: {name}", column, codec)
                yield Pin(row, int(step), *columns[column], value, name)


def _origin(
    constraints: FieldConstraints, before: Mapping[str, NDArray[np.float64]] | None, rows: int
) -> NDArray[np.float64]:
    """(rows,) the value before step 0, on the axis that adds up; minus infinity while unknown."""
    cumulative = constraints.column.cumulative
    if before is None or cumulative is None:
        return np.full(rows, -np.inf)
    return cumulative.origins(before.get(constraints.field.name), rows).at
