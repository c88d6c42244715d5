"""Commands that look at models: `models` lists them, `evaluate` measures them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grainless.cli.console import bar, check_filters, check_places, stderr, writing
from grainless.errors import InputError

if TYPE_CHECKING:
    from grainless.evaluation import Evaluation, Example, RecordedPairs
    from grainless.model_file import ModelCard

LIST_VERSION = 1
"""Version of the JSON form of `models --json`: fields are only added within a version."""

SHOWN_NOISES = 4
"""Pictures are shown for so many noises at most, at even steps: a page is looked at, not searched."""


def models(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[PATH]...", exists=True, help="More model files, or folders of them."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole cards as JSON.")] = False,
) -> None:
    """List the models: bundled, in your folder (GRAINLESS_MODELS or ~/.grainless/models), and in PATH.

    A file that is refused is reported with the reason, and the exit code is 1.
    """
    from grainless.errors import ModelError
    from grainless.model_file import list_models

    problems: list[ModelError] = []
    found = list_models(paths or (), problems=problems)
    if as_json:
        entries = [{"path": str(path), "card": card.model_dump(mode="json")} for path, card in found]
        typer.echo(json.dumps({"version": LIST_VERSION, "models": entries}, indent=1))
    elif found:
        typer.echo("\n\n".join(_described(path, card) for path, card in found))
    else:
        typer.echo("no models found", err=True)
    for problem in problems:
        typer.echo(f"failed: {problem}", err=True)
    if problems:
        raise typer.Exit(1)


def evaluate(
    data: Annotated[Path, typer.Option(metavar="FOLDER", help="Clean pictures, also in subfolders.")],
    noise: Annotated[
        list[str] | None, typer.Option(metavar="SPEC", help="A noise to put in; may be repeated.")
    ] = None,
    pairs: Annotated[
        tuple[Path, Path] | None,
        typer.Option(
            metavar="NOISY CLEAN",
            help="Pictures with noise of their own, and clean: two folders in FOLDER, or names with a star, "
            "such as '*_real.JPG' '*_mean.JPG'. In place of --noise.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|FILE",
            help="A model; may be repeated.",
            show_default="universal, or none where only filters are named",
        ),
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="A classical filter to show beside; may be repeated.",
            show_default="median, mask_interpolate",
        ),
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers, each picture's too.")
    ] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write the table.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            help="Write a page (report.html), the table and the numbers into DIR.",
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only the first pictures by name.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same noise.")] = 0,
    protocol: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME|all",
            help="How it is measured; may be repeated, each one with a table of its own.",
            show_default="file-8bit",
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Measure also ms_ssim or noise_left; may be repeated."),
    ] = None,
) -> None:
    """Put noise into clean pictures, take it out by each model and filter, and score the results.

    With --pairs the noise is that of photographs of which there are clean ones too.

    Prints PSNR, SSIM and MSE and how they were measured; --json also holds MAE, speed and each picture's
    scores. With several protocols, --json scores.json writes scores-NAME.json for each.
    """
    from grainless.atomic import replace_file
    from grainless.evaluation import DEFAULT_METHODS, RecordedPairs
    from grainless.evaluation import evaluate as measure
    from grainless.metrics import PROTOCOLS, check_metrics
    from grainless.report import check_packages, markdown_table

    models_used = model or ([] if method else ["universal"])
    filters = method or list(DEFAULT_METHODS)
    check_filters(filters)
    if not noise and pairs is None:
        raise InputError(
            "There is no noise to measure with",
            expected="--noise, such as gaussian:25, or --pairs for pictures with noise of their own",
        )
    protocols = _protocols(protocol or [], recorded=pairs is not None)
    check_metrics(metric or [])
    if out is not None:
        check_packages()
    files = [file for file in (json_file, out / "results.json" if out else None) if file is not None]
    places = [_places(file, protocols) for file in files]
    check_places(
        *(place for each in places for place in each.values()),
        *([markdown_file] if markdown_file else []),
        *([out / "report.html", out / "report.md"] if out else []),
        read=[*_pictures(data, pairs), *map(Path, models_used)],
    )
    words = ["grainless", "evaluate", "--data", str(data)]
    words += ["--pairs", *map(str, pairs)] if pairs else []
    for option, values in (("--noise", noise), ("--model", models_used), ("--method", filters)):
        words += [word for text in values or [] for word in (option, text)]
    words += [] if pairs else ["--seed", str(seed)]
    words += ["--limit", str(limit)] if limit else []
    words += [word for text in metric or [] for word in ("--metric", text)]
    words += [word for name in (protocols if protocol else ()) for word in ("--protocol", name)]
    words += ["-o", str(out)] if out else []

    source = RecordedPairs(*(data / side for side in pairs)) if pairs else data
    results = []
    with bar(stderr()) as show:
        for name in protocols:
            result = measure(
                source,
                noise or (),
                methods=[*filters, *models_used],
                protocol=PROTOCOLS[name],
                metrics=metric or (),
                seed=seed,
                limit=limit,
                progress=lambda done, total: show("pictures", done, total),
            )
            results.append(result.with_command(shlex.join(words)))
            for place in (each[name] for each in places):
                with writing(place):
                    results[-1].save(place)

    text = "\n".join(markdown_table([result]) for result in results)
    typer.echo(text)
    for line in _unmeasured(results, metric or ()):
        typer.echo(line, err=True)
    for line in dict.fromkeys(
        f"{item.name}: {item.reason}" for each in results for item in each.data.skipped
    ):
        typer.echo(f"skipped: {line}", err=True)
    if markdown_file is not None:
        with writing(markdown_file):
            replace_file(markdown_file, text.encode())
    if out is not None:
        _write_page(out, results, data=source, methods=[*filters, *models_used])


def _pictures(data: Path, pairs: tuple[Path, Path] | None) -> list[Path]:
    """Return the files that are measured on; raises DataError where there are none."""
    from grainless.datasets import find_pictures, side_folder

    folders = {side_folder(data / side) for side in pairs} if pairs else {data}
    return [folder / name for folder in folders for name in find_pictures(folder)]


def _unmeasured(results: Sequence[Evaluation], metrics: Sequence[str]) -> list[str]:
    """Name the metrics that were asked for and of which there is no number."""
    return [
        f"no {name}: under {result.protocol.name} every picture is too small for it"
        for result in results
        for name in metrics
        if all(getattr(row.mean, name) is None for row in result.rows)
    ]


def _write_page(
    out: Path, results: Sequence[Evaluation], *, data: Path | RecordedPairs, methods: Sequence[str]
) -> None:
    """Write the page into `out`, with the pictures behind its numbers."""
    from grainless.report import write_report

    with bar(stderr()) as show:

        def progress(done: int, total: int) -> None:
            show("pictures of the page", done, total)

        examples = [_examples(data, result, methods, progress) for result in results]
    with writing(out):
        write_report(results, out, examples=examples, title=f"Denoising {results[0].data.name}")
    typer.echo(f"wrote {out / 'report.html'}", err=True)


def _examples(
    data: Path | RecordedPairs,
    result: Evaluation,
    methods: Sequence[str],
    progress: Callable[[int, int], None],
) -> Sequence[Example]:
    """Return the pictures that the last method won and lost the most, on a few of the noises."""
    from grainless.evaluation import make_examples, pick_examples

    if len(methods) < 2:
        return ()
    step = -(-len(result.noises) // SHOWN_NOISES)
    picks = pick_examples(result, result.methods[-1].name, noises=result.noises[::step])
    return make_examples(data, result, picks, methods=methods, progress=progress)


def report(
    results: Annotated[
        list[Path],
        typer.Argument(metavar="RESULT...", help="JSON files that `evaluate --json` wrote."),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The Markdown file to write.")],
    title: Annotated[str, typer.Option(metavar="TEXT", help="Heading of the page.")] = "Results",
) -> None:
    """Write one page of tables from several results; parts that measured the same pictures are joined."""
    from grainless.atomic import replace_file
    from grainless.evaluation import load
    from grainless.report import markdown_table

    check_places(out, read=results)
    table = markdown_table([load(path) for path in results])
    with writing(out):
        replace_file(out, f"# {title}\n\n{table}".encode())
    typer.echo(f"wrote {out}", err=True)


def _protocols(names: Sequence[str], *, recorded: bool) -> list[str]:
    """Return the protocols that are asked for, each once; raises InputError for unknown ones.

    Of all, recorded pictures leave out those whose noise is not clipped.
    """
    from grainless.metrics import FILE_8BIT, PROTOCOLS

    for name in names:
        if name != "all" and name not in PROTOCOLS:
            raise InputError(
                f"There is no protocol named {name!r}", expected=f"all, or one of {', '.join(PROTOCOLS)}"
            )
    if "all" in names:
        return [name for name, known in PROTOCOLS.items() if known.noisy_form != "unclipped" or not recorded]
    return list(dict.fromkeys(names)) or [FILE_8BIT.name]


def _places(json_file: Path, protocols: Sequence[str]) -> dict[str, Path]:
    """Return where the numbers of each protocol go: several have their names before the suffix."""
    if len(protocols) == 1:
        return {protocols[0]: json_file}
    return {name: json_file.with_name(f"{json_file.stem}-{name}{json_file.suffix}") for name in protocols}


def _described(path: Path, card: ModelCard) -> str:
    """Show a card in short."""
    pictures = ", ".join(f"{data.name} ({data.pictures}, {data.licence})" for data in card.training_data)
    return "\n".join(
        (
            f"{card.name}: {card.description}",
            f"  takes       {'colour and gray' if card.channels == 3 else 'gray'} pictures",
            f"  against     {', '.join(card.noise)}",
            f"  trained on  {pictures}",
            f"  licence     {card.licence}",
            f"  file        {path}, {path.stat().st_size / 1e6:.1f} MB",
        )
    )
