"""What all tabs share: settings, files, and turns at work, each with a place of the service's pool."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grainless.service.refusals import RefusedError

if TYPE_CHECKING:
    from grainless.batch.treatment import Treatment
    from grainless.service.metrics import Metrics
    from grainless.service.page.cleaning import Progress
    from grainless.service.page.scratch import Scratch
    from grainless.service.pool import Check, Pool
    from grainless.service.settings import ServiceSettings


@dataclass(frozen=True)
class Turn:
    """One order at work."""

    folder: Path
    """For what is made of it."""
    check: Check
    """Raises BusyError where the service is about to stop: nobody could fetch the result any more."""

    def heeding(self, progress: Progress) -> Progress:
        """Return what tells the same, and checks first."""

        def told(share: float, text: str) -> None:
            self.check()
            progress(share, text)

        return told


@dataclass(frozen=True)
class Desk:
    """What the tabs work with."""

    settings: ServiceSettings
    scratch: Scratch
    pool: Pool
    metrics: Metrics

    def take(self, path: str) -> Path:
        """Return a file that was dropped, and keep it for longer."""
        file = Path(path)
        self.scratch.touch(file)
        return file

    @contextlib.contextmanager
    def turn(self) -> Iterator[Turn]:
        """Be at work in the thread that calls; where that ends with any error nothing is left in the folder.

        Raises BusyError where the service has no place left, and counts each refusal.
        """
        try:
            with self.pool.place(), self.pool.at_work(), self._folder() as folder:
                yield Turn(folder, self.pool.check_open)
        except RefusedError as error:
            self.metrics.count_refusal(error.reason)
            raise

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        folder = self.scratch.folder()
        try:
            yield folder
        except BaseException:
            self.scratch.discard(folder)
            raise

    def count(self, treated: Iterable[tuple[Treatment, int]]) -> None:
        """Count pictures that were cleaned or left as they were."""
        for treatment, pixels in treated:
            self.metrics.count_cleaned(treatment, pixels)
