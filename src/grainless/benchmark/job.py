"""One timed run, in a process of its own, so that its memory is its own and no other run warmed it up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal["filter", "model", "foreign", "matrix"]

MATRIX_SIDE = 1536
"""Of the two square float32 matrices whose product tells what the processor can do."""

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
)


@dataclass(frozen=True)
class Job:
    """What one process is to do."""

    kind: Kind
    source: str
    """Name of a filter, or path of a model file; nothing for "matrix"."""
    picture: str
    """Path of a numpy file, uint8 `(H, W, 3)`."""
    channels: Literal[1, 3]
    """A gray row gets the picture's second channel alone."""
    threads: int
    runtime: Literal["onnxruntime", "openvino", "auto"] = "onnxruntime"
    precision: Literal["exact", "fast"] = "exact"


@dataclass(frozen=True)
class Sample:
    """What one process found."""

    seconds: float
    """Of the restoring alone; of one product for "matrix"."""
    peak_bytes: int | None
    """Most memory that the process held: Python, libraries, model, picture and result."""


@dataclass(frozen=True)
class Failure:
    """Why a process found nothing."""

    reason: str


Launch = Callable[[Job, float], Sample | Failure]
"""Does a job within a time limit in seconds."""


def launch(job: Job, limit: float) -> Sample | Failure:
    """Do a job in a process of its own, which is ended after `limit` seconds."""
    threads = dict.fromkeys(_THREAD_VARIABLES, str(job.threads))
    try:
        done = subprocess.run(  # this same Python, with words of our own
            [sys.executable, "-m", "grainless.benchmark.worker"],
            input=json.dumps(asdict(job)),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=limit,
            check=False,
            env=os.environ | threads,
        )
    except subprocess.TimeoutExpired:
        return Failure(f"ended after {limit:.0f} s")
    answer = _answer(done.stdout)
    if "error" in answer:
        return Failure(str(answer["error"]))
    if done.returncode != 0 or "seconds" not in answer:
        return Failure(_how_it_ended(done))
    return Sample(float(answer["seconds"]), answer["peak_bytes"])


def _answer(text: str) -> dict[str, Any]:
    """Return the last line of what a worker said; libraries may have said something before."""
    try:
        answer = json.loads(text.strip().rpartition("\n")[2])
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _how_it_ended(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        return f"the process was killed by signal {-done.returncode}; too little memory is one cause"
    last = done.stderr.strip().rpartition("\n")[2]
    return f"the process ended with code {done.returncode}{': ' + last if last else ''}"
