"""What JPEG did to a picture: the quality that its file tells, and blocks that show in any file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.doctor.grain import middle
from grainless.metrics.values import LUMA

LOW_QUALITY = 75
"""JPEG below this quality shows: at 75, what many programs choose, it seldom does."""
BLOCK_STEP = 0.75
"""Step from which blocks are visible, in levels.

The highest of 78 JPEG training pictures of quality 92 and of 41 PNG test pictures is 0.61; jpeg:50 gives 1.1
in the mean, and 0.85 or more in three of four.
"""
BLOCK_CONTRAST = 2.0
"""So many standard deviations must the step stand out from those inside the blocks: 2.0 of 2.6 possible."""
_STEP_LIMIT = 8.0
"""Steps count up to here, in levels: larger ones are edges of what the picture shows."""
_SIDE = 8
"""Side of the blocks of JPEG, in pixels."""

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


def jpeg_quality(file: Path) -> int | None:
    """Return the quality, 1 to 100 as libjpeg counts, that a JPEG file was written with.

    That whose table for luma is nearest to the file's; near for programs with tables of their own. None where
    the file tells no table.
    """
    from PIL.JpegImagePlugin import JpegImageFile

    try:
        # Only the head is read. Not Image.open, whose size limit can only be changed for the whole process.
        with JpegImageFile(file) as image:
            tables: dict[int, Any] = image.quantization
    except (OSError, SyntaxError, ValueError, EOFError):
        return None
    if not tables:
        return None
    table = np.sort(np.asarray(tables[min(tables)], dtype=np.float64))
    if table.size != _SIDE * _SIDE:
        return None
    # Sorted, as programs differ in the order that they hand the table over in.
    errors = [np.abs(np.sort(quantisation(quality)) - table).sum() for quality in range(1, 101)]
    return 1 + int(np.argmin(errors))


def quantisation(quality: int) -> NDArray[np.float64]:
    """Return libjpeg's 64 quantisation steps of luma for a quality from 1 to 100, row by row."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    steps: NDArray[np.float64] = np.clip((_LUMA_TABLE * scale + 50) // 100, 1, 255)
    return steps


def block_step(pixels: NDArray[np.uint8]) -> float:
    """Return how much larger, in levels, the step between blocks of 8 pixels is than inside them; or 0.

    Of uint8 `(H, W, C)` pixels, wherever the blocks begin, by the less visible of the two directions. 0 where
    the steps do not stand out, and for pictures under 64 pixels, which are too few blocks.
    """
    if min(pixels.shape[:2]) < 8 * _SIDE:
        return 0.0
    pixels = middle(pixels)
    luma = pixels[..., 0].astype(np.float32)
    if pixels.shape[2] == 3:
        luma = pixels.astype(np.float32) @ np.array(LUMA, dtype=np.float32)
    return min(_step(luma), _step(luma.T))


def _step(luma: NDArray[np.float32]) -> float:
    """Return the step between blocks from left to right."""
    steps = np.abs(np.diff(luma, axis=1))
    # By how much a step is larger than those on its sides: ramps and texture cancel out.
    excess = np.clip(steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2, -_STEP_LIMIT, _STEP_LIMIT)
    column = excess.mean(axis=0)
    phases = column[: column.size // _SIDE * _SIDE].reshape(-1, _SIDE).mean(axis=0)
    strongest = int(phases.argmax())
    inside = np.delete(phases, strongest)
    stands_out = phases[strongest] - inside.mean() >= BLOCK_CONTRAST * (inside.std() + 0.02)
    return float(phases[strongest] - np.median(inside)) if stands_out else 0.0
