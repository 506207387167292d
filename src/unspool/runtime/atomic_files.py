"""Files that appear whole or not at all."""

import contextlib
import errno
import functools
import hashlib
import os
import platform
import re
import secrets
import signal
import stat
import threading
from collections.abc import Collection, Iterator
from typing import IO, Any

from unspool.errors import FileError, OptionError, path_text

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG, errno.EROFS}
"""Errors in the middle of writing that are the disk's fault rather than the caller's code."""
TEMPORARY = re.compile(r"\..+\.(?P<machine>[0-9a-f]{8})-(?P<process>\d+)-[0-9a-f]{16}\.tmp", re.DOTALL)
"""Name of a temporary file: hidden, and it says which process writes it."""

_unfinished: set[str] = set()
"""Temporary files of this process."""


@contextlib.contextmanager
def atomic(path: str | os.PathLike[str], *, text: bool = False) -> Iterator[IO[Any]]:
    """Write a file that replaces `path` when the block ends well; otherwise the old file stays untouched.

    The bytes go to a hidden temporary file in the same folder, are forced to disk, and are renamed onto `path`; then
    the folder is forced to disk. A reader sees the old file or the new one, never a part. SIGTERM leaves no temporary
    file. After `kill -9` or a power cut one may stay behind; it is never read, and the next `atomic` in the folder
    deletes it. A link is followed; anything but a regular file is refused. Text is UTF-8 without translation of line
    ends.

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
    sweep(folder)
    temporary = os.path.join(folder, f".{name[:190]}.{machine()}-{os.getpid()}-{secrets.token_hex(8)}.tmp")
    with _removed_by_sigterm():
        yield from _replaced(location, temporary, target, text)


def _replaced(location: str, temporary: str, target: str, text: bool) -> Iterator[IO[Any]]:
    """Create, offer and rename the temporary file, or delete it."""
    _unfinished.add(temporary)
    try:
        # Not tempfile.mkstemp, whose files only the owner may read; this honours the umask.
        handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        _unfinished.discard(temporary)
        raise FileError.from_os_error(location, error, "write") from error
    try:
        with open(handle, "w", encoding="utf-8", newline="") if text else open(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if os.path.exists(target):
            os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
        os.replace(temporary, target)
        _sync(os.path.dirname(target))
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError) and (error.errno in DISK or error.filename == temporary):
            raise FileError.from_os_error(location, error, "write") from error
        raise
    finally:
        _unfinished.discard(temporary)


def sweep(folder: str) -> None:
    """Delete the temporary files that processes of ours have left in a folder and no longer write."""
    if os.name == "nt":  # there nobody can ask for a process without ending it
        return
    with contextlib.suppress(OSError), os.scandir(folder or ".") as entries:
        for entry in entries:
            owner = TEMPORARY.fullmatch(entry.name)
            if owner and owner["machine"] == machine() and not _runs(int(owner["process"])):
                with contextlib.suppress(OSError):
                    os.unlink(entry.path)


def remove_temporary_files() -> None:
    """Delete what this process was writing; for a process that ends at once."""
    for path in tuple(_unfinished):
        with contextlib.suppress(OSError):
            os.unlink(path)


@functools.cache
def machine() -> str:
    """What the numbers of processes belong to: another machine or container has its own."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return hashlib.sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def _removed_by_sigterm() -> Iterator[None]:
    """Unless the program handles SIGTERM itself, let it delete the temporary files before it ends the process."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return

    def terminate(number: int, _frame: Any) -> None:
        remove_temporary_files()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


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
