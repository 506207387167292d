"""Which constraints a field can have: the one place that tells the kinds of columns apart for that.

| class | columns | a pin is | what may be allowed |
|---|---|---|---|
| `SymbolConstraints` | `Vocabulary`, `JointVocabulary` | a value, of one column | some of the values |
| `NumericConstraints` | `NumericEncoder` | a number | a range |
| `IncrementConstraints` | `IncrementEncoder` | a number or a timestamp | a range |
| `LabelConstraints` | `MultiLabel` | yes or no, of one label | yes or no, by label |
"""

from unspool.constraints.base import FieldConstraints
from unspool.constraints.labels import LabelConstraints
from unspool.constraints.numbers import IncrementConstraints, NumericConstraints
from unspool.constraints.symbols import SymbolConstraints
from unspool.encoding.codec import Codec
from unspool.encoding.joint import JointVocabulary
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.numeric import NumericEncoder
from unspool.encoding.vocabulary import Vocabulary


def constraints_of(codec: Codec) -> list[FieldConstraints]:
    """What may be fixed or forbidden of every step field."""
    found: list[FieldConstraints] = []
    for field, column in codec.step_columns():
        match column:
            case Vocabulary():
                found.append(SymbolConstraints(field, column, None, (column,)))
            case JointVocabulary(members=members):
                found.append(SymbolConstraints(field, column, column.table, members))
            case NumericEncoder():
                found.append(NumericConstraints(field, column))
            case IncrementEncoder():
                found.append(IncrementConstraints(field, column))
            case _:
                found.append(LabelConstraints(field, column))
    return found
