"""Results as Markdown tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from grainless.errors import InputError
from grainless.evaluation import Evaluation, Row, merge
from grainless.metrics import EXACT_PSNR


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
    pictures = f"{count} picture{'s' if count != 1 else ''}"
    lines = [
        f"### {in_cell(evaluation.data.name)}, {pictures}, {evaluation.protocol.name}",
        "",
        f"| noise | {' | '.join(map(in_cell, methods))} |",
        f"| --- |{' --- |' * len(methods)}",
    ]
    for noise in evaluation.noises:
        found = {row.method: row for row in evaluation.rows if row.noise == noise}
        best = tuple(shown(max(found.values(), key=better)) for shown, better in _MEASURES)
        cells = (_cell(found.get(method), best) for method in methods)
        lines.append(f"| {noise} | {' | '.join(cells)} |")
    return "\n".join([*lines, "", *_notes(evaluation, command), ""])


def in_cell(text: str) -> str:
    """Return text as it may stand in a cell of a Markdown table: on one line, without its mark."""
    return " ".join(text.split()).replace("|", "\\|")


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
    drawn = f"Noise seed {evaluation.seed}" if evaluation.drawn else "Noise as recorded"
    notes = [
        "- PSNR in dB / SSIM / MSE for values from 0 to 1, the best of each row bold. "
        f"Protocol `{evaluation.stamp}`.",
        f"- {drawn}; pictures' checksum `{evaluation.data.checksum[:12]}`.",
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
