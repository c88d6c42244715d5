"""The same unit of work on a Dask cluster, whose workers see the same folders as this machine.

The journal stays with the command: a worker does one file from start to end and reports it. A worker that
dies has marked nothing; Dask gives its files to others. One that was only thought dead may write a file a
second time: the same bytes, and again whole or not at all.
"""

from __future__ import annotations

import math
import platform
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grainless.batch.journal import journal_file
from grainless.batch.outcomes import Finished, Watch
from grainless.batch.pipeline import check_disk
from grainless.batch.plans import Job, Plan
from grainless.batch.work import DiskFullError, Work, in_words
from grainless.errors import GrainlessError, InputError, MissingExtraError, PictureError
from grainless.version import __version__

if TYPE_CHECKING:
    from distributed import Client

_FILES_AHEAD = 4
"""Per thread of the cluster: enough that no worker waits, few enough that a stop loses little."""
_SECONDS_TO_CONNECT = 20.0
_SECONDS_BETWEEN_LOOKS = 0.05
_SECONDS_BETWEEN_COUNTS = 5.0
"""Workers may come while a run goes on, but a question to the scheduler for each file is too much."""
_UNDER_WAY = {"lost", "pending"}
"""States of a file that the scheduler gives to a worker again by itself."""


class UnfitWorkerError(InputError):
    """Raised for a worker that must not do any file: that is no fault of the files."""


@dataclass(frozen=True)
class Cluster:
    """Does files on the cluster behind a scheduler."""

    work: Work
    address: str
    """As in `tcp://host:8786`."""
    journal: Path
    """File that each worker must see, or it would write where nobody looks."""

    def run(self, jobs: Sequence[Job], watch: Watch) -> None:
        """Do all files.

        Raises MissingExtraError without distributed, InputError for a cluster that is not there, is lost or
        has unfit workers, DiskFullError where there is no room for a result, and what `watch` raises.
        """
        if not jobs:
            return
        left = deque(jobs)
        running: dict[Any, Job] = {}
        with _connected(self.address) as client:
            from distributed import as_completed

            results = as_completed(loop=client.loop)
            threads = _Threads(client, self.address)
            while left or running:
                while left and len(running) < _FILES_AHEAD * threads.count():
                    job = left.popleft()
                    future = client.submit(
                        perform_there, self.work, _absolute(job), _Here(self.journal.absolute()), pure=False
                    )
                    running[future] = job
                    results.add(future)
                # Not by waiting for a result: there may be no worker yet, and Ctrl-C is minded by the watch.
                watch.working(next(iter(running.values())), 0.0)
                found = results.next_batch(block=False)
                for future in found:
                    if future.status in _UNDER_WAY:
                        # Its worker died before the answer was fetched: the scheduler has it done again.
                        results.add(future)
                        continue
                    finished = self._finished(running.pop(future), future)
                    watch.record(finished)
                    watch.tell(finished)
                if not found:
                    time.sleep(_SECONDS_BETWEEN_LOOKS)

    def _finished(self, job: Job, future: Any) -> Finished:
        """Return what became of a file that is with the cluster no more."""
        if future.status == "finished":
            finished: Finished = replace(future.result(), job=job)
            if isinstance(finished.error, (DiskFullError, UnfitWorkerError)):
                raise finished.error
            return finished
        if future.status == "error":
            # A fault of the file is an answer; this is a worker that never answered, time and again.
            error = PictureError(
                f"{job.source}: the workers that had this file died",
                got=" ".join(str(future.exception()).split()),
                remedy="Look into their logs, for example for want of memory; --retry-failed tries it again",
            )
            return Finished(job, error=error)
        raise _lost(self.address, f"a file is {future.status}")


def on_cluster(planned: Plan, work: Work, address: str) -> Cluster:
    """Return what does the files of a plan on a cluster; raises InputError for a single file."""
    if planned.single:
        raise InputError("A cluster is for many files", got="one file", remedy="Leave out --dask")
    return Cluster(work, address, journal_file(planned.out))


class _Threads:
    """How many threads the cluster has, asked for again and again."""

    def __init__(self, client: Client, address: str) -> None:
        self._client = client
        self._address = address
        self._count = 1
        self._next = -math.inf

    def count(self) -> int:
        """Return the threads of all workers, at least 1; raises InputError where the scheduler is gone."""
        now = time.monotonic()
        if now >= self._next:
            try:
                self._count = max(1, sum(self._client.nthreads().values()))
            except OSError as error:
                raise _lost(self._address, "the scheduler is gone") from error
            self._next = now + _SECONDS_BETWEEN_COUNTS
        return self._count


@dataclass(frozen=True)
class _Here:
    """What a worker must have in common with the command."""

    journal: Path
    version: str = __version__

    def check(self, work: Work) -> None:
        """Raise UnfitWorkerError where results would differ, or would not be found."""
        if self.version != __version__:
            raise UnfitWorkerError(
                "A worker of the cluster has another grainless",
                got=__version__,
                expected=self.version,
                remedy="Install the same version on all machines",
            )
        if not self.journal.exists():
            raise UnfitWorkerError(
                f"A worker of the cluster does not see {self.journal}",
                got=f"the worker on {platform.node()}",
                remedy="Use folders that all machines share under the same path",
            )
        try:
            # Model and mask are looked at once; while they stay the same this costs next to nothing.
            work.settings()
        except GrainlessError as error:
            raise UnfitWorkerError(f"A worker of the cluster cannot begin: {error}") from error


def perform_there(work: Work, job: Job, here: _Here) -> Finished:
    """Do one file from start to end on a worker; what is wrong with it is part of the answer."""
    try:
        here.check(work)
        value = work.read(job)
        pixels, _ = work.size(value)
        value = work.compute(value, job, lambda share: None)
        _, nbytes = work.size(value)
        check_disk(job.target, nbytes)
        return Finished(job, tuple(work.write(value, job)), pixels=pixels)
    except Exception as error:  # noqa: BLE001  # a fault in one picture must not stop the others
        return Finished(job, error=in_words(error, job))


@contextmanager
def _connected(address: str) -> Iterator[Client]:
    """Be a client of a scheduler; what it runs for us is cancelled at the end."""
    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtraError("Working on a cluster", "cluster") from error
    try:
        client = Client(address, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(
            f"There is no Dask scheduler at {address}",
            got=" ".join(str(error).split()),
            remedy="Start one with `dask scheduler`; it prints its address",
        ) from error
    try:
        yield client
    except CancelledError as error:
        raise _lost(address, "the scheduler is gone") from error
    finally:
        client.close()


def _lost(address: str, how: str) -> InputError:
    return InputError(
        f"The cluster at {address} was lost", got=how, remedy="The same command goes on where this one was"
    )


def _absolute(job: Job) -> Job:
    """Return a job for a worker, which has a working folder of its own."""
    return replace(job, source=job.source.absolute(), target=job.target.absolute())
