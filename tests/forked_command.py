"""Runs the command line for each line on stdin, a JSON list of arguments, in a child that may be killed.

The child is a group of processes of its own; its number is printed when it starts, its exit code (negative:
the signal) when it ends. Children come from a process that has imported everything: they start in an instant.
"""

from __future__ import annotations

import json
import os
import sys

import numpy  # noqa: F401
import onnxruntime  # noqa: F401
import pyvips  # noqa: F401

import grainless.batch.pictures  # noqa: F401
from grainless.cli import app


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            os.setsid()
            try:
                app(json.loads(line))
            except SystemExit as end:
                # Not the usual way out, which would wait for threads that were left behind by the fork.
                os._exit(end.code if isinstance(end.code, int) else 0)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
