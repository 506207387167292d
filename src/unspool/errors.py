"""Every error that Unspool raises on purpose: one small tree, each with location, expected, found and hint."""

import bisect
import difflib
import errno
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    import numpy as np


MAX_SHOWN_LINE = 1_000
"""Characters of a line in a message; of a longer one the middle is left out."""
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that steer a terminal, turn the direction of a text, or are half a character."""


def readable(text: str, most: int = MAX_SHOWN_LINE, keep: str = "\n\t") -> str:
    r"""A text that any terminal can show: characters that steer it are escaped, and long lines shortened.

    Every text from a file or a table that people read goes through here, in errors, tables, reports and on the command
    line. In JSON the escapes stand for the same characters.

    Args:
        text: the text.
        most: characters of a line.
        keep: control characters that stay as they are.

    Examples:
        >>> readable("a\x1b[31mb"), readable("x" * 5_000_000, 20), readable("a\nb", keep="")
        ('a\\u001b[31mb', 'xxxxx ... (5,000,000 characters) ... xxxxx', 'a\\u000ab')
    """

    def short(line: str) -> str:
        part = most // 4
        return line if len(line) <= most else f"{line[:part]} ... ({len(line):,} characters) ... {line[-part:]}"

    def escaped(match: re.Match[str]) -> str:
        return match[0] if match[0] in keep else f"\\u{ord(match[0]):04x}"

    return (
        "\n".join(UNSAFE.sub(escaped, short(line)) for line in text.split("\n"))
        if "\n" in keep
        else (UNSAFE.sub(escaped, short(text)))
    )


def renamed_attribute(owner: object, name: str, names: Mapping[str, str]) -> AttributeError:
    """The error about an attribute that `owner` lacks; `names` maps names of version 0.1 to those of today."""
    known = f". Since version 0.2.0 it is {names[name]!r}" if name in names else ""
    return AttributeError(f"{type(owner).__name__!r} object has no attribute {name!r}{known}", name=name, obj=owner)


class UnspoolError(ValueError):
    """A mistake that the caller can correct.

    Args:
        location: the file, row, column or option, as exactly as known.
        expected: what Unspool expected there.
        found: what Unspool found there.
        hint: one sentence that says what to do.
    """

    def __init__(self, location: str, expected: str, found: str, hint: str = "") -> None:
        location, expected, found, hint = map(readable, (location, expected, found, hint))
        self.location, self.expected, self.found, self.hint = location, expected, found, hint
        super().__init__(f"{location}: expected {expected}, found {found}." + (f" {hint}" if hint else ""))

    def __getattr__(self, name: str) -> Any:
        raise renamed_attribute(self, name, {"place": "location", "cure": "hint"})

    def __reduce__(self) -> tuple[type, tuple[str, str, str, str]]:
        """Pickle the four arguments, not the one joined message, so that the error survives a process boundary."""
        return type(self), (self.location, self.expected, self.found, self.hint)


class OptionError(UnspoolError):
    """An option that is out of its bounds, of the wrong type, or contradicts another."""


class DataError(UnspoolError):
    """Data that can't be read, or that doesn't have the form it must have."""


class SchemaError(DataError):
    """Data whose columns or values contradict the schema or the fitted model."""


class UnknownCategory(SchemaError):
    """A category, given as input, that training never saw."""


class NotFittedError(UnspoolError, AttributeError):
    """A call that needs a fitted model."""


class MissingExtra(UnspoolError, ImportError):
    """A feature whose optional dependency is not installed."""


class TrainingError(UnspoolError):
    """Training that can't start, or can't go on."""


class CheckpointMismatch(TrainingError):
    """A checkpoint folder that belongs to another fit: other data, options or version."""


class ClusterError(UnspoolError):
    """Processes that can't work together."""


class LostProcess(ClusterError):
    """Another process of a training has ended, so this one can't go on."""


class ForkedProcess(UnspoolError):
    """A process was forked from one in which JAX had started."""


class FileError(UnspoolError):
    """A file that can't be read or written."""

    @classmethod
    def from_os_error(cls, path: str | os.PathLike[str], error: OSError, action: str) -> Self:
        """The error that says why the operating system can't `"read"` or `"write"` a file."""
        location = os.fspath(path)
        folder = os.path.dirname(os.path.realpath(location))
        if not os.path.isdir(folder):
            return cls(location, "a folder that exists", f"no folder {folder}", "Create it first, or correct the path.")
        if isinstance(error, FileNotFoundError):
            return cls(location, f"a file to {action}", "no such file", "Check the spelling and the folder you are in.")
        if isinstance(error, IsADirectoryError):
            return cls(location, "a file", "a folder", "Name a file in it.")
        if isinstance(error, PermissionError):
            return cls(location, f"a file you may {action}", "no permission", "Change its permissions or its folder's.")
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return cls(location, "free disk space", "a full disk or quota", "Free some space; nothing was replaced.")
        found = error.strerror or type(error).__name__
        return cls(location, f"a file to {action}", found[:1].lower() + found[1:], "Choose another location.")


def path_text(argument: str, path: Any) -> str:
    """A path as text; an `OptionError` that names the argument refuses what is none.

    Examples:
        >>> path_text("path", "a.unspool")
        'a.unspool'
    """
    text = path.__fspath__() if isinstance(path, os.PathLike) else path
    try:
        if isinstance(text, str) and b"\0" not in os.fsencode(text):
            return text
    except UnicodeEncodeError:
        pass
    hint = f"Pass {argument}='NAME', or a pathlib.Path."
    raise OptionError(f"{argument}={path!r}", "a path without NUL characters", type(path).__name__, hint)


