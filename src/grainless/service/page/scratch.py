"""Files that live for a while: what users drop, and what is made of it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
import weakref
from pathlib import Path

KEEP_SECONDS = 3600.0
"""How long a file is kept after it was last written or used."""


class Scratch:
    """A private folder whose files are deleted when they have not been used for a while, and at the end.

    `sweep` runs by itself as long as there is anything to delete.
    """

    def __init__(self, *, keep_seconds: float = KEEP_SECONDS) -> None:
        """Make the folder, readable by this user alone."""
        self.root = Path(tempfile.mkdtemp(prefix="grainless-page-")).resolve()
        self._keep = keep_seconds
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        # Not at exit alone: a page that is built and dropped cleans up too.
        self._remove = weakref.finalize(self, shutil.rmtree, self.root, ignore_errors=True)

    def folder(self) -> Path:
        """Return a new folder, whose name cannot be guessed."""
        # Gone after `close`, when a service is started a second time.
        self.root.mkdir(mode=0o700, exist_ok=True)
        path = Path(tempfile.mkdtemp(dir=self.root))
        self._wind_up()
        return path

    def touch(self, path: Path) -> None:
        """Keep a file for longer; one that is not there is passed over."""
        with contextlib.suppress(OSError):
            os.utime(path)
        self._wind_up()

    def discard(self, path: Path) -> None:
        """Delete a folder of `folder`, or what lies anywhere in it, before its time; never others."""
        inside = path.resolve()
        if self.root in inside.parents:
            shutil.rmtree(self.root / inside.relative_to(self.root).parts[0], ignore_errors=True)

    def sweep(self) -> None:
        """Delete files that were not used for too long, and folders that are empty since as long."""
        oldest = time.time() - self._keep
        for folder, _, names in os.walk(self.root, topdown=False):
            here = Path(folder)
            for name in names:
                with contextlib.suppress(OSError):
                    if (here / name).stat().st_mtime < oldest:
                        (here / name).unlink()
            # One that holds something refuses; so does one that vanished.
            with contextlib.suppress(OSError):
                if here != self.root and here.stat().st_mtime < oldest:
                    here.rmdir()

    def close(self) -> None:
        """Delete everything at once; what is asked for later is made anew."""
        with self._lock:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        shutil.rmtree(self.root, ignore_errors=True)

    def _wind_up(self) -> None:
        """Have `sweep` called in a while, if it is not going to be already."""
        with self._lock:
            if self._timer is not None or not self._remove.alive:
                return
            # A tenth of the time: nothing outstays it by more.
            alive = weakref.ref(self)
            self._timer = threading.Timer(self._keep / 10, lambda: _tick(alive))
            self._timer.daemon = True
            self._timer.start()

    def _unwind(self) -> None:
        with self._lock:
            self._timer = None


def _tick(alive: weakref.ref[Scratch]) -> None:
    """Sweep, and go on as long as anything is there; a timer must not keep its folder alive."""
    scratch = alive()
    if scratch is None:
        return
    scratch.sweep()
    scratch._unwind()
    if scratch.root.exists() and any(scratch.root.iterdir()):
        scratch._wind_up()
