"""Batches that are killed with all their processes, at any moment, again and again."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from batch_files import contents
from grainless.batch.journal import open_journal
from grainless.batch.pipeline import FILES_IN_HAND
from grainless.picture import Metadata, Picture, write_picture
from tiny_models import blur_model

PICTURES, KILLS = 240, 20


class Command:
    """`grainless denoise` on the same folder, started as often as one likes."""

    def __init__(self, process: subprocess.Popen[str], arguments: list[str]) -> None:
        self._process, self._arguments = process, arguments

    def start(self, out: Path) -> int:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([*self._arguments, "-o", str(out)]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> int:
        return self._answer()

    def _answer(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@contextmanager
def command(arguments: list[str], log: Path) -> Iterator[Command]:
    script = Path(__file__).with_name("forked_command.py")
    with (
        log.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        yield Command(process, arguments)
        process.communicate()


def make_pictures(folder: Path) -> None:
    rng = np.random.default_rng(3)
    for number in range(PICTURES):
        path = folder / ("sub/" * (number % 3)) / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (60 + number % 7, 80, 3), dtype=np.uint8)
        write_picture(Picture(pixels, None, Metadata(), "png"), path)


def marked(out: Path, copy: Path) -> set[Path]:
    """The results that the journal calls done; a copy of it is asked, the next run has to mend it itself."""
    if not (out / ".grainless").is_dir():
        return set()
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(out / ".grainless", copy / ".grainless")
    with open_journal(copy) as journal:
        return {
            out / path.relative_to(copy) for path, entry in journal.entries().items() if entry.state == "done"
        }


def half_written_in(out: Path) -> set[str]:
    """The files that are being written, told quickly: a small one is written in a millisecond."""
    folders = [folder for folder in (out, out / "sub", out / "sub/sub") if folder.is_dir()]
    return {name for folder in folders for name in os.listdir(folder) if name.endswith(".part")}  # noqa: PTH208


def wait_for(child: int, out: Path, chance: random.Random) -> None:
    """Wait for a moment to kill: at the start, in the writing, or some files and an instant later."""
    draw = chance.random()
    if draw < 0.2:
        time.sleep(chance.random() * 0.3)
        return
    if draw < 0.6:
        left_behind = half_written_in(out)
        while half_written_in(out) <= left_behind:
            os.kill(child, 0)
        return
    wanted = len(list(out.rglob("*.png"))) + chance.randrange(1, 5)
    while len(list(out.rglob("*.png"))) < wanted:
        os.kill(child, 0)
        time.sleep(0.001)
    time.sleep(chance.random() * 0.02)


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows has neither fork nor this signal")
def test_nothing_is_lost_doubled_or_left_behind_by_twenty_kills(tmp_path: Path) -> None:
    make_pictures(tmp_path / "in")
    model = blur_model(tmp_path / "blur.onnx")
    whole, out = tmp_path / "whole", tmp_path / "out"
    chance = random.Random(11)
    stamps: dict[Path, tuple[int, int]] = {}
    half_written = unmarked = 0
    arguments = ["denoise", str(tmp_path / "in"), "--model", str(model), "--no-guard"]
    with command(arguments, tmp_path / "log") as denoise:
        denoise.start(whole)
        assert denoise.end() == 0, (tmp_path / "log").read_text()
        expected = contents(whole)
        assert len(expected) == PICTURES

        for _ in range(KILLS):
            child = denoise.start(out)
            wait_for(child, out, chance)
            os.killpg(child, signal.SIGKILL)
            assert denoise.end() == -signal.SIGKILL, (tmp_path / "log").read_text()

            standing = {name: data for name, data in contents(out).items() if not name.endswith(".part")}
            half_written += len(contents(out)) - len(standing)
            for name, data in standing.items():
                assert data == expected[name], name
            done = marked(out, tmp_path / "copy")
            assert done <= {out / name for name in standing}
            # What stands and is not yet marked is done again: never more than was in hand.
            assert len(standing) - len(done) <= FILES_IN_HAND
            unmarked += len(standing) - len(done)
            for path, stamp in stamps.items():
                assert path in done
                assert (path.stat().st_ino, path.stat().st_mtime_ns) == stamp, f"{path} was done twice"
            stamps |= {path: (path.stat().st_ino, path.stat().st_mtime_ns) for path in done}

        assert 0 < len(stamps) < PICTURES
        # Else no kill has hit the writing of a file or the moment before its mark: nothing is said of these.
        assert half_written
        assert unmarked
        denoise.start(out)
        assert denoise.end() == 0, (tmp_path / "log").read_text()
    assert contents(out) == expected
    assert marked(out, tmp_path / "copy") == {out / name for name in expected}
    assert [path.name for path in (out / ".grainless").iterdir()] == ["journal.sqlite3"]
