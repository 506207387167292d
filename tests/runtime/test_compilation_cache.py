"""Compiled programs are kept in a private folder of bounded size, or not at all."""

import os
import stat
import warnings

import jax
import pytest

from unspool.runtime.compilation_cache import keep_compiled, prune


@pytest.fixture
def settings(monkeypatch):
    """The new settings of JAX, by name; the settings of this process stay as they are."""
    updates = {}
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)
    monkeypatch.setattr(jax.config, "update", updates.__setitem__)
    with warnings.catch_warnings():
        yield updates


def mode(folder):
    return stat.S_IMODE(os.stat(folder).st_mode)


def test_programs_are_kept_where_only_the_owner_reads(settings, monkeypatch, tmp_path):
    monkeypatch.delenv("UNSPOOL_CACHE", raising=False)
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    keep_compiled()
    folder = settings["jax_compilation_cache_dir"]
    assert folder.startswith(str(tmp_path / "unspool"))
    assert mode(folder) == mode(tmp_path / "unspool" / "compiled") == 0o700
    assert settings["jax_persistent_cache_min_compile_time_secs"] == 0


def test_a_folder_that_others_could_write_to_is_closed(settings, monkeypatch, tmp_path):
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    monkeypatch.setenv("UNSPOOL_CACHE", str(open_to_all))
    keep_compiled()
    assert mode(open_to_all) == 0o700


@pytest.mark.parametrize(
    ("name", "value"),
    [("UNSPOOL_CACHE", "off"), ("JAX_COMPILATION_CACHE_DIR", "elsewhere"), ("UNSPOOL_CACHE", f"{__file__}/inside")],
    ids=["off", "settings of JAX", "a folder that can't be written to"],
)
def test_nothing_is_kept(settings, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    keep_compiled()
    assert not settings


def test_the_oldest_programs_go_first(tmp_path):
    for age in range(10):
        path = tmp_path / f"jit_{age}-cache"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000 - age, 1000 - age))
    prune(tmp_path, 1000)
    assert len(list(tmp_path.iterdir())) == 10
    prune(tmp_path, 999)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"jit_{age}-cache" for age in range(4)]
