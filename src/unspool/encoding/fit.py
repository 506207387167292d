"""Fitting: from a schema and examples to the codec."""

import msgspec
import numpy as np

from unspool.dataset.examples import Examples
from unspool.encoding.angle import AngleEncoder, AngleInput
from unspool.encoding.codec import AnyInputColumn, AnyStepColumn, Codec, step_column
from unspool.encoding.distance import DistanceEncoder
from unspool.encoding.input_columns import BinaryEncoder, TimestampEncoder, VectorEncoder
from unspool.encoding.members import JointVocabulary, MultiLabel
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.numeric import NumericEncoder
from unspool.encoding.numeric_fit import limits, refine, refuse_lost_digits
from unspool.encoding.tokenizers import fit_tokenizer, tokenize
from unspool.encoding.vocabulary import Vocabulary
from unspool.schema.fields import Angle, Field, Flag, Flags, Joint, Number, Schema, Text, Vector, When
from unspool.tables.columns import Origin, missing_mask


def fit_codec(schema: Schema, examples: Examples) -> Codec:
    """Fit every column to the examples; a `SchemaError` for a value that a transform is not defined for."""
    inputs = tuple(fit_input(field, examples) for field in schema.inputs)
    steps = tuple(fit_step(field, examples) for field in schema.steps)
    examples = tokenize(schema, steps, examples)
    lengths = examples.lengths
    shortest, longest, total = int(lengths.min()), int(lengths.max()), int(lengths.sum())
    names = {schema.sequence, *(name for field in [*schema.inputs, *schema.steps] for name in field.columns)}
    texts = {field.name for field in schema.steps if isinstance(field, Text)}
    known = {name: examples.origins.get(name, Origin()) for name in sorted(names)}
    known |= {name: Origin(integer=known[name].integer) for name in texts}  # the pieces of a text have no type
    origins = {name: origin for name, origin in known.items() if origin != Origin()}
    reads_first = bool(schema.first)
    return Codec(schema, inputs, steps, shortest, longest, len(examples), total, origins, longest, reads_first)


def fit_input(field: Field, examples: Examples) -> AnyInputColumn:
    """Fit the column of an input field; a `SchemaError` for a value that its transform is not defined for."""
    values = examples.inputs[field.name]
    match field:
        case Number(transform=transform):
            location = examples.input_location(field.name)
            column = NumericEncoder.fit(values, transform, location)
            refuse_lost_digits(column, values, location, np.arange(len(values) + 1))
            floor, ceiling = limits(field, values[~missing_mask(values)].astype(np.float64), location)
            return msgspec.structs.replace(column, floor=floor, ceiling=ceiling)  # for the model of the inputs
        case Angle():
            return AngleInput.fit(field, values, examples.input_location(field.name))
        case Vector():
            return VectorEncoder.fit(values)
        case Flag():
            return BinaryEncoder(bool(missing_mask(values).any()))
        case When():
            return TimestampEncoder.fit(values)
    return Vocabulary.fit(values, step=False)


def fit_step(field: Field, examples: Examples) -> AnyStepColumn:
    """Fit the column of a step field; a `SchemaError` for a value that its transform is not defined for."""
    values = examples.steps[field.name]
    location, before = examples.step_location(field.name), examples.first.get(field.carried)
    match field:
        case Number() | When() if field.references:
            references = tuple(examples.steps[name] for name in field.references)
            return DistanceEncoder.fit(field, values, references, location, examples.offsets, before)
        case Flags(members=members):
            return MultiLabel.fit(values, members)
        case Joint():
            return JointVocabulary.fit(values)
        case Number() | When() if step_column(field) is IncrementEncoder:
            increments = IncrementEncoder.fit(field, values, location, examples.offsets, before)
            if isinstance(field, Number):
                refuse_lost_digits(increments, values, location, examples.offsets, before)
            return increments
        case Number(transform=transform):
            column = NumericEncoder.fit(values, transform, location, examples.offsets, before)
            column = refine(column, field, values, location, examples.offsets, before)
            refuse_lost_digits(column, values, location, examples.offsets, before)
            return column
        case Angle():
            return AngleEncoder.fit(field, values, location, examples.offsets)
        case Text(unit="word" | "bpe"):
            return fit_tokenizer(field, examples)
    return Vocabulary.fit(values, step=True, text=isinstance(field, Text))
