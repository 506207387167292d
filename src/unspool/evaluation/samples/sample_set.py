"""Sets of sequences as flat columns, and real and generated sets side by side: all that sections and baselines see."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.clusters import independent_clusters
from unspool.errors import DataError
from unspool.evaluation.samples.statistics import Codes, Reals
from unspool.tables.columns import offsets_from_lengths, ragged_indices

ABSENT = -1
"""The code of a missing symbol in a comparable set."""
ORDINARY, MISSING = 0, 1
"""The first kinds of a number in a scorable set; further kinds are the point masses of its column."""


@dataclass(frozen=True, eq=False)
class SampleSet:
    """N sequences of S steps in all, with their inputs: flat columns, and where each sequence starts.

    A *comparable* set holds values as a reader knows them, but angles as sines and cosines (`on_circle`); all sets of a
    comparison share the codes of their symbols (`build.comparable_sets`). A *scorable* set holds values as the
    likelihood measures them (`build.scorable_sets`).

    Attributes:
        offsets: (N + 1,) where each sequence starts and the last one ends.
        numbers: by step field, (S,) numbers, NaN where missing.
        symbols: by step field, (S,) codes.
        inputs: by input field, (N,) codes of symbols, or (N, D) numbers, NaN where missing.
        names: comparable, by step field or `input NAME`, the symbols in the order of their codes.
        kinds: scorable, by step field, (S,) of each number: `ORDINARY`, `MISSING`, or from 2 on a point mass.
        first: scorable, by step field, (N,) the values before step 0, where known.
        groups: scorable, (N,) a number for every combination of inputs that are symbols or flags; None without such.
        members: scorable, by multi-label field, the steps that have the field, with its members as symbols 0 and 1.
        slopes: scorable, by step field whose numbers are not in original units, (S,) what turns the log-density of each
            into one in these units.
        starts: (N,) position of each window in its series; None if sequences are no windows.
        window: steps of a window.
    """

    offsets: Codes
    numbers: Mapping[str, Reals] = field(default_factory=dict)
    symbols: Mapping[str, Codes] = field(default_factory=dict)
    inputs: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    names: Mapping[str, list[Any]] = field(default_factory=dict)
    kinds: Mapping[str, Codes] = field(default_factory=dict)
    first: Mapping[str, Reals] = field(default_factory=dict)
    groups: Codes | None = None
    members: Mapping[str, "SampleSet"] = field(default_factory=dict)
    slopes: Mapping[str, Reals] = field(default_factory=dict)
    starts: Codes | None = None
    window: int = 0

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @cached_property
    def lengths(self) -> Codes:
        """(N,) steps of each sequence."""
        return np.diff(self.offsets)

    @cached_property
    def owner(self) -> Codes:
        """(S,) the sequence that each step belongs to."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @cached_property
    def position(self) -> Codes:
        """(S,) the position of each step in its sequence, from 0."""
        return np.arange(self.offsets[-1]) - np.repeat(self.offsets[:-1], self.lengths)

    @cached_property
    def clusters(self) -> Codes:
        """(N,) which sequences may depend on each other."""
        return independent_clusters(self.starts, self.window, len(self))

    def ordinary(self, name: str) -> Reals:
        """(S,) scorable, the numbers of a field, NaN where they are missing or point masses."""
        return np.where(self.kinds[name] == ORDINARY, self.numbers[name], np.nan)

    def take(self, rows: NDArray[np.integer[Any]]) -> "SampleSet":
        """The sequences at some positions, in that order, with repetitions."""
        at = ragged_indices(self.offsets, rows)
        return replace(
            self,
            offsets=offsets_from_lengths(self.lengths[rows]),
            numbers=_taken(self.numbers, at),
            symbols=_taken(self.symbols, at),
            kinds=_taken(self.kinds, at),
            slopes=_taken(self.slopes, at),
            inputs=_taken(self.inputs, rows),
            first=_taken(self.first, rows),
            groups=None if self.groups is None else self.groups[rows],
            members={name: one.take(rows) for name, one in self.members.items()},
            starts=None if self.starts is None else self.starts[rows],
        )

    def padded(self, values: Reals, length: int) -> Reals:
        """(N, length) of a flat column, NaN after each sequence's end; longer sequences are cut."""
        out = np.full((len(self), length), np.nan)
        kept = self.position < length
        out[self.owner[kept], self.position[kept]] = values[kept]
        return out


