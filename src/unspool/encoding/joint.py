"""Several categories of a step as one symbol: a city lies in one state, and no other pair is generated."""

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.encoding.columns import Continuation, Decoded, StepColumn, SymbolColumn, ValueType, with_missing
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
    unseen: float

    def __post_init__(self) -> None:
        if len(self.members) < 2 or not self.tuples or not 0 < self.unseen < 1:
            raise SchemaError("joint vocabulary", "two or more members, tuples and a probability", str(self.unseen))
        sizes = [member.num_symbols for member in self.members]
        table = [
            len(one) == len(sizes) and all(0 <= k < V for k, V in zip(one, sizes, strict=True)) for one in self.tuples
        ]
        if not all(table) or len(set(self.tuples)) < len(self.tuples):
            raise SchemaError(
                "joint vocabulary", f"tuples of {len(sizes)} symbols of its members, none twice", "others"
            )

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
    def table(self) -> NDArray[np.int32]:
        """(V, M) the positions in the members' vocabularies."""
        return np.array(self.tuples, np.int32)

    @classmethod
    def fit(cls, values: NDArray[Any]) -> "JointVocabulary":
        """Number the distinct tuples of (S, M) values."""
        members = tuple(Vocabulary.fit(column, step=True) for column in values.T)
        codes = np.stack([member.positions(column) for member, column in zip(members, values.T, strict=True)], 1)
        counts = Counter(map(tuple, codes.tolist()))
        ranked = sorted(counts, key=lambda one: (-counts[one], one))
        return cls(members, tuple(ranked), good_turing(list(counts.values()), len(values)))

    def describe(self) -> str:
        """How many tuples, and the most frequent ones."""
        columns = self.decode(
            np.arange(min(self.num_symbols, MAX_SHOWN_TUPLES + 1)), Continuation(np.zeros(1, np.int64))
        )
        shown = ["/".join(map(str, one)) for one in zip(*columns.values, strict=True)]
        more = ", ..." if len(shown) > MAX_SHOWN_TUPLES else ""
        text = f"{self.num_symbols} combinations: {listing(shown[:MAX_SHOWN_TUPLES])}{more}".replace("\n", "\\n")
        return with_missing(text, nullable=self.nullable)

    def parse(self, text: str, location: str, member: int = 0) -> Any:
        """The value of a member that is written so."""
        return self.members[member].parse(text, location)

    def encode(
        self,
        values: NDArray[Any],
        location: Location,
        offsets: NDArray[np.int64],
        before: NDArray[np.float64] | None = None,
    ) -> tuple[NDArray[Any], NDArray[np.float64]]:
        """(S,) int32 positions among the tuples, V for one that training never saw; nothing to add."""
        V = self.num_symbols
        key = np.zeros(V + len(values), np.int64)
        for member, known, column in zip(self.members, self.table.T, values.T, strict=True):
            code = np.concatenate([known, member.positions(column)])
            # Numbered anew with every member: as digits of one number, many members would exceed 64 bits.
            key = np.unique(key * (member.num_symbols + 1) + code, return_inverse=True)[1]
        symbol = np.full(len(key), V, np.int32)
        symbol[key[:V]] = np.arange(V)
        return symbol[key[V:]], np.zeros(len(values))

    def decode(self, encoded: NDArray[Any], continuation: Continuation) -> Decoded:
        """The values of every member."""
        # The tuple that training never saw has the value of each member that training never saw.
        unseen = [[member.num_symbols for member in self.members]]
        codes = np.concatenate([self.table, unseen])[np.asarray(encoded, np.int64)]
        return Decoded(tuple(member.lookup(column) for member, column in zip(self.members, codes.T, strict=True)))
