"""What comes in from the command line and from standard input, and where results go."""

import csv
import os
import sys
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unspool.errors import FileError, OptionError

if TYPE_CHECKING:
    from unspool.encoding.codec import Codec
    from unspool.encoding.columns import FittedColumn


def names(texts: Iterable[str] | None) -> list[str]:
    """Column names, separated by commas; a name that holds a comma stands in double quotes.

    Examples:
        >>> names(["lat,long", '"wind, knots"'])
        ['lat', 'long', 'wind, knots']
    """
    return [name.strip() for row in csv.reader(texts or (), skipinitialspace=True) for name in row if name.strip()]


def pairs(texts: Iterable[str] | None, flag: str) -> dict[str, str]:
    """NAME=VALUE, each name once.

    Raises:
        OptionError: no equals sign, or a name given twice.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        name, equals, value = text.partition("=")
        if not equals or not name or name in found:
            raise OptionError(flag, "NAME=VALUE, each name once", repr(text))
        found[name] = value
    return found


def typed_pins(codec: "Codec", given: Iterable[str] | None) -> dict[int, dict[str, Any]] | None:
    """STEP.NAME=VALUE as what `OneToMany.generate` takes.

    Raises:
        OptionError: another form, a column that a step doesn't have, or one that is pinned twice at a step.
    """
    fields = {name: (column, m) for field, column in codec.step_columns() for m, name in enumerate(field.columns)}
    pins: dict[int, dict[str, Any]] = {}
    for text in given or ():
        location, equals, value = text.partition("=")
        step, dot, name = location.partition(".")
        if not (equals and dot and step.isdecimal()) or name not in fields:
            known = f"STEP.NAME=VALUE, NAME one of {', '.join(fields)}"
            raise OptionError("--pin", f"{known}, steps counted from 0", repr(text))
        if name in pins.get(int(step), {}):
            raise OptionError("--pin", "every value once", f"{step}.{name} twice")
        column, member = fields[name]
        where = f"pin: step {step}, column {name!r}"
        pins.setdefault(int(step), {})[name] = _parsed(column, value, location=where, member=member)
    return pins or None


def typed_allow(codec: "Codec", given: Iterable[str] | None) -> dict[str, Any] | None:
    """NAME=VALUE,VALUE or NAME=LOW..HIGH as what `OneToMany.generate` takes.

    Raises:
        OptionError: another form, or a column that a step doesn't have.
    """
    fields = {name: (column, m) for field, column in codec.step_columns() for m, name in enumerate(field.columns)}
    allow: dict[str, Any] = {}
    for name, text in pairs(given, "--allow").items():
        if name not in fields:
            raise OptionError("--allow", f"one of the columns {', '.join(fields)}", repr(name))
        column, member = fields[name]
        parse = partial(_parsed, column, location=f"allow, column {name!r}", member=member)
        if column.num_symbols is None and len(column.types) == 1:
            low, dots, high = text.partition("..")
            if not dots:
                raise OptionError("--allow", f"{name}=LOW..HIGH, either of which may be left out", repr(text))
            allow[name] = tuple(map(parse, (low, high)))
        else:
            allow[name] = [parse(value) for value in names([text]) or [""]]
    return allow or None


def _parsed(column: "FittedColumn", text: str, *, location: str, member: int) -> Any:
    """A typed value; an empty text is a missing one."""
    return None if text == "" else column.parse(text, location, member)


def source(data: str) -> Any:
    """A path, or standard input for -."""
    return sys.stdin.buffer if data == "-" else data


def writable(path: Path) -> None:
    """Refuse now what could not be written after an hour of work.

    Raises:
        FileError: there is no such folder, it can't be written to, or the place is taken by a folder.
    """
    target = path.resolve()
    if target.is_dir():
        raise FileError.from_os_error(path, IsADirectoryError(), "write")
    if target.exists() and not target.is_file():
        raise FileError(str(path), "a file", "a device, pipe or socket", "Choose another name.")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise FileError.from_os_error(path, PermissionError(), "write")


def typed_inputs(codec: "Codec", given: Iterable[str] | None, table: str | None, *, needed: bool = True) -> Any:
    """The inputs to generate from: a table of typed `NAME=VALUE`s, or a file, or standard input.

    A name that is repeated makes a row of each of its values; a name given once holds for all rows. Where they aren't
    needed and none are given, there is no table.

    Raises:
        OptionError: both or neither are given, or numbers of values that don't fit.
        SchemaError: names that are no inputs, or inputs that are missing.
    """
    known = [field.name for field in codec.schema.inputs]
    example = " ".join(f"--input {name}=..." for name in known)
    given = list(given or ())
    if not (needed or given or table):
        return None
    if bool(given) == (table is not None):
        found = "both" if given else "neither"
        raise OptionError("inputs", "either --input or --inputs-from", found, f"This model takes {example}")
    if table is not None:
        return codec.read_inputs(source(table))
    texts: dict[str, list[str]] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or name not in known:
            raise OptionError("--input", f"one of {', '.join(f'{name}=VALUE' for name in known)}", repr(text))
        texts.setdefault(name, []).append(value)
    missing = [name for name in known if name not in texts]
    if missing:
        hint = "An empty value, as in NAME=, is a missing one."
        raise OptionError("--input", f"a value of {', '.join(map(repr, missing))}", "none", hint)
    rows = max(map(len, texts.values()))
    uneven = [f"{len(values)} of {name!r}" for name, values in texts.items() if len(values) not in (1, rows)]
    if uneven:
        raise OptionError("--input", f"one value for all rows, or {rows}", ", ".join(uneven))
    parsed = codec.parse_inputs(texts)
    return codec.read_inputs({name: values * (rows if len(values) == 1 else 1) for name, values in parsed.items()})
