"""Real processes on small pictures: time, memory, threads, and how they fail."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from dataclasses import asdict, replace

import numpy as np
import pytest

import tiny_models
from grainless.benchmark import Settings, measure, worker
from grainless.benchmark.job import Failure, Job, Sample, launch
from grainless.benchmark.picture import draw_picture

MEGABYTE = 2**20
TELLS_MEMORY = pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell it")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("jobs")


@pytest.fixture(scope="module")
def job(folder):
    """A job that any test changes into its own."""
    picture = folder / "picture.npy"
    np.save(picture, draw_picture(80, 120))
    return Job("filter", "median", str(picture), channels=3, threads=1)


@TELLS_MEMORY
def test_a_process_tells_its_time_and_its_own_memory(job):
    # What this process holds must not show up in the other's peak.
    ballast = np.ones(400 * MEGABYTE, np.uint8)
    sample = launch(job, 60)
    assert isinstance(sample, Sample)
    assert 0 < sample.seconds < 30
    assert 20 * MEGABYTE < sample.peak_bytes < 390 * MEGABYTE
    assert ballast[0] == 1


def test_a_whole_benchmark_on_a_small_picture(folder):
    model = tiny_models.blur_model(folder / "blur.onnx")
    rows = (str(model), "median")
    result = measure(rows, Settings(sizes=(0.01,), repeats=1, threads=1))
    assert [cell.status for cell in result.cells] == ["measured"] * 2
    assert all(cell.seconds[0] > 0 for cell in result.cells)
    assert result.cell("tiny", 0.01).ratio == 1
    assert 0 < result.cell("tiny", 0.01).share_of_peak < 1
    assert 1e8 < result.paces[0].multiply_adds_per_second < 1e15


def test_errors_of_the_library_come_back_in_words(job):
    failed = launch(replace(job, kind="model", source="no-such-model"), 60)
    assert isinstance(failed, Failure)
    assert failed.reason.startswith("There is no model named 'no-such-model'")


def test_a_process_that_breaks_says_how(job):
    failed = launch(replace(job, picture="nowhere.npy"), 60)
    assert isinstance(failed, Failure)
    assert failed.reason.startswith("the process ended with code 1: FileNotFoundError")


def test_a_process_that_takes_too_long_is_ended(job):
    assert launch(job, 0.01) == Failure("ended after 0 s")


def ended(monkeypatch, **outcome):
    """What `launch` makes of a process that ended like this."""
    done = subprocess.CompletedProcess([], **{"returncode": 0, "stdout": "", "stderr": ""} | outcome)
    asked = []

    def pretend(*command, **options):
        asked.append(options)
        return done

    monkeypatch.setattr(subprocess, "run", pretend)
    return launch(Job("filter", "median", "picture.npy", channels=3, threads=2), 5), asked[0]


def test_a_process_that_was_killed(monkeypatch):
    found, _ = ended(monkeypatch, returncode=-9)
    assert found == Failure("the process was killed by signal 9; too little memory is one cause")


def test_lines_of_libraries_before_the_answer_do_not_matter(monkeypatch):
    found, _ = ended(monkeypatch, stdout='hello\n{"seconds": 2.5, "peak_bytes": null}\n')
    assert found == Sample(2.5, None)


@pytest.mark.parametrize("text", ["", "hello", "[1]", '{"peak_bytes": 3}'])
def test_answers_that_are_none(monkeypatch, text):
    found, _ = ended(monkeypatch, stdout=text)
    assert found == Failure("the process ended with code 0")


def test_every_library_is_told_the_threads(monkeypatch):
    _, options = ended(monkeypatch, stdout='{"seconds": 1, "peak_bytes": 1}')
    assert options["timeout"] == 5
    assert {options["env"][f"{name}_NUM_THREADS"] for name in ("OMP", "OPENBLAS", "MKL")} == {"2"}
    assert json.loads(options["input"])["threads"] == 2


# Inside the process


def worked(monkeypatch, capsys, job):
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(asdict(job))))
    assert worker.main() == 0
    return json.loads(capsys.readouterr().out)


def test_the_clock_runs_over_the_whole_picture_alone(monkeypatch, capsys, job, now):
    seen = []

    def restore(pixels):
        seen.append(pixels.shape)
        now.seconds += pixels.size / 1e4
        return pixels

    monkeypatch.setattr(worker, "_restore", lambda _job: restore)
    assert worked(monkeypatch, capsys, job)["seconds"] == pytest.approx(80 * 120 * 3 / 1e4)
    # The first one, a corner, warms up.
    assert seen == [(64, 64, 3), (80, 120, 3)]
    seen.clear()
    worked(monkeypatch, capsys, replace(job, channels=1))
    assert seen == [(64, 64, 1), (80, 120, 1)]


@pytest.mark.parametrize("source", ["median", "nlm"])
def test_filters_are_told_the_noise_level_where_they_need_it(monkeypatch, capsys, job, source):
    assert worked(monkeypatch, capsys, replace(job, source=source))["seconds"] > 0


def test_the_matrix_product_counts_its_best_run(monkeypatch, capsys, job, now):
    monkeypatch.setattr(worker, "MATRIX_SIDE", 8)
    times = iter([5.0, 3.0, 4.0, 6.0])

    def matmul(one, two, out):
        now.seconds += next(times)

    monkeypatch.setattr(np, "matmul", matmul)
    assert worked(monkeypatch, capsys, replace(job, kind="matrix"))["seconds"] == 3.0


def test_too_little_memory_is_said(monkeypatch, capsys, job):
    def restore(_job):
        raise MemoryError

    monkeypatch.setattr(worker, "_restore", restore)
    assert worked(monkeypatch, capsys, job) == {"error": "there was too little memory"}
