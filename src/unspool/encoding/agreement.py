"""What a fitted column has in common with its field: a file in which both contradict each other is damaged."""

from typing import Any

from unspool.encoding.columns import FittedColumn
from unspool.errors import SchemaError
from unspool.schema.fields import MONOTONE_TRANSFORMS, Field, Flags, Joint, Number, When

MAX_EDGES = 129
"""Edges of a histogram at the most; twice those of the bins that a fit makes, where each cell is a bin."""


def check_column(field: Field, column: FittedColumn, role: str) -> None:
    """Refuse a column of the right class that is not of its field, with a `SchemaError`."""
    fitted: Any = column
    match field:
        case Flags(members=members) if fitted.members != members:
            raise SchemaError(f"labels of {field.name!r}", ", ".join(members), ", ".join(fitted.members))
        case Joint(members=members) if len(fitted.members) != len(members):
            raise SchemaError(f"symbols of {field.name!r}", f"{len(members)} members", str(len(fitted.members)))
        case Number() if role == "input":
            _check_transform(field, fitted.transform)
        case Number(transform=transform) if transform not in MONOTONE_TRANSFORMS:
            _check_transform(field, fitted.transform)
            _check_distribution(field, fitted)
        case Number(transform=transform):
            sign = -1.0 if transform == "decrement" else 1.0
            if (fitted.unit, fitted.sign) != (0.0, sign):
                raise SchemaError(f"number {field.name!r}", f"the sign {sign:g}, and no unit", f"{fitted.sign:g}")
            _check_distribution(field, fitted.increment)
        case When() if role == "step":
            if not fitted.unit:
                raise SchemaError(f"date {field.name!r}", "a unit of time", "none")
            _check_distribution(field, fitted.increment)


def _check_transform(field: Number, transform: str) -> None:
    if field.transform != transform:
        raise SchemaError(f"number {field.name!r}", f"the transform {field.transform}", transform)


def _check_distribution(field: Number | When, column: Any) -> None:
    """The distribution of a step field has all that it needs: a histogram its edges, masses their grid."""
    location, name = f"number {field.name!r}", field.distribution
    if name == "auto":
        raise SchemaError(location, "a distribution", "auto")
    if not (2 <= len(column.edges) <= MAX_EDGES if name == "histogram" else not column.edges):
        raise SchemaError(location, f"edges exactly if the distribution is a histogram, at most {MAX_EDGES}", name)
    if column.mass and not (name in ("discretized", "histogram") and column.step):
        raise SchemaError(location, "masses of a grid, discretized or a histogram", name)
    if name == "discretized" and not column.mass:
        raise SchemaError(location, "masses of a grid, because the distribution is discretized", "none")
    if column.support_points and name != "discretized":
        raise SchemaError(location, "support points of the distribution discretized only", name)
