"""Where a value stands, in the words of an error message."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Location:
    """A column of a source; `at` turns the position of one of its values into a sentence.

    Rows and steps are counted from 1, as people count.

    Args:
        source: a path, or "the data".
        column: the column's name.
        offsets: (N + 1,) when the values are the steps of N sequences laid end to end.
        ids: (N,) what tells the sequences apart, when rows don't.
        names: (N,) what each value is called, where it is neither that of a row nor of a step.

    Examples:
        >>> Location("names.csv", "age").at(16)
        "names.csv: row 17, column 'age'"
        >>> Location("storms", "wind", np.array([0, 2, 5]), ["Amy", "Bob"]).at(3)
        "storms: id 'Bob', step 2, column 'wind'"
    """

    source: str
    column: str
    offsets: np.ndarray | None = None
    ids: Sequence[Any] | None = None
    names: Sequence[str] | None = None

    def at(self, index: int) -> str:
        """The place of one value, by its position."""
        index = int(index)
        if self.names is not None:
            return f"{self.source}: {self.names[index]}, column {self.column!r}"
        if self.offsets is None and self.ids is not None:
            return f"{self.source}: id {self.ids[index]!r}, column {self.column!r}"
        if self.offsets is None:
            return f"{self.source}: row {index + 1}, column {self.column!r}"
        example = int(np.searchsorted(self.offsets, index, side="right")) - 1
        name = f"row {example + 1}" if self.ids is None else f"id {self.ids[example]!r}"
        return f"{self.source}: {name}, step {index - int(self.offsets[example]) + 1}, column {self.column!r}"

    @property
    def whole(self) -> str:
        """The place of the whole column."""
        return f"{self.source}: column {self.column!r}"


def close_matches(wanted: Any, known: Iterable[Any], n: int = 3) -> list[Any]:
    """The known values whose spelling is closest to the wanted one."""
    spelled = {str(value): value for value in known if value is not None}
    lower: dict[str, str] = {}
    for text in spelled:
        lower.setdefault(text.lower(), text)
    # Far too many values to compare one by one: an exact match but for the case is all we look for.
    if len(lower) > 20_000:
        return [spelled[lower[str(wanted).lower()]]] if str(wanted).lower() in lower else []
    return [spelled[lower[text]] for text in difflib.get_close_matches(str(wanted).lower(), lower, n=n)]


def listing(values: Iterable[Any], most: int = 12) -> str:
    """The values one after the other, cut where a reader would stop reading.

    Examples:
        >>> listing(range(30), most=3)
        '0, 1, 2, ... (30 in all)'
    """
    shown = [str(value) for value in values]
    return ", ".join(shown) if len(shown) <= most else ", ".join(shown[:most]) + f", ... ({len(shown)} in all)"
