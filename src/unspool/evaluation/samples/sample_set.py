"""Sides: real and generated sequences in one form, so that every comparison of them is a comparison of arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unspool.dataset.clusters import independent_clusters
from unspool.dataset.examples import Examples
from unspool.errors import DataError
from unspool.evaluation.samples.laid import Laid
from unspool.schema.fields import AnyField, Category, Flag, Schema, Text
from unspool.tables.columns import offsets_from_lengths, ragged_indices

ABSENT = -1
"""The code of a missing symbol."""


@dataclass(frozen=True, eq=False)
class Side(Laid):
    """One set of sequences with their inputs. Sides that were made together share the codes of their symbols.

    Attributes:
        inputs: by name, one row per sequence: (N,) codes of symbols, or (N, D) float64 with NaN where missing.
        numbers: by step field, (S,) float64 in original units, NaN where missing; moments are in days.
        symbols: by step field, (S,) codes from 0, `ABSENT` where missing.
        offsets: (N + 1,) where each sequence starts and the last one ends.
        names: by step field or `input NAME`, the symbols in the order of their codes.
        clusters: (N,) in rising order of time, of windows of one series: which of them overlap or nearly so, and are
            therefore not independent; None for sequences that all are.
    """

    inputs: dict[str, NDArray[Any]]
    numbers: dict[str, NDArray[np.float64]]
    symbols: dict[str, NDArray[np.int64]]
    offsets: NDArray[np.int64]
    names: dict[str, list[Any]]
    clusters: NDArray[np.int64] | None = None

    @cached_property
    def independent(self) -> NDArray[np.int64]:
        """(N,) a number for each independent part: the sequence itself, or its cluster."""
        return np.arange(len(self)) if self.clusters is None else self.clusters

    def take(self, rows: NDArray[np.integer[Any]]) -> "Side":
        """The sequences at some positions, in that order; one may come more than once."""
        at = ragged_indices(self.offsets, rows)
        return Side(
            {name: column[rows] for name, column in self.inputs.items()},
            {name: column[at] for name, column in self.numbers.items()},
            {name: column[at] for name, column in self.symbols.items()},
            offsets_from_lengths(self.lengths[rows]),
            self.names,
            None if self.clusters is None else self.clusters[rows],
        )

    def padded(self, values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
        """(N, length) of a flat column, NaN after each sequence's end, cut where it is longer."""
        out = np.full((len(self), length), np.nan)
        kept = self.position < length
        out[self.owner[kept], self.position[kept]] = values[kept]
        return out


@dataclass(frozen=True, eq=False)
class Material:
    """What the sections about generated sequences are made of.

    Attributes:
        train: the sequences that the model was fitted to.
        test: real sequences that it has not seen.
        paths: m generated sequences for each input of `test`, row after row.
        twins: one generated sequence for each input of `train`, in its order.
        ended: (N m,) whether each of `paths` ended by itself, rather than at the limit.
        transforms: by step field that is a number, its transform.
    """

    train: Side
    test: Side
    paths: Side
    twins: Side
    ended: NDArray[np.bool_]
    transforms: dict[str, str]

    def __post_init__(self) -> None:
        if not len(self.test) or len(self.paths) % len(self.test) or len(self.ended) != len(self.paths):
            found = f"{len(self.paths)} paths for {len(self.test)} inputs, and {len(self.ended)} ends"
            raise DataError("the generated sequences", "as many for every input held out", found)
        if len(self.twins) != len(self.train):
            raise DataError("the twins", f"one for each of {len(self.train)} training inputs", str(len(self.twins)))

    @property
    def samples(self) -> int:
        """m, the generated sequences per held-out input."""
        return len(self.paths) // len(self.test)

    @cached_property
    def first(self) -> Side:
        """One generated sequence for each held-out input: as many as there are real ones."""
        return self.paths.take(np.arange(0, len(self.paths), self.samples))


