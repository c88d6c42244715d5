"""A limit of memory that is kept: how large the tiles may be, or that a picture cannot be done within it.

What a model takes is not computed but tried, with tiles of growing size, as no formula holds for all graphs
and runtimes; each size is tried only if the one before lets expect that it fits.
"""

from __future__ import annotations

import contextlib
import threading

import numpy as np

from grainless.denoiser import SMALLEST_TILE, Denoiser
from grainless.errors import BrokenAnswerError, InputError, MemoryLimitError
from grainless.memory import held_memory, megabytes, peak_memory
from grainless.picture import Metadata, Picture
from grainless.tiling import round_up

SIDES = (SMALLEST_TILE, 128, 192, 256, 384, 512, 768)
"""Sides of tiles, in pixels, that are tried in turn."""
_SPARE = 24 * 10**6
_STEP = 10 * 10**6
_UNSTEADY = 4 * 10**6
"""So much more one process may hold than another that does the same: the limit that is told does for both."""
_SECONDS = 0.005
"""Between two looks at the memory that is held."""


class Budget:
    """The limit of this process, and what a model was found to take; Linux alone tells the memory held."""

    def __init__(self, limit: int) -> None:
        """Take the limit in bytes; raises InputError where it could not be kept."""
        if held_memory() is None:
            raise InputError(
                "A limit of memory cannot be promised here",
                got="a system that does not tell how much memory a process holds",
                expected="Linux",
                remedy="Leave out --max-memory: pictures that are large beside the free memory are still"
                " done in parts",
            )
        self.limit = limit
        self.begin = held_memory() or 0
        """Bytes that the process held at first."""
        self._tried: dict[int, int] = {}
        """Peak of the process by side of the tile."""
        self._after = self.begin

    def tile(self, denoiser: Denoiser, *, beside: int, side: int) -> int:
        """Return the largest side of tiles that keeps the limit, for a picture whose longer side is `side`.

        `beside` is how many bytes are needed for what is done before or after the tiles. Raises InputError,
        which tells the smallest limit that would do, where no side does.
        """
        grown = max((held_memory() or 0) - self._after, 0) if self._tried else 0
        room = self.limit - beside - grown - _SPARE
        sides = [step for step in SIDES if step <= denoiser.tile] or [denoiser.tile]
        fitting = 0
        for step in sides:
            if step not in self._tried:
                if fitting and self._expected(denoiser, step) > room:
                    break
                self._try(denoiser, step)
            if self._tried[step] > room:
                break
            fitting = step
            if step >= side:
                break
        if not fitting:
            raise self._too_small(self._tried[sides[0]] + beside + grown + _SPARE)
        return fitting

    def _expected(self, denoiser: Denoiser, side: int) -> float:
        """Return the peak that a larger tile is expected to lead to: in proportion to its pixels."""
        last = max(self._tried)
        ratio = (_window(denoiser, side) / _window(denoiser, last)) ** 2
        return self.begin + (self._tried[last] - self.begin) * ratio

    def _try(self, denoiser: Denoiser, side: int) -> None:
        """Clean a picture that is one tile with its halo, of the kind that takes the most."""
        window = _window(denoiser, side)
        ramp = np.linspace(0, 1, window, dtype=np.float32)
        pixels = np.broadcast_to(ramp[:, None, None], (window, window, 3))
        alpha = np.broadcast_to(np.arange(window, dtype=np.float32) % 2, (window, window))
        # A broken answer is found when it matters.
        with _Watch() as watch, contextlib.suppress(BrokenAnswerError):
            denoiser.with_tile(window).denoise_picture(Picture(pixels, alpha, Metadata(), "tiff"))
        self._tried[side] = watch.most
        self._after = held_memory() or 0

    def _too_small(self, least: int) -> MemoryLimitError:
        return MemoryLimitError(
            "The limit of memory is too small for this picture and this model",
            got=megabytes(self.limit),
            expected=f"at least {megabytes(round_up(least + _UNSTEADY, _STEP))}",
            remedy="Raise --max-memory, or use a smaller model",
        )


class _Watch:
    """Tells the most memory that the process holds within a `with`."""

    def __enter__(self) -> _Watch:
        self.most = held_memory() or 0
        self._before = peak_memory() or 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="grainless-memory")
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()
        peak = peak_memory() or 0
        # The peak is exact, but tells nothing where the process has held more at some time before.
        self.most = peak if peak > self._before else max(self.most, held_memory() or 0)

    def _follow(self) -> None:
        while not self._ended.wait(_SECONDS):
            self.most = max(self.most, held_memory() or 0)


def _window(denoiser: Denoiser, side: int) -> int:
    card = denoiser.card
    return round_up(side + 2 * card.halo, card.stride)
