"""The server: an address of its own, and an end that finishes what is under way."""

from __future__ import annotations

import copy
import errno
import socket
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn

from grainless.errors import InputError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from grainless.service.pool import Pool

_WAITING = 512
"""Connections that the system holds until they are accepted."""
_LAST_SECONDS = 5
"""For connections that stay open when all pictures are done, such as those of an open page."""


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raises InputError where that address or port cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_WAITING)
    except OSError as error:
        remedies = {
            errno.EADDRINUSE: ("it is in use", "Choose another with --port, or stop what uses it"),
            errno.EACCES: ("no permission", "Choose a --port from 1024 up"),
        }
        why, remedy = remedies.get(
            error.errno or 0, (error.strerror or str(error), "Choose an address of this machine with --host")
        )
        raise InputError(f"{host} port {port} cannot be listened on", got=why, remedy=remedy) from error


def address(listening: socket.socket) -> str:
    """Return where a browser finds what listens."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: FastAPI, listening: socket.socket, *, access_log: bool = False) -> None:
    """Serve until SIGTERM or Ctrl-C; then take in nothing more, and return when what is under way is done.

    A second Ctrl-C does not wait.
    """
    config = uvicorn.Config(
        app,
        access_log=access_log,
        log_config=_log_config(),
        log_level="info" if access_log else "warning",
        server_header=False,
        timeout_graceful_shutdown=_LAST_SECONDS,
        ws="none",
    )
    _Server(config, app.state.service.pool).run(sockets=[listening])


def _log_config() -> dict[str, Any]:
    """Return uvicorn's own, with the lines of requests on stderr like all that is said to a person."""
    config = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    config["handlers"]["access"]["stream"] = "ext://sys.stderr"
    return config


class _Server(uvicorn.Server):
    """Waits for pictures that are under way, however long they may take, before connections are closed."""

    def __init__(self, config: uvicorn.Config, pool: Pool) -> None:
        super().__init__(config)
        self._pool = pool

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Refuse new pictures from the first signal on."""
        self._pool.stopping = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close the door, wait for the pictures, then leave."""
        for server in self.servers:
            server.close()
        await self._pool.wait_until_empty(given_up=lambda: self.force_exit)
        await super().shutdown(sockets)
