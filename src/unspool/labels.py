"""Labels of input rows in pictures, notebooks and terminals."""

from typing import Any

from unspool.encoding.codec import Codec
from unspool.schema.fields import NO_INPUT, Category
from unspool.tables.columns import to_list
from unspool.tables.table import Table


def labels(codec: Codec, inputs: Table) -> list[str]:
    """The label of each input row: the user's own columns, if there are any, else the inputs.

    Names of columns are left out of a single column of the user, and of a single category.
    """
    schema = codec.schema
    fields = {field.name: field for field in schema.inputs if field.name != NO_INPUT}
    generated = {schema.sequence, *(field.name for field in schema.steps)}
    own = [name for name in inputs.columns if name not in {*fields, *generated, NO_INPUT}]
    names = own or list(fields)
    if not names:
        return [""] * len(inputs)
    columns = [[word(value) for value in to_list(inputs.columns[name])] for name in names]
    if len(names) == 1 and (own or isinstance(fields[names[0]], Category)):
        return columns[0]
    rows = zip(*columns, strict=True)
    return [", ".join(f"{name} {value}" for name, value in zip(names, row, strict=True)) for row in rows]


def word(value: Any) -> str:
    """A value as a short text.

    Examples:
        >>> word(0.123456), word([1.0, 2.0]), word(None)
        ('0.1235', '(1, 2)', 'missing')
    """
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return "(" + ", ".join(map(word, value[:4])) + (", …)" if len(value) > 4 else ")")
    return "missing" if value is None else str(value)
