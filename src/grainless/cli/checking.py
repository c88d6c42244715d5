"""The command that looks for faults in data: `check-data`."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grainless.cli.console import bar, stderr
from grainless.errors import InputError

if TYPE_CHECKING:
    from grainless.doctor import Report

LISTED = 20
"""So many findings of a kind are listed, unless all are asked for."""


def check_data(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A folder of pictures, or the csv of FER2013.")
    ],
    pairs: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="NOISY CLEAN",
            help="Folders of noisy and clean pictures, or names with a star such as '*_real.JPG', in PATH or "
            "anywhere.",
            show_default="noisy and clean in PATH, if both are there",
        ),
    ] = None,
    against: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER", help="Pictures that must not be in PATH, such as a test set; may be repeated."
        ),
    ] = None,
    min_side: Annotated[
        int | None, typer.Option(min=1, help="Shorter sides are too small, in pixels.", show_default="96")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Look only at files, sizes, channels and equal pixels.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help=f"List all findings, not {LISTED} of each kind.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Look for faults in pictures that are to be trained or measured on; nothing is changed.

    Damaged, noisy and strongly compressed files, pairs that do not fit, and pictures that are there twice or
    in a test set too. The exit code is 1 if there are faults, 0 if there are none or only notes.
    """
    from grainless.datasets import is_faces_file
    from grainless.doctor import MIN_SIDE, check_faces, check_folder

    faces = is_faces_file(path)
    if faces and (pairs is not None or against):
        raise InputError(
            "A file of faces is checked by itself",
            got="--pairs" if pairs is not None else "--against",
            remedy="Leave it out; faces of different Usage are compared anyway",
        )
    if faces and min_side is not None:
        raise InputError("All faces are 48x48 pixels", got=f"--min-side {min_side}", remedy="Leave it out")
    with bar(stderr()) as show:

        def progress(done: int, total: int) -> None:
            show("reading", done, total)

        if faces:
            report = check_faces(path, quick=quick, progress=progress)
        else:
            report = check_folder(
                path,
                pairs=pairs,
                against=against or (),
                quick=quick,
                min_side=MIN_SIDE if min_side is None else min_side,
                progress=progress,
            )
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=1))
    else:
        typer.echo(described(report, limit=None if everything else LISTED))
    if report.faults:
        raise typer.Exit(1)


def described(report: Report, *, limit: int | None) -> str:
    """Show a report: its findings by kind, at most `limit` of each, with the remedy below."""
    from grainless.doctor import KINDS

    parts = []
    for kind, members in groupby(report.findings, key=lambda finding: finding.kind):
        findings = list(members)
        about = KINDS[kind]
        lines = [f"{about.title} ({about.severity}, {len(findings)}):"]
        lines += [f"  {finding.file}: {finding.found}" for finding in findings[:limit]]
        if limit is not None and len(findings) > limit:
            lines.append(f"  and {len(findings) - limit} more; --all lists them")
        lines.append(f"  Remedy: {about.remedy}.")
        parts.append("\n".join(lines))
    counts = ((report.pictures, "picture"), (len(report.faults), "fault"), (len(report.notes), "note"))
    parts.append(f"{report.path}: {', '.join(_counted(count, what) for count, what in counts)}")
    return "\n\n".join(parts)


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'s' if count != 1 else ''}"
