"""Compiled programs are kept between processes, in a private folder: the second one starts in a fraction of the time.

Compiled programs are machine code. So the folder is its owner's alone, and each kind of processor has its own.
"""

import contextlib
import hashlib
import os
import platform
import stat
import sys
import warnings
from pathlib import Path

import jax

MAX_CACHE_BYTES = 256 * 2**20
"""Bytes past which the oldest programs are deleted, until half of them is left."""


def keep_compiled() -> None:
    """Have JAX keep what this process compiles, unless the user has decided.

    The user decides with `JAX_COMPILATION_CACHE_DIR` or `jax.config`: then JAX's own settings hold. `UNSPOOL_CACHE`
    names another folder, or is `off`. Without a private folder that can be written, nothing is kept.
    """
    if jax.config.values["jax_compilation_cache_dir"] is not None or os.environ.get("UNSPOOL_CACHE") == "off":
        return
    root = home()
    folder = root / hashlib.sha256(f"{jax.__version__} {processor()}".encode()).hexdigest()[:16]
    try:
        private(root)
        private(folder)
        prune(root, MAX_CACHE_BYTES)
    except OSError:  # without a cache, programs are compiled again
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", 0)
    # Another process may be writing what this one reads; JAX then compiles by itself, and would say so.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache entry", UserWarning)


def home() -> Path:
    """This platform's folder for data that can be computed again."""
    chosen = os.environ.get("UNSPOOL_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "unspool" / "compiled"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "unspool" / "compiled"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "unspool" / "compiled"


def processor() -> str:
    """What machine code may depend on: machines that differ may share a home folder."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
        features = sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
        return platform.machine() + "".join(features)
    return platform.machine() + platform.processor()


def private(folder: Path) -> None:
    """Create a folder that only its owner may enter, or make it so.

    Raises:
        PermissionError: it belongs to another user.
        OSError: it can't be created.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "nt":
        return
    found = folder.stat()
    if found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to someone else")
    if stat.S_IMODE(found.st_mode) & 0o077:
        folder.chmod(0o700)


def prune(root: Path, limit: int) -> None:
    """If the files under a folder are more than `limit` bytes, delete the oldest until half of that is left."""
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
