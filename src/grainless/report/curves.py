"""Curves of an evaluation: PSNR over the strength of the noise, and quality against speed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from grainless.evaluation import Evaluation, Row

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FAMILIES = (
    ("salt-and-pepper density", re.compile(r"salt-pepper:(?P<level>[\d.]+)(?P<kind>.*)")),
    ("Gaussian sigma, of 255", re.compile(r"gaussian:(?P<level>[\d.]+)(?P<kind>.*)")),
)
"""Noises that differ by one number, by what that number is."""


def draw_curves(evaluation: Evaluation) -> list[Figure]:
    """Draw PSNR over density and over sigma, a figure for each kind of noise with two strengths or more.

    Needs matplotlib.
    """
    figures = []
    for label, pattern in _FAMILIES:
        kinds: dict[str, dict[str, list[tuple[float, float]]]] = {}
        for row in evaluation.rows:
            found = pattern.fullmatch(row.noise)
            if found is not None:
                lines = kinds.setdefault(found["kind"], {})
                lines.setdefault(row.method, []).append((float(found["level"]), row.mean.psnr))
        for kind, lines in kinds.items():
            if max(len(points) for points in lines.values()) > 1:
                figures.append(_draw_lines(lines, f"{label}{f' ({kind[1:]})' if kind else ''}"))
    return figures


def _draw_lines(lines: dict[str, list[tuple[float, float]]], label: str) -> Figure:
    figure, axes = _axes()
    for number, (method, points) in enumerate(lines.items()):
        levels, decibels = zip(*sorted(points), strict=True)
        style = {"color": "gray", "linestyle": ":"} if method == "noisy" else {}
        axes.plot(levels, decibels, marker=_mark(number), markersize=4, label=method, **style)
    axes.set_xlabel(label)
    axes.set_ylabel("PSNR, dB")
    axes.legend(fontsize=8)
    return figure


def draw_speed(evaluation: Evaluation) -> Figure:
    """Draw the mean PSNR over all noises against seconds per megapixel, a point for each method.

    A method that was not measured on every noise is left out. Needs matplotlib.
    """
    from matplotlib.ticker import LogLocator

    figure, axes = _axes()
    by_method: dict[str, list[Row]] = {}
    for row in evaluation.rows:
        by_method.setdefault(row.method, []).append(row)
    for number, (method, rows) in enumerate(by_method.items()):
        if method == "noisy" or len(rows) < len(evaluation.noises):
            continue
        seconds = sum(row.seconds_per_megapixel for row in rows) / len(rows)
        decibels = sum(row.mean.psnr for row in rows) / len(rows)
        axes.plot([seconds], [decibels], marker=_mark(number))
        axes.annotate(method, (seconds, decibels), xytext=(5, 4), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.margins(x=0.25, y=0.15)
    axes.set_xlabel("seconds per megapixel, while it was measured")
    axes.set_ylabel("mean PSNR over the noises, dB")
    return figure


def _mark(number: int) -> str:
    """Return the mark of a line: colours come again after ten, with another one."""
    return "os^v"[number // 10 % 4]


def _axes() -> tuple[Figure, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.grid(alpha=0.3)
    return figure, axes
