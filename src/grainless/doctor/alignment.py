"""Whether two pictures show the same scene, and how far one is moved against the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainless.doctor.likeness import thumbnail
from grainless.metrics import to_gray

Pixels = NDArray[np.uint8]
"""(H, W, C)."""

PEAK = 14.0
"""Standard deviations that a peak must stand out by to tell the shift.

Photographs of one scene have 23 or more up to gaussian:75 and salt-pepper:0.1; of two scenes 9.9 at the most.
"""
LEAST_SHIFT = 0.75
"""Shifts from here on count as a pixel: cameras on a tripod move by up to 0.5 between two shots (PolyU)."""
SAME_SCENE = 0.85
"""Correlation of 16 x 16 thumbnails under which two pictures show two scenes, however they are moved.

The highest of 170 pairs of scenes is 0.85; of one scene the least is 0.92, where noise leaves it to be told.
"""
TOLD_APART = 0.8
"""Correlation of the thumbnails of two halves of a picture's rows, under which noise hides what it shows.

With 0.8 the whole picture has 0.89, and one of the same scene without noise correlates with it by 0.94.
"""
_WINDOW = 512
"""The middle of so many pixels each way is compared."""
_CUTOFF = 0.12
"""Standard deviation of the low pass, in cycles a pixel: above it there is more noise than picture."""
_OVERLAP = 0.5
"""Share of either side that must overlap."""

Shift = tuple[int, int]
"""Rows down and columns to the right."""


@dataclass(frozen=True)
class Alignment:
    """How the noisy picture of a pair lies on the clean one."""

    same_scene: bool
    """False where they surely show two scenes."""
    shift: Shift | None
    """What the noisy picture is moved by; None where nothing tells."""


def align(noisy: Pixels, clean: Pixels) -> Alignment:
    """Find how uint8 `(H, W, C)` pixels of equal size lie on each other, to a whole pixel.

    By phase correlation: Kuglin, Hines, "The phase correlation image alignment method", IEEE International
    Conference on Cybernetics and Society 1975.
    """
    first, second = (_windowed(pixels) for pixels in (noisy, clean))
    product = np.fft.rfft2(first) * np.conj(np.fft.rfft2(second))
    height, width = first.shape
    squares = np.fft.fftfreq(height)[:, None] ** 2 + np.fft.rfftfreq(width) ** 2
    smooth = product * np.exp(-squares / (2 * _CUTOFF**2))
    surface = np.fft.irfft2(smooth / (np.abs(product) + 1e-6), s=first.shape)
    likely = _peak(surface)
    # Pictures of little detail have no sharp peak, but a broad one where they lie on each other best.
    broad = _peak(np.fft.irfft2(smooth, s=first.shape))
    if _two_scenes(noisy, clean, (likely, broad, (0, 0))):
        return Alignment(same_scene=False, shift=None)
    clear = float(surface.max()) >= PEAK * float(surface.std()) > 0
    return Alignment(same_scene=True, shift=likely if clear else None)


def _peak(surface: NDArray[np.float64]) -> Shift:
    """Return the shift that the highest place of a surface tells."""
    row, column = (int(place) for place in np.unravel_index(int(surface.argmax()), surface.shape))
    return _whole_shift(surface[:, column], row), _whole_shift(surface[row], column)


def _whole_shift(line: NDArray[np.float64], top: int) -> int:
    """Return the shift that a line through the peak tells, and 0 for parts of a pixel."""
    before, peak, after = (float(line[(top + step) % line.size]) for step in (-1, 0, 1))
    curvature = before - 2 * peak + after
    # The top of the parabola through the three.
    exact = top + ((before - after) / (2 * curvature) if curvature < 0 else 0.0)
    # Behind the middle are the shifts to the other side.
    exact -= line.size * (exact > line.size / 2)
    return round(exact) if abs(exact) >= LEAST_SHIFT else 0


def _windowed(pixels: Pixels) -> NDArray[np.float64]:
    """Return the luma of the middle, of mean 0, faded out to its border so that the border has no edges."""
    top, left = (max(0, side - _WINDOW) // 2 for side in pixels.shape[:2])
    luma = to_gray(pixels[top : top + _WINDOW, left : left + _WINDOW])[..., 0].astype(np.float64)
    fading = [np.hanning(side + 2)[1:-1] for side in luma.shape]
    windowed: NDArray[np.float64] = (luma - luma.mean()) * np.outer(*fading)
    return windowed


def _two_scenes(noisy: Pixels, clean: Pixels, shifts: Iterable[Shift]) -> bool:
    """Return whether the coarse contents are surely different, whichever of the shifts there is."""
    if min(_reliability(noisy), _reliability(clean)) < TOLD_APART:
        return False
    return all(_likeness(*_overlapping(noisy, clean, shift)) < SAME_SCENE for shift in shifts)


def _overlapping(noisy: Pixels, clean: Pixels, shift: Shift) -> tuple[Pixels, Pixels]:
    """Return what both show if the noisy picture is moved by `shift`; where that is too little, all."""
    height, width = noisy.shape[:2]
    down, right = shift
    if abs(down) > _OVERLAP * height or abs(right) > _OVERLAP * width:
        return noisy, clean
    rows, columns = height - abs(down), width - abs(right)
    return (
        noisy[max(0, down) :][:rows, max(0, right) :][:, :columns],
        clean[max(0, -down) :][:rows, max(0, -right) :][:, :columns],
    )


def _reliability(pixels: Pixels) -> float:
    """Return how alike the thumbnails of every second row and of the rows between them are."""
    even = pixels[: pixels.shape[0] // 2 * 2]
    return _likeness(even[::2], even[1::2]) if even.size else 0.0


def _likeness(one: Pixels, other: Pixels) -> float:
    """Return the correlation of the thumbnails of two pictures, at 16 x 16; 0 for a plain one."""
    first, second = (
        thumbnail(pixels).astype(np.float64).reshape(16, 2, 16, 2).mean(axis=(1, 3)).ravel()
        for pixels in (one, other)
    )
    first, second = first - first.mean(), second - second.mean()
    lengths = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / lengths if lengths > 0 else 0.0
