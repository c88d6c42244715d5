"""Files one behind the other on this machine: one is at work, the next is decoded, the last encoded."""

from __future__ import annotations

import shutil
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Queue, SimpleQueue
from typing import Any

from grainless.batch.outcomes import Finished, Watch
from grainless.batch.plans import Job
from grainless.batch.work import DiskFullError, Work, in_words

BYTES_IN_HAND = 256 * 2**20
"""No further picture is decoded while those that are not yet written hold as much as this."""
FILES_IN_HAND = 8
_DISK_RESERVE = 16 * 2**20
"""Bytes that are left free for the journal and for whatever else is at work."""


@dataclass(frozen=True)
class _Loaded:
    """A file between two of its steps."""

    job: Job
    value: Any
    pixels: int
    nbytes: int


class _Room:
    """Holds the reader back while too much is in hand.

    What a file will take is not known before it is decoded, so the most is one file above the limit: pictures
    as large as the limit are done one by one.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._bytes = self._files = 0
        self._closed = False

    def wait(self) -> bool:
        """Wait for room for one more file; return False when no more are wanted."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._closed or (self._bytes < self._most and self._files < FILES_IN_HAND)
            )
            return not self._closed

    def change(self, *, files: int, nbytes: int) -> None:
        """Count files in or out."""
        with self._changed:
            self._files += files
            self._bytes += nbytes
            self._changed.notify_all()

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Pipeline:
    """Does files on this machine: two threads read and write, the thread that calls computes."""

    def __init__(self, work: Work, *, bytes_in_hand: int = BYTES_IN_HAND) -> None:
        """Take what is to be done to each file; with 1 byte in hand they go strictly one by one."""
        self._work = work
        self._bytes_in_hand = bytes_in_hand

    def run(self, jobs: Sequence[Job], watch: Watch) -> None:
        """Do all files; whatever way it ends, what was begun to be written is written and recorded.

        Raises DiskFullError where there is no room for a result, and what `watch` raises.
        """
        _Run(self._work, watch, _Room(self._bytes_in_hand)).do(jobs)


class _WatchError(BaseException):
    """Carries an error of who watches through the work on a picture, which must not take it for its own."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class _Run:
    """One run of a pipeline."""

    def __init__(self, work: Work, watch: Watch, room: _Room) -> None:
        self._work = work
        self._watch = watch
        self._room = room
        self._events: SimpleQueue[_Loaded | Finished] = SimpleQueue()
        # One only: where the disk is slower than the network, the network waits.
        self._computed: Queue[_Loaded | None] = Queue(maxsize=1)
        self._waiting: deque[_Loaded] = deque()
        self._unsettled = 0

    def do(self, jobs: Sequence[Job]) -> None:
        """Do all files, as `Pipeline.run` says."""
        self._unsettled = len(jobs)
        reader = threading.Thread(target=self._read_all, args=(jobs,), name="grainless-reader")
        writer = threading.Thread(target=self._write_all, name="grainless-writer")
        reader.start()
        writer.start()
        try:
            while self._unsettled:
                event = self._waiting.popleft() if self._waiting else self._events.get()
                if isinstance(event, Finished):
                    self._settle(event)
                else:
                    self._compute(event)
        except _WatchError as carrier:
            raise carrier.error from carrier.error.__cause__
        finally:
            self._room.close()
            self._computed.put(None)
            reader.join()
            writer.join()
            # The stack calls all of them, also where one fails, and the last that it was given first.
            with ExitStack() as stack:
                for event in reversed(tuple(self._arrived())):
                    if isinstance(event, Finished) and not isinstance(event.error, DiskFullError):
                        stack.callback(self._watch.record, event)

    def _read_all(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if not self._room.wait():
                return
            try:
                value = self._work.read(job)
                pixels, nbytes = self._work.size(value)
            except Exception as error:  # noqa: BLE001  # a fault in one picture must not stop the others
                self._events.put(Finished(job, error=in_words(error, job)))
            else:
                self._room.change(files=1, nbytes=nbytes)
                self._events.put(_Loaded(job, value, pixels, nbytes))
                # Else this thread would hold a picture while it waits.
                del value

    def _compute(self, loaded: _Loaded) -> None:
        """Do the middle step, and hand the answer on."""
        job = loaded.job

        def tick(share: float) -> None:
            try:
                self._look_around(job, share)
            except Exception as error:
                raise _WatchError(error) from error

        tick(0.0)
        try:
            value = self._work.compute(loaded.value, job, tick)
        except Exception as error:  # noqa: BLE001  # as above
            self._room.change(files=-1, nbytes=-loaded.nbytes)
            self._settle(Finished(job, error=in_words(error, job)))
        else:
            self._computed.put(replace(loaded, value=value))

    def _look_around(self, job: Job, share: float) -> None:
        """Tell how far a file is, and mark those that are through: soon, also beside a large picture."""
        for event in self._arrived():
            if isinstance(event, Finished):
                self._settle(event)
            else:
                self._waiting.append(event)
        self._watch.working(job, share)

    def _write_all(self) -> None:
        while (computed := self._computed.get()) is not None:
            job = computed.job
            try:
                _, nbytes = self._work.size(computed.value)
                check_disk(job.target, nbytes)
                messages = tuple(self._work.write(computed.value, job))
                finished = Finished(job, messages, pixels=computed.pixels)
            except Exception as error:  # noqa: BLE001  # as above
                finished = Finished(job, error=in_words(error, job))
            self._room.change(files=-1, nbytes=-computed.nbytes)
            self._events.put(finished)
            del computed

    def _arrived(self) -> Iterator[_Loaded | Finished]:
        """Give what the other threads have brought since, without waiting; what is not taken stays."""
        # Only this thread takes out, so what is there stays there.
        while not self._events.empty():
            yield self._events.get()

    def _settle(self, finished: Finished) -> None:
        if isinstance(finished.error, DiskFullError):
            raise finished.error
        self._unsettled -= 1
        self._watch.record(finished)
        self._watch.tell(finished)


def check_disk(target: Path, nbytes: int) -> None:
    """Raise DiskFullError where a result of `nbytes` in memory could not be written beside `target`.

    No lossless format takes much more than the pixels do, and JPEG takes less.
    """
    free = free_bytes(target.parent)
    if free < nbytes + _DISK_RESERVE:
        raise DiskFullError(
            f"The disk of {target.parent} is full",
            got=f"{free / 2**20:,.0f} MB free",
            expected=f"room for {nbytes / 2**20:,.0f} MB and {_DISK_RESERVE // 2**20} MB to spare",
            remedy="Make room; the same command then goes on",
        )


def free_bytes(place: Path) -> int:
    """Return how much room there is at a path, or where its first folder would be made."""
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free
