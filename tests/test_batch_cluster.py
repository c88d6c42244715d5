"""Runs on a Dask cluster: the same results, also when a worker dies."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections import deque
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from batch_files import Copying, contents, fill
from grainless.batch import Finished, Job, RunOptions, Step, plan, removal, run
from grainless.batch.cluster import Cluster, UnfitWorkerError, _Here, on_cluster, perform_there
from grainless.batch.journal import journal_file, open_journal
from grainless.batch.pictures import Denoising
from grainless.batch.removal import Removal
from grainless.batch.work import DiskFullError
from grainless.cli import app
from grainless.errors import GrainlessError, InputError, MissingExtraError, ModelError, PictureError
from grainless.picture import Metadata, Picture, write_picture
from tiny_models import blur_model, scale_model


def make_pictures(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(5)
    for number in range(count):
        path = folder / ("sub/" * (number % 2)) / f"{number:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        write_picture(Picture(pixels, None, Metadata(), "png"), path)
    return folder


@pytest.fixture(scope="module")
def cluster() -> Any:
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as local:
        yield local


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # Dask's threads and sockets warn when a worker is killed
@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
def test_a_worker_that_dies_loses_nothing(tmp_path: Path, cluster: Any) -> None:
    source, out, whole = make_pictures(tmp_path / "in", 40), tmp_path / "out", tmp_path / "whole"
    work = Denoising(model=blur_model(tmp_path / "blur.onnx"), threads=1).pinned()
    planned = plan([source], out)
    workers = {nanny.pid for nanny in cluster.workers.values()}
    assert len(workers) == 2
    done: list[str] = []

    def kill_one(step: Step) -> None:
        if step.outcome == "done":
            done.append(step.job.name)
            if len(done) == 5:
                os.kill(min(workers), signal.SIGKILL)

    executor = Cluster(work, cluster.scheduler_address, journal_file(out))
    report = run(planned, work, options=RunOptions(executor=executor), on_step=kill_one)
    assert min(workers) not in {nanny.pid for nanny in cluster.workers.values()}
    assert (report.exit_code, report.failed) == (0, [])
    assert sorted(done) == sorted(job.name for job in planned.jobs)
    run(plan([source], whole), work)
    assert contents(out) == contents(whole)
    with open_journal(out) as journal:
        assert {entry.state for entry in journal.entries().values()} == {"done"}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_the_command_line_works_on_a_cluster_and_goes_on_without(tmp_path: Path, cluster: Any) -> None:
    source, out = make_pictures(tmp_path / "in", 4), tmp_path / "out"
    (source / "broken.png").write_bytes(b"no picture")
    arguments = ["denoise", str(source), "-o", str(out), "--model", str(blur_model(tmp_path / "blur.onnx"))]
    result = CliRunner().invoke(app, [*arguments, "--dask", cluster.scheduler_address])
    assert result.exit_code == 1
    assert "wrote 4 of 5 files" in result.stderr
    assert "failed: " in result.stderr
    assert "broken.png" in result.stderr
    assert "4 were done already" in CliRunner().invoke(app, arguments).stderr


def test_a_worker_answers_with_results_and_with_faults(tmp_path: Path) -> None:
    source, out = fill(tmp_path / "in", "a.png", "bad.png"), tmp_path / "out"
    with open_journal(out):
        pass
    here = _Here(journal_file(out))
    good, bad = (Job(source / name, out / name, name) for name in ("a.png", "bad.png"))
    assert perform_there(Copying(), good, here) == Finished(good, ("copied a.png",), pixels=2_000_000)
    assert (out / "a.png").read_bytes() == b"a.png"
    answer = pickle.loads(pickle.dumps(perform_there(Copying(), bad, here)))
    assert isinstance(answer.error, PictureError)
    assert str(answer.error) == f"{source / 'bad.png'} is broken."


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": "0.0.1"}, "another grainless; got .*; expected 0.0.1. Install the same version"),
        ({"journal": Path("/nowhere/journal")}, "does not see .*nowhere.*all machines share"),
    ],
)
def test_a_worker_that_would_do_harm_refuses(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    source = fill(tmp_path / "in", "a.png")
    job = Job(source / "a.png", tmp_path / "out.png", "a.png")
    error = perform_there(Copying(), job, _Here(**{"journal": source / "a.png", **change})).error
    assert isinstance(error, UnfitWorkerError)
    with pytest.raises(UnfitWorkerError, match=words):
        raise error
    assert not job.target.exists()


def test_a_worker_with_another_model_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blur_model(tmp_path / "m.onnx")
    work = Denoising(model="m.onnx").pinned()
    assert work.model == tmp_path / "m.onnx"
    assert pickle.loads(pickle.dumps(work)).settings() == work.settings()
    scale_model(tmp_path / "other.onnx", 0.5)
    other = Denoising(model=tmp_path / "other.onnx", checksum=work.checksum)
    with pytest.raises(ModelError, match=r"other\.onnx is another one here.*the same model file"):
        other.settings()
    with open_journal(tmp_path / "out"):
        pass
    job = Job(tmp_path / "a.png", tmp_path / "out" / "a.png", "a.png")
    error = perform_there(other, job, _Here(journal_file(tmp_path / "out"))).error
    assert isinstance(error, UnfitWorkerError)
    assert "A worker of the cluster cannot begin: The model" in str(error)


def test_a_worker_with_another_mask_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, mask = tmp_path / "out", tmp_path / "mask.png"
    source = make_pictures(tmp_path / "in", 3)
    with open_journal(out):
        pass

    def write_mask(level: int) -> None:
        write_picture(Picture(np.full((40, 50, 1), level, np.uint8), None, Metadata(), "png"), mask)

    write_mask(255)
    work = Denoising(model=blur_model(tmp_path / "m.onnx"), threads=1, removal=Removal(mask=mask)).pinned()
    there: Denoising = pickle.loads(pickle.dumps(work))
    assert there.settings() == work.settings() == replace(work, removal=Removal(mask=mask)).settings()
    removal._checked_mask.cache_clear()
    hashed = []
    digest = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *args: hashed.append(args) or digest(*args))
    jobs = [Job(path, out / path.name, path.name) for path in sorted(source.glob("*.png"))]
    for job in jobs:
        assert perform_there(there, job, _Here(journal_file(out))).error is None
    assert len(jobs) == 2
    assert len(hashed) == 1

    write_mask(7)
    before = contents(out)
    error = perform_there(there, jobs[0], _Here(journal_file(out))).error
    assert isinstance(error, UnfitWorkerError)
    assert re.search(r"cannot begin: The mask .*mask\.png is another one here; got .* expected", str(error))
    assert contents(out) == before


def test_the_disk_of_a_worker_needs_room_for_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Growing(Copying):
        def size(self, value: bytes) -> tuple[int, int]:
            return len(value), 10 * len(value)

        def compute(self, value: bytes, job: Job, tick: Any) -> bytes:
            return super().compute(value, job, tick) * 3

    asked: list[int] = []
    monkeypatch.setattr("grainless.batch.cluster.check_disk", lambda target, nbytes: asked.append(nbytes))
    out = tmp_path / "out"
    with open_journal(out):
        pass
    job = Job(fill(tmp_path / "in", "a.png") / "a.png", out / "a.png", "a.png")
    done = perform_there(Growing(), job, _Here(journal_file(out)))
    assert (done.error, done.pixels, asked) == (None, 5, [150])


def test_what_a_cluster_does_not_bring_back_is_said() -> None:
    job, cluster = (
        Job(Path("in/a.png"), Path("out/a.png"), "a.png"),
        Cluster(Copying(), "tcp://x:1", Path("j")),
    )
    dead = SimpleNamespace(status="error", exception=lambda: RuntimeError("died 4 times"))
    error = cluster._finished(job, dead).error
    assert isinstance(error, PictureError)
    assert "a.png: the workers that had this file died; got died 4 times. Look into their logs" in str(error)
    with pytest.raises(InputError, match="cluster at tcp://x:1 was lost; got a file is cancelled"):
        cluster._finished(job, SimpleNamespace(status="cancelled"))
    # No fault of the file: the run ends, and the file is not marked as failed.
    for fault in (DiskFullError("It is full"), UnfitWorkerError("It is full")):
        stopped = SimpleNamespace(status="finished", result=lambda fault=fault: Finished(job, error=fault))
        with pytest.raises(type(fault), match="It is full"):
            cluster._finished(job, stopped)


class Flaky:
    """A file whose worker dies after it was done, once in each of these ways, and which is done again."""

    def __init__(self, answer: Finished) -> None:
        self.states = ["lost", "pending", "finished"]
        self.answer = answer

    @property
    def status(self) -> str:
        return self.states[0] if len(self.states) == 1 else self.states.pop(0)

    def result(self) -> Finished:
        return self.answer


class Queue(deque[Any]):
    """Stands for Dask's `as_completed`; what stands for a file is done at once, None never."""

    def __init__(self, *, loop: Any) -> None:
        super().__init__()
        self.add = self.append

    def next_batch(self, *, block: bool) -> list[Any]:
        assert not block
        batch = [future for future in self if future is not None]
        self.clear()
        return batch


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Stands for a client of a cluster with one worker, which does all files or, as `dead`, none."""
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    client = SimpleNamespace(loop=None, asked=0, dead=False)

    def count() -> dict[str, int]:
        client.asked += 1
        return {} if client.dead else {"tcp://w:1": 1}

    client.nthreads = count
    client.submit = lambda _do, _work, job, _here, **_: (
        None if client.dead else Flaky(Finished(job, ("copied",)))
    )
    monkeypatch.setattr("grainless.batch.cluster._connected", lambda _: nullcontext(client))
    monkeypatch.setattr(distributed, "as_completed", Queue)
    return client


def test_a_result_that_is_lost_with_its_worker_is_awaited_again(tmp_path: Path, client: Any) -> None:
    planned = plan([fill(tmp_path / "in", "a.png", "b.png")], tmp_path / "out")
    executor = Cluster(Copying(), "tcp://x:1", journal_file(tmp_path / "out"))
    report = run(planned, Copying(), options=RunOptions(executor=executor))
    assert (report.exit_code, report.failed) == (0, [])


def test_the_scheduler_is_not_asked_for_its_workers_after_each_file(tmp_path: Path, client: Any) -> None:
    planned = plan([fill(tmp_path / "in", *(f"{number}.png" for number in range(40)))], tmp_path / "out")
    executor = Cluster(Copying(), "tcp://x:1", journal_file(tmp_path / "out"))
    report = run(planned, Copying(), options=RunOptions(executor=executor))
    assert len(report.done) == 40
    assert 1 <= client.asked <= 1 + report.seconds


def test_a_scheduler_that_goes_is_said(tmp_path: Path, client: Any) -> None:
    def gone() -> None:
        raise OSError("closed")

    client.nthreads = gone
    planned = plan([fill(tmp_path / "in", "a.png")], tmp_path / "out")
    executor = Cluster(Copying(), "tcp://x:1", journal_file(tmp_path / "out"))
    with pytest.raises(InputError, match="cluster at tcp://x:1 was lost; got the scheduler is gone"):
        run(planned, Copying(), options=RunOptions(executor=executor))


def test_a_stop_is_looked_for_while_there_is_no_worker(tmp_path: Path, client: Any) -> None:
    client.dead = True
    planned = plan([fill(tmp_path / "in", "a.png", "b.png")], tmp_path / "out")
    executor = Cluster(Copying(), "tcp://x:1", journal_file(tmp_path / "out"))
    steps: list[Step] = []

    def stop(step: Step) -> None:
        steps.append(step)
        if len(steps) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(planned, Copying(), options=RunOptions(executor=executor), on_step=stop)
    assert {(step.outcome, step.position) for step in steps} == {("working", 0)}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
@pytest.mark.filterwarnings("default")
def test_ctrl_c_ends_a_run_that_waits_for_workers(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    source, out = make_pictures(tmp_path / "in", 3), tmp_path / "out"
    model = blur_model(tmp_path / "blur.onnx")
    with distributed.LocalCluster(n_workers=0, dashboard_address=None) as local:
        arguments = ["denoise", source, "-o", out, "--model", model, "--dask", local.scheduler_address]
        command = [sys.executable, "-m", "grainless", *map(str, arguments)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                end = time.monotonic() + 60
                while not local.scheduler.tasks and time.monotonic() < end:
                    time.sleep(0.1)
                assert local.scheduler.tasks
                process.send_signal(signal.SIGINT)
                _, said = process.communicate(timeout=20)
            finally:
                process.kill()
    assert process.returncode == 130
    assert "stopped after 0 of 3 files; nothing is half-written" in said


def test_a_single_file_needs_no_cluster(tmp_path: Path) -> None:
    fill(tmp_path, "a.png")
    with pytest.raises(InputError, match="A cluster is for many files"):
        on_cluster(plan([tmp_path / "a.png"], tmp_path / "out"), Copying(), "tcp://x:1")


def test_without_distributed_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    planned = plan([fill(tmp_path / "in", "a.png")], tmp_path / "out")
    options = RunOptions(executor=on_cluster(planned, Copying(), "tcp://127.0.0.1:1"))
    with pytest.raises(MissingExtraError, match=r"\.\[cluster\]"):
        run(planned, Copying(), options=options)


def test_a_scheduler_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
    monkeypatch.setattr("grainless.batch.cluster._SECONDS_TO_CONNECT", 0.5)
    planned = plan([fill(tmp_path / "in", "a.png")], tmp_path / "out")
    options = RunOptions(executor=on_cluster(planned, Copying(), "tcp://127.0.0.1:1"))
    with pytest.raises(InputError, match=r"There is no Dask scheduler at tcp://127\.0\.0\.1:1"):
        run(planned, Copying(), options=options)


@pytest.mark.parametrize(
    "error",
    [
        PictureError("It broke", got=3, expected="4", remedy="Mend it"),
        MissingExtraError("Flying", "wings"),
        DiskFullError("It is full"),
    ],
)
def test_errors_come_back_as_they_were(error: GrainlessError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert (type(back), str(back), back.problem, back.remedy) == (
        type(error), str(error), error.problem, error.remedy,
    )  # fmt: skip
