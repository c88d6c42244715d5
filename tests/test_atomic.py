"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from grainless import atomic
from grainless.atomic import copy_file, remove_unfinished, replace_file, unfinished_file


def test_bytes_arrive_in_a_new_folder_with_usual_rights(tmp_path):
    path = tmp_path / "new" / "deep" / "file.bin"
    replace_file(path, b"\x00one")
    assert path.read_bytes() == b"\x00one"
    plain = tmp_path / "plain"
    plain.write_bytes(b"")
    if os.name == "posix":
        assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


@pytest.mark.skipif(os.name != "posix", reason="Windows has other rights")
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_rights_are_those_of_new_files_and_the_mask_of_the_process_stays_as_it_is(
    tmp_path, monkeypatch, mask
):
    (tmp_path / "source").write_bytes(b"new")
    before = os.umask(mask)
    try:
        with monkeypatch.context() as patch:
            # It is one for all threads: set for an instant, it would be that of files that others make.
            patch.setattr(os, "umask", lambda _: pytest.fail("the mask was set"))
            replace_file(tmp_path / "one", b"new")
            copy_file(tmp_path / "source", tmp_path / "two")
    finally:
        os.umask(before)
    for name in ("one", "two"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~mask


def test_what_stood_there_is_replaced(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old and longer")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such pipes")
def test_a_pipe_is_written_into_and_stays_one(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        replace_file(path, b"through")
        assert os.read(reader, 100) == b"through"
    finally:
        os.close(reader)
    assert path.is_fifo()
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_what_it_led_to_stays(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    replace_file(link, b"new")
    assert (link.is_symlink(), link.read_bytes(), target.read_bytes()) == (False, b"new", b"old")


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def fail(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_names_are_written(tmp_path):
    path = tmp_path / ("n" * 250 + ".json")
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"


def test_only_half_written_files_are_removed(tmp_path):
    for name in (".grainless-1a.part", ".grainless-1a.png", "mine.part", "a.png"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".grainless").mkdir()
    (tmp_path / ".grainless-2b.part").mkdir()
    remove_unfinished(tmp_path)
    remove_unfinished(tmp_path / "nowhere")
    left = [".grainless", ".grainless-1a.png", ".grainless-2b.part", "a.png", "mine.part"]
    assert sorted(path.name for path in tmp_path.iterdir()) == left


@pytest.mark.skipif(os.name != "posix", reason="Windows keeps open files anyway")
def test_what_another_command_still_writes_stays(tmp_path):
    code = """
import sys
from pathlib import Path
from grainless.atomic import unfinished_file
with unfinished_file(Path(sys.argv[1])) as path:
    print(path, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        path = Path(writer.stdout.readline().strip())
        remove_unfinished(tmp_path)
        assert path.is_file()
        writer.kill()
        writer.wait()
    assert path.is_file()
    remove_unfinished(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_unfinished_file_is_gone_unless_it_gets_a_name(tmp_path):
    with unfinished_file(tmp_path) as path:
        path.write_bytes(b"half")
    assert list(tmp_path.iterdir()) == []
    with unfinished_file(tmp_path) as path:
        path.write_bytes(b"whole")
        path.replace(tmp_path / "a")
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(os.name != "posix", reason="Windows has other locks")
def test_where_there_are_no_locks_only_what_is_old_is_removed(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(atomic.fcntl, "flock", refuse)
    with unfinished_file(tmp_path) as path:
        remove_unfinished(tmp_path)
        assert path.is_file()
    old = tmp_path / ".grainless-old.part"
    old.write_bytes(b"half")
    remove_unfinished(tmp_path)
    assert old.is_file()
    os.utime(old, (0, 0))
    remove_unfinished(tmp_path)
    assert not old.exists()
