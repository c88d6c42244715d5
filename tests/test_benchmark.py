"""The order, the medians and the budget of a benchmark, with runs that only pretend to take time."""

from __future__ import annotations

import math
import statistics

import numpy as np
import pytest

import tiny_models
from grainless.benchmark import Settings, measure
from grainless.benchmark.job import MATRIX_SIDE, Failure, Sample
from grainless.benchmark.machine import usable_cores
from grainless.benchmark.picture import draw_picture, picture_sides
from grainless.errors import InputError, MissingExtraError, ModelError

MATRIX = ""
"""The source of the matrix product's jobs."""


class Stage:
    """Stands in for the processes: tells seconds by a rule, and keeps what was asked for."""

    def __init__(self, per_megapixel=None, *, rule=None, peaks=None):
        self.per_megapixel = {"median": 1.0, "tv": 3.0, "nlm": 10.0} | (per_megapixel or {})
        self.rule = rule or (lambda seconds, job, turn: seconds)
        self.peaks = peaks or {}
        self.jobs = []
        self.pixels = []
        self.limits = []

    def __call__(self, job, limit):
        picture = np.load(job.picture)
        pixels = math.prod(picture.shape[:2])
        turn = sum(1 for other, seen in zip(self.jobs, self.pixels, strict=True)
                   if (other.source, seen) == (job.source, pixels))  # fmt: skip
        self.jobs.append(job)
        self.pixels.append(pixels)
        self.limits.append(limit)
        seconds = 0.5 if job.kind == "matrix" else self.per_megapixel[job.source] * pixels / 1e6
        found = self.rule(seconds, job, turn)
        if isinstance(found, Failure):
            return found
        return Sample(found, self.peaks.get(job.source, 50_000_000) + turn)

    def order(self, megapixels):
        """The sources at one size, in the order in which they ran."""
        wanted = math.prod(picture_sides(megapixels))
        return [job.source for job, seen in zip(self.jobs, self.pixels, strict=True) if seen == wanted]


def run(stage, rows=("median", "tv", "nlm"), **settings):
    settings = {"sizes": (0.002, 0.01), "repeats": 3, "threads": 1} | settings
    return measure(rows, Settings(**settings), launch=stage)


# Order


def test_rounds_are_interleaved_and_begin_with_another_row_each_time():
    stage = Stage()
    run(stage)
    assert stage.order(0.01) == [
        MATRIX, "median", "tv", "nlm",
        MATRIX, "tv", "nlm", "median",
        MATRIX, "nlm", "median", "tv",
    ]  # fmt: skip


def test_each_row_is_tried_once_before():
    stage = Stage()
    run(stage)
    # At the smallest size, as that is below a pilot's own.
    assert stage.order(0.002)[:3] == ["median", "tv", "nlm"]
    assert len(stage.order(0.002)) == 3 + 12


def test_every_job_is_told_threads_runtime_and_picture():
    stage = Stage()
    result = run(stage, runtime="auto", precision="fast")
    assert {(job.threads, job.runtime, job.precision, job.channels) for job in stage.jobs} == {
        (1, "auto", "fast", 3)
    }
    assert {job.kind for job in stage.jobs} == {"filter", "matrix"}
    assert result.threads == 1
    assert min(stage.limits) >= 120


def test_the_picture_is_the_noisy_one_of_that_size_and_seed():
    seen = {}

    def keep(seconds, job, _turn):
        picture = np.load(job.picture)
        seen[picture.shape] = picture
        return seconds

    run(Stage(rule=keep), seed=5)
    assert set(seen) == {(*picture_sides(size), 3) for size in (0.002, 0.01)}
    for shape, picture in seen.items():
        np.testing.assert_array_equal(picture, draw_picture(*shape[:2], seed=5))


def test_progress_counts_all_runs_and_what_is_left_out():
    steps = []
    stage = Stage({"nlm": 1e6})
    measure(
        ("median", "nlm"),
        Settings(sizes=(0.002, 0.01), repeats=2, threads=1),
        launch=stage,
        progress=lambda *step: steps.append(step),
    )
    total = 2 + 2 * 2 * 3
    assert [done for _, done, _ in steps] == list(range(1, total + 1))
    assert {count for *_, count in steps} == {total}
    assert {name for name, *_ in steps} == {"median", "nlm", "matrix product"}


