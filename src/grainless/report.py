"""Results as people read them: a Markdown table, and a contact sheet of pictures at full size."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from grainless.errors import InputError
from grainless.evaluation import Evaluation, Row, merge
from grainless.metrics import EXACT_PSNR

Pixels = NDArray[np.uint8]

LABEL_HEIGHT = 20
GAP = 6
"""Pixels of white between the pictures of a contact sheet."""

GRAY = 128
"""What nothing removed looks like."""


def markdown_table(evaluations: Sequence[Evaluation], *, command: str = "") -> str:
    """Write one table per data set and protocol as Markdown: a row per noise, a column per method.

    Each cell holds PSNR / SSIM / MSE. The best of each measure in a row is bold. Parts that measured the same
    pictures are merged. Below each table stand protocol, data and seed, and the commands that make it again:
    `command` if it is given, else those that the results carry. Raises InputError if parts of one data set
    cannot be merged.
    """
    if not evaluations:
        raise InputError("There are no results to show", expected="at least one evaluation")
    parts: dict[tuple[str, str], list[Evaluation]] = {}
    for evaluation in evaluations:
        parts.setdefault((evaluation.data.name, evaluation.stamp), []).append(evaluation)
    return "\n".join(_section(merge(group), command) for group in parts.values())


def _section(evaluation: Evaluation, command: str) -> str:
    methods = [method.name for method in evaluation.methods]
    count = evaluation.data.pictures
    lines = [
        f"### {evaluation.data.name}, {count} picture{'s' if count != 1 else ''}",
        "",
        f"| noise | {' | '.join(methods)} |",
        f"| --- |{' --- |' * len(methods)}",
    ]
    for noise in evaluation.noises:
        found = {row.method: row for row in evaluation.rows if row.noise == noise}
        best = tuple(shown(max(found.values(), key=better)) for shown, better in _MEASURES)
        cells = (_cell(found.get(method), best) for method in methods)
        lines.append(f"| {noise} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_notes(evaluation, command), ""])


def _psnr(row: Row) -> str:
    return f"{row.mean.psnr:.2f}"


def _ssim(row: Row) -> str:
    return f"{row.mean.ssim:.4f}"


def _mse(row: Row) -> str:
    return f"{row.mean.mse:.2e}"


_MEASURES: tuple[tuple[Callable[[Row], str], Callable[[Row], float]], ...] = (
    (_psnr, lambda row: row.mean.psnr),
    (_ssim, lambda row: row.mean.ssim),
    (_mse, lambda row: -row.mean.mse),
)
"""How each measure is shown, and what is larger the better it is."""


def _cell(row: Row | None, best: tuple[str, ...]) -> str:
    """Return the numbers of a cell; all that look as the best one does are bold."""
    if row is None:
        return "-"
    numbers = (shown(row) for shown, _ in _MEASURES)
    return " / ".join(
        f"**{number}**" if number == top else number for number, top in zip(numbers, best, strict=True)
    )


def _notes(evaluation: Evaluation, command: str) -> list[str]:
    notes = [
        "- PSNR in dB / SSIM / MSE for values from 0 to 1, the best of each row bold. "
        f"Protocol `{evaluation.stamp}`.",
        f"- Noise seed {evaluation.seed}; pictures' checksum `{evaluation.data.checksum[:12]}`.",
    ]
    notes += [
        f"- `{item.name}`: {item.about}."
        for item in evaluation.methods
        if item.kind == "filter" and item.about
    ]
    notes += [
        f"- `{item.name}`: model `{item.checksum[:12]}`." for item in evaluation.methods if item.checksum
    ]
    notes += _level_notes(evaluation.rows)
    exact = [f"{row.method} on {row.noise} {row.exact}" for row in evaluation.rows if row.exact]
    if exact:
        # Elsewhere their error, 0, goes into a batch with that of others.
        counted = f", counted as {EXACT_PSNR:g} dB" if evaluation.protocol.psnr_over == 1 else ""
        notes.append(f"- Pictures that came back exactly{counted}: {', '.join(exact)}.")
    per_image = [
        f"{row.method} on {row.noise} {row.psnr_per_image:.2f}"
        for row in evaluation.rows
        if row.psnr_per_image is not None
    ]
    if per_image:
        notes.append(f"- Mean of PSNR per image instead, in dB: {', '.join(per_image)}.")
    notes += [f"- {text}" for text in evaluation.further_notes]
    if evaluation.data.skipped:
        notes.append(
            f"- Not measured: {'; '.join(f'{item.name} ({item.reason})' for item in evaluation.data.skipped)}"
        )
    versions = ", ".join(dict.fromkeys(run.grainless for run in evaluation.runs))
    commands = (
        [command] if command else list(dict.fromkeys(run.command for run in evaluation.runs if run.command))
    )
    if not commands:
        return [*notes, f"- Measured with grainless {versions}, called from Python."]
    return [
        *notes,
        f"- Measured with grainless {versions}; made again by:",
        "",
        *(f"      {line}" for line in commands),
    ]


def _level_notes(rows: Sequence[Row]) -> list[str]:
    notes = []
    for source in ("told", "estimated"):
        found = [row for row in rows if row.sigma == source]
        if found:
            methods = ", ".join(f"`{name}`" for name in dict.fromkeys(row.method for row in found))
            noises = ", ".join(dict.fromkeys(row.noise for row in found))
            how = "told" if source == "told" else "estimated from each noisy picture"
            notes.append(f"- Noise level {how} on {noises}: {methods}.")
    return notes


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
    difference = row.before.astype(np.float32) - row.after.astype(np.float32)
    removed = np.rint(np.clip(GRAY + gain * difference, 0, 255)).astype(np.uint8)
    return _rgb(row.before), _rgb(row.after), _rgb(removed)


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
