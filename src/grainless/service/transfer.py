"""Files in and out: streamed to a disk and from it, counted and timed, never whole in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from fastapi import Request
from fastapi.responses import Response
from starlette.requests import ClientDisconnect

from grainless.errors import PictureError
from grainless.service.refusals import NoSpaceError, SlowTransferError, TooManyBytesError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from grainless.service.pool import Place
    from grainless.service.settings import ServiceSettings

_CHUNK = 2**18


async def receive_file(request: Request, path: Path, settings: ServiceSettings) -> None:
    """Write the body of a request to `path`.

    Raises TooManyBytesError as soon as it is known to be too large, SlowTransferError, NoSpaceError,
    ClientDisconnect where it breaks off, and PictureError for a form instead of the file itself.
    """
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise PictureError(
            "The body is a form",
            expected="the bytes of a picture file alone",
            remedy="With curl: --data-binary @FILE in place of -F",
        )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal():
        _check_size(int(declared), settings.max_bytes)
    try:
        async with asyncio.timeout(settings.max_transfer_seconds):
            await _receive(request, path, settings.max_bytes)
    except TimeoutError as error:
        raise SlowTransferError(
            "The file did not arrive in time", expected=f"at most {settings.max_transfer_seconds:g} seconds"
        ) from error
    except OSError as error:
        raise NoSpaceError("The service cannot store the file", remedy="Try again later") from error


async def _receive(request: Request, path: Path, max_bytes: int) -> None:
    size = 0
    with path.open("wb") as stream:
        async for chunk in request.stream():
            size += len(chunk)
            _check_size(size, max_bytes)
            stream.write(chunk)


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise TooManyBytesError(
            "The file is too large",
            got=f"{size:,} bytes or more",
            expected=f"at most {most:,} bytes",
        )


async def client_gone(request: Request) -> Exception:
    """Return when the client of a request that was received has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return ClientDisconnect()


class FileAnswer(Response):
    """Sends a file, and leaves its place when that is done or has failed."""

    def __init__(
        self, path: Path, place: Place, *, seconds: float, media_type: str, headers: Mapping[str, str]
    ) -> None:
        """Take a file in the folder of `place`, and the time in which it has to be sent."""
        super().__init__(media_type=media_type, headers=headers)
        self._path, self._place, self._seconds = path, place, seconds
        self.headers["Content-Length"] = str(path.stat().st_size)
        place.stay()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the file; where it is not taken in time the connection is cut, which the client sees."""
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._send(send)
        finally:
            self._place.leave()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        with self._path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
