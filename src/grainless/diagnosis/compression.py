"""JPEG: the quality that a file tells, and the one that the pixels of any file tell."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from grainless.diagnosis.sampling import Levels, Sample, luma_of
from grainless.diagnosis.spectrum import SIDE, transform

# The table for luma of ITU-T T.81 annex K.1, which libjpeg scales to a quality; row by row.
_LUMA_TABLE = np.frombuffer(
    bytes.fromhex(
        "100b0a101828333d0c0c0e131a3a3c37"
        "0e0d1018283945380e11161d3357503e"
        "12162538446d674d182337405168715c"
        "31404e5767797865485c5f6270646763"
    ),
    dtype=np.uint8,
).astype(np.float64)

_READ = tuple(row * SIDE + column for row in range(4) for column in range(4) if 0 < row + column < 5)
"""The coarse cosines, in which pictures have enough energy to be rounded to other steps than 0."""
_BLOCKS = 3000
"""So many blocks are looked at, at even steps through the picture."""
_FEWEST, _SURE = 20, 20.0
"""So many values, and so large a sum of logarithms, are needed for a trace."""
_ROUNDING = 0.3
"""Standard deviation in a cosine, in levels, of what rounding to pixels and colours does."""
_OUTLIER = math.log(0.05)
"""What a value off all steps counts at most; clipping to black and white makes some."""


@dataclass(frozen=True)
class Trace:
    """What the pixels tell of a JPEG that they went through last."""

    quality: int
    """1 to 100, as libjpeg counts."""
    strength: float
    """Mean logarithm of how much likelier the cosines are with these steps than without; 0 for no trace."""


def jpeg_quality(file: Path | BinaryIO) -> int | None:
    """Return the quality, 1 to 100 as libjpeg counts, that a JPEG file was written with.

    That whose table for luma is nearest to the file's; near for programs with tables of their own. None where
    the file tells no table.
    """
    from PIL.JpegImagePlugin import JpegImageFile

    try:
        # Only the head is read. Not Image.open, whose size limit can only be changed for the whole process.
        image = JpegImageFile(file)
        with image:
            tables: dict[int, Any] = image.quantization
    except (OSError, SyntaxError, ValueError, EOFError):
        return None
    if not tables:
        return None
    table = np.sort(np.asarray(tables[min(tables)], dtype=np.float64))
    if table.size != SIDE * SIDE:
        return None
    # Sorted, as programs differ in the order that they hand the table over in.
    errors = [np.abs(np.sort(quantisation(quality)) - table).sum() for quality in range(1, 101)]
    return 1 + int(np.argmin(errors))


def quantisation(quality: int) -> NDArray[np.float64]:
    """Return libjpeg's 64 quantisation steps of luma for a quality from 1 to 100, row by row."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps: NDArray[np.float64] = np.clip((_LUMA_TABLE * scale + 50) // 100, 1, 255)
    return steps


def find_trace(seen: Sample) -> Trace:
    """Look for the steps to which JPEG rounds the cosines of the 8 x 8 blocks of the luma.

    For each quality: the likelihood of the cosines that are not 0, if they lie at multiples of its steps,
    against no preference for any value. After Neelamani et al., "JPEG compression history estimation for
    color images", IEEE Transactions on Image Processing 2006. Where the blocks begin is told by the steps
    between them.
    """
    best = Trace(100, 0.0)
    luma: Levels = luma_of(seen.levels)
    clipped: NDArray[np.bool_] = np.asarray(seen.extreme.any(axis=2))
    if min(luma.shape) < 3 * SIDE:
        return best
    for top, left in sorted({(0, 0), (_origin(luma.T), _origin(luma))}):
        found = _trace(luma[top:, left:], clipped[top:, left:])
        best = max(best, found, key=lambda trace: trace.strength)
    return best


def _trace(luma: Levels, clipped: NDArray[np.bool_]) -> Trace:
    """Return the likeliest quality of blocks that begin at the corner."""
    cosines = transform(luma)
    # Clipping a colour to black or white moves the cosines off their steps.
    whole = np.asarray(transform(clipped.astype(np.float32))[:, 0] < 0.01)
    cosines = cosines[whole] if np.count_nonzero(whole) >= _FEWEST else cosines
    some = cosines[:: max(1, len(cosines) // _BLOCKS)].astype(np.float64)
    steps = np.array([quantisation(quality)[list(_READ)] for quality in range(1, 101)])
    totals, counts = np.zeros(100), np.zeros(100)
    for place, name in enumerate(_READ):
        for step in np.unique(steps[:, place]):
            total, count = _likelihood(some[:, name], float(step))
            chosen = steps[:, place] == step
            totals[chosen] += total
            counts[chosen] += count
    # A few values may lie at multiples of anything.
    scores = np.where(counts >= _FEWEST, totals, 0)
    quality = int(np.argmax(scores))
    if scores[quality] < _SURE:
        return Trace(100, 0.0)
    return Trace(quality + 1, float(scores[quality] / counts[quality]))


def _likelihood(cosines: NDArray[np.float64], step: float) -> tuple[float, int]:
    """Return the log-likelihood ratio of the cosines that are not rounded to 0, and how many there are."""
    told = cosines[np.abs(cosines) > step / 2]
    off = told - np.rint(told / step) * step
    ratio = math.log(step / (_ROUNDING * math.sqrt(2 * math.pi))) - (off / _ROUNDING) ** 2 / 2
    return float(np.maximum(ratio, _OUTLIER).sum()), len(told)


def _origin(luma: Levels) -> int:
    """Return the column, 0 to 7, at which blocks begin, told by the steps between them."""
    steps = np.abs(np.diff(luma, axis=1))
    excess = np.clip(steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2, -8, 8).mean(axis=0)
    columns = excess[: excess.size // SIDE * SIDE].reshape(-1, SIDE).mean(axis=0)
    # The first of these steps is that into column 2.
    return (int(columns.argmax()) + 2) % SIDE
