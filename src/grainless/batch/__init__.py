"""Many files in one go: planned before the first is begun, done side by side, and none lost by a stop.

`plan` decides every output and refuses what could lose a picture; `run` does the files, so that a bad one
costs only itself, and keeps a journal, so that the same call after a stop of any kind goes on where it was.
"""

from grainless.batch.outcomes import BatchReport, Finished, Step, Tick, Watch, Watcher
from grainless.batch.pipeline import Pipeline
from grainless.batch.plans import Failure, Job, Plan, plan
from grainless.batch.runs import RunOptions, run
from grainless.batch.work import Work

__all__ = [
    "BatchReport",
    "Failure",
    "Finished",
    "Job",
    "Pipeline",
    "Plan",
    "RunOptions",
    "Step",
    "Tick",
    "Watch",
    "Watcher",
    "Work",
    "plan",
    "run",
]