def test_an_interrupt_between_runs_ends_it():
    def stop(name, done, _total):
        if done == 4:
            raise KeyboardInterrupt

    stage = Stage()
    with pytest.raises(KeyboardInterrupt):
        measure(("median",), Settings(sizes=(0.002,), threads=1), launch=stage, progress=stop)
    assert len(stage.jobs) == 4


# Numbers


def test_medians_and_spread():
    factors = [1.0, 5.0, 1.1, 0.9, 1.2]
    # The pilot is turn 0 at the smallest size only.
    stage = Stage(rule=lambda seconds, job, turn: seconds * factors[turn])
    result = measure(("median",), Settings(sizes=(0.1,), repeats=5, threads=1), launch=stage)
    cell = result.cell("median", 0.1)
    assert cell.status == "measured"
    assert (cell.height, cell.width) == picture_sides(0.1)
    assert cell.seconds_per_megapixel == pytest.approx(statistics.median(factors))
    assert (cell.fastest, cell.slowest) == (pytest.approx(0.9), pytest.approx(5.0))
    assert [round(value / cell.seconds[0], 6) for value in cell.seconds] == factors
    assert cell.peak_bytes == 50_000_004


def test_ratios_are_those_of_one_round_so_a_slower_machine_does_not_matter():
    # Each round the machine is twice as slow as before, and one run is disturbed.
    def drift(seconds, job, turn):
        return seconds * 2**turn * (7 if (job.source, turn) == ("tv", 1) else 1)

    result = measure(("median", "tv"), Settings(sizes=(0.1,), repeats=5, threads=1), launch=Stage(rule=drift))
    assert result.cell("tv", 0.1).ratio == pytest.approx(3)
    assert result.cell("median", 0.1).ratio == 1


def test_the_reference_can_be_chosen():
    result = run(Stage(), reference="nlm")
    assert result.reference == "nlm"
    assert result.cell("median", 0.01).ratio == pytest.approx(0.1)
    assert run(Stage()).reference == "median"


def test_what_the_processor_can_do_is_measured_at_each_size():
    result = run(Stage())
    assert [pace.megapixels for pace in result.paces] == [0.002, 0.01]
    for pace in result.paces:
        assert pace.multiply_adds_per_second == pytest.approx(MATRIX_SIDE**3 / 0.5)
        assert len(pace.rounds) == 3


def test_the_share_of_the_peak_counts_halos_too(tmp_path):
    path = tiny_models.blur_model(tmp_path / "blur.onnx")
    stage = Stage({str(path): 2.0})
    result = run(stage, rows=("median", str(path)))
    cell = result.cell("tiny", 0.01)
    # One tile without a halo: 9 multiply-adds for each of 3 channels.
    want = 27 * cell.height * cell.width / statistics.median(cell.seconds) / (MATRIX_SIDE**3 / 0.5)
    assert cell.share_of_peak == pytest.approx(want)
    assert result.cell("median", 0.01).share_of_peak is None
    # 2 MP are two tiles, of which each sees one more column.
    large = run(stage, rows=(str(path),), sizes=(1.9,), repeats=1).cell("tiny", 1.9)
    plain = 27 * large.height * large.width / large.seconds[0] / (MATRIX_SIDE**3 / 0.5)
    assert plain < large.share_of_peak < 1.01 * plain


def test_memory_that_cannot_be_told_is_none():
    def no_memory(job, limit):
        return Sample(0.1, None)

    assert run(no_memory).cell("median", 0.01).peak_bytes is None


# Budget


def test_what_would_take_too_long_is_skipped_and_says_so():
    stage = Stage({"nlm": 20_000})
    result = run(stage, budget=120.0)
    small, large = result.cell("nlm", 0.002), result.cell("nlm", 0.01)
    assert small.status == "measured"
    assert large.status == "skipped"
    assert large.would_take == pytest.approx(200, rel=0.02)
    assert large.note == "would take 200 s a run, the budget is 120 s"
    assert large.seconds == ()
    assert stage.order(0.01).count("nlm") == 0
    assert result.cell("tv", 0.01).status == "measured"


def test_fewer_rounds_where_all_would_take_too_long():
    stage = Stage({"nlm": 5_000})
    cell = run(stage, budget=120.0, repeats=5).cell("nlm", 0.01)
    # 50 s a run: two of them fit.
    assert (cell.status, len(cell.seconds)) == ("measured", 2)
    assert cell.note == "2 of 5 rounds, for the budget"
    assert stage.order(0.01).count("nlm") == 2


