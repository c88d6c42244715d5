"""A study as people read it (Markdown, curves, pictures) and as programs do (JSON)."""

from __future__ import annotations

import importlib
import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from grainless.atomic import replace_file
from grainless.errors import MissingExtraError
from grainless.evaluation import Evaluation, Row
from grainless.reproduce.forms import FormResult
from grainless.reproduce.study import Study
from grainless.training.sources import load_run_data
from grainless.version import __version__

if TYPE_CHECKING:
    from matplotlib.figure import Figure


VERSION = 1
"""Version of the JSON form: fields are only added within a version."""


@dataclass(frozen=True)
class StudyResult:
    """All that a study found."""

    study: Study
    command: str
    max_minutes: float | None
    """The limit of that command."""
    forms: dict[str, FormResult]
    evaluations: dict[str, Evaluation]
    """By measurement: `seed`, and `native` where there is one."""
    sharpness: dict[str, dict[str, float]]
    """By noise, then by form; `noisy` is the picture as it went in."""
    sharpness_pictures: int
    """So many test pictures were looked at for it."""
    examples: list[tuple[str, dict[str, NDArray[Any]]]]


def write_study(result: StudyResult, folder: Path) -> None:
    """Write `NAME.md`, `NAME.json`, `NAME-curves.png` and `NAME-pictures.png` into a folder.

    Needs what `check_packages` looks for.
    """
    name = result.study.name
    _save(_draw_curves(result), folder / f"{name}-curves.png")
    _save(_draw_pictures(result), folder / f"{name}-pictures.png")
    replace_file(folder / f"{name}.json", (json.dumps(as_table(result), indent=1) + "\n").encode())
    replace_file(folder / f"{name}.md", as_markdown(result).encode())


def as_table(result: StudyResult) -> dict[str, Any]:
    """Return the study's numbers as plain data; the scores of single pictures are left out."""
    study = result.study
    return {
        "version": VERSION,
        "grainless": __version__,
        "command": result.command,
        "study": study.model_dump(mode="json"),
        "forms": {
            name: {
                "recipe": form.recipe.name,
                "parameters": form.parameters,
                "steps": form.summary["steps"],
                "steps_of_recipe": form.recipe.schedule.steps,
                "pictures": form.pictures(),
                "pictures_seen": form.summary["pictures"],
                "minutes": form.summary["minutes"],
                "max_minutes": form.summary["max_minutes"],
                "cut": form.cut,
                "validation": [
                    {"step": step, "psnr": round(psnr, 3)} for step, psnr in form.curve(study.seed.noise)
                ],
            }
            for name, form in result.forms.items()
        },
        "measurements": {
            part: {
                "protocol": evaluation.stamp,
                "pictures": evaluation.data.pictures,
                "checksum": evaluation.data.checksum,
                "rows": [_row_table(row) for row in evaluation.rows],
            }
            for part, evaluation in result.evaluations.items()
        },
        "sharpness": result.sharpness,
    }


def _row_table(row: Row) -> dict[str, Any]:
    return {
        "noise": row.noise,
        "method": row.method,
        "psnr": round(row.mean.psnr, 4),
        "psnr_per_image": round(_per_image(row), 4),
        "ssim": round(row.mean.ssim, 5),
        "mse": row.mean.mse,
    }


def _per_image(row: Row) -> float:
    return row.mean.psnr if row.psnr_per_image is None else row.psnr_per_image


def as_markdown(result: StudyResult) -> str:
    """Return the study as a page; its first line says if a run was cut short."""
    study = result.study
    lines = [_first_line(result), "", f"# {study.title}", "", study.about, ""]
    if study.claim is not None:
        lines += [f"The study's own number: {_claim(study)} ({study.claim.source}).", ""]
    if study.ours:
        lines += ["Ours, as the study does not say it or cannot be followed:", ""]
        lines += [*(f"- {text}" for text in study.ours), ""]
    lines += ["## Training", "", *_training_table(result), "", f"![curves]({study.name}-curves.png)", ""]
    for part, evaluation in result.evaluations.items():
        title = (study.native if part == "native" and study.native is not None else study.seed).title
        lines += [f"## {title}", "", *_score_table(study, part, evaluation), ""]
        lines += [*_verdicts(result, part), ""]
    lines += ["## Sharpness", "", *_sharpness_table(result), "", "## Pictures", ""]
    lines += [f"![pictures]({study.name}-pictures.png)", "", "## Made again by", ""]
    lines += [f"    {result.command}" if result.command else "Called from Python.", *_longer(result), ""]
    return "\n".join(lines)


