"""The command that serves: `serve`. It needs the `web` extra."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from grainless.cli.console import stderr
from grainless.errors import InputError, MissingExtraError

KEY_VARIABLE = "GRAINLESS_API_KEY"
_EXTRA_PACKAGES = {"fastapi", "gradio", "prometheus_client", "starlette", "uvicorn"}
_LOCAL = {"127.0.0.1", "::1", "localhost"}


@contextmanager
def _web_extra() -> Iterator[None]:
    """Turn a failed import into an error that names the `web` extra."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in _EXTRA_PACKAGES:
            raise MissingExtraError("The service", "web") from error
        raise


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 is all of them.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes one that is free.")] = 8000,
    page: Annotated[bool, typer.Option("--page/--no-page", help="Serve the page, or the API alone.")] = True,
    max_megabytes: Annotated[float, typer.Option(min=0.001, help="Refuse larger files.")] = 128.0,
    max_megapixels: Annotated[float, typer.Option(min=0.001, help="Refuse larger pictures.")] = 50.0,
    max_seconds: Annotated[float, typer.Option(min=0.001, help="Longest work on one picture.")] = 120.0,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Pictures worked on at the same time.")] = 2,
    queue: Annotated[int, typer.Option(min=0, max=10_000, help="Further pictures that may wait.")] = 16,
    threads: Annotated[
        int | None, typer.Option(min=1, help="Processor threads of a model.", show_default="all cores")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Offer this model only; may be repeated.", show_default="all"),
    ] = None,
    api_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help=f"Ask each request for the key in this file; or set {KEY_VARIABLE}."
        ),
    ] = None,
    access_log: Annotated[bool, typer.Option("--access-log", help="Print a line for each request.")] = False,
) -> None:
    """Serve the page and the HTTP API from this machine, until Ctrl-C or SIGTERM; nothing is sent elsewhere.

    What is under way when it is told to stop is finished; a second Ctrl-C does not wait.
    """
    from pydantic import SecretStr

    from grainless.service import ServiceSettings

    key = _api_key(api_key_file)
    settings = ServiceSettings(
        host=host,
        port=port,
        max_bytes=round(max_megabytes * 1e6),
        max_megapixels=max_megapixels,
        max_seconds=max_seconds,
        workers=workers,
        queue=queue,
        threads=threads,
        api_key=None if key is None else SecretStr(key),
        models=None if model is None else tuple(model),
    )
    with _web_extra():
        from grainless.service.app import create_app
        from grainless.service.server import address, listen
        from grainless.service.server import serve as run

    with listen(host, port) as listening:
        app = create_app(settings, page=page)
        console = stderr()
        console.print(f"grainless serves at {address(listening)} (Ctrl-C stops it)")
        if key is None and host not in _LOCAL:
            console.print(
                f"whoever reaches this machine can use it; {KEY_VARIABLE} or --api-key-file asks for a key"
            )
        run(app, listening, access_log=access_log)


def _api_key(file: Path | None) -> str | None:
    """Return the key of a file or the environment; never of an option, which other users can see."""
    if file is None:
        key, place = os.environ.get(KEY_VARIABLE), KEY_VARIABLE
        if key is None:
            return None
    else:
        place = str(file)
        try:
            key = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"The key cannot be read from {place}", got=str(error)) from error
    key = key.strip()
    if not key or not key.isascii() or not key.isprintable():
        raise InputError(
            f"The key in {place} is not one that a header can hold", expected="one line of ASCII characters"
        )
    return key
