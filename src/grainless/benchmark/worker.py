"""The process of one timed run: reads a job from stdin, writes what it found to stdout, both as JSON."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.baselines import BASELINES
from grainless.benchmark.job import MATRIX_SIDE, Job
from grainless.benchmark.picture import SIGMA
from grainless.denoiser import Denoiser
from grainless.errors import GrainlessError
from grainless.foreign import ForeignModel
from grainless.memory import peak_memory

WARM_UP_SIDE = 64
"""Side of the picture that is cleaned before the clock runs: libraries load and threads start with it."""

MATRIX_RUNS = 4
"""Of which the best counts."""

_Restore = Callable[[NDArray[Any]], NDArray[Any]]


def main() -> int:
    """Do the job that stands on stdin; return the exit code."""
    job = Job(**json.loads(sys.stdin.read()))
    try:
        seconds = _product_seconds() if job.kind == "matrix" else _restore_seconds(job)
        answer: dict[str, Any] = {"seconds": seconds, "peak_bytes": peak_memory()}
    except GrainlessError as error:
        answer = {"error": str(error)}
    except MemoryError:
        answer = {"error": "there was too little memory"}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def _restore_seconds(job: Job) -> float:
    restore = _restore(job)
    pixels = np.load(job.picture, allow_pickle=False)
    if job.channels == 1:
        pixels = np.ascontiguousarray(pixels[..., 1:2])
    restore(np.ascontiguousarray(pixels[:WARM_UP_SIDE, :WARM_UP_SIDE]))
    start = time.perf_counter()
    restore(pixels)
    return time.perf_counter() - start


def _restore(job: Job) -> _Restore:
    """Return the method of the job, ready to run."""
    if job.kind == "filter":
        chosen = BASELINES[job.source]
        return lambda pixels: chosen.run(pixels, sigma=SIGMA) if chosen.needs_sigma else chosen.run(pixels)
    if job.kind == "model":
        return Denoiser.load(job.source, threads=job.threads, runtime=job.runtime, precision=job.precision)
    model = ForeignModel.load(job.source, threads=job.threads, runtime=job.runtime, precision=job.precision)
    return lambda pixels: model(pixels, sigma=SIGMA if model.needs_sigma else None)


def _product_seconds() -> float:
    """Return the least time of one matrix product: what disturbs a processor can only slow it down."""
    random = np.random.default_rng(0)
    one, two = (random.random((MATRIX_SIDE, MATRIX_SIDE), dtype=np.float32) for _ in range(2))
    out = one @ two
    best = float("inf")
    for _ in range(MATRIX_RUNS):
        start = time.perf_counter()
        np.matmul(one, two, out=out)
        best = min(best, time.perf_counter() - start)
    return best


if __name__ == "__main__":
    sys.exit(main())