def _longer(result: StudyResult) -> list[str]:
    """Say which forms had been trained before by a command of their own, with another limit of time."""
    lines = []
    for name, form in result.forms.items():
        limit = form.summary["max_minutes"]
        if form.cut and limit is not None and limit != result.max_minutes:
            recipe, changes = result.study.recipe(name)
            words = ["grainless", "train", recipe, "--data", load_run_data(form.run)["folder"]]
            words += [word for change in changes for word in ("--set", change)]
            words += ["-o", f"runs/{form.run.name}", "--max-minutes", f"{limit:g}"]
            lines += ["", f"after the {name} form was trained longer, in the folder of the study, by", ""]
            lines += [f"    {shlex.join(words)}"]
    return lines


def _first_line(result: StudyResult) -> str:
    cut = [form for form in result.forms.values() if form.cut]
    if not cut:
        return f"All runs of this study went to the end of their recipes (grainless {__version__})."
    parts = ", ".join(
        f"{form.form} {form.summary['steps']} of {form.recipe.schedule.steps} steps in "
        f"{form.summary['minutes']:.0f} minutes"
        for form in cut
    )
    return f"**Cut short:** {parts} (grainless {__version__})."


def _claim(study: Study) -> str:
    claim = study.claim
    if claim is None:
        return "none published"
    parts = [f"{claim.psnr:.2f} dB"]
    parts += [] if claim.ssim is None else [f"SSIM {claim.ssim:.4f}"]
    parts += [] if claim.mse is None else [f"MSE {claim.mse:.2e}"]
    return ", ".join(parts)


def _training_table(result: StudyResult) -> list[str]:
    lines = [
        "| form | recipe | weights | pictures for training, validation | patches seen | steps | of | minutes "
        "| best validation PSNR |",
        f"|{' --- |' * 9}",
    ]
    for name, form in result.forms.items():
        summary, pictures = form.summary, form.pictures()
        best = form.best(result.study.seed.noise)
        lines.append(
            f"| {name} | `{form.recipe.name}` | {form.parameters:,} "
            f"| {pictures['training']:,}, {pictures['validation']:,} | {summary['pictures']:,} "
            f"| {summary['steps']:,} | {form.recipe.schedule.steps:,} | {summary['minutes']:.1f} "
            f"| {'-' if best is None else f'{best:.2f} dB'} |"
        )
    pictures = result.forms["faithful"].pictures()
    return [
        *lines,
        "",
        f"{pictures['test']:,} pictures are left for the test, {pictures['skipped']:,} were skipped. "
        f"Validation: 8-bit answers on {', '.join(result.study.seed.noise)}, mean of PSNR per image.",
    ]


