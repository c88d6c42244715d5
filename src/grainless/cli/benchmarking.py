"""The command `benchmark`: how fast pictures are cleaned, and how much memory that takes."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from grainless.cli.console import bar, check_filters, check_places, stderr, writing
from grainless.cli.pictures import Runtime


def benchmark(
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME|FILE", help="A model, or an ONNX file with a sidecar; may be repeated."),
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A classical filter; may be repeated.")
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="The shape of a known network; may be repeated."),
    ] = None,
    size: Annotated[
        list[float] | None,
        typer.Option(
            metavar="MP",
            help="Millions of pixels of the picture; may be repeated.",
            show_default="0.25, 1, 12, 48",
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of each run.", show_default="all cores")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Rounds at each size.")] = 5,
    budget: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="For the rounds of one row at one size; one that is too slow for a single round is skipped.",
        ),
    ] = 120.0,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The row that others are compared to.", show_default="the first one"
        ),
    ] = None,
    runtime: Annotated[
        Runtime, typer.Option(help="What computes networks; auto takes OpenVINO if it is installed.")
    ] = Runtime.onnxruntime,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all numbers.")
    ] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Write the tables.")
    ] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", metavar="FILE", help="Draw time and memory over size.")
    ] = None,
) -> None:
    """Time models, filters and shapes of known networks on pictures of several sizes, side by side.

    Prints seconds per megapixel, peak memory, and how near networks come to the processor's peak. Without
    --model, --method and --peer: universal, median, nlm, and the peers ffdnet-colour and dncnn-20. The exit
    code is 1 where a run failed; the table says which.
    """
    from grainless.atomic import replace_file
    from grainless.benchmark import (
        DEFAULT_ROWS,
        PEER_PREFIX,
        Settings,
        check_plotting,
        draw_plot,
        markdown_tables,
        measure,
    )
    from grainless.benchmark.results import DEFAULT_SIZES

    check_filters(method or [])
    check_places(*(path for path in (json_file, markdown_file, plot_file) if path is not None))
    if plot_file is not None:
        check_plotting(plot_file)
    settings = Settings(
        sizes=tuple(sorted(size)) if size else DEFAULT_SIZES,
        threads=threads,
        repeats=repeats,
        budget=budget,
        reference=reference,
        runtime=runtime.value,
    )
    rows = [*(model or []), *(method or []), *(f"{PEER_PREFIX}{name}" for name in peer or [])]
    with bar(stderr()) as show:
        result = measure(rows or DEFAULT_ROWS, settings, progress=show)

    words = ["grainless", "benchmark"]
    for option, values in (("--model", model), ("--method", method), ("--peer", peer)):
        words += [word for value in values or [] for word in (option, value)]
    words += [word for megapixels in settings.sizes for word in ("--size", f"{megapixels:g}")]
    words += ["--threads", str(result.threads), "--repeats", str(repeats), "--budget", f"{budget:g}"]
    words += [*(["--reference", reference] if reference else []), "--runtime", runtime.value]
    result = result.with_command(shlex.join(words))

    tables = markdown_tables(result)
    typer.echo(tables)
    if json_file is not None:
        with writing(json_file):
            result.save(json_file)
    if markdown_file is not None:
        with writing(markdown_file):
            replace_file(markdown_file, tables.encode())
    if plot_file is not None:
        with writing(plot_file):
            draw_plot(result, plot_file)
    if any(cell.status == "failed" for cell in result.cells):
        raise typer.Exit(1)
