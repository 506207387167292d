"""Which fitted column a field gets, and fitting it."""

from unspool.dataset.examples import Examples
from unspool.encoding import columns
from unspool.encoding.columns import InputColumn, StepColumn, TimestampEncoder, VectorEncoder, Vocabulary
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.multilabel import MultiLabel
from unspool.encoding.numeric import NumericEncoder
from unspool.encoding.numeric_fit import refine
from unspool.encoding.tokenizers import fit_tokenizer, is_tokenized
from unspool.schema.fields import MONOTONE_TRANSFORMS, Category, Count, Field, Flag, Flags, Number, Text, Vector, When
from unspool.tables.columns import missing_mask

INPUT_COLUMN: dict[type[Field], type] = {
    Category: Vocabulary,
    Number: NumericEncoder,
    Count: NumericEncoder,
    Vector: VectorEncoder,
    Flag: columns.BinaryEncoder,
    When: TimestampEncoder,
}
"""The class of the fitted column of each input kind."""


def step_column(field: Field) -> type:
    """The class of the fitted column of a step field."""
    if isinstance(field, When) or (isinstance(field, Number) and field.transform in MONOTONE_TRANSFORMS):
        return IncrementEncoder
    if isinstance(field, Flags):
        return MultiLabel
    return NumericEncoder if isinstance(field, Number) else Vocabulary


def fit_input(field: Field, examples: Examples) -> InputColumn:
    """Fit the column of an input field.

    Raises:
        SchemaError: a value that its transform is not defined for.
    """
    values = examples.inputs[field.name]
    match field:
        case Number():
            return NumericEncoder.fit(values, field.transform, examples.input_location(field.name))
        case Vector():
            return VectorEncoder.fit(values)
        case Flag():
            return columns.BinaryEncoder(bool(missing_mask(values).any()))
        case When():
            return TimestampEncoder.fit(values)
    return Vocabulary.fit(values, step=False)


def fit_step(field: Field, examples: Examples) -> StepColumn:
    """Fit the column of a step field.

    Raises:
        SchemaError: a value that its transform is not defined for.
    """
    values = examples.steps[field.name]
    location, base = examples.step_location(field.name), examples.first.get(field.name)
    if isinstance(field, Flags):
        return MultiLabel.fit(values, field.members)
    if isinstance(field, (Number, When)) and step_column(field) is IncrementEncoder:
        return IncrementEncoder.fit(field, values, location, examples.offsets, base)
    if isinstance(field, Number):
        column = NumericEncoder.fit(values, field.transform, location, examples.offsets, base)
        return refine(column, field, values, location, examples.offsets, base)
    if isinstance(field, Text) and is_tokenized(field):
        return fit_tokenizer(field, examples)
    return Vocabulary.fit(values, step=True, text=isinstance(field, Text))