def _score_table(study: Study, part: str, evaluation: Evaluation) -> list[str]:
    lines = [
        "| noise | method | PSNR | PSNR per image | SSIM | MSE |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    if part == "seed" and study.claim is not None:
        claim = study.claim
        ssim = "-" if claim.ssim is None else f"{claim.ssim:.4f}"
        error = "-" if claim.mse is None else f"{claim.mse:.2e}"
        lines.append(f"| as published | the seed | {claim.psnr:.2f} | - | {ssim} | {error} |")
    for noise in evaluation.noises:
        rows = [row for row in evaluation.rows if row.noise == noise]
        best = max(row.mean.psnr for row in rows)
        for row in rows:
            psnr = f"{row.mean.psnr:.2f}"
            lines.append(
                f"| {noise} | {row.method} | {f'**{psnr}**' if row.mean.psnr == best else psnr} "
                f"| {_per_image(row):.2f} | {row.mean.ssim:.4f} | {row.mean.mse:.2e} |"
            )
    count = evaluation.data.pictures
    return [
        *lines,
        "",
        f"{count:,} test pictures. Protocol `{evaluation.stamp}`. Noise seed {evaluation.seed}.",
    ]


def _verdicts(result: StudyResult, part: str) -> list[str]:
    """Say in words what the table shows."""
    study, evaluation = result.study, result.evaluations[part]
    lines = []
    for noise in evaluation.noises:
        psnr = {row.method: row.mean.psnr for row in evaluation.rows if row.noise == noise}
        best = max(study.filters, key=lambda name: psnr[name])
        faithful, improved = psnr["faithful"], psnr["improved"]
        meant = f" (meant to be {study.bar:+.1f})" if study.bar is not None and part == "seed" else ""
        lines.append(
            f"- {noise}: the faithful form is {faithful - psnr['noisy']:+.2f} dB to the noisy pictures, "
            f"{faithful - psnr['median']:+.2f} dB to a 3 x 3 median filter and "
            f"{faithful - psnr[best]:+.2f} dB to the best filter, {best}; "
            f"the improved form is {improved - psnr[best]:+.2f} dB to that filter{meant}."
        )
        if part == "seed" and study.claim is not None and study.claim.comparable:
            lines.append(
                f"- {noise}: the faithful form is {faithful - study.claim.psnr:+.2f} dB to the claim."
            )
        if study.twin:
            lines.append(
                f"- {noise}: the GAN is {faithful - psnr['twin']:+.2f} dB to its twin{_steps(result)}."
            )
    return lines


def _steps(result: StudyResult) -> str:
    """Say that GAN and twin made different numbers of steps, where they did."""
    steps = [result.forms[form].summary["steps"] for form in ("faithful", "twin")]
    if steps[0] == steps[1]:
        return ""
    return f", after {steps[0]:,} and {steps[1]:,} steps: not all of that is the adversarial term's doing"


def _sharpness_table(result: StudyResult) -> list[str]:
    columns = list(next(iter(result.sharpness.values())))
    lines = [f"| noise | {' | '.join(columns)} |", f"| --- |{' --- |' * len(columns)}"]
    for noise, found in result.sharpness.items():
        lines.append(f"| {noise} | {' | '.join(f'{found[name]:.3f}' for name in columns)} |")
    return [
        *lines,
        "",
        "Energy of the pictures above a quarter of a cycle per pixel, as a ratio to the clean ones': median "
        f"over {result.sharpness_pictures} test pictures as in the first table above. 1 is as sharp, less is "
        "smoother, more is noise that was left or detail that was made up.",
    ]


def check_packages() -> None:
    """Raise MissingExtraError where a study could be trained but not measured and drawn."""
    for package in ("matplotlib", "scipy", "skimage"):
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise MissingExtraError("Measuring a study", "evaluate") from error


def _figure(**settings: Any) -> Figure:
    from matplotlib.figure import Figure

    return Figure(layout="constrained", **settings)


def _draw_curves(result: StudyResult) -> Figure:
    """Draw validation PSNR over the steps, a line for each form."""
    figure = _figure(figsize=(7, 4))
    axes = figure.subplots()
    axes.set_title(", ".join(result.study.seed.noise), fontsize=9)
    for name, form in result.forms.items():
        points = form.curve(result.study.seed.noise)
        steps, decibels = zip(*points, strict=True) if points else ((), ())
        axes.plot(steps, decibels, marker=".", label=f"{name} ({form.recipe.name})")
    axes.set_xlabel("steps")
    axes.set_ylabel("PSNR on validation pictures, dB")
    axes.grid(alpha=0.3)
    axes.legend()
    return figure


def _draw_pictures(result: StudyResult) -> Figure:
    """Draw the examples, a row each: clean, noisy and every method."""
    rows = result.examples
    columns = list(rows[0][1])
    figure = _figure(figsize=(1.7 * len(columns), 1.95 * len(rows)))
    grid = figure.subplots(len(rows), len(columns), squeeze=False)
    for axes, (label, parts) in zip(grid, rows, strict=True):
        for axis, name in zip(axes, columns, strict=True):
            pixels = parts[name]
            values = pixels.astype(np.float32) / (255 if pixels.dtype == np.uint8 else 1)
            shown = np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values
            axis.imshow(np.clip(shown, 0, 1), interpolation="nearest")
            axis.set_axis_off()
            axis.set_title(name if name != "clean" else f"{label}\n{name}", fontsize=6)
    return figure


def _save(figure: Figure, path: Path) -> None:
    # No date and no version inside: the same numbers give the same bytes.
    figure.savefig(path, dpi=110, metadata={"Software": None})
