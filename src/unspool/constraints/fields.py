"""The constraints of every step field, by the class of its column, and the values that a caller allows of it.

| class | columns | a pin is | a caller may allow |
|---|---|---|---|
| `SymbolConstraints` | `Vocabulary`, `JointVocabulary` | a value, of one column | some of the values |
| `NumericConstraints` | `NumericEncoder` | a number | a range |
| `AngleConstraints` | `AngleEncoder` | a number | a range of the circle |
| `IncrementConstraints` | `IncrementEncoder` | a number or a timestamp | a range |
| `DistanceConstraints` | `DistanceEncoder` | a number or a timestamp, beside pins of its references | nothing |
| `LabelConstraints` | `MultiLabel` | yes or no, of one label | yes or no, by label |
"""

from collections.abc import Mapping
from typing import Any

from unspool.constraints.angles import AngleConstraints
from unspool.constraints.base import Allowed, FieldConstraints
from unspool.constraints.distances import DistanceConstraints
from unspool.constraints.labels import LabelConstraints
from unspool.constraints.numbers import IncrementConstraints, NumericConstraints
from unspool.constraints.symbols import SymbolConstraints
from unspool.encoding.angle import AngleEncoder
from unspool.encoding.codec import Codec
from unspool.encoding.distance import DistanceEncoder
from unspool.encoding.members import JointVocabulary
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.numeric import NumericEncoder
from unspool.encoding.vocabulary import Vocabulary
from unspool.errors import OptionError, did_you_mean, listing
from unspool.schema.relations import derived_columns


def constraints_of(codec: Codec) -> list[FieldConstraints]:
    """The constraints of every step field."""
    found: list[FieldConstraints] = []
    for field, column in zip(codec.schema.steps, codec.steps, strict=True):
        match column:
            case Vocabulary():
                found.append(SymbolConstraints(field, column, None, (column,)))
            case JointVocabulary(members=members):
                found.append(SymbolConstraints(field, column, column.table, members))
            case NumericEncoder():
                found.append(NumericConstraints(field, column))
            case DistanceEncoder():
                found.append(DistanceConstraints(field, column))
            case AngleEncoder():
                found.append(AngleConstraints(field, column))
            case IncrementEncoder():
                found.append(IncrementConstraints(field, column))
            case _:
                found.append(LabelConstraints(field, column))
    return found


def read_allow(codec: Codec, allow: Any) -> tuple[Allowed | None, ...]:
    """The allowed values of every step field, `None` where all are.

    Args:
        codec: the fitted columns.
        allow: `{column: [values]}` of categories and flags, `{column: (low, high)}` of numbers and dates, where either
            may be `None`; or `None`.

    Raises:
        OptionError: another form, a column that a step doesn't have, or nothing is left to sample.
        UnknownCategory: a value that training never saw.

    Examples:
        >>> from unspool.dataset.gather import gather
        >>> from unspool.encoding.fit import fit_codec
        >>> codec = fit_codec(*gather({"k": ["a", "b"], "x": [["u", "v"], ["u"]]}, inputs="k", sequence="x"))
        >>> read_allow(codec, {"x": ["v"]})[0].symbols.tolist()
        [False, True]
    """
    if allow is not None and not isinstance(allow, Mapping):
        raise OptionError("allow", "{column: values} or {column: (low, high)}", repr(allow)[:60])
    left = {str(name): values for name, values in (allow or {}).items()}
    found = []
    for constraints in constraints_of(codec):
        given = {name: left.pop(name) for name in constraints.field.columns if name in left}
        found.append(constraints.read_allowed(given) if given else None)
    if left:
        raise unknown_column("allow", next(iter(left)), codec)
    return tuple(found)


def unknown_column(location: str, name: Any, codec: Codec) -> OptionError:
    """The error about a column that a step doesn't have."""
    known = [column for field in codec.schema.steps for column in field.columns]
    relation = derived_columns(codec.schema.relations).get(name)
    if relation is not None:
        hint = f"Give {listing(map(repr, relation.columns[1:]))} instead; or fit with relations=None."
        return OptionError(location, "columns that are learned", f"{name!r}, which is derived: {relation}", hint)
    return OptionError(location, f"columns of a step: {listing(known)}", repr(name), did_you_mean(name, known, 3))
