"""What the page says: short texts of HTML, in which nothing that came from outside is markup."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

from grainless.batch import Failure
from grainless.diagnosis import Diagnosis
from grainless.service.page.cleaning import Cleaned
from grainless.service.page.folder import CleanedFolder
from grainless.service.page.lab import Trial

_HEADLINES = {
    "clean": "Clean already",
    "gaussian": "Even noise",
    "salt-pepper": "Black and white specks",
    "signal-dependent": "Sensor noise",
    "correlated": "Grain and blotches",
    "jpeg": "JPEG blocks and rings",
    "mixed": "Specks and noise",
}
_MOST_NOTES = 40
"""Lines that are listed of many pictures."""


def verdict(cleaned: Cleaned) -> str:
    """Return what was found in a picture and what was done."""
    told = cleaned.diagnosis
    sure = "sure" if told.confidence >= 0.9 else "fairly sure" if told.confidence >= 0.6 else "not sure"
    return (
        '<div class="verdict">'
        f'<p class="found">Found: <b>{_HEADLINES[told.kind]}</b> <small>{sure}</small></p>'
        f"<p>{_explanation(told)}</p>{_list(_further(cleaned))}"
        f'<p class="facts">{escape(cleaned.file.name)}<br>{escape(cleaned.facts)}</p></div>'
    )


def _explanation(told: Diagnosis) -> str:
    """Say how much noise there is, and of a clean picture how to have it cleaned anyway."""
    levels = f"about {told.sigma:.0f} of 255 levels" if told.sigma is not None else ""
    share = f"{100 * told.density:.1f} % of the values" if told.density is not None else ""
    quality = f", quality {told.quality}" if told.quality is not None else ""
    return {
        "clean": "No noise worth removing was found. To clean it anyway, choose a model.",
        "gaussian": f"The same everywhere: {levels}.",
        "salt-pepper": f"They hit {share}.",
        "signal-dependent": f"It changes with the light: {levels}.",
        "correlated": f"As film, scans and cameras' JPEGs have them: {levels}.",
        "jpeg": f"Left by strong compression{quality}.",
        "mixed": f"Specks hit {share}; the rest is {levels}.",
    }[told.kind]


def _further(cleaned: Cleaned) -> list[str]:
    """Return what was done, converted or lost."""
    lines = [cleaned.treatment.in_words(), *cleaned.notes]
    return [line[:1].upper() + line[1:] for line in lines]


def amplified(cleaned: Cleaned) -> str:
    """Say how strong the removed is shown, and what to look for."""
    strength = f"{cleaned.gain} times as strong" if cleaned.gain > 1 else "as it is"
    return (
        f"Shown {strength}; plain gray is nothing. It should look like noise: where you can "
        "make out the picture, detail was lost, and less strength is better."
    )


def folder_summary(result: CleanedFolder) -> str:
    """Return how many pictures were cleaned, which failed and why, and what was said of the others."""
    same = sum(treatment.model is None for treatment, _ in result.treated)
    cleaned = result.done - same
    pictures = f"{cleaned} picture{'s' * (cleaned != 1)} cleaned"
    if same:
        # Those that were clean, and those that would have become worse: the notes say which.
        pictures += f", {same} left as {'they were' if same != 1 else 'it was'}"
    if result.left:
        pictures += f", {result.left} left when it stopped"
    failed = f", <b>{len(result.failures)} failed</b>" if result.failures else ""
    return (
        f'<div class="verdict"><p class="found"><b>{pictures}</b>{failed}</p>'
        f"{_failures(result.failures)}{_details('Notes', result.notes)}</div>"
    )


def _failures(failures: Sequence[Failure]) -> str:
    if not failures:
        return ""
    rows = "".join(f"<li><b>{escape(item.name)}</b>: {escape(item.reason)}</li>" for item in failures)
    return f'<ul class="failures">{rows}</ul>'


def scores(trial: Trial) -> str:
    """Return the table of a trial, with its protocol below; the best of each column is marked."""
    best = {
        "psnr": max(line.psnr for line in trial.lines[1:]),
        "ssim": max(line.ssim for line in trial.lines[1:]),
    }
    rows = ""
    for line in trial.lines:
        psnr = "exact" if math.isinf(line.psnr) else f"{line.psnr:.2f}"
        ssim = f"{line.ssim:.4f}"
        psnr = f"<b>{psnr}</b>" if line.psnr == best["psnr"] else psnr
        ssim = f"<b>{ssim}</b>" if line.ssim == best["ssim"] else ssim
        remark = f"<small>{escape(line.remark)}</small>" if line.remark else ""
        rows += f"<tr><th>{escape(line.method)} {remark}</th><td>{psnr}</td><td>{ssim}</td></tr>"
    notes = " ".join(escape(note) for note in trial.notes)
    return (
        '<div class="verdict"><table class="scores"><thead><tr><th>method</th><th>PSNR, dB</th><th>SSIM</th>'
        f'</tr></thead><tbody>{rows}</tbody></table><p class="facts">{notes} One picture proves nothing: '
        f"measure on many with <code>grainless evaluate</code>. Protocol {escape(trial.stamp)}.</p></div>"
    )


def problem(text: str) -> str:
    """Return an error as it is shown in place of a result."""
    return f'<div class="verdict problem"><p>{escape(text)}</p></div>'


def _list(lines: Iterable[str]) -> str:
    rows = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return f"<ul>{rows}</ul>" if rows else ""


def _details(title: str, lines: Sequence[str]) -> str:
    if not lines:
        return ""
    more = len(lines) - _MOST_NOTES
    shown = [*lines[:_MOST_NOTES], *([f"and {more} more"] if more > 0 else [])]
    return f"<details><summary>{title} ({len(lines)})</summary>{_list(shown)}</details>"
