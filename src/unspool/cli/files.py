"""Files that a command reads or writes."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unspool.errors import FileError

if TYPE_CHECKING:
    from unspool.model import OneToMany


def open_model(path: str | Path, *, quiet: bool = False) -> "OneToMany":
    """Load a model, which says what this command should, not that which fitted it.

    Commands that need no model don't wait for JAX.
    """
    from unspool.model import load

    return load(path).set_params(verbose=False if quiet else None)


def source(data: str) -> Any:
    """The path itself, or standard input for -."""
    return sys.stdin.buffer if data == "-" else data


def wide_table(data: Any, columns: str, name: str) -> Any:
    """A wide table with its sequences in one column; `columns` are names between commas, or a pattern."""
    from unspool.cli.fields import split_commas
    from unspool.tables.wide import wide

    names = split_commas(columns)
    return wide(data, names if len(names) > 1 else columns, name)


def check_writable(path: Path) -> None:
    """Refuse a missing or read-only folder, or a path of a folder or device, with a `FileError` before the work."""
    target = path.resolve()
    if target.is_dir():
        raise FileError.from_os_error(path, IsADirectoryError(), "write")
    if target.exists() and not target.is_file():
        raise FileError(str(path), "a file", "a device, pipe or socket", "Choose another name.")
    if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
        raise FileError.from_os_error(path, PermissionError(), "write")
