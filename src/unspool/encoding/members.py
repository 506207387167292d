"""Fields of several columns of a step: categories as one symbol, so a city lies in one state; and a block of labels."""

from collections import Counter
from typing import Any

import numpy as np

from unspool.encoding.columns import (
    Continuation,
    Cumulative,
    Decoded,
    NumericColumn,
    Probability,
    StepColumn,
    SymbolColumn,
    ValueType,
)
from unspool.encoding.vocabulary import Vocabulary, good_turing
from unspool.errors import Location, SchemaError, listing

MAX_SHOWN_TUPLES = 3


class JointVocabulary(SymbolColumn, StepColumn, frozen=True, tag="joint"):
    """The tuples of categories that training saw, numbered from the most to the least frequent.

    Args:
        members: the vocabulary of each of the M categories.
        tuples: the V tuples, as positions in the members' vocabularies.
        unseen: probability that a step has another tuple, see `Vocabulary`.
    """

    members: tuple[Vocabulary, ...]
    tuples: tuple[tuple[int, ...], ...]
    unseen: Probability

    def __post_init__(self) -> None:
        if len(self.members) < 2 or not self.tuples or not 0 < self.unseen < 1:
            raise SchemaError("joint vocabulary", "two or more members, tuples and a probability", str(self.unseen))
        sizes = [member.num_symbols for member in self.members]
        valid = (
            len(codes) == len(sizes) and all(0 <= code < size for code, size in zip(codes, sizes, strict=True))
            for codes in self.tuples
        )
        if not all(valid) or len(set(self.tuples)) < len(self.tuples):
            expected = f"tuples of {len(sizes)} symbols of its members, none twice"
            raise SchemaError("joint vocabulary", expected, "others")

    @property
    def num_symbols(self) -> int:
        """V."""
        return len(self.tuples)

    @property
    def nullable(self) -> bool:
        """Whether training had missing values."""
        return any(member.nullable for member in self.members)

    @property
    def types(self) -> tuple[ValueType, ...]:
        """Those of the members."""
        return tuple(member.types[0] for member in self.members)

    @property
    def table(self) -> np.ndarray:
        """(V, M) int32 positions in the members' vocabularies."""
        return np.array(self.tuples, np.int32)

    @classmethod
    def fit(cls, values: np.ndarray) -> "JointVocabulary":
        """Number the distinct tuples of (S, M) values."""
        members = tuple(Vocabulary.fit(column, step=True) for column in values.T)
        codes = np.stack([member.positions(column) for member, column in zip(members, values.T, strict=True)], 1)
        counts = Counter(map(tuple, codes.tolist()))
        ranked = sorted(counts, key=lambda codes: (-counts[codes], codes))
        return cls(members, tuple(ranked), good_turing(list(counts.values()), len(values)))

    def describe(self) -> str:
        """How many tuples, and the most frequent ones."""
        frequent = np.arange(min(self.num_symbols, MAX_SHOWN_TUPLES))
        columns = self.decode(frequent, Continuation(np.zeros(1, np.int64))).values
        shown = listing(["/".join(map(str, values)) for values in zip(*columns, strict=True)])
        more = ", ..." if self.num_symbols > MAX_SHOWN_TUPLES else ""
        text = f"{self.num_symbols} combinations: {shown}{more}".replace("\n", "\\n")
        return self.with_missing(text)

    def parse(self, text: str, location: str, member: int = 0) -> Any:
        """The value of a member."""
        return self.members[member].parse(text, location)

    def encode(
        self, values: np.ndarray, location: Location, offsets: np.ndarray, before: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(S,) int32 positions among the tuples, V for one that training never saw; nothing to add."""
        V = self.num_symbols
        key = np.zeros(V + len(values), np.int64)
        for member, known, column in zip(self.members, self.table.T, values.T, strict=True):
            code = np.concatenate([known, member.positions(column)])
            # Numbered anew with every member: many members as digits of one number would exceed 64 bits.
            key = np.unique(key * (member.num_symbols + 1) + code, return_inverse=True)[1]
        symbol = np.full(len(key), V, np.int32)
        symbol[key[:V]] = np.arange(V)
        return symbol[key[V:]], np.zeros(len(values))

    def decode(self, encoded: np.ndarray, continuation: Continuation) -> Decoded:
        """The values of every member."""
        # An unseen tuple decodes to the unseen value of every member.
        unseen = [[member.num_symbols for member in self.members]]
        codes = np.concatenate([self.table, unseen])[np.asarray(encoded, np.int64)]
        return Decoded(tuple(member.lookup(column) for member, column in zip(self.members, codes.T, strict=True)))


class MultiLabel(NumericColumn, StepColumn, frozen=True, tag="multilabel"):
    """Labels that are 1 for yes and -1 for no, so that neither is nothing; all NaN where the block is missing.

    Args:
        members: the columns of the labels.
        nullable: training had steps at which all of them were missing.
        share: of yes in training.
    """

    members: tuple[str, ...]
    nullable: bool = False
    share: Probability = 0.0

    @classmethod
    def fit(cls, values: np.ndarray, members: tuple[str, ...]) -> "MultiLabel":
        """Whether any of (S, M) values is missing, and the share of yes."""
        missing = np.isnan(values)
        share = float((values[~missing] > 0).mean()) if not missing.all() else 0.0
        return cls(members, bool(missing.any()), share)

    @property
    def width(self) -> int:
        """M."""
        return len(self.members)

    @property
    def types(self) -> tuple[ValueType, ...]:
        """Truth values."""
        return tuple("bool" for _ in self.members)

    @property
    def cumulative(self) -> Cumulative | None:
        """Labels don't add up."""
        return None

    def describe(self) -> str:
        """How many labels, and how often they are yes."""
        return self.with_missing(f"{len(self.members)} members, {self.share:.1%} yes")

    def parse(self, text: str, location: str, member: int = 0) -> Any:
        """A truth value."""
        return parse_truth_value(text)

    def encode(
        self, values: np.ndarray, location: Location, offsets: np.ndarray, before: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """(S, M) float64 as they are; nothing to add."""
        self.refuse_missing(np.isnan(values[:, 0]), location)
        return values, np.zeros(len(values))

    def decode(self, encoded: np.ndarray, continuation: Continuation) -> Decoded:
        """By member, (S,) bool, or object with None where the block is missing."""
        missing, yes = np.isnan(encoded[:, 0]), encoded > 0
        if missing.any():
            yes = yes.astype(object)
            yes[missing] = None
        return Decoded(tuple(np.ascontiguousarray(yes.T)))


def parse_truth_value(text: str) -> bool | str:
    """The truth value that a text spells; another text as it is.

    Examples:
        >>> parse_truth_value("Yes"), parse_truth_value("perhaps")
        (True, 'perhaps')
    """
    known = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    return known.get(text.lower(), text)
