"""Compiled programs are kept between processes, in a private folder: the second one starts in a fraction of the time.

Compiled programs are machine code. So the folder is its owner's alone, and each kind of processor has its own. Unspool
makes this folder inside of that which the user or the platform names, marks it with a file, and touches nothing else.
"""

import contextlib
import functools
import hashlib
import os
import platform
import shutil
import stat
import sys
import tempfile
from importlib import metadata
from pathlib import Path

import jax

FOLDER, MARK, SUFFIX = "unspool-programs", "CACHEDIR.TAG", ".program"
"""Names of the folder, and of the file that marks it (bford.info/cachedir): programs that save files leave it out; and
how names of programs end."""
TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# Compiled programs that Unspool made, and may delete.\n"
MAX_CACHE_BYTES = 256 * 2**20
"""Bytes past which the oldest programs are deleted, until half of them is left."""


def keep_compiled() -> None:
    """Keep what this process compiles, unless the user has decided.

    The user decides with `JAX_COMPILATION_CACHE_DIR` or `jax.config`: then JAX's own settings hold. `UNSPOOL_CACHE`
    names another folder for the private one, or is `off`. Without a private folder that can be written, nothing is
    kept.
    """
    if FOLDER_OF_PROGRAMS.path is not None or jax.config.values["jax_compilation_cache_dir"] is not None:
        return
    if os.environ.get("UNSPOOL_CACHE") == "off":
        return
    try:
        root = own_folder(home())
        folder = root / hashlib.sha256(f"{libraries()} {processor()} {source_hash()}".encode()).hexdigest()[:16]
        folder.mkdir(mode=0o700, exist_ok=True)
        prune(root, MAX_CACHE_BYTES)
    except (OSError, RuntimeError):  # no home, or no right to write: programs are compiled again
        return
    FOLDER_OF_PROGRAMS.path = folder


class ProgramFolder:
    """The folder of this process's programs, once it has one."""

    def __init__(self) -> None:
        self.path: Path | None = None

    def read(self, question: str) -> bytes | None:
        """What `write` was given for a question; `None` if nothing was, or if the file was damaged."""
        if self.path is None:
            return None
        try:
            found = self.file(question).read_bytes()
        except OSError:
            return None
        digest, program = found[:32], found[32:]
        return program if hashlib.sha256(program).digest() == digest else None

    def write(self, question: str, program: bytes) -> None:
        """Keep a program for the next process that asks this; without a folder that can be written, do nothing."""
        if self.path is None:
            return
        with contextlib.suppress(OSError):
            new, name = tempfile.mkstemp(dir=self.path)
            try:
                with open(new, "wb") as file:
                    file.write(hashlib.sha256(program).digest() + program)
                os.replace(name, self.file(question))
            except BaseException:
                os.unlink(name)
                raise

    def file(self, question: str) -> Path:
        """Where the program for a question is: JAX's settings and the devices belong to what it depends on."""
        assert self.path is not None  # noqa: S101  # the callers have asked
        device = jax.local_devices()[0]
        around = sorted(jax.config.values.items()), device.id, device.device_kind, device.client.platform_version
        digest = hashlib.sha256(f"{question} {around} {os.environ.get('XLA_FLAGS')}".encode()).hexdigest()
        return self.path / f"{digest}{SUFFIX}"


FOLDER_OF_PROGRAMS = ProgramFolder()


def libraries() -> str:
    """The libraries whose code is traced into a program, or compiles it."""
    return " ".join(f"{name} {metadata.version(name)}" for name in ("jax", "jaxlib", "equinox", "optax"))


def source_hash() -> str:
    """A hash of the package's own source: another version has other programs."""
    paths = sorted(Path(__file__).parents[1].rglob("*.py"))
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()


def home() -> Path:
    """The folder that the user named, or this platform's for data that can be computed again.

    Raises:
        RuntimeError: the user has no home.
    """
    chosen = os.environ.get("UNSPOOL_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "unspool"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "unspool"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unspool"


@functools.cache
def processor() -> str:
    """What machine code may depend on: machines that differ may share a home folder."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        features = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
        return platform.machine() + "".join(features)
    return platform.machine() + platform.processor()


def own_folder(parent: Path) -> Path:
    """The marked folder in another one, which only its owner may enter; made if it is missing.

    Raises:
        PermissionError: what has its name isn't ours.
        OSError: it can't be created.
    """
    parent.mkdir(parents=True, exist_ok=True)
    folder = parent / FOLDER
    if not os.path.lexists(folder):
        with contextlib.suppress(OSError):  # another process was quicker
            _make(folder)
    found = folder.lstat()
    foreign = os.name != "nt" and found.st_uid != os.getuid()
    if foreign or not stat.S_ISDIR(found.st_mode) or (folder / MARK).read_bytes() != TAG:
        raise PermissionError(f"{folder} was not made by Unspool for this user")
    if os.name != "nt" and stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def _make(folder: Path) -> None:
    """Make the folder with its mark at once, so that no process sees it without."""
    new = Path(tempfile.mkdtemp(prefix=f".{FOLDER}.", dir=folder.parent))
    try:
        (new / MARK).write_bytes(TAG)
        new.rename(folder)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def prune(root: Path, limit: int) -> None:
    """If the programs under a folder are more than `limit` bytes, delete the oldest until half of that is left."""
    files = []
    for path in root.glob("*/*"):
        with contextlib.suppress(OSError):  # another command may delete it at the same time
            found = path.stat()
            files.append((found.st_mtime, found.st_size, path))
    total = sum(size for _, size, _ in files)
    if total <= limit:
        return
    for _, size, path in sorted(files):
        with contextlib.suppress(OSError):
            path.unlink()
        total -= size
        if total <= limit // 2:
            return
