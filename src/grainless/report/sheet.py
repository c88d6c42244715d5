"""A contact sheet of pictures at full size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError
from grainless.removed import show_removed

Pixels = NDArray[np.uint8]

LABEL_HEIGHT = 20
GAP = 6
"""Pixels of white between the pictures of a contact sheet."""


@dataclass(frozen=True)
class SheetRow:
    """One row of a contact sheet."""

    label: str
    before: NDArray[np.uint8]
    """uint8, (H, W) or (H, W, C) with one or three channels."""
    after: NDArray[np.uint8]
    """Of the same shape."""


def contact_sheet(
    rows: Sequence[SheetRow],
    *,
    size: tuple[int, int] = (256, 256),
    corner: tuple[int, int] | None = None,
    gain: float = 4.0,
) -> Pixels:
    """Draw a row before / after / removed for each pair, pixel for pixel, as uint8 (H, W, 3).

    `size` is the largest width and height of a crop in pixels; `corner` its left and top, the middle of the
    picture if not given. What was removed is shown `gain` times as strong on gray: lighter where the picture
    was lighter before. Raises InputError for pictures that cannot be shown.
    """
    if not rows:
        raise InputError("There is nothing to show", expected="at least one row")
    if min(size) < 1 or not gain > 0:
        raise InputError(
            "The crops cannot be shown", got=f"size {size}, gain {gain}", expected="numbers above 0"
        )
    columns = ("before", "after", f"removed x {gain:g}")
    crops = [[_crop(part, size, corner) for part in _parts(row, gain)] for row in rows]
    cell = max(row[0].shape[1] for row in crops) + GAP
    height = sum(row[0].shape[0] + LABEL_HEIGHT + GAP for row in crops) + LABEL_HEIGHT
    return _draw(rows, crops, columns, (cell * len(columns) + GAP, height))


def _parts(row: SheetRow, gain: float) -> tuple[Pixels, Pixels, Pixels]:
    """Return before, after and removed as RGB."""
    for pixels in (row.before, row.after):
        shape = pixels.shape if pixels.ndim == 3 else (*pixels.shape, 1)
        if pixels.dtype != np.uint8 or len(shape) != 3 or shape[-1] not in (1, 3) or pixels.size == 0:
            raise InputError(
                f"A picture of {row.label} cannot be shown",
                got=f"{pixels.dtype} of shape {pixels.shape}",
                expected="uint8 of shape (H, W) or (H, W, C) with one or three channels",
            )
    if row.before.shape != row.after.shape:
        raise InputError(
            f"The pictures of {row.label} differ in shape",
            got=f"{row.before.shape} and {row.after.shape}",
            expected="one shape",
        )
    return _rgb(row.before), _rgb(row.after), _rgb(show_removed(row.before, row.after, gain=gain))


def _rgb(pixels: Pixels) -> Pixels:
    stacked = pixels if pixels.ndim == 3 else pixels[..., None]
    return np.broadcast_to(stacked, (*stacked.shape[:2], 3))


def _crop(pixels: Pixels, size: tuple[int, int], corner: tuple[int, int] | None) -> Pixels:
    height, width = pixels.shape[:2]
    across, down = min(size[0], width), min(size[1], height)
    left, top = corner if corner is not None else ((width - across) // 2, (height - down) // 2)
    if not (0 <= left <= width - across and 0 <= top <= height - down):
        raise InputError(
            "The crop leaves the picture",
            got=f"{across} x {down} pixels at {left}, {top} of {width} x {height}",
            expected=f"a corner of at most {width - across}, {height - down}",
        )
    return pixels[top : top + down, left : left + across]


def _draw(
    rows: Sequence[SheetRow], crops: Sequence[Sequence[Pixels]], columns: Sequence[str], size: tuple[int, int]
) -> Pixels:
    """Lay the crops out below their labels, on white."""
    from PIL import Image, ImageDraw, ImageFont

    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=14)
    step = (size[0] - GAP) // len(columns)
    for index, title in enumerate(columns):
        draw.text((GAP + index * step, 1), title, fill="black", font=font)
    top = LABEL_HEIGHT
    for row, parts in zip(rows, crops, strict=True):
        draw.text((GAP, top + 1), row.label, fill="black", font=font)
        top += LABEL_HEIGHT
        for index, part in enumerate(parts):
            sheet.paste(Image.fromarray(np.ascontiguousarray(part)), (GAP + index * step, top))
        top += parts[0].shape[0] + GAP
    return np.asarray(sheet)
