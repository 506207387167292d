"""Combinations of categories that training saw, where no others may be generated."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from unspool.encoding.columns import Vocabulary
from unspool.errors import OptionError, SchemaError
from unspool.schema.fields import Schema
from unspool.tables.location import listing


class Combination(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Categories of a step of which only the tuples that training saw are generated.

    Args:
        fields: their names, in the order of the step.
        seen: the tuples, as positions in the values of each field.
        unseen: probability that a step has another tuple, (n1 + 0.5) / (S + 1) with n1 tuples seen once in S steps
            (Good 1953, Biometrika 40).
    """

    fields: tuple[str, ...]
    seen: tuple[tuple[int, ...], ...]
    unseen: float

    def __post_init__(self) -> None:
        if len(self.fields) < 2 or not self.seen or not 0 < self.unseen < 1:
            raise SchemaError("combination", "two or more fields, tuples and a probability", repr(self.fields))
        if any(len(way) != len(self.fields) for way in self.seen) or len(set(self.seen)) < len(self.seen):
            raise SchemaError("combination", f"tuples of {len(self.fields)} symbols, none twice", repr(self.seen)[:60])


def check_combinations(combinations: Sequence[Combination], schema: Schema, steps: Sequence[object]) -> None:
    """Refuse combinations that don't fit their codec.

    Args:
        combinations: of the codec.
        schema: of the codec.
        steps: its fitted columns of the step.

    Raises:
        SchemaError: fields that are no categories of the step in its order, or symbols that they don't have.
    """
    columns = {field.name: column for field, column in zip(schema.steps, steps, strict=True)}
    order = {name: j for j, name in enumerate(columns)}
    for one in combinations:
        sizes = [len(c.values) if isinstance(c := columns.get(name), Vocabulary) else 0 for name in one.fields]
        ranks = [order.get(name, -1) for name in one.fields]
        if not all(sizes) or ranks != sorted(ranks):
            raise SchemaError("combination", "categories of the step, in its order", listing(one.fields))
        if any(not 0 <= symbol < size for way in one.seen for symbol, size in zip(way, sizes, strict=True)):
            raise SchemaError(f"combination of {listing(one.fields)}", "symbols that its fields have", "others")


def fit_combinations(
    schema: Schema, steps: Sequence[object], encoded: Sequence[NDArray[Any]], asked: Any
) -> tuple[Combination, ...]:
    """The combinations that were asked for, as training has them.

    Args:
        schema: of the model.
        steps: the fitted columns of the step.
        encoded: per step field, (S,) values of training.
        asked: several tuples of names of categories of the step, or `None`.

    Raises:
        OptionError: another form, names that are none, fields that are no categories, or one in two combinations.
    """
    if asked is None:
        return ()
    expected = "a list of tuples of two or more columns"
    if isinstance(asked, str) or not isinstance(asked, Sequence):
        raise OptionError("combinations", expected, repr(asked)[:60])
    locations = {field.name: j for j, field in enumerate(schema.steps)}
    found: list[Combination] = []
    for names in asked:
        if isinstance(names, str) or not isinstance(names, Sequence) or len(set(names)) < 2:
            raise OptionError("combinations", expected, repr(names)[:60])
        for name in names:
            if name not in locations or not isinstance(steps[locations[name]], Vocabulary):
                kind = schema.steps[locations[name]].kind if name in locations else "none"
                hint = "Combinations are of categories; leave it out, or make it one: Category(...)."
                raise OptionError("combinations", f"categories of the step, as {name!r}", kind, hint)
            if any(name in one.fields for one in found):
                raise OptionError("combinations", "every column in one combination", f"{name!r} in two")
        fields = tuple(sorted(set(names), key=lambda name: locations[name]))
        ways = np.stack([encoded[locations[name]] for name in fields], 1)
        counts = Counter(map(tuple, ways.tolist()))
        once = sum(n == 1 for n in counts.values())
        found.append(Combination(fields, tuple(sorted(counts)), (once + 0.5) / (len(ways) + 1)))
    return tuple(found)
