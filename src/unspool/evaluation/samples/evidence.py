"""Evidence: a data set as baselines see it, symbols as codes and numbers in original units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.examples import Examples
from unspool.encoding.codec import Codec, Encoded
from unspool.encoding.columns import BinaryEncoder, Vocabulary
from unspool.encoding.monotone import IncrementEncoder
from unspool.encoding.multilabel import MultiLabel
from unspool.encoding.numeric import POINT_MASS_TOLERANCE, NumericEncoder
from unspool.evaluation.baselines.densities import Measure
from unspool.evaluation.baselines.ngram import Tokens
from unspool.evaluation.samples.laid import Laid
from unspool.tables.columns import offsets_from_lengths, ragged_indices

ORDINARY, MISSING = 0, 1
"""What a number may be, before the atoms of its column."""
BLOCK = 2
"""Lengths of a window that one block of overlapping windows spans; blocks, not windows, are taken for independent."""


@dataclass(frozen=True)
class Target:
    """A step field that is to be predicted.

    Attributes:
        name: of the field.
        symbols: V, of a field of symbols.
        measure: of a field of numbers.
        kinds: of a field of numbers, what a value may be: ordinary, missing, or one of the atoms.
        gaps: whether what is predicted of a field of numbers is the gap, or the drop, since the step before.
        members: of a block of flags.
    """

    name: str
    symbols: int | None = None
    measure: Measure | None = None
    kinds: int = 2
    gaps: bool = False
    members: tuple[str, ...] = ()


def targets(codec: Codec) -> tuple[Target, ...]:
    """The step fields, in their order."""
    found = []
    for item, column in zip(codec.schema.steps, codec.steps, strict=True):
        if isinstance(column, Vocabulary):
            found.append(Target(item.name, symbols=len(column.values)))
        elif isinstance(column, MultiLabel):
            found.append(Target(item.name, members=column.members))
        elif (number := _number(column)) is not None:
            measure = Measure(number.step if number.mass else None)
            kinds = 2 + len(number.point_masses)
            found.append(Target(item.name, measure=measure, kinds=kinds, gaps=isinstance(column, IncrementEncoder)))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Evidence(Laid):
    """Sequences with their inputs.

    Attributes:
        inputs: per input field, (N,) codes of symbols, or (N, D) comparable reals, NaN where missing.
        symbols: by step field, (S,) codes; V is one that the model never saw.
        numbers: by step field, (S,) float64 in original units, NaN where missing; of moments and of numbers that
            never fall, the gaps; of those that never rise, the drops.
        kinds: by step field, (S,) what each number is: `ORDINARY`, `MISSING`, or from 2 on one of the model's atoms.
        first: by step field, (N,) the values before step 0, where they are known.
        offsets: (N + 1,) where each sequence starts and the last one ends.
        starts: (N,) position of each window in its series; None for examples that are no windows.
        gap: steps within which windows overlap.
        groups: (N,) a number for every combination of the inputs that are symbols or flags; None without such inputs.
        characters: (N,) of text, whatever its steps are; None of other sequences.
        blocks: by step field that is a block of flags, the steps that have it, with its members as symbols: 0 for no,
            1 for yes. Whether a step has it is a symbol of its own, under the block's name.
    """

    inputs: tuple[NDArray[Any], ...]
    symbols: Mapping[str, NDArray[np.int64]]
    numbers: Mapping[str, NDArray[np.float64]]
    kinds: Mapping[str, NDArray[np.int64]]
    first: Mapping[str, NDArray[np.float64]]
    offsets: NDArray[np.int64]
    starts: NDArray[np.int64] | None = None
    gap: int = 0
    groups: NDArray[np.int64] | None = None
    characters: NDArray[np.int64] | None = None
    blocks: Mapping[str, "Evidence"] = field(default_factory=dict)

    @cached_property
    def clusters(self) -> NDArray[np.int64]:
        """(N,) which sequences may depend on each other: each is alone, but for windows of one stretch of a series."""
        if self.starts is None:
            return np.arange(len(self))
        return np.unique(self.starts // (BLOCK * max(self.gap, 1)), return_inverse=True)[1].astype(np.int64)

    def tokens(self, symbols: NDArray[np.int64], grouped: bool = False) -> Tokens:
        """Symbols of all steps for the n-gram, alone or with the inputs as its groups."""
        groups = self.groups if grouped and self.groups is not None else np.zeros(len(self), np.int64)
        return Tokens(symbols, self.offsets, groups)

    def take(self, rows: NDArray[np.int64]) -> "Evidence":
        """The sequences at some positions, in that order."""
        at = ragged_indices(self.offsets, rows)
        return Evidence(
            tuple(column[rows] for column in self.inputs),
            {name: column[at] for name, column in self.symbols.items()},
            {name: column[at] for name, column in self.numbers.items()},
            {name: column[at] for name, column in self.kinds.items()},
            {name: column[rows] for name, column in self.first.items()},
            offsets_from_lengths(self.lengths[rows]),
            None if self.starts is None else self.starts[rows],
            self.gap,
            None if self.groups is None else self.groups[rows],
            None if self.characters is None else self.characters[rows],
            {name: block.take(rows) for name, block in self.blocks.items()},
        )


def evidence(codec: Codec, examples: Examples, encoded: Encoded) -> Evidence:
    """Examples as evidence.

    Args:
        codec: of the model, whose vocabularies count.
        examples: in original units.
        encoded: the same, as the network sees them.
    """
    symbols, numbers, kinds, first, blocks = {}, {}, {}, {}, {}
    rest: dict[str, Any] = {"starts": examples.starts, "gap": examples.gap, "groups": _groups(codec, encoded)}
    for item, column, values in zip(codec.schema.steps, codec.steps, encoded.steps, strict=True):
        if isinstance(column, Vocabulary):
            symbols[item.name] = values.astype(np.int64)
        elif isinstance(column, MultiLabel):
            there = ~np.isnan(values[:, 0])
            symbols[item.name] = there.astype(np.int64)
            members = {
                name: (flags > 0).astype(np.int64) for name, flags in zip(column.members, values[there].T, strict=True)
            }
            laid = offsets_from_lengths(np.diff(offsets_from_lengths(there)[encoded.offsets]))
            blocks[item.name] = Evidence(encoded.inputs, members, {}, {}, {}, laid, **rest)
        elif (number := _number(column)) is not None:
            gaps = isinstance(column, IncrementEncoder)
            numbers[item.name] = (number.decode(values) if gaps else examples.steps[item.name]).astype(np.float64)
            kinds[item.name] = _kinds(number, values)
            if not gaps and item.name in examples.first:
                first[item.name] = examples.first[item.name]
    sides = symbols, numbers, kinds, first, encoded.offsets
    characters = examples.lengths if codec.schema.form == "text" else None
    return Evidence(encoded.inputs, *sides, **rest, characters=characters, blocks=blocks)


def _number(column: object) -> NumericEncoder | None:
    """What is drawn of a column of numbers: itself, or its gaps or drops, whose likelihood is that of the column."""
    column = column.gap if isinstance(column, IncrementEncoder) else column
    return column if isinstance(column, NumericEncoder) else None


def _kinds(column: NumericEncoder, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """What each value is to the model, from what its network sees."""
    kinds = np.where(np.isnan(values), MISSING, ORDINARY).astype(np.int64)
    for k, location in enumerate(column.point_mass_positions):
        kinds[np.abs(values - location) <= POINT_MASS_TOLERANCE * (1 + abs(location))] = MISSING + 1 + k
    return kinds


def _groups(codec: Codec, encoded: Encoded) -> NDArray[np.int64] | None:
    joint = None
    for column, values in zip(codec.inputs, encoded.inputs, strict=True):
        if isinstance(column, Vocabulary):
            size, codes = len(column.values), values.astype(np.int64)
        elif isinstance(column, BinaryEncoder):
            size, codes = 3, np.where(np.isnan(values[:, 0]), 2, values[:, 0] > 0).astype(np.int64)
        else:
            continue
        joint = codes if joint is None else joint * size + codes
    return joint
