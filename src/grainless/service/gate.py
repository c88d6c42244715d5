"""The gate in front of everything, the page too: it asks for the key, and counts answers and seconds."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic import SecretStr

from grainless.service.problems import problem_response
from grainless.service.refusals import KeyRefusedError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from grainless.service.metrics import Metrics

HEALTH = "/healthz"
ENDPOINTS = frozenset({HEALTH, "/metrics", "/openapi.json", "/v1/denoise", "/v1/inspect", "/v1/models"})
"""Paths that are counted by name; all others, the page's files among them, are one."""
_OTHER = "other"


class Gate:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, api_key: SecretStr | None) -> None:
        """Stand in front of `app`; without a key everybody may pass."""
        self._app, self._metrics = app, metrics
        self._key = None if api_key is None else api_key.get_secret_value().encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, or refuse it; other messages, such as those of start and stop, pass."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        status, began = 500, time.perf_counter()

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            if self._may_pass(scope):
                await self._app(scope, receive, counted)
            else:
                await self._refuse(scope, receive, counted)
        finally:
            path = scope["path"] if scope["path"] in ENDPOINTS else _OTHER
            if scope["type"] == "http":
                self._metrics.count_request(path, status, time.perf_counter() - began)

    def _may_pass(self, scope: Scope) -> bool:
        if self._key is None or scope["path"] == HEALTH:
            return True
        # Each is compared in a time that tells nothing of how much of it is right.
        return any(hmac.compare_digest(key, self._key) for key in _keys(scope["headers"]))

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics.count_refusal(KeyRefusedError.reason)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        error = KeyRefusedError(
            "The key is missing or wrong",
            expected="the header X-API-Key: KEY or Authorization: Bearer KEY",
        )
        await problem_response(error)(scope, receive, send)


def _keys(headers: list[tuple[bytes, bytes]]) -> Iterator[bytes]:
    """Give what the headers of a request offer as a key; of a user and password it is the password."""
    for name, value in headers:
        if name == b"x-api-key":
            yield value
        if name == b"authorization":
            scheme, _, rest = value.partition(b" ")
            if scheme.lower() == b"bearer":
                yield rest.strip()
            elif scheme.lower() == b"basic":
                yield _password(rest)


def _password(encoded: bytes) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