def material(
    schema: Schema,
    train: Examples,
    test: Examples,
    paths: Examples,
    twins: Examples,
    ended: NDArray[np.bool_] | None = None,
) -> Material:
    """Real and generated examples as what the sections are made of; see `Material`.

    Args:
        schema: the fields, which tell numbers from symbols.
        train: the sequences that the model was fitted to.
        test: real sequences that it has not seen.
        paths: as many generated sequences for each row of `test`, row after row.
        twins: one generated sequence for each row of `train`.
        ended: (N,) whether each of `paths` ended by itself; None when all did.

    Raises:
        DataError: numbers of sequences that don't fit each other.
    """
    real, held, made, twin = sides(schema, train, test, paths, twins)
    transforms = {item.name: getattr(item, "transform", "none") for item in schema.steps}
    ended = np.ones(len(paths), np.bool_) if ended is None else ended
    return Material(real, held, made, twin, ended, transforms)


def sides(schema: Schema, *examples: Examples) -> tuple[Side, ...]:
    """Examples of one schema as sides that share the codes of their symbols.

    A step field is symbols if it is of kind Category, Flag or Text, or holds neither numbers nor moments; a column of
    several values per step counts as that many fields.

    Examples:
        >>> from unspool.dataset.examples import gather
        >>> schema, real = gather({"k": ["a", "b"], "x": [[1.5, 2.0], [0.5]]}, inputs="k", sequence="x")
        >>> side, same = sides(schema, real, real)
        >>> side.numbers["x"].tolist(), side.inputs["k"].tolist(), side.names["input k"]
        ([1.5, 2.0, 0.5], [0, 1], ['a', 'b'])
    """
    names: dict[str, list[Any]] = {}
    inputs: list[dict[str, NDArray[Any]]] = [{} for _ in examples]
    numbers: list[dict[str, NDArray[np.float64]]] = [{} for _ in examples]
    symbols: list[dict[str, NDArray[np.int64]]] = [{} for _ in examples]
    for item in schema.inputs:
        columns = [one.inputs[item.name] for one in examples]
        if _numeric(item, columns[0]):
            made: list[NDArray[Any]] = [_real(column).reshape(len(column), -1) for column in columns]
        else:
            made, names[f"input {item.name}"] = _coded(columns)
        for into, column in zip(inputs, made, strict=True):
            into[item.name] = column
    for item in schema.steps:
        for name, columns in _single(item.name, [one.steps[item.name] for one in examples]):
            if _numeric(item, columns[0]):
                for number, column in zip(numbers, columns, strict=True):
                    number[name] = _real(column)
            else:
                codes, names[name] = _coded(columns)
                for symbol, column in zip(symbols, codes, strict=True):
                    symbol[name] = column
    offsets = [np.asarray(one.offsets, np.int64) for one in examples]
    clusters = [_clusters(one) for one in examples]
    parts = zip(inputs, numbers, symbols, offsets, clusters, strict=True)
    return tuple(Side(given, real, coded, at, names, cluster) for given, real, coded, at, cluster in parts)


def _clusters(examples: Examples) -> NDArray[np.int64] | None:
    if examples.starts is None:
        return None
    return independent_clusters(examples.starts, examples.gap, len(examples))


def _numeric(item: AnyField, column: NDArray[Any]) -> bool:
    return not isinstance(item, (Category, Flag, Text)) and column.dtype.kind in "fiuM"


def _single(name: str, columns: list[NDArray[Any]]) -> list[tuple[str, list[NDArray[Any]]]]:
    if columns[0].ndim == 1:
        return [(name, columns)]
    return [(f"{name}[{k}]", [column[:, k] for column in columns]) for k in range(columns[0].shape[1])]


def _real(column: NDArray[Any]) -> NDArray[np.float64]:
    if column.dtype.kind != "M":
        return column.astype(np.float64)
    days = column.astype("datetime64[us]").astype(np.int64) / 86_400e6
    days[np.isnat(column)] = np.nan
    return days


def _coded(columns: Sequence[NDArray[Any]]) -> tuple[list[NDArray[np.int64]], list[Any]]:
    """Codes in the order of the values' texts, so that they depend on no order of rows."""
    plain = [column.tolist() for column in columns]
    known = sorted({value for values in plain for value in values if not _absent(value)}, key=str)
    codes = {value: code for code, value in enumerate(known)}
    return [np.array([codes.get(value, ABSENT) for value in values], np.int64) for values in plain], known


def _absent(value: Any) -> bool:
    return value is None or value != value  # NaN alone differs from itself
