"""Files that appear whole or not at all."""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Collection, Iterator
from typing import IO, Any

from unspool.errors import FileError, OptionError, path_text

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS}
"""Errors in the middle of writing that are the disk's fault rather than the caller's code."""


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str], *, text: bool = False) -> Iterator[IO[Any]]:
    """Write a file that replaces `path` when the block ends well; otherwise the old file stays untouched.

    The bytes go to a hidden temporary file in the same folder, are forced to disk, and are renamed onto `path`; then
    the folder is forced to disk. A reader sees the old file or the new one, never a part. After `kill -9` or a power
    cut a temporary file may stay behind; it is never read. A link is followed; anything but a regular file is refused.
    Text is UTF-8 without translation of line ends.

    Raises:
        FileError: the folder is missing, or writing isn't allowed, or the disk is full.

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with atomic(pathlib.Path(folder, "poem.txt"), text=True) as file:
    ...         _ = file.write("hello")
    ...     pathlib.Path(folder, "poem.txt").read_text()
    'hello'
    """
    location = path_text("path", path)
    target = os.path.realpath(location)
    folder, name = os.path.split(target)
    if os.path.exists(target) and not stat.S_ISREG(os.stat(target).st_mode):
        found = "a folder" if os.path.isdir(target) else "a device, pipe or socket"
        raise FileError(location, "a file", found, "Choose another name.")
    temporary = os.path.join(folder, f".{name[:200]}.{secrets.token_hex(8)}.tmp")
    try:
        # Not tempfile.mkstemp, whose files only the owner may read; this honours the umask.
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise FileError.from_os_error(location, error, "write") from error
    try:
        with open(handle, "w", encoding="utf-8", newline="") if text else open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
        os.replace(temporary, target)
        _sync(folder)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and (error.errno in DISK or error.filename == temporary):
            raise FileError.from_os_error(location, error, "write") from error
        raise


def suffix(path: str | os.PathLike[str], known: Collection[str]) -> str:
    """The end of a file's name in small letters.

    Raises:
        OptionError: it is none of those that are known.

    Examples:
        >>> suffix("fan.SVG", (".png", ".svg"))
        '.svg'
    """
    found = os.path.splitext(path_text("path", path))[1].lower()
    if found not in known:
        raise OptionError(os.fspath(path), "a name that ends in " + ", ".join(known), repr(found))
    return found


def _sync(folder: str) -> None:
    """Force a rename to disk. Windows can't open folders; there the rename itself has to do."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
