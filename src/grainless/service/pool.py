"""The bounded pool: so many pictures are worked on, so many more may be on their way, the rest is refused.

A picture has its place from before its first byte is taken in until its answer is sent, and until the thread
that works on it has let go. So the number of places bounds memory, disk and threads alike. Threads let go by
themselves, under a lock: the event loop of a request may have ended before its thread does.

The page works in a thread of its own, and takes a place for it like everybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from grainless.service.refusals import BusyError, NoSpaceError, TimeLimitError

if TYPE_CHECKING:
    from grainless.service.settings import ServiceSettings

_Result = TypeVar("_Result")
_SECONDS_BETWEEN_LOOKS = 0.05

Check = Callable[[], None]
"""Called by the work between its steps; raises where nobody waits for the result any more."""


class Pool:
    """Places for pictures and the threads that work on them."""

    def __init__(self, settings: ServiceSettings) -> None:
        """Take the numbers of workers and of places, and the time limit."""
        self.places = settings.workers + settings.queue
        self.taken = 0
        """Places that are not free."""
        self.working = 0
        """Threads at work."""
        self.max_seconds = settings.max_seconds
        self.counting = threading.Lock()
        self._workers = settings.workers
        self.open()

    def open(self) -> None:
        """Take in pictures, also after a `close`."""
        self.executor = ThreadPoolExecutor(self._workers, thread_name_prefix="grainless")
        self.stopping = False
        """No more pictures are taken in."""

    @contextlib.contextmanager
    def place(self) -> Iterator[Place]:
        """Hold a place; raises BusyError where none is free, NoSpaceError where it can have no folder."""
        place = Place(self)
        try:
            yield place
        finally:
            place.leave()

    def take(self) -> None:
        """Count a place as taken; raises BusyError where none is free."""
        with self.counting:
            self.check_open()
            if self.taken >= self.places:
                raise BusyError(
                    "The service has as much work as it takes on",
                    got=f"{self.taken} pictures",
                    remedy=f"Try again in {BusyError.retry_after} seconds",
                )
            self.taken += 1

    def give_back(self) -> None:
        """Count a place as free."""
        with self.counting:
            self.taken -= 1

    def check_open(self) -> None:
        """Raise BusyError where nothing more is taken in."""
        if self.stopping:
            raise _about_to_stop()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Count the thread that calls as one at work."""
        with self.counting:
            self.working += 1
        try:
            yield
        finally:
            with self.counting:
                self.working -= 1

    def submit(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Have a worker do something; raises BusyError where the pool is closed."""
        try:
            return self.executor.submit(work)
        except RuntimeError as error:
            raise _about_to_stop() from error

    async def wait_until_empty(self, *, given_up: Callable[[], bool]) -> None:
        """Return when no place is taken any more, or when `given_up` says so."""
        while self.taken and not given_up():
            await asyncio.sleep(_SECONDS_BETWEEN_LOOKS)

    async def close(self) -> None:
        """Take in nothing more and return when the threads have ended."""
        self.stopping = True
        await asyncio.to_thread(self.executor.shutdown)


def _about_to_stop() -> BusyError:
    return BusyError("The service is about to stop", remedy="Try again when it is back")


class Place:
    """One picture's place: a folder of its own, which goes when the last that needs it has left."""

    def __init__(self, pool: Pool) -> None:
        """Take a place for the request, which has to `leave` it."""
        self._pool = pool
        self._holders = 1
        pool.take()
        try:
            self.folder = Path(tempfile.mkdtemp(prefix="grainless-"))
        except OSError as error:
            pool.give_back()
            raise NoSpaceError("The service cannot store a file", remedy="Try again later") from error

    def stay(self) -> None:
        """Hold the place once more: for a thread, or for an answer that is sent later."""
        with self._pool.counting:
            self._holders += 1

    def leave(self) -> None:
        """Let go; the last one takes the folder with it and frees the place."""
        with self._pool.counting:
            self._holders -= 1
            last = self._holders == 0
        if last:
            shutil.rmtree(self.folder, ignore_errors=True)
            self._pool.give_back()

    async def run(self, work: Callable[[Check], _Result], *, gone: Awaitable[Exception]) -> _Result:
        """Return what `work` returns, which runs in a thread when one is free.

        `gone` gives an exception to raise as soon as nobody waits for the result. Raises TimeLimitError when
        the work takes too long, counted from when a thread takes it up. In both cases the thread ends at its
        next check, and its place is free then. Raises BusyError where the pool was closed meanwhile.
        """
        task = _Task(self._pool, asyncio.get_running_loop())
        reasons = [asyncio.ensure_future(task.overdue()), asyncio.ensure_future(gone)]
        waited: list[asyncio.Future[Any]] = [*reasons]
        try:
            answer = asyncio.wrap_future(self._submitted(partial(task.run, work)))
            waited.append(answer)
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            raise next(reason for reason in reasons if reason.done()).result()
        finally:
            task.cancelled.set()
            for waiting in waited:
                waiting.cancel()

    def _submitted(self, work: Callable[[], _Result]) -> Future[_Result]:
        """Have a worker do something, who holds the place until it has let go."""
        future = self._pool.submit(work)
        # The caller holds it meanwhile; and a pool that is closed has no worker who would leave it.
        self.stay()
        future.add_done_callback(lambda _: self.leave())
        return future


class _CancelledError(Exception):
    """Ends work whose result nobody waits for."""


class _Task:
    """Work in a thread, with what tells it to end."""

    def __init__(self, pool: Pool, loop: asyncio.AbstractEventLoop) -> None:
        self._pool, self._loop = pool, loop
        self._limit = pool.max_seconds
        self._begun = asyncio.Event()
        self.cancelled = threading.Event()

    def run(self, work: Callable[[Check], _Result]) -> _Result:
        """Do the work; called in the thread."""
        # The loop may have ended before its threads, as at a second Ctrl-C.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._begun.set)
        end = time.monotonic() + self._limit

        def check() -> None:
            if self.cancelled.is_set():
                raise _CancelledError
            if time.monotonic() > end:
                raise self._too_long()

        with self._pool.at_work():
            check()
            return work(check)

    async def overdue(self) -> Exception:
        """Return the refusal when the time is over."""
        await self._begun.wait()
        await asyncio.sleep(self._limit)
        return self._too_long()

    def _too_long(self) -> TimeLimitError:
        return TimeLimitError(
            "The picture takes too long",
            expected=f"at most {self._limit:g} seconds of work",
            remedy="Send a smaller picture, or name a smaller model such as fast",
        )