def test_the_latest_size_tells_what_the_next_takes():
    # A start-up cost makes the small picture dear; the large one is still measured, as the middle one was.
    stage = Stage(rule=lambda seconds, job, turn: seconds + 0.5)
    result = run(stage, rows=("median",), sizes=(0.01, 0.1, 0.9), budget=10.0, repeats=1)
    assert [result.cell("median", size).status for size in (0.01, 0.1, 0.9)] == ["measured"] * 3


def test_the_smallest_size_may_be_skipped_too():
    result = run(Stage({"nlm": 1e6}), sizes=(0.2,), budget=60.0)
    assert result.cell("nlm", 0.2).status == "skipped"


def test_ratios_need_a_reference_of_the_same_round():
    result = run(Stage({"median": 20_000}), budget=120.0)
    assert result.cell("median", 0.01).status == "skipped"
    assert result.cell("tv", 0.01).ratio is None
    assert result.cell("tv", 0.002).ratio is not None


# Failures


def test_a_failure_is_a_cell_with_its_reason_and_is_not_tried_again():
    def fail(seconds, job, turn):
        return Failure("there was too little memory") if job.source == "tv" and turn == 1 else seconds

    stage = Stage(rule=fail)
    result = run(stage, sizes=(0.1, 0.2))
    small, large = result.cell("tv", 0.1), result.cell("tv", 0.2)
    assert (small.status, small.note) == ("failed", "there was too little memory")
    assert small.seconds == ()
    assert (large.status, large.note) == ("failed", "failed at 0.1 MP: there was too little memory")
    assert stage.order(0.1).count("tv") == 2
    assert stage.order(0.2).count("tv") == 0
    assert result.cell("nlm", 0.2).status == "measured"


def test_a_row_that_fails_at_once_never_takes_part():
    stage = Stage(rule=lambda seconds, job, turn: Failure("no") if job.source == "tv" else seconds)
    result = run(stage)
    assert [cell.note for cell in result.cells if cell.row == "tv"] == ["no", "no"]
    assert [job.source for job in stage.jobs].count("tv") == 1


def test_a_matrix_product_that_fails_leaves_the_share_open(tmp_path):
    path = tiny_models.blur_model(tmp_path / "blur.onnx")
    stage = Stage(
        {str(path): 1.0},
        rule=lambda seconds, job, turn: Failure("no") if job.kind == "matrix" else seconds,
    )
    result = run(stage, rows=(str(path),))
    assert result.paces[0].multiply_adds_per_second is None
    assert result.cell("tiny", 0.01).share_of_peak is None
    assert result.cell("tiny", 0.01).seconds_per_megapixel == pytest.approx(1.0)


# Settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sizes": ()}, "sizes are not valid; got none"),
        ({"sizes": (1.0, 0.5)}, "sizes are not valid; got 1, 0.5; expected megapixels above 0 and up to 500"),
        ({"sizes": (0.5, 0.5)}, "sizes are not valid"),
        ({"sizes": (0.0,)}, "sizes are not valid"),
        ({"sizes": (float("nan"),)}, "sizes are not valid"),
        ({"sizes": (501.0,)}, "sizes are not valid"),
        ({"repeats": 0}, "number of rounds is not valid; got 0; expected 1 or more"),
        ({"budget": 0.0}, "time budget is not valid; got 0"),
        ({"budget": float("inf")}, "time budget is not valid"),
        ({"threads": 0}, "number of threads is not valid; got 0; expected 1 to"),
        ({"threads": usable_cores() + 1}, "number of threads is not valid.*the cores that may be used"),
        (
            {"reference": "no-such"},
            "reference is not among the rows; got no-such; expected one of median, tv, nlm",
        ),
    ],
)
def test_wrong_settings(settings, message):
    stage = Stage()
    with pytest.raises(InputError, match=message):
        run(stage, **settings)
    assert stage.jobs == []


@pytest.mark.parametrize(
    ("rows", "error", "message"),
    [
        ((), InputError, "nothing to time"),
        (("median", "median"), InputError, "Two rows have one name; got median"),
        (("peers:no-such",), InputError, "no peer named 'no-such'"),
        (("no-such",), ModelError, "no model named 'no-such'"),
    ],
)
def test_wrong_rows(rows, error, message):
    with pytest.raises(error, match=message):
        run(Stage(), rows=rows)


def test_without_openvino(monkeypatch):
    monkeypatch.setattr("grainless.benchmark.measuring.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"OpenVINO runtime needs.*\.\[openvino\]"):
        run(Stage(), runtime="openvino")
