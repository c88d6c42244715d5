"""Turns at work on the page: each has a place of the service's pool, and leaves nothing where it fails."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from grainless.batch.treatment import Treatment
from grainless.errors import PictureError
from grainless.service import ServiceSettings
from grainless.service.metrics import Metrics
from grainless.service.page.desk import Desk
from grainless.service.page.scratch import Scratch
from grainless.service.pool import Pool
from grainless.service.refusals import BusyError, TimeLimitError


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    settings = ServiceSettings(workers=1, queue=1)
    pool, scratch = Pool(settings), Scratch()
    yield Desk(settings, scratch, pool, Metrics(pool))
    scratch.close()
    assert (pool.taken, pool.working) == (0, 0)
    assert list(tmp_path.iterdir()) == []


def numbers(desk: Desk) -> list[str]:
    return [line for line in desk.metrics.as_text().decode().splitlines() if line.startswith("grainless_")]


def test_a_turn_is_counted_and_what_it_made_stays(desk: Desk) -> None:
    with desk.turn() as turn:
        assert (desk.pool.taken, desk.pool.working) == (1, 1)
        assert {"grainless_places_taken 1.0", "grainless_workers_busy 1.0"} <= set(numbers(desk))
        (turn.folder / "result.png").write_bytes(b"x")
    assert (turn.folder / "result.png").exists()


@pytest.mark.parametrize("error", [PictureError("bad"), ZeroDivisionError(), KeyboardInterrupt()])
def test_a_turn_that_fails_leaves_nothing(desk: Desk, error: BaseException) -> None:
    made: list[Path] = []

    def fail() -> None:
        with desk.turn() as turn:
            made.append(turn.folder / "half.png")
            made[0].write_bytes(b"x")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert not made[0].parent.exists()
    assert (desk.pool.taken, desk.pool.working) == (0, 0)


def test_a_page_and_requests_share_the_places(desk: Desk) -> None:
    with desk.turn(), desk.pool.place():
        with pytest.raises(BusyError, match=r"as much work as it takes on; got 2 pictures"), desk.turn():
            pytest.fail("there was no place")
        with pytest.raises(BusyError):
            desk.pool.place().__enter__()
    assert 'grainless_refused_total{reason="queue"} 1.0' in numbers(desk)


def test_places_are_never_shared_by_threads_that_come_at_once(desk: Desk) -> None:
    start, most, refused = threading.Barrier(8), [], []

    def come() -> None:
        start.wait()
        for _ in range(50):
            try:
                with desk.turn():
                    most.append(desk.pool.taken)
            except BusyError:
                refused.append(1)

    threads = [threading.Thread(target=come) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most) == desk.pool.places
    assert len(most) + len(refused) == 400


def test_a_turn_ends_when_the_service_is_about_to_stop(desk: Desk) -> None:
    told: list[tuple[float, str]] = []
    with desk.turn() as turn:
        progress = turn.heeding(lambda *step: told.append(step))
        progress(0.1, "Cleaning")
        desk.pool.stopping = True
        with pytest.raises(BusyError, match="about to stop"):
            progress(0.2, "Cleaning")
    assert told == [(0.1, "Cleaning")]
    with pytest.raises(BusyError, match="about to stop"):
        desk.turn().__enter__()


def test_refusals_and_pictures_are_counted(desk: Desk) -> None:
    with pytest.raises(TimeLimitError), desk.turn():
        raise TimeLimitError("too long")
    desk.count([(Treatment(model="fast", strength=1), 10**6), (Treatment(model=None, strength=0), 10**6)])
    assert {
        'grainless_refused_total{reason="time"} 1.0',
        'grainless_pictures_total{model="fast"} 1.0',
        'grainless_pictures_total{model="none"} 1.0',
        "grainless_megapixels_total 2.0",
    } <= set(numbers(desk))


def test_what_was_dropped_is_kept_for_longer(desk: Desk) -> None:
    folder = desk.scratch.folder()
    (folder / "a.png").write_bytes(b"x")
    before = (folder / "a.png").stat().st_mtime_ns
    assert desk.take(str(folder / "a.png")) == folder / "a.png"
    assert (folder / "a.png").stat().st_mtime_ns > before
