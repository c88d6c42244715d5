"""The command that ranks two methods: `compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grainless.errors import InputError

if TYPE_CHECKING:
    from grainless.evaluation import Comparison, Difference


def compare(
    first: Annotated[Path, typer.Argument(metavar="A.json", help="A file that `evaluate --json` wrote.")],
    second: Annotated[
        Path | None, typer.Argument(metavar="B.json", help="Another one; A.json itself if it is left out.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="What to compare: once for a method of both files, twice for one of A and one of B.",
            show_default="the one model in each file",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Say how far a method is ahead of another, picture by picture, and how sure that is.

    Differences are B minus A, with a 95 % confidence interval (bootstrap over the pictures) and the share of
    pictures won. Numbers that were measured in different ways are not compared.
    """
    from grainless.evaluation import compare as measure
    from grainless.evaluation import load

    names = method or []
    if len(names) > 2:
        raise InputError(
            "Only two methods can be compared", got=f"{len(names)} times --method", expected="one or two"
        )
    one = load(first)
    other = one if second is None else load(second)
    methods = (names[0], names[-1]) if names else None
    if one is other and methods is not None and methods[0] == methods[1]:
        raise InputError(
            "A method cannot be compared with itself", got=methods[0], expected="a second --method, or B.json"
        )
    result = measure(one, other, methods=methods)
    typer.echo(result.to_json() if as_json else _table(result), nl=not as_json)


def _table(result: Comparison) -> str:
    """Return the comparison as Markdown."""
    from grainless.evaluation.comparing import FEWEST

    first, second = result.first, result.second
    if first == second:
        first, second = f"A: {first}", f"B: {second}"
    lines = [
        f"| noise | measure | {first} | {second} | difference | 95 % interval | won | tied | {second} is |",
        f"|{' --- |' * 9}",
        *(_line(difference) for difference in result.differences),
        "",
        f"{result.differences[0].pictures} pictures, the mean over them of each picture's own scores. "
        f"Protocol `{result.stamp}`.",
    ]
    if result.differences[0].low is None:
        lines.append(
            f"They are too few to tell an interval, and so which method is better: {FEWEST} are needed."
        )
    return "\n".join(lines)


def _line(difference: Difference) -> str:
    digits = 2 if difference.measure == "psnr" else 4
    unit = " dB" if difference.measure == "psnr" else ""
    interval = "-"
    if difference.low is not None and difference.high is not None:
        interval = f"{difference.low:+.{digits}f} to {difference.high:+.{digits}f}"
    cells = (
        difference.noise,
        difference.measure.upper(),
        f"{difference.first:.{digits}f}",
        f"{difference.second:.{digits}f}",
        f"{difference.mean:+.{digits}f}{unit}",
        interval,
        f"{difference.won:.0%}",
        f"{difference.tied:.0%}",
        difference.verdict,
    )
    return f"| {' | '.join(cells)} |"
