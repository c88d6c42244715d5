"""The command that tells which noise a picture has: `inspect`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grainless.cli.console import bar, stderr
from grainless.errors import GrainlessError

if TYPE_CHECKING:
    from grainless.diagnosis import Diagnosis

INSPECT_VERSION = 1
"""Version of the JSON form of `inspect --json`: fields are only added within a version."""


def inspect(
    inputs: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Pictures, and folders of them.", show_default=False),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print all that was measured as JSON.")] = False,
    linear: Annotated[
        bool, typer.Option("--linear", help="Float pictures hold linear light, not sRGB values.")
    ] = False,
    max_megapixels: Annotated[
        float | None,
        typer.Option(
            min=0, help="Refuse pictures larger than this.", show_default="500 if held in memory, else none"
        ),
    ] = None,
) -> None:
    """Tell which noise pictures have, how much of it, how sure that is, and what to do; nothing is changed.

    Kinds: clean, gaussian, salt-pepper, signal-dependent, correlated, jpeg, mixed. A file that cannot be read
    is reported with the reason, and the exit code is 1, or 2 if there is no other.
    """
    from grainless.batch.large import diagnose_file
    from grainless.batch.plans import pictures_in

    files, unlisted = pictures_in(inputs)
    found: list[tuple[Path, Diagnosis]] = []
    problems = [f"{failure.name}: {failure.reason}" for failure in unlisted]
    with bar(stderr()) as show:
        for number, path in enumerate(files):
            show(path.name, number, len(files))
            try:
                found.append((path, diagnose_file(path, linear=linear, max_megapixels=max_megapixels)))
            except GrainlessError as error:
                if len(files) == 1 and not problems:
                    raise
                problems.append(str(error))
    if as_json:
        entries: list[dict[str, Any]] = [{"path": str(path), **told.as_json()} for path, told in found]
        typer.echo(json.dumps({"version": INSPECT_VERSION, "pictures": entries}, indent=1))
    elif found:
        typer.echo("\n".join(f"{path}: {told.in_short()}\n  {told.advice}" for path, told in found))
    for problem in problems:
        typer.echo(f"failed: {problem}", err=True)
    if problems:
        raise typer.Exit(1)
