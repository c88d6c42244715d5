"""One page of HTML that needs nothing else: tables, curves, speed, and the pictures behind the numbers."""

from __future__ import annotations

import base64
import importlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from grainless.atomic import replace_file
from grainless.errors import InputError, MissingExtraError
from grainless.evaluation import Evaluation, Example, Row
from grainless.metrics import to_8bit
from grainless.removed import show_removed
from grainless.report.curves import draw_curves, draw_speed
from grainless.report.tables import markdown_table

PAGE, TABLE = "report.html", "report.md"
TEMPLATE = Path(__file__).parent / "page.html"
LARGEST = 192
"""Largest side of a picture on the page, in pixels: more is cut off around the middle."""
GAIN = 4
"""How much stronger than it is what was removed is shown."""


@dataclass(frozen=True)
class _Cell:
    psnr: str
    ssim: str
    best: bool


@dataclass(frozen=True)
class _Shown:
    label: str
    psnr: str
    source: str


def write_report(
    evaluations: Sequence[Evaluation],
    folder: Path,
    *,
    examples: Sequence[Sequence[Example]] = (),
    title: str = "Results",
) -> None:
    """Write `report.html` and `report.md` into a folder; each appears whole or not at all.

    `examples` are those of each evaluation, in the same order, or none at all. The page asks for nothing
    outside of itself. Raises InputError for no results, MissingExtraError without jinja2 or matplotlib,
    OSError where a file cannot be written.
    """
    if not evaluations:
        raise InputError("There are no results to show", expected="at least one evaluation")
    page = _render(evaluations, examples or [()] * len(evaluations), title)
    replace_file(folder / PAGE, page.encode())
    replace_file(folder / TABLE, f"# {title}\n\n{markdown_table(evaluations)}".encode())


def check_packages() -> None:
    """Raise MissingExtraError where a page cannot be written, before anything is measured for it."""
    for package in ("jinja2", "matplotlib"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingExtraError("A page of results", "evaluate") from error


def _render(evaluations: Sequence[Evaluation], examples: Sequence[Sequence[Example]], title: str) -> str:
    check_packages()
    import jinja2

    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    methods = dict.fromkeys(method for one in evaluations for method in one.methods if method.about)
    parts = [_part(one, shown) for one, shown in zip(evaluations, examples, strict=True)]
    commands = dict.fromkeys(run.command for one in evaluations for run in one.runs if run.command)
    versions = ", ".join(dict.fromkeys(run.grainless for one in evaluations for run in one.runs))
    return template.render(
        title=title, parts=parts, methods=list(methods), commands=list(commands), versions=versions
    )


def _part(evaluation: Evaluation, examples: Sequence[Example]) -> dict[str, Any]:
    """Return what the template shows of one evaluation."""
    methods = [method.name for method in evaluation.methods]
    return {
        "evaluation": evaluation,
        "methods": methods,
        "rows": [(noise, _cells(evaluation, noise, methods)) for noise in evaluation.noises],
        "curves": [_inline(figure) for figure in draw_curves(evaluation)],
        "speed": _inline(draw_speed(evaluation)),
        "examples": [(_headline(example), _pictures(example)) for example in examples],
    }


def _cells(evaluation: Evaluation, noise: str, methods: Sequence[str]) -> list[_Cell | None]:
    """Return a row of the table; the best are those that look the best, as in the Markdown table."""
    found: dict[str, Row] = {row.method: row for row in evaluation.rows if row.noise == noise}
    shown = {name: f"{row.mean.psnr:.2f}" for name, row in found.items()}
    best = shown[max(found, key=lambda name: found[name].mean.psnr)]
    return [
        _Cell(shown[name], f"{found[name].mean.ssim:.4f}", shown[name] == best) if name in found else None
        for name in methods
    ]


def _headline(example: Example) -> str:
    """Say which of the two best methods is ahead on a picture."""
    pick = example.pick
    first, second = (pick.method, pick.rival) if pick.gain >= 0 else (pick.rival, pick.method)
    gap = f"{abs(pick.gain):.2f}"
    ahead = f"{first} and {second} are equal" if gap == "0.00" else f"{first} is {gap} dB ahead of {second}"
    return f"{pick.picture}, {pick.noise}: {ahead}"


def _pictures(example: Example) -> list[_Shown]:
    """Return clean, noisy, every method and what the last of them removed, as pictures for the page."""
    parts: list[tuple[str, NDArray[Any]]] = [("clean", example.clean), ("noisy", example.noisy)]
    parts += list(example.restored.items())
    shown = [
        _Shown(label, f"{example.psnr[label]:.2f} dB" if label in example.psnr else "", _source(pixels))
        for label, pixels in parts
    ]
    last, restored = parts[-1]
    removed = show_removed(_levels(example.noisy), _levels(restored), gain=GAIN)
    return [*shown, _Shown(f"removed by {last}", f"x {GAIN}", _source(removed))]


def _levels(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    return pixels if pixels.dtype == np.uint8 else to_8bit(np.clip(pixels, 0, 1))


def _source(pixels: NDArray[Any]) -> str:
    """Return the middle of a picture as the address of a PNG that is its own content."""
    from PIL import Image

    levels = _levels(pixels)
    height, width = (min(LARGEST, side) for side in levels.shape[:2])
    top, left = (levels.shape[0] - height) // 2, (levels.shape[1] - width) // 2
    crop = levels[top : top + height, left : left + width]
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(crop[..., 0] if crop.shape[2] == 1 else crop)).save(buffer, "png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _inline(figure: Any) -> str:
    """Return a figure as an SVG element to stand inside the page."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :]
