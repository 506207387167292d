"""Object stores by URL, such as `s3://bucket/model.unspool`: PyArrow's file systems, one put for a whole file.

Credentials come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, a role of the machine), never from
a URL; `AWS_ENDPOINT_URL` names another server than Amazon's.
"""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from unspool.errors import FileError, OptionError, path_text
from unspool.runtime.atomic_files import atomic

URL = re.compile(r"[a-z][a-z0-9+.-]+://")
CHECK = "Check the URL, the credentials in the environment, and AWS_ENDPOINT_URL if the server is not Amazon's."
MAX_MEMORY = 64 * 2**20
"""Bytes of a file that wait in memory to be put; more wait on the disk."""


def is_url(path: Any) -> bool:
    """Whether a path names an object store.

    Examples:
        >>> is_url("s3://bucket/model.unspool"), is_url("model.unspool")
        (True, False)
    """
    return isinstance(path, str) and URL.match(path) is not None


def join(folder: str, name: str) -> str:
    """A name in a folder, which may be in an object store."""
    return f"{folder.rstrip('/')}/{name}" if is_url(folder) else os.path.join(folder, name)


def file_system(path: str) -> tuple[Any, str]:
    """The file system of a path or URL, and the path in it.

    Raises:
        OptionError: a URL with a password, or of a store that PyArrow does not know.
    """
    from pyarrow import fs

    if not is_url(path):
        return fs.LocalFileSystem(), path
    parts = urlsplit(path)
    if "@" in parts.netloc:
        public = f"{parts.scheme}://***@{parts.netloc.rpartition('@')[2]}{parts.path}"
        raise OptionError(public, "a URL without a key or password", "one with", "Set AWS_ACCESS_KEY_ID and the like.")
    try:
        return fs.FileSystem.from_uri(path)
    except (ValueError, OSError, NotImplementedError) as error:
        hint = "PyArrow knows s3://, gs://, abfss:// and hdfs://."
        raise OptionError(path, "a URL of an object store", str(error).splitlines()[0], hint) from error


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[IO[Any]]:
    """As `atomic`, on the disk or in an object store: the file appears when the block ends well, whole or not at all.

    Raises:
        FileError: it can't be written; nothing was replaced.
    """
    location = path_text("path", path)
    if not is_url(location):
        with atomic(location) as file:
            yield file
        return
    system, inner = file_system(location)
    with tempfile.SpooledTemporaryFile(MAX_MEMORY) as file:
        yield file
        file.seek(0)
        try:
            with system.open_output_stream(inner) as out:
                while block := file.read(MAX_MEMORY):
                    out.write(block)
        except OSError as error:
            raise FileError(location, "an object to write", str(error).splitlines()[0], CHECK) from error


@contextmanager
def opened_url(location: str) -> Iterator[tuple[Any, int]]:
    """A file in an object store, open at its beginning, and its size."""
    system, inner = file_system(location)
    try:
        with system.open_input_file(inner) as file:
            yield file, file.size()
    except FileNotFoundError:
        raise FileError(location, "a file to read", "no such object", CHECK) from None
    except OSError as error:
        raise FileError(location, "an object to read", str(error).splitlines()[0], CHECK) from error


def names(folder: str) -> set[str]:
    """Names of the files in a folder or under a URL; none if it does not exist.

    Raises:
        FileError: it can't be listed.
    """
    if not is_url(folder):
        return {entry.name for entry in Path(folder).iterdir()} if os.path.isdir(folder) else set()
    from pyarrow import fs

    system, inner = file_system(folder)
    try:
        found = system.get_file_info(fs.FileSelector(inner.rstrip("/"), allow_not_found=True))
    except OSError as error:
        raise FileError(folder, "a folder to list", str(error).splitlines()[0], CHECK) from error
    return {info.base_name for info in found}
