"""Columns of a step that are one field: labels, or categories whose combination is one symbol."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from unspool.errors import DataError, Location, OptionError, SchemaError
from unspool.schema.coercion import coerce
from unspool.schema.fields import Category, Field, Flag, Group, Joint, column_name
from unspool.schema.inference import infer_step_kind, refuse_absent
from unspool.tables.columns import Column, missing_mask


def parse_combinations(combinations: Any) -> tuple[Joint, ...]:
    """The fields of `OneToMany(combinations=...)`: tuples of names of categories, each in one of them, or `None`."""
    expected = "a list of tuples of two or more columns"
    if combinations is None:
        return ()
    if isinstance(combinations, str) or not isinstance(combinations, Sequence):
        raise OptionError("combinations", expected, repr(combinations)[:60])
    fields: list[Joint] = []
    for given in combinations:
        names = given if isinstance(given, str) or not isinstance(given, Sequence) else list(map(column_name, given))
        if isinstance(names, str) or not isinstance(names, Sequence) or len(set(names)) < 2:
            raise OptionError("combinations", expected, repr(names)[:60])
        twice = {name for name in names if any(name in field.members for field in fields)}
        if twice:
            raise OptionError("combinations", "every column in one combination", f"{min(twice)!r} in two")
        fields.append(Joint("+".join(dict.fromkeys(names)), tuple(dict.fromkeys(names))))
    return tuple(fields)


def group_columns(
    columns: Mapping[str, Column], asked: Mapping[str, Field], locations: Mapping[str, Location]
) -> tuple[dict[str, Column], dict[str, Field]]:
    """The columns of a step with those of each group joined, in place of its first, and the fields that the user gave.

    The columns are (S,) raw values; `asked` are the fields that the user gave, groups among them. The members of a
    combination must be categories; for other errors see `join_columns`.
    """
    groups = {name: field for name, field in asked.items() if isinstance(field, Group)}
    fields: dict[str, Field] = {}
    joined: dict[str, Column] = {}
    for name, group in groups.items():
        if isinstance(group, Joint):
            _check_categories(group, columns, asked, locations)
            group = Joint(_free_name(group.name, columns), tuple(sorted(group.members, key=list(columns).index)))
        fields[name] = group
        joined[group.name] = join_columns(columns, group, locations)
    owner = {member: group.name for group in fields.values() for member in group.columns}
    ordered: dict[str, Column] = {}
    for name, column in columns.items():
        ordered.setdefault(owner.get(name, name), column)
    rest = {name: field for name, field in asked.items() if name not in groups and name not in owner}
    return ordered | joined, rest | {group.name: group for group in fields.values()}


def join_columns(columns: Mapping[str, Column], group: Group, locations: Mapping[str, Location]) -> np.ndarray:
    """The columns of a group as one, (S, M): of labels 1, -1 or NaN as float64; of categories objects.

    A step must not lack members, and either all of its labels or none are missing.
    """
    absent = [name for name in group.members if name not in columns]
    if absent:
        raise SchemaError(f"{group.kind}({group.name!r})", "columns of the step", ", ".join(map(repr, absent)))
    if isinstance(group, Joint):
        parts = [coerce(columns[name], Category(name), locations[name]) for name in group.members]
        return np.stack([part.astype(object) for part in parts], 1)
    values = np.stack([_labels(coerce(columns[name], Flag(name), locations[name])) for name in group.members], 1)
    some = np.isnan(values).any(1) & ~np.isnan(values).all(1)
    if some.any():
        row = int(np.argmax(some))
        name = group.members[int(np.argmax(np.isnan(values[row])))]
        hint = f"Fill it in; or leave {name!r} out of the block, as a field of its own."
        raise DataError(locations[name].at(row), "a value, because others of its block have one", "a missing one", hint)
    return values


def _labels(flags: np.ndarray) -> np.ndarray:
    """1 for yes, -1 for no, NaN where missing."""
    missing = missing_mask(flags)
    return np.where(missing, np.nan, np.where(np.where(missing, False, flags).astype(bool), 1.0, -1.0))


def _free_name(name: str, columns: Mapping[str, Column]) -> str:
    """The name of a group, with a mark if a column has the same name."""
    return name if name not in columns else _free_name(f"{name}'", columns)


def _check_categories(
    group: Joint, columns: Mapping[str, Column], asked: Mapping[str, Field], locations: Mapping[str, Location]
) -> None:
    """Refuse a combination of columns that are no categories."""
    for name in group.members:
        field: Field | None = None
        if name in columns:
            refuse_absent(columns[name], locations[name])
            field = asked.get(name) or infer_step_kind(columns[name], name, locations[name])
        if not isinstance(field, Category):
            found, hint = field.kind if field else "none", "Leave it out, or pass Category(...)."
            raise OptionError("combinations", f"categories of the step, as {name!r}", found, hint)
