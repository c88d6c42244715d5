"""Decoding, work and encoding of different files at the same time, and how much of it."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path

import pytest

from batch_files import Copying, contents, fill
from grainless.batch import BatchReport, Job, Pipeline, RunOptions, Step, Tick, plan, run
from grainless.batch.journal import Journal
from grainless.batch.pipeline import BYTES_IN_HAND, FILES_IN_HAND, free_bytes
from grainless.errors import PictureError


def test_the_next_is_read_and_the_last_is_written_while_one_is_at_work(tmp_path: Path) -> None:
    planned = plan([fill(tmp_path / "in", "a.png", "b.png", "c.png")], tmp_path / "out")
    # Each step of b waits for a step of another file: one after the other they would wait for ever.
    c_read, b_begun, a_written = threading.Event(), threading.Event(), threading.Event()

    def read(job: Job) -> None:
        if job.name == "c.png":
            c_read.set()

    def compute(job: Job) -> None:
        if job.name == "b.png":
            b_begun.set()
            assert c_read.wait(20)
            assert a_written.wait(20)

    def write(job: Job) -> None:
        if job.name == "a.png":
            assert b_begun.wait(20)
            a_written.set()

    report = run(planned, Copying(on_read=read, on_compute=compute, on_write=write))
    assert [job.name for job in report.done] == ["a.png", "b.png", "c.png"]


@pytest.mark.parametrize(
    ("nbytes", "most"), [(10, FILES_IN_HAND), (BYTES_IN_HAND, 1), (BYTES_IN_HAND // 2, 2)]
)
def test_what_is_in_hand_is_bounded(tmp_path: Path, nbytes: int, most: int) -> None:
    names = [f"{number:02}.png" for number in range(3 * FILES_IN_HAND)]
    planned = plan([fill(tmp_path / "in", *names)], tmp_path / "out")
    lock = threading.Lock()
    in_hand, seen = 0, 0

    def change(by: int) -> None:
        nonlocal in_hand, seen
        with lock:
            in_hand += by
            seen = max(seen, in_hand)

    slow = threading.Event()
    work = Copying(
        on_read=lambda _: change(1),
        on_compute=lambda _: slow.wait(0.005),
        on_write=lambda _: change(-1),
        nbytes=nbytes,
    )
    run(planned, work)
    # A file is let in when another is written, which is an instant after it was counted out here.
    assert seen == pytest.approx(most, abs=0 if most == 1 else 1)
    assert sorted(contents(tmp_path / "out")) == names


def test_the_journal_is_marked_while_a_large_picture_is_at_work(tmp_path: Path) -> None:
    planned = plan([fill(tmp_path / "in", "a.png", "b.png")], tmp_path / "out")
    written = threading.Event()
    done = []

    class Slow(Copying):
        def write(self, value: bytes, job: Job) -> tuple[str, ...]:
            said = tuple(super().write(value, job))
            written.set()
            return said

        def compute(self, value: bytes, job: Job, tick: object) -> bytes:
            if job.name == "b.png":
                assert written.wait(20)
                # The thread that writes reports after `write`; a tick soon after that makes the mark.
                for _ in range(400):
                    tick(0.5)  # type: ignore[operator]
                    if done:
                        break
                    threading.Event().wait(0.01)
                assert done == ["a.png"]
            return value

    def watch(step: object) -> None:
        if step.outcome == "done":  # type: ignore[attr-defined]
            done.append(step.job.name)  # type: ignore[attr-defined]

    report = run(planned, Slow(), on_step=watch)
    assert report.failed == []
    assert done == ["a.png", "b.png"]


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    def stop(job: Job) -> None:
        raise KeyboardInterrupt

    planned = plan([fill(tmp_path / "in", *(f"{number}.png" for number in range(20)))], tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        run(planned, Copying(on_compute=stop))
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("grainless")] == []
    run(planned, Copying())
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("grainless")] == []


class Waiting(Copying):
    """Copies; while b is at work it waits until a was told, which the next tick does."""

    def __init__(self) -> None:
        super().__init__()
        self.written = threading.Event()

    def write(self, value: bytes, job: Job) -> tuple[str, ...]:
        said = tuple(super().write(value, job))
        self.written.set()
        return said

    def compute(self, value: bytes, job: Job, tick: Tick) -> bytes:
        if job.name == "b.png":
            assert self.written.wait(20)
            for _ in range(200):
                try:
                    tick(0.5)
                except Exception as error:
                    # As work may well do with what is wrong with its file.
                    raise PictureError(f"{job.source} is broken: {error}") from error
                time.sleep(0.01)
            pytest.fail("a was never told")
        return super().compute(value, job, tick)


@pytest.mark.parametrize("fault", [RuntimeError("no more"), PictureError("no more"), MemoryError("no more")])
@pytest.mark.parametrize("place", ["journal", "progress"])
def test_who_watches_and_fails_is_no_fault_of_the_picture_at_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, fault: Exception
) -> None:
    planned = plan([fill(tmp_path / "in", "a.png", "b.png", "c.png")], tmp_path / "out")
    report = BatchReport()

    def fail(*_: object, **__: object) -> None:
        raise fault

    def watch(step: Step) -> None:
        if place == "progress" and step.outcome == "done":
            fail()

    if place == "journal":
        monkeypatch.setattr(Journal, "settle", fail)
    with pytest.raises(type(fault), match="no more") as caught:
        run(planned, Waiting(), on_step=watch, report=report)
    assert caught.value is fault
    assert [job.name for job in report.done] == ["a.png"]
    assert report.failed == []
    monkeypatch.undo()
    report = run(planned, Copying())
    assert len(report.kept) == (place == "progress")
    assert contents(tmp_path / "out") == {name: name.encode() for name in ("a.png", "b.png", "c.png")}


def test_what_came_in_beside_a_mark_that_failed_is_noted_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a.png", "bad-1.png", "bad-2.png", "c.png"]
    planned = plan([fill(tmp_path / "in", *names)], tmp_path / "out")
    last = threading.Event()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("no more")

    monkeypatch.setattr(Journal, "settle", fail)
    work = Copying(
        on_read=lambda job: last.set() if job.name == "c.png" else None,
        # The reader has told of both that are broken before it comes to the last.
        on_compute=lambda _: last.wait(20),
    )
    report = BatchReport()
    with pytest.raises(RuntimeError, match="no more"):
        run(planned, work, report=report)
    assert [Path(failure.name).name for failure in report.failed] == ["bad-1.png", "bad-2.png"]


def test_a_pipeline_may_run_again_also_after_a_stop(tmp_path: Path) -> None:
    stops = [True]

    def stop(job: Job) -> None:
        if stops.pop():
            raise KeyboardInterrupt

    pipeline = Pipeline(Copying(on_compute=lambda job: stop(job) if stops else None))
    planned = plan([fill(tmp_path / "in", "a.png", "b.png")], tmp_path / "out")
    with pytest.raises(KeyboardInterrupt):
        run(planned, Copying(), options=RunOptions(executor=pipeline))
    for number in range(2):
        options = RunOptions(executor=pipeline, overwrite=number > 0)
        assert len(run(planned, Copying(), options=options).done) == 2


def test_room_on_a_disk_is_told_before_a_folder_is_there(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "yet") == pytest.approx(free_bytes(tmp_path), rel=0.1)


class Heavy:
    """A value that can be watched."""


class Watching:
    """Work whose values are counted for as long as anybody holds them."""

    def __init__(self) -> None:
        self.alive: weakref.WeakSet[Heavy] = weakref.WeakSet()
        self.most = 0

    def settings(self) -> dict[str, object]:
        return {}

    def size(self, value: Heavy) -> tuple[int, int]:
        return 1, 1

    def read(self, job: Job) -> Heavy:
        value = Heavy()
        self.alive.add(value)
        # The last one is given up at about the same time.
        for _ in range(200):
            if len(self.alive) == 1:
                break
            time.sleep(0.01)
        self.most = max(self.most, len(self.alive))
        return value

    def compute(self, value: Heavy, job: Job, tick: Tick) -> Heavy:
        return value

    def write(self, value: Heavy, job: Job) -> Sequence[str]:
        job.target.parent.mkdir(exist_ok=True)
        job.target.write_bytes(b"")
        return ()


def test_one_by_one_holds_one_value(tmp_path: Path) -> None:
    planned = plan([fill(tmp_path / "in", *(f"{number}.png" for number in range(9)))], tmp_path / "out")
    work = Watching()
    report = run(planned, work, options=RunOptions(executor=Pipeline(work, bytes_in_hand=1)))
    assert len(report.done) == 9
    assert work.most == 1
    assert len(work.alive) == 0
