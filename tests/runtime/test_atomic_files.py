"""A file appears whole or not at all."""

import os
import signal
import stat
import subprocess
import sys

import pytest

from unspool.errors import FileError
from unspool.runtime.atomic_files import atomic, machine


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def test_the_file_has_what_was_written_and_nothing_else_stays(tmp_path):
    with atomic(tmp_path / "out") as file:
        file.write(b"whole")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out").read_bytes() == b"whole"
    assert names(tmp_path) == ["out"]


def test_text_is_utf_8_with_its_line_ends_untouched(tmp_path):
    with atomic(tmp_path / "out", text=True) as file:
        file.write("ß日\r\n\n")
    assert (tmp_path / "out").read_bytes() == "ß日\r\n\n".encode()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit, FileNotFoundError])
def test_any_interruption_leaves_the_old_file_and_is_passed_on(tmp_path, error):
    (tmp_path / "out").write_bytes(b"old")

    def interrupted():
        with atomic(tmp_path / "out") as file:
            file.write(b"new")
            raise error

    with pytest.raises(error):
        interrupted()
    assert (tmp_path / "out").read_bytes() == b"old"
    assert names(tmp_path) == ["out"]


def test_a_new_file_gets_the_usual_permissions_and_an_old_one_keeps_its_own(tmp_path):
    before = os.umask(0o022)
    try:
        with atomic(tmp_path / "new"):
            pass
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o644
    (tmp_path / "new").chmod(0o600)
    with atomic(tmp_path / "new"):
        pass
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o600


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with atomic(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_folder_and_a_device_are_refused_before_anything_is_written(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "folder"):
        with pytest.raises(FileError, match="expected a file"), atomic(tmp_path / name):
            pytest.fail("the block must not run")
    assert names(tmp_path) == ["folder", "pipe"]


def test_a_name_that_is_too_long_is_an_error_of_ours(tmp_path):
    with pytest.raises(FileError, match="name too long"), atomic(tmp_path / ("x" * 300)):
        pass
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written_is_an_error_of_ours(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(FileError, match="no permission"), atomic(tmp_path / "out"):
        pass


WRITER = """
import sys, time
from unspool.runtime.atomic_files import atomic

with atomic(sys.argv[1]) as file:
    file.write(b"a part")
    print("ready", flush=True)
    time.sleep(60)
"""


def ended(target, number):
    """The exit code of a process that a signal ended while it was writing."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(target)], stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"ready\n"
        assert len(names(target.parent)) == 1
        process.send_signal(number)
        return process.wait(10)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signals")
def test_a_process_that_is_terminated_leaves_no_temporary_file(tmp_path):
    assert ended(tmp_path / "out", signal.SIGTERM) == -signal.SIGTERM
    assert names(tmp_path) == []


@pytest.mark.skipif(os.name == "nt", reason="there nobody can ask for a process")
def test_the_next_file_sweeps_what_a_killed_process_left_and_nothing_else(tmp_path):
    """Neither files of processes that run, nor those of another machine, nor any that only look alike."""
    assert ended(tmp_path / "out", signal.SIGKILL) == -signal.SIGKILL
    (left,) = names(tmp_path)
    gone = left.split("-")[1]
    others = [
        f".out.{machine()}-{os.getppid()}-{'0' * 16}.tmp",
        f".out.{'0' * 8}-{gone}-{'0' * 16}.tmp",
        f".out.{machine()}-{gone}-{'0' * 15}.tmp",
        f"out.{machine()}-{gone}-{'0' * 16}.tmp",
        ".out.tmp",
    ]
    for name in others:
        (tmp_path / name).touch()
    with atomic(tmp_path / "other"):
        pass
    assert names(tmp_path) == sorted([*others, "other"])


def test_a_handler_of_the_program_for_sigterm_stays(tmp_path):
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with atomic(tmp_path / "out"):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    with atomic(tmp_path / "out"):
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
