"""How errors are answered: one JSON shape for all of them, in the error's own words, never a traceback."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match

from grainless.errors import GrainlessError, InputError
from grainless.service.refusals import KeyRefusedError, RefusedError

if TYPE_CHECKING:
    from grainless.service.metrics import Metrics

CLIENT_GONE = 499
"""Counted for a request whose client went away; nobody receives it. The number is nginx's."""


_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]


class ProblemText(BaseModel):
    """What went wrong."""

    status: int
    """The status of the answer once more."""
    type: str
    """Name of the error, for programs."""
    message: str
    """What was wrong, what was got, what is expected and what to do, for people."""


class Problem(BaseModel):
    """The body of every answer that is an error."""

    error: ProblemText


def problem_response(error: GrainlessError) -> JSONResponse:
    """Return the answer to an error of grainless."""
    headers = {}
    if isinstance(error, RefusedError) and error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, KeyRefusedError):
        # Makes browsers ask for it, as the password.
        headers["WWW-Authenticate"] = 'Basic realm="grainless", charset="UTF-8"'
    return _response(error.http_status, type(error).__name__, str(error), headers)


def add_problem_handlers(app: FastAPI, metrics: Metrics) -> None:
    """Have the app answer each kind of error in the one shape, and count the refusals."""

    async def on_grainless(_request: Request, error: Exception) -> Response:
        if isinstance(error, RefusedError):
            metrics.count_refusal(error.reason)
        return problem_response(error) if isinstance(error, GrainlessError) else _unexpected()

    async def on_validation(_request: Request, error: Exception) -> Response:
        faults = error.errors() if isinstance(error, RequestValidationError) else []
        return problem_response(_invalid(faults))

    async def on_http(request: Request, error: Exception) -> Response:
        if not isinstance(error, HTTPException):
            return _unexpected()
        words = HTTPStatus(error.status_code).phrase
        message = f"{words}: {request.method} {request.url.path}. /openapi.json says what there is."
        return _response(error.status_code, words.replace(" ", ""), message, dict(error.headers or {}))

    async def on_gone(_request: Request, _error: Exception) -> Response:
        return Response(status_code=CLIENT_GONE)

    async def on_unexpected(_request: Request, _error: Exception) -> Response:
        # The server writes it to its log, with the traceback.
        return _unexpected()

    app.add_exception_handler(GrainlessError, on_grainless)
    app.add_exception_handler(RequestValidationError, on_validation)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(ClientDisconnect, on_gone)
    app.add_exception_handler(Exception, on_unexpected)


def answer_before_the_page(app: FastAPI, routes: Sequence[BaseRoute]) -> None:
    """Have paths of the API that none of its routes takes answered as errors, not by a page at `/`."""

    async def refuse(request: Request) -> Response:
        known = [route for route in routes if route.matches(request.scope)[0] is not Match.NONE]
        if not known:
            raise HTTPException(HTTPStatus.NOT_FOUND)
        allowed = sorted({method for route in known for method in getattr(route, "methods", None) or ()})
        raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(allowed)})

    for path in ("/v1/{rest:path}", "/v1", "/healthz", "/metrics"):
        app.add_route(path, refuse, methods=_METHODS, include_in_schema=False)


def _invalid(faults: Any) -> InputError:
    """Put what is wrong with the options of a request into one error."""
    said = [f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}" for fault in faults]
    return InputError(f"The request's options are not valid: {'; '.join(said)}")


def _unexpected() -> JSONResponse:
    message = "The service failed at this; its log says why. The picture was not changed."
    return _response(500, "UnexpectedError", message, {})


def _response(status: int, kind: str, message: str, headers: dict[str, str]) -> JSONResponse:
    problem = Problem(error=ProblemText(status=status, type=kind, message=message))
    return JSONResponse(problem.model_dump(), status_code=status, headers=headers)