def check_kind(argument: str, value: Any, kinds: type | tuple[type, ...], expected: str) -> None:
    """Refuse the value of an argument that is of none of the kinds with an `OptionError`.

    Examples:
        >>> check_kind("id", 5, (str, type(None)), "the name of a column")
        Traceback (most recent call last):
        ...
        unspool.errors.OptionError: id=5: expected the name of a column, found int.
    """
    if not isinstance(value, kinds):
        raise OptionError(f"{argument}={value!r}", expected, type(value).__name__)


class ForeignFile(FileError):
    """A file that is not an Unspool model at all."""


class TruncatedFile(FileError):
    """A model file that ends before its header says it does."""


class OversizedFile(FileError):
    """A model file that asks for more memory than it has bytes, or than the limit allows."""


class NewerFormat(FileError):
    """A model file that a newer Unspool wrote."""


class CorruptFile(FileError):
    """A model file whose contents contradict each other, or hold unknown keys."""


class NonFiniteWeights(FileError):
    """A model file with a NaN or an infinity among its weights."""


def together(errors: list[SchemaError], location: str) -> SchemaError:
    """One error that lists several, or the only one.

    Examples:
        >>> wrong = [SchemaError(f"x.csv: column {name!r}", "a number", "text") for name in "ab"]
        >>> print(together(wrong, "x.csv"))
        x.csv: expected what the model was fitted to, found 2 differences:
          column 'a': expected a number, found text
          column 'b': expected a number, found text.
    """
    if len(errors) == 1:
        return errors[0]
    kind = UnknownCategory if all(isinstance(error, UnknownCategory) for error in errors) else SchemaError
    lines, prefix = [str(error).removesuffix(".") for error in errors], f"{location}: "
    if all(line.startswith(prefix) for line in lines):
        lines = [line.removeprefix(prefix) for line in lines]
    return kind(location, "what the model was fitted to", f"{len(lines)} differences:\n  " + "\n  ".join(lines))


@dataclass(frozen=True)
class Location:
    """A column of a source, or with `at` one of its values. Rows and steps are counted from 1.

    Args:
        source: a path, or "the data".
        column: the column's name.
        offsets: (N + 1,) where the values are the steps of N concatenated sequences.
        ids: (N,) of the sequences, where rows don't identify them.
        names: (N,) of the values, where they belong neither to a row nor to a step.

    Examples:
        >>> Location("names.csv", "age").at(16)
        "names.csv: row 17, column 'age'"
        >>> import numpy as np
        >>> Location("storms", "wind", np.array([0, 2, 5]), ["Amy", "Bob"]).at(3)
        "storms: id 'Bob', step 2, column 'wind'"
    """

    source: str
    column: str
    offsets: "np.ndarray | None" = None
    ids: Sequence[Any] | None = None
    names: Sequence[str] | None = None

    def at(self, index: int) -> str:
        """The location of the value at a position."""
        sequence, step = int(index), ""
        if self.names is not None:
            return f"{self.source}: {self.names[sequence]}, column {self.column!r}"
        if self.offsets is not None:
            sequence = bisect.bisect_right(self.offsets, index) - 1
            step = f", step {int(index - self.offsets[sequence]) + 1}"
        name = f"row {sequence + 1}" if self.ids is None else f"id {self.ids[sequence]!r}"
        return f"{self.source}: {name}{step}, column {self.column!r}"

    @property
    def whole(self) -> str:
        """The location of the whole column."""
        return f"{self.source}: column {self.column!r}"


MIN_SIMILARITY = 0.7
"""Share of equal letters, as `difflib` counts them, from which a word may be another one with a mistake."""


def close_matches(wanted: Any, known: Iterable[Any], n: int = 3) -> list[Any]:
    """The known values whose spelling is closest to the wanted one, upper or lower case.

    Examples:
        >>> close_matches("irsh", ["Irish", "Polish"]), close_matches("Spain", ["Japan"])
        (['Irish'], [])
    """
    spelled = {str(value): value for value in known if value is not None}
    lower: dict[str, str] = {}
    for text in spelled:
        lower.setdefault(text.lower(), text)
    # Comparing so many values one by one takes too long, so only the case may differ.
    if len(lower) > 20_000:
        return [spelled[lower[str(wanted).lower()]]] if str(wanted).lower() in lower else []
    return [spelled[lower[text]] for text in difflib.get_close_matches(str(wanted).lower(), lower, n, MIN_SIMILARITY)]


def did_you_mean(wanted: Any, known: Iterable[Any], n: int = 1) -> str:
    """A hint that names the known values closest to the wanted one, `n` at the most, or nothing if none is close.

    Examples:
        >>> did_you_mean("numbr", ["number", "text"])
        "Did you mean 'number'?"
    """
    close = close_matches(wanted, known, n)
    return f"Did you mean {' or '.join(map(repr, close))}?" if close else ""


def listing(values: Iterable[Any], most: int = 12) -> str:
    """The first `most` values, separated by commas, and how many there are if there are more.

    Examples:
        >>> listing(range(30), most=3)
        '0, 1, 2, ... (30 in all)'
    """
    texts = list(map(str, values))
    return ", ".join(texts) if len(texts) <= most else ", ".join(texts[:most]) + f", ... ({len(texts)} in all)"
