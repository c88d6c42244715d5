"""Files that live for a while."""

from __future__ import annotations

import gc
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from grainless.service.page.scratch import Scratch


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scratch]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    place = Scratch(keep_seconds=1000)
    yield place
    place.close()


def aged(path: Path, seconds: float) -> Path:
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def test_the_folder_is_for_this_user_alone(scratch: Scratch, tmp_path: Path) -> None:
    assert scratch.root.parent == tmp_path.resolve()
    if os.name == "posix":
        assert stat.S_IMODE(scratch.root.stat().st_mode) == 0o700
    assert scratch.folder() != scratch.folder()


def test_only_what_was_not_used_for_long_is_swept(scratch: Scratch) -> None:
    folder, other = scratch.folder(), scratch.folder()
    old, new, used = (folder / name for name in ("old", "new", "used"))
    for path in (old, new, used, other / "old"):
        path.write_bytes(b"x")
    for path in (old, used, other / "old"):
        aged(path, 1001)
    scratch.touch(used)
    aged(other, 1001)
    scratch.sweep()
    assert sorted(path.name for path in folder.iterdir()) == ["new", "used"]
    # Emptied just now, so it may be one in which something is about to be written.
    assert other.is_dir()
    aged(other, 1001)
    scratch.sweep()
    assert not other.exists()
    assert scratch.root.is_dir()


def test_sweeping_happens_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scratch = Scratch(keep_seconds=0.2)
    (scratch.folder() / "picture").write_bytes(b"x")
    end = time.monotonic() + 10
    while any(scratch.root.iterdir()) and time.monotonic() < end:
        time.sleep(0.02)
    assert not any(scratch.root.iterdir())
    scratch.close()


def test_touching_what_is_gone_is_no_error(scratch: Scratch) -> None:
    scratch.touch(scratch.root / "gone")


def test_a_folder_is_discarded_whole_and_others_are_left(scratch: Scratch, tmp_path: Path) -> None:
    folder, other = scratch.folder(), scratch.folder()
    (folder / "views").mkdir()
    inside = folder / "views" / "a.png"
    inside.write_bytes(b"x")
    outside = tmp_path / "mine.png"
    outside.write_bytes(b"x")
    scratch.discard(inside)
    scratch.discard(outside)
    scratch.discard(scratch.root)
    assert not folder.exists()
    assert other.is_dir()
    assert outside.exists()


def test_it_is_made_anew_after_its_end(scratch: Scratch) -> None:
    first = scratch.folder()
    scratch.close()
    assert not scratch.root.exists()
    assert scratch.folder() != first
    scratch.sweep()


def test_everything_goes_with_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scratch = Scratch()
    (scratch.folder() / "picture").write_bytes(b"x")
    root = scratch.root
    del scratch
    gc.collect()
    assert not root.exists()
