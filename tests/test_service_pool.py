"""Places and workers: never more than there are, and each is given back."""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from grainless.errors import PictureError
from grainless.service import ServiceSettings
from grainless.service.pool import Check, Pool
from grainless.service.refusals import BusyError, NoSpaceError, TimeLimitError


async def never() -> Exception:
    await asyncio.sleep(1000)
    raise AssertionError


async def after(seconds: float) -> Exception:
    await asyncio.sleep(seconds)
    return PictureError("gone")


async def emptied(pool: Pool) -> None:
    async with asyncio.timeout(10):
        await pool.wait_until_empty(given_up=lambda: False)


def until_told(check: Check) -> None:
    """Work that ends only when it is told to."""
    while True:
        check()
        time.sleep(0.01)


def test_a_place_has_a_folder_that_goes_with_it() -> None:
    pool = Pool(ServiceSettings(workers=1, queue=0))
    with pool.place() as place:
        (place.folder / "picture").write_bytes(b"x")
        assert pool.taken == 1
    assert not place.folder.exists()
    assert pool.taken == 0


def test_places_are_workers_and_queue_and_no_more() -> None:
    pool = Pool(ServiceSettings(workers=1, queue=1))
    with pool.place(), pool.place():
        with pytest.raises(
            BusyError, match=r"as much work as it takes on; got 2 pictures\. Try again"
        ) as full:
            pool.place().__enter__()
        assert (full.value.http_status, full.value.retry_after) == (503, 5)
    with pool.place():
        assert pool.taken == 1


def test_a_place_without_a_folder_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    pool = Pool(ServiceSettings())
    with pytest.raises(NoSpaceError, match="cannot store a file") as none:
        pool.place().__enter__()
    assert (none.value.http_status, pool.taken) == (503, 0)


def test_a_service_that_stops_takes_in_nothing_more() -> None:
    pool = Pool(ServiceSettings())
    asyncio.run(pool.close())
    with pytest.raises(BusyError, match="about to stop"):
        pool.place().__enter__()


def test_work_for_a_pool_that_was_closed_meanwhile_leaves_no_place_taken() -> None:
    async def run() -> None:
        pool = Pool(ServiceSettings())
        with pool.place() as place:
            # As where a file arrives while the service ends.
            await pool.close()
            with pytest.raises(BusyError, match="about to stop"):
                await place.run(lambda _: pytest.fail("it worked"), gone=never())
        assert (pool.taken, pool.working, place.folder.exists()) == (0, 0, False)

    asyncio.run(run())


def test_work_gives_its_result_or_its_error() -> None:
    async def run() -> None:
        pool = Pool(ServiceSettings())
        with pool.place() as place:
            assert await place.run(lambda _: 7, gone=never()) == 7
            with pytest.raises(PictureError, match="broken"):
                await place.run(fail, gone=never())
        await emptied(pool)
        assert pool.working == 0

    def fail(_: Check) -> None:
        raise PictureError("broken")

    asyncio.run(run())


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_threads_work_than_there_are_workers(workers: int) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def work(_: Check) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1

    async def run() -> None:
        pool = Pool(ServiceSettings(workers=workers, queue=20))

        async def one() -> None:
            with pool.place() as place:
                await place.run(work, gone=never())

        await asyncio.gather(*(one() for _ in range(12)))
        await emptied(pool)

    asyncio.run(run())
    assert most == workers


def ended_early(gone: Callable[[], object], settings: ServiceSettings, error: type[Exception]) -> float:
    """Run work that ends only when told; return the seconds until its place was free again."""

    async def run() -> float:
        pool = Pool(settings)
        began = time.monotonic()
        with pytest.raises(error), pool.place() as place:
            await place.run(until_told, gone=gone())
        await emptied(pool)
        assert not place.folder.exists()
        with pool.place() as place:
            assert await place.run(lambda _: "the next", gone=never()) == "the next"
        return time.monotonic() - began

    return asyncio.run(run())


def test_work_that_takes_too_long_is_ended_and_the_pool_goes_on() -> None:
    settings = ServiceSettings(workers=1, queue=0, max_seconds=0.2)
    assert 0.2 <= ended_early(never, settings, TimeLimitError) < 5


def test_work_of_a_client_that_left_is_ended_and_the_pool_goes_on() -> None:
    settings = ServiceSettings(workers=1, queue=0)
    assert ended_early(lambda: after(0.1), settings, PictureError) < 5


def test_a_place_stays_taken_while_its_thread_does_not_heed() -> None:
    release = threading.Event()

    async def run() -> None:
        pool = Pool(ServiceSettings(workers=1, queue=0, max_seconds=0.05))
        too_long = pytest.raises(TimeLimitError, match=r"takes too long; expected at most 0\.05 seconds")
        with too_long, pool.place() as place:
            await place.run(lambda _: release.wait(10), gone=never())
        assert pool.taken == 1
        assert place.folder.exists()
        with pytest.raises(BusyError):
            pool.place().__enter__()
        release.set()
        await emptied(pool)
        assert not place.folder.exists()

    asyncio.run(run())


def test_a_thread_that_outlives_its_event_loop_lets_go() -> None:
    pool, release = Pool(ServiceSettings(workers=1, queue=0, max_seconds=0.05)), threading.Event()

    async def run() -> Path:
        with pytest.raises(TimeLimitError), pool.place() as place:
            await place.run(lambda _: release.wait(10), gone=never())
        return place.folder

    folder = asyncio.run(run())
    assert (pool.taken, pool.working, folder.exists()) == (1, 1, True)
    release.set()
    pool.executor.shutdown()
    assert (pool.taken, pool.working, folder.exists()) == (0, 0, False)


def test_the_time_begins_with_the_work_and_not_with_the_waiting() -> None:
    async def run() -> list[int]:
        pool = Pool(ServiceSettings(workers=1, queue=9, max_seconds=0.5))

        async def one(number: int) -> int:
            with pool.place() as place:
                await place.run(lambda _: time.sleep(0.15), gone=never())
            return number

        return await asyncio.gather(*(one(number) for number in range(6)))

    assert asyncio.run(run()) == list(range(6))


def test_work_that_waits_is_taken_back_when_its_client_leaves() -> None:
    release, done = threading.Event(), []

    async def run() -> None:
        pool = Pool(ServiceSettings(workers=1, queue=2))

        async def first() -> None:
            with pool.place() as place:
                await place.run(lambda _: release.wait(10), gone=never())

        async def second() -> None:
            with pool.place() as place:
                await place.run(lambda _: done.append("second"), gone=after(0.05))

        running = asyncio.create_task(first())
        await asyncio.sleep(0)
        with pytest.raises(PictureError, match="gone"):
            await second()
        await asyncio.sleep(0.05)
        assert pool.taken == 1
        release.set()
        await running
        await emptied(pool)
        await pool.close()

    asyncio.run(run())
    assert done == []
