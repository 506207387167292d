"""Which column a field gets, and fitting it: the one place that tells the kinds of fields apart."""

from unspool.dataset.examples import Examples
from unspool.encoding.columns import InputColumn, StepColumn
from unspool.encoding.input_columns import BinaryEncoder, TimestampEncoder, VectorEncoder
from unspool.encoding.joint import JointVocabulary
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.multilabel import MultiLabel
from unspool.encoding.numeric import NumericEncoder
from unspool.encoding.numeric_fit import refine
from unspool.encoding.tokenizers import check_vocabulary, fit_tokenizer
from unspool.encoding.vocabulary import Vocabulary
from unspool.schema.fields import MONOTONE_TRANSFORMS, Field, Flag, Flags, Joint, Number, Text, Vector, When
from unspool.tables.columns import missing_mask

AnyInputColumn = Vocabulary | NumericEncoder | BinaryEncoder | TimestampEncoder | VectorEncoder
AnyStepColumn = Vocabulary | JointVocabulary | NumericEncoder | IncrementEncoder | MultiLabel
"""The classes that a model file may name."""


def input_column(field: Field) -> type[InputColumn]:
    """The class of the column of an input field."""
    match field:
        case Number():
            return NumericEncoder
        case Vector():
            return VectorEncoder
        case Flag():
            return BinaryEncoder
        case When():
            return TimestampEncoder
    return Vocabulary


def step_column(field: Field) -> type[StepColumn]:
    """The class of the column of a step field."""
    match field:
        case Number(transform=transform):
            return IncrementEncoder if transform in MONOTONE_TRANSFORMS else NumericEncoder
        case When():
            return IncrementEncoder
        case Flags():
            return MultiLabel
        case Joint():
            return JointVocabulary
    return Vocabulary


def fit_input(field: Field, examples: Examples) -> InputColumn:
    """Fit the column of an input field.

    Raises:
        SchemaError: a value that its transform is not defined for.
    """
    values = examples.inputs[field.name]
    match field:
        case Number(transform=transform):
            return NumericEncoder.fit(values, transform, examples.input_location(field.name))
        case Vector():
            return VectorEncoder.fit(values)
        case Flag():
            return BinaryEncoder(bool(missing_mask(values).any()))
        case When():
            return TimestampEncoder.fit(values)
    return Vocabulary.fit(values, step=False)


def fit_step(field: Field, examples: Examples) -> StepColumn:
    """Fit the column of a step field.

    Raises:
        SchemaError: a value that its transform is not defined for.
    """
    values = examples.steps[field.name]
    location, before = examples.step_location(field.name), examples.first.get(field.name)
    match field:
        case Flags(members=members):
            return MultiLabel.fit(values, members)
        case Joint():
            return JointVocabulary.fit(values)
        case Number() | When() if step_column(field) is IncrementEncoder:
            return IncrementEncoder.fit(field, values, location, examples.offsets, before)
        case Number(transform=transform):
            column = NumericEncoder.fit(values, transform, location, examples.offsets, before)
            return refine(column, field, values, location, examples.offsets, before)
        case Text(unit="word" | "bpe"):
            return fit_tokenizer(field, examples)
    return Vocabulary.fit(values, step=True, text=isinstance(field, Text))


def check_column(field: Field, column: InputColumn | StepColumn) -> None:
    """Refuse a vocabulary that is not that of its field.

    Raises:
        SchemaError: what it holds instead.
    """
    if isinstance(column, Vocabulary):
        check_vocabulary(field, column)
