"""The command line: thin commands over the library, with errors in words and exit codes.

Exit codes: 0 all done; 1 some files of several failed; 2 nothing could be done (wrong option, bad file);
130 stopped by Ctrl-C. With GRAINLESS_DEBUG=1 an error shows its traceback.
"""

from __future__ import annotations

import errno
import functools
import io
import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, ParamSpec

import typer

from grainless.cli.benchmarking import benchmark
from grainless.cli.checking import check_data
from grainless.cli.comparing import compare
from grainless.cli.inspecting import inspect
from grainless.cli.learning import export, reproduce, train
from grainless.cli.pictures import corrupt, denoise
from grainless.cli.serving import serve
from grainless.cli.study import evaluate, models, report
from grainless.errors import GrainlessError
from grainless.version import __version__

_Options = ParamSpec("_Options")

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Takes the noise out of pictures, offline, on a plain CPU; trains and measures denoisers.",
)


def _show_traceback_if_asked() -> None:
    """Print where the error came from if GRAINLESS_DEBUG is set; message and exit code stay the same."""
    if os.environ.get("GRAINLESS_DEBUG"):
        traceback.print_exc()


def _in_words(command: Callable[_Options, None]) -> Callable[_Options, None]:
    """Turn what a user can cause into one line and an exit code, never a traceback."""

    @functools.wraps(command)
    def guarded(*args: _Options.args, **kwargs: _Options.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except GrainlessError as error:
            _show_traceback_if_asked()
            typer.echo(f"grainless: error: {error}", err=True)
            raise typer.Exit(error.exit_code) from None
        except OSError as error:
            # A closed pipe is typer's to handle, an error without a number is no answer of the system.
            if error.errno in {None, errno.EPIPE}:
                raise
            _show_traceback_if_asked()
            named = f"{error.filename}: " if error.filename else ""
            typer.echo(f"grainless: error: {named}{error.strerror}.", err=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            typer.echo("grainless: stopped", err=True)
            raise typer.Exit(130) from None

    return guarded


_COMMANDS: tuple[Callable[..., None], ...] = (
    denoise,
    inspect,
    corrupt,
    models,
    evaluate,
    compare,
    report,
    benchmark,
    check_data,
    train,
    export,
    reproduce,
    serve,
)
for _command in _COMMANDS:
    app.command()(_in_words(_command))


def _show_version(wanted: bool) -> None:
    """Print the version and stop."""
    if wanted:
        typer.echo(f"grainless {__version__}")
        raise typer.Exit


@app.callback()
def _before_commands(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and stop."),
    ] = False,
) -> None:
    """Hold the options that stand before a command."""


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Names of files need not be text that the terminal can show.
            stream.reconfigure(errors="backslashreplace")
    app()
