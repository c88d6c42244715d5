"""Commands that train and export networks: `train` and `export`. Both need the `train` extra."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from grainless.cli.console import bar, stderr
from grainless.errors import MissingExtraError


def _packaged(folder: str) -> str:
    """List the names of the files in a folder of the package."""
    # What reads these files loads PyTorch: too much for a help.
    files = (resources.files("grainless") / folder).iterdir()
    return ", ".join(sorted(Path(file.name).stem for file in files if file.name.endswith(".toml")))


_EXTRA_PACKAGES = {"torch", "lightning", "torchmetrics", "onnxscript", "tensorboard"}


@contextmanager
def _train_extra() -> Iterator[None]:
    """Say that torch is being loaded, and turn a failed import into an error that names the `train` extra."""
    try:
        with stderr().status("loading PyTorch"):
            yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in _EXTRA_PACKAGES:
            raise MissingExtraError("Training", "train") from error
        raise


def _log_to_stderr() -> None:
    """Show what a run says about itself, and of Lightning only its warnings."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    log = logging.getLogger("grainless")
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)


def train(
    recipe: Annotated[
        str, typer.Argument(metavar="RECIPE", help=f"A .toml file, or one of {_packaged('recipes')}.")
    ],
    data: Annotated[
        Path, typer.Option(metavar="PATH", help="Folder of pictures or of pairs, or the csv of FER2013.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="RUN", help="Folder of the run.")],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change one key of the recipe; may be repeated."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in RUN.")] = False,
    start_from: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL", help="Begin with the weights of this exported model of the same network."
        ),
    ] = None,
    max_minutes: Annotated[float | None, typer.Option(min=0, help="Stop after this many minutes.")] = None,
    limit_train: Annotated[int | None, typer.Option(min=1, help="Use only so many pictures.")] = None,
    devices: Annotated[
        int, typer.Option(min=1, help="Processors or graphics cards to train on, on each machine.")
    ] = 1,
    nodes: Annotated[
        int, typer.Option(min=1, help="Machines, on which torchrun or SLURM starts this command.")
    ] = 1,
) -> None:
    """Train a network by a recipe; Ctrl-C leaves a run that --resume goes on with."""
    with _train_extra():
        from grainless.training import RunOptions, train_run
    _log_to_stderr()
    options = RunOptions(
        resume=resume,
        max_minutes=max_minutes,
        start_from=start_from,
        limit_train=limit_train,
        devices=devices,
        nodes=nodes,
    )
    try:
        summary = train_run(recipe, data=data, output=out, changes=settings or (), options=options)
    except KeyboardInterrupt:
        words = ["grainless", "train", recipe, "--data", str(data), "-o", str(out), "--resume"]
        words += ["--limit-train", str(limit_train)] if limit_train is not None else []
        words += ["--devices", str(devices)] if devices != 1 else []
        words += ["--nodes", str(nodes)] if nodes != 1 else []
        typer.echo(f"go on with: {shlex.join(words)}", err=True)
        raise
    typer.echo(
        f"{summary['steps']} steps in {summary['minutes']} minutes, "
        f"best validation PSNR {summary['best_psnr']} dB; "
        f"next: {shlex.join(['grainless', 'export', str(out), '-o', 'model.onnx'])}",
        err=True,
    )
    limit = summary["max_minutes"]
    if not summary["finished"] and limit is not None:
        more = f"--resume --max-minutes {2 * max(limit, summary['minutes']):.3g}"
        typer.echo(f"The {limit:g} minutes are used up; for more training: {more}", err=True)


def reproduce(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"One of {_packaged('studies')}.")],
    data: Annotated[Path, typer.Option(metavar="PATH", help="The csv of FER2013, or a folder of pictures.")],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="FOLDER", help="For all studies, which share networks.")
    ] = Path("studies"),
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Train each form for so long at most, not its whole schedule.")
    ] = None,
    pictures: Annotated[
        int | None, typer.Option(min=1, help="Measure on so many of the test pictures only.")
    ] = None,
    devices: Annotated[int, typer.Option(min=1, help="Processors or graphics cards to train on.")] = 1,
) -> None:
    """Repeat a published study: train it as it was and improved, measure both beside filters, write it down.

    The same command goes on where an earlier one was stopped.
    """
    with _train_extra():
        from grainless.reproduce import ReproduceOptions
        from grainless.reproduce import reproduce as carry_out
    _log_to_stderr()
    words = ["grainless", "reproduce", name, "--data", data.resolve().name]
    words += ["--max-minutes", f"{max_minutes:g}"] if max_minutes is not None else []
    words += ["--pictures", str(pictures)] if pictures is not None else []
    words += ["--devices", str(devices)] if devices != 1 else []
    try:
        carry_out(
            name,
            data=data,
            output=out,
            command=shlex.join(words),
            options=ReproduceOptions(max_minutes=max_minutes, pictures=pictures, devices=devices),
            measuring=_measuring,
        )
    except KeyboardInterrupt:
        typer.echo("the same command goes on where this one stopped", err=True)
        raise
    typer.echo(f"wrote {out / f'{name}.md'}", err=True)


@contextmanager
def _measuring() -> Iterator[Callable[[int, int], None]]:
    """Show how many test pictures are measured."""
    with bar(stderr()) as show:
        yield lambda done, total: show("pictures measured", done, total)


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a training run.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="The model file to write.")],
    half: Annotated[bool, typer.Option("--half", help="Store the weights in 16 bits.")] = False,
) -> None:
    """Write the best network of a run as one ONNX file with its card inside."""
    with _train_extra():
        from grainless.training import export_run
    _log_to_stderr()
    export_run(run, out, half=half)
    typer.echo(f"wrote {out}", err=True)
