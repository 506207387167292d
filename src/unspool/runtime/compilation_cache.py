"""Compiled programs are kept between processes, in a private folder: the second one starts in a fraction of the time.

Compiled programs are machine code. So the folder is its owner's alone, and each kind of processor has its own. Unspool
makes this folder inside of that which the user or the platform names, marks it with a file, and touches nothing else.
"""

import contextlib
import hashlib
import os
import platform
import shutil
import stat
import sys
import tempfile
import warnings
from pathlib import Path

import jax

FOLDER, MARK = "unspool-programs", "CACHEDIR.TAG"
"""Name of the folder, and of the file that marks it (bford.info/cachedir): programs that save files leave it out."""
TAG = b"Signature: 8a477f597d28d172789f06886806bc55\n# Compiled programs that Unspool made, and may delete.\n"
MAX_CACHE_BYTES = 256 * 2**20
"""Bytes past which the oldest programs are deleted, until half of them is left."""


def keep_compiled() -> None:
    """Have JAX keep what this process compiles, unless the user has decided.

    The user decides with `JAX_COMPILATION_CACHE_DIR` or `jax.config`: then JAX's own settings hold. `UNSPOOL_CACHE`
    names another folder for the private one, or is `off`. Without a private folder that can be written, nothing is
    kept.
    """
    if jax.config.values["jax_compilation_cache_dir"] is not None or os.environ.get("UNSPOOL_CACHE") == "off":
        return
    try:
        root = own_folder(home())
        folder = root / hashlib.sha256(f"{jax.__version__} {processor()}".encode()).hexdigest()[:16]
        folder.mkdir(mode=0o700, exist_ok=True)
        prune(root, MAX_CACHE_BYTES)
    except (OSError, RuntimeError):  # no home, or no right to write: programs are compiled again
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    # Another process may be writing what this one reads; JAX then compiles by itself, and would say so.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry", UserWarning)


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
    for path in root.rglob("*-cache"):
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
