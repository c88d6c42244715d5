"""The timing itself: round by round, so that a machine that slows down slows all rows alike."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from grainless.benchmark.job import MATRIX_SIDE, Failure, Job, Launch, Sample, launch
from grainless.benchmark.machine import describe_machine, load_average, usable_cores
from grainless.benchmark.picture import NOISE, draw_picture, picture_sides
from grainless.benchmark.results import Benchmark, Cell, Pace, Row, Settings
from grainless.benchmark.rows import DEFAULT_ROWS, Entry, find_rows
from grainless.errors import InputError, MissingExtraError
from grainless.tiling import overhead, plan_tiles
from grainless.version import __version__

PILOT_MEGAPIXELS = 0.06
"""Of the first run of each row, which tells how long others will take; never above the smallest size."""

LEAST_LIMIT = 120.0
"""Seconds after which a run is ended at the earliest: loading and warming up are within."""

_LARGEST = 500.0

Progress = Callable[[str, int, int], None]
"""Called after each run with what was run, the number of runs done or left out, and the number of all."""


def measure(
    rows: Sequence[str] = DEFAULT_ROWS,
    settings: Settings | None = None,
    *,
    launch: Launch = launch,
    progress: Progress | None = None,
) -> Benchmark:
    """Time every row at every size, and return all numbers.

    `rows` are named as `rows.find_rows` says. Each run is a process of its own, started by `launch`. In each
    round the matrix product and then every row run once, beginning with another row each time. A row is
    skipped at a size where one run would take longer than the budget, as the next smaller size tells, and
    takes part in fewer rounds where all of them would. Raises InputError for settings that are not valid and
    what `find_rows` raises; a run that fails is a cell that says so.
    """
    settings = settings or Settings()
    threads = _check(settings)
    with tempfile.TemporaryDirectory(prefix="grainless-") as name:
        folder = Path(name)
        entries = find_rows(rows, folder)
        reference = _reference(entries, settings)
        session = _Session(entries, settings, threads, folder, launch=launch, progress=progress)
        session.pilot()
        for size in settings.sizes:
            session.size(size, reference)
    return Benchmark(
        settings=settings,
        threads=threads,
        reference=reference,
        noise=NOISE,
        machine=describe_machine(),
        rows=tuple(entry.row for entry in entries),
        paces=tuple(session.paces),
        cells=tuple(session.cells),
        grainless=__version__,
    )


def _check(settings: Settings) -> int:
    """Return the number of threads; raise InputError for settings that are not valid."""
    sizes = settings.sizes
    if not sizes or list(sizes) != sorted(set(sizes)) or not all(0 < size <= _LARGEST for size in sizes):
        raise InputError(
            "The sizes are not valid",
            got=", ".join(f"{size:g}" for size in sizes) or "none",
            expected=f"megapixels above 0 and up to {_LARGEST:g}, from small to large, each once",
        )
    if settings.repeats < 1:
        raise InputError("The number of rounds is not valid", got=settings.repeats, expected="1 or more")
    if not (math.isfinite(settings.budget) and settings.budget > 0):
        raise InputError(
            "The time budget is not valid", got=settings.budget, expected="a number of seconds above 0"
        )
    if settings.runtime == "openvino" and find_spec("openvino") is None:
        raise MissingExtraError("The OpenVINO runtime", "openvino")
    cores = usable_cores()
    threads = cores if settings.threads is None else settings.threads
    if not 1 <= threads <= cores:
        raise InputError(
            "The number of threads is not valid",
            got=threads,
            expected=f"1 to {cores}, the cores that may be used",
        )
    return threads


def _reference(entries: Sequence[Entry], settings: Settings) -> str:
    names = [entry.row.name for entry in entries]
    reference = settings.reference or names[0]
    if reference not in names:
        raise InputError(
            "The reference is not among the rows", got=reference, expected=f"one of {', '.join(names)}"
        )
    return reference


@dataclass
class _Running:
    """A row at one size, on its way."""

    entry: Entry
    megapixels: float
    estimate: float | None
    """Seconds of one run; None where a smaller size failed."""
    status: str = "measured"
    note: str = ""
    samples: dict[int, Sample] = field(default_factory=dict)
    """By round."""

    @property
    def seconds(self) -> list[float]:
        """Of the rounds so far."""
        return [sample.seconds for sample in self.samples.values()]

    def fits(self, budget: float) -> bool:
        """Tell whether one more round stays within the budget."""
        if self.estimate is None or self.status != "measured":
            return False
        return sum(self.seconds) + self.estimate <= budget


class _Session:
    """All rows, one size after the other."""

    def __init__(  # what one benchmark is made of
        self,
        entries: Sequence[Entry],
        settings: Settings,
        threads: int,
        folder: Path,
        *,
        launch: Launch,
        progress: Progress | None,
    ) -> None:
        self.cells: list[Cell] = []
        self.paces: list[Pace] = []
        self._entries = entries
        self._settings = settings
        self._threads = threads
        self._picture = folder / "picture.npy"
        self._launch = launch
        self._progress = progress
        self._per_pixel: dict[str, float] = {}
        """Seconds by row, from the largest size that was measured."""
        self._failures: dict[str, str] = {}
        self._done = 0
        rounds = settings.repeats * len(settings.sizes)
        self._total = len(entries) + rounds * (len(entries) + 1)

    def pilot(self) -> None:
        """Run each row once on a small picture, to know what it will cost and whether it runs at all."""
        sides = self._draw(min(PILOT_MEGAPIXELS, self._settings.sizes[0]))
        for entry in self._entries:
            found = self._run(entry)
            if isinstance(found, Failure):
                self._failures[entry.row.name] = found.reason
            else:
                self._per_pixel[entry.row.name] = found.seconds / math.prod(sides)

    def size(self, megapixels: float, reference: str) -> None:
        """Time every row at one size."""
        before = load_average()
        sides = self._draw(megapixels)
        running = [self._begin(entry, megapixels, math.prod(sides)) for entry in self._entries]
        rates = []
        for turn in range(self._settings.repeats):
            product = self._run(None)
            if isinstance(product, Sample):
                rates.append(MATRIX_SIDE**3 / product.seconds)
            first = turn % len(running)
            for item in (*running[first:], *running[:first]):
                self._take_turn(item, turn)
        pace = Pace(megapixels, statistics.median(rates) if rates else None, tuple(rates), before)
        self.paces.append(pace)
        base = next(item for item in running if item.entry.row.name == reference)
        for item in running:
            self.cells.append(_cell(item, base, pace, sides))
            if item.seconds:
                self._per_pixel[item.entry.row.name] = statistics.median(item.seconds) / math.prod(sides)

    def _draw(self, megapixels: float) -> tuple[int, int]:
        height, width = picture_sides(megapixels)
        np.save(self._picture, draw_picture(height, width, seed=self._settings.seed))
        return height, width

    def _begin(self, entry: Entry, megapixels: float, pixels: int) -> _Running:
        """Decide, by what is known of smaller sizes, whether the row takes part at this size."""
        name = entry.row.name
        if name in self._failures:
            return _Running(entry, megapixels, None, "failed", self._failures[name])
        estimate = self._per_pixel[name] * pixels
        if estimate > self._settings.budget:
            note = f"would take {estimate:.0f} s a run, the budget is {self._settings.budget:g} s"
            return _Running(entry, megapixels, estimate, "skipped", note)
        return _Running(entry, megapixels, estimate)

    def _take_turn(self, item: _Running, turn: int) -> None:
        if not item.fits(self._settings.budget):
            if item.status == "measured" and not item.note:
                item.note = f"{turn} of {self._settings.repeats} rounds, for the budget"
            self._step(item.entry.row.name)
            return
        found = self._run(item.entry)
        if isinstance(found, Failure):
            item.status, item.note = "failed", found.reason
            item.samples.clear()
            self._failures[item.entry.row.name] = f"failed at {item.megapixels:g} MP: {found.reason}"
            return
        item.samples[turn] = found
        item.estimate = statistics.median(item.seconds)

    def _run(self, entry: Entry | None) -> Sample | Failure:
        """Run a row, or the matrix product, once."""
        job = Job(
            kind="matrix" if entry is None else entry.kind,
            source="" if entry is None else entry.source,
            picture=str(self._picture),
            channels=3 if entry is None else entry.row.channels,
            threads=self._threads,
            runtime=self._settings.runtime,
            precision=self._settings.precision,
        )
        found = self._launch(job, max(LEAST_LIMIT, 2 * self._settings.budget))
        self._step("matrix product" if entry is None else entry.row.name)
        return found

    def _step(self, name: str) -> None:
        self._done += 1
        if self._progress is not None:
            self._progress(name, self._done, self._total)


def _cell(item: _Running, base: _Running, pace: Pace, sides: tuple[int, int]) -> Cell:
    """Return what became of a row at one size."""
    row, pixels = item.entry.row, math.prod(sides)
    cell = Cell(row.name, pace.megapixels, *sides, status="failed", note=item.note)
    if item.status == "skipped":
        return replace(cell, status="skipped", would_take=item.estimate)
    if not item.samples:
        return cell
    seconds = item.seconds
    median = statistics.median(seconds)
    peaks = [sample.peak_bytes for sample in item.samples.values() if sample.peak_bytes is not None]
    ratios = [
        sample.seconds / base.samples[turn].seconds
        for turn, sample in item.samples.items()
        if turn in base.samples
    ]
    return replace(
        cell,
        status="measured",
        seconds=tuple(seconds),
        seconds_per_megapixel=median / pixels * 1e6,
        fastest=min(seconds) / pixels * 1e6,
        slowest=max(seconds) / pixels * 1e6,
        ratio=statistics.median(ratios) if ratios else None,
        peak_bytes=max(peaks) if peaks else None,
        share_of_peak=_share(row, sides, median, pace),
    )


def _share(row: Row, sides: tuple[int, int], seconds: float, pace: Pace) -> float | None:
    """Return the multiply-adds per second of a network as a part of those of the matrix product."""
    if row.multiply_adds is None or pace.multiply_adds_per_second is None:
        return None
    tile = row.tile or max(sides) + row.stride
    plan = plan_tiles(*sides, tile=tile, halo=row.halo, stride=row.stride)
    work = row.multiply_adds * math.prod(sides) * overhead(plan)
    return work / seconds / pace.multiply_adds_per_second
