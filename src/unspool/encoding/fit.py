"""Which fitted column a field gets, and fitting it."""

from unspool.dataset.examples import Examples
from unspool.encoding import columns
from unspool.encoding.columns import Dates, InputColumn, Reals, StepColumn, Symbols
from unspool.encoding.monotone import Gaps
from unspool.encoding.multilabel import Block
from unspool.encoding.numeric import Scaled
from unspool.encoding.numeric_fit import refine
from unspool.encoding.tokenizers import learn, longer
from unspool.schema.fields import MONOTONE, Category, Count, Field, Flag, Flags, Number, Text, Vector, When
from unspool.tables.columns import missing_mask

INPUT_COLUMN: dict[type[Field], type] = {
    Category: Symbols,
    Number: Scaled,
    Count: Scaled,
    Vector: Reals,
    Flag: columns.Flags,
    When: Dates,
}
"""The class of the fitted column of each input kind."""


def step_column(field: Field) -> type:
    """The class of the fitted column of a step field."""
    if isinstance(field, When) or (isinstance(field, Number) and field.transform in MONOTONE):
        return Gaps
    if isinstance(field, Flags):
        return Block
    return Scaled if isinstance(field, Number) else Symbols


def fit_input(field: Field, examples: Examples) -> InputColumn:
    """Fit the column of an input field.

    Raises:
        SchemaError: a value that its transform is not defined for.
    """
    values = examples.inputs[field.name]
    match field:
        case Number():
            return Scaled.fit(values, field.transform, examples.input_place(field.name))
        case Vector():
            return Reals.fit(values)
        case Flag():
            return columns.Flags(bool(missing_mask(values).any()))
        case When():
            return Dates.fit(values)
    return Symbols.fit(values, step=False)


def fit_step(field: Field, examples: Examples) -> StepColumn:
    """Fit the column of a step field.

    Raises:
        SchemaError: a value that its transform is not defined for.
    """
    values = examples.steps[field.name]
    place, base = examples.step_place(field.name), examples.first.get(field.name)
    if isinstance(field, Flags):
        return Block.fit(values, field.members)
    if isinstance(field, (Number, When)) and step_column(field) is Gaps:
        return Gaps.fit(field, values, place, examples.offsets, base)
    if isinstance(field, Number):
        column = Scaled.fit(values, field.transform, place, examples.offsets, base)
        return refine(column, field, values, place, examples.offsets, base)
    if isinstance(field, Text) and longer(field):
        return learn(field, examples)
    return Symbols.fit(values, step=True, text=isinstance(field, Text))