def _taken(columns: Mapping[str, NDArray[Any]], at: NDArray[Any]) -> dict[str, NDArray[Any]]:
    return {name: column[at] for name, column in columns.items()}


def on_circle(name: str, values: NDArray[Any], period: float) -> dict[str, Reals]:
    """The two columns that stand for (S,) angles in a comparable set: 359 degrees are next to 1.

    Examples:
        >>> {name: x.round(6).tolist() for name, x in on_circle("course", np.array([0.0, 90.0, 360.0]), 360.0).items()}
        {'sine of course': [0.0, 1.0, 0.0], 'cosine of course': [1.0, 0.0, 1.0]}
    """
    z = np.mod(values.astype(np.float64), period) * (2 * np.pi / period)
    return {f"sine of {name}": np.sin(z), f"cosine of {name}": np.cos(z)}


class Target(NamedTuple):
    """A step field whose likelihood is measured.

    Attributes:
        name: of the field.
        symbols: V, of a field of symbols.
        kinds: of a field of numbers, how many kinds a value may be of: ordinary, missing, and the point masses.
        cell: of a field of numbers on a grid, the width of a cell, whose probability is measured; None for a density.
        increments: whether the numbers are changes from the step before.
        members: of a multi-label field.
        period: of a field of angles, a full turn.
    """

    name: str
    symbols: int | None = None
    kinds: int = 2
    cell: float | None = None
    increments: bool = False
    members: tuple[str, ...] = ()
    period: float | None = None

    @property
    def number(self) -> bool:
        """Whether the field is of numbers."""
        return self.symbols is None and not self.members


@dataclass(frozen=True, eq=False)
class Comparison:
    """Comparable sets of real and of generated sequences.

    Attributes:
        train: real sequences that the model was fitted to.
        real: held-out sequences.
        synthetic: m generated sequences for each input of `real`, row after row.
        synthetic_train: the synthetic training set, one generated sequence for each input of `train`, in its order.
        ended: (N m,) whether each of `synthetic` stopped by itself, rather than at the limit.
        transforms: by step field that is a number, its transform.
        kinds: by step column that is a number to us and none to a reader, `"date"`, `"flag"`, or `"text"`.
        baselines: by name, reference forecasts, as many sequences as `synthetic`, in its order.
        drawn: `real` with inputs that the model drew in place of its own; None where it draws none.
    """

    train: SampleSet
    real: SampleSet
    synthetic: SampleSet
    synthetic_train: SampleSet
    ended: NDArray[np.bool_]
    transforms: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    baselines: Mapping[str, SampleSet] = field(default_factory=dict)
    drawn: SampleSet | None = None

    def __post_init__(self) -> None:
        if not len(self.real) or len(self.synthetic) % len(self.real) or len(self.ended) != len(self.synthetic):
            found = f"{len(self.synthetic)} sequences for {len(self.real)} inputs, and {len(self.ended)} ends"
            raise DataError("the generated sequences", "as many for every held-out input", found)
        if len(self.synthetic_train) != len(self.train):
            expected = f"one for each of {len(self.train)} training inputs"
            raise DataError("the synthetic training set", expected, str(len(self.synthetic_train)))

    @property
    def samples(self) -> int:
        """m: generated sequences per held-out input."""
        return len(self.synthetic) // len(self.real)

    @cached_property
    def one_each(self) -> SampleSet:
        """One generated sequence for each held-out input."""
        return self.synthetic.take(np.arange(0, len(self.synthetic), self.samples))

    def in_words(self, name: str, value: float) -> str | float:
        """A value of a step column as a reader knows it: dates as dates, flags by their names.

        Examples:
            >>> one = SampleSet(np.array([0, 1]), {"day": np.zeros(1)})
            >>> comparison = Comparison(one, one, one, one, np.ones(1, bool), kinds={"day": "date", "fever": "flag"})
            >>> comparison.in_words("day", 366.0), comparison.in_words("fever", 1.0), comparison.in_words("age", 1.0)
            ('1971-01-02', 'yes', 1.0)
        """
        kind = self.kinds.get(name)
        if kind is None or np.isnan(value):
            return value
        if kind == "flag":
            return "yes" if value > 0 else "no"
        return str(np.datetime64("1970-01-01") + np.timedelta64(round(value), "D"))

    def mean_in_words(self, name: str, mean: float) -> str | float:
        """The mean of values as `in_words`; of a flag, the share that is true."""
        if self.kinds.get(name) == "flag" and not np.isnan(mean):
            return f"{(1 + mean) / 2:.1%} yes"
        return self.in_words(name, mean)
