"""The routes: a picture is the body of a request and of its answer, options are the query."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic import BaseModel, ConfigDict

from grainless.diagnosis import Diagnosis
from grainless.model_file import ModelCard
from grainless.service.cleaning import SOURCE, Cleaned, Cleaner, DenoiseOptions
from grainless.service.gate import HEALTH
from grainless.service.metrics import UNCHANGED, Metrics
from grainless.service.problems import Problem
from grainless.service.transfer import FileAnswer, client_gone, receive_file
from grainless.version import __version__

if TYPE_CHECKING:
    from grainless.service.pool import Pool
    from grainless.service.settings import ServiceSettings

MEDIA_TYPES = {
    "png": "image/png",
    "jpeg": "image/jpeg",
    "tiff": "image/tiff",
    "webp": "image/webp",
    "avif": "image/avif",
    "bmp": "image/bmp",
}
"""By the name of the format."""
_FILE = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "description": "A picture file; its format is told by its bytes.",
    "required": True,
    "content": dict.fromkeys(("image/*", "application/octet-stream"), _FILE),
}
_WORDS = {
    401: "The key is missing or wrong.",
    408: "The file did not arrive in time.",
    413: "The file has too many bytes, or the picture too many pixels.",
    415: "The body is no picture, a damaged one, or one of a kind that is not read.",
    422: "An option is not valid, there is no such model, or the format cannot hold the picture.",
    503: "Too much work, too long a work, no space, or about to stop; see Retry-After.",
}
_Responses = dict[int | str, dict[str, Any]]
_PROBLEMS: _Responses = {status: {"model": Problem, "description": words} for status, words in _WORDS.items()}
_HEADERS = {
    "X-Grainless-Model": "Name of the model, or none where the picture is as it was: clean, or kept.",
    "X-Grainless-Strength": "That was applied: 0 to 1, 0 where the picture is as it was.",
    "X-Grainless-Diagnosis": "What `/v1/inspect` answers, where the model is auto. JSON.",
    "X-Grainless-Notes": "What was done, what was converted and what was lost. JSON, a list of texts.",
}
_CLEANED = {
    "description": "The clean picture.",
    "content": dict.fromkeys(MEDIA_TYPES.values(), _FILE),
    "headers": {
        name: {"description": words, "schema": {"type": "string"}} for name, words in _HEADERS.items()
    },
}

router = APIRouter()


@dataclass(frozen=True)
class Service:
    """What all requests of one app share."""

    settings: ServiceSettings
    cleaner: Cleaner
    pool: Pool
    metrics: Metrics


class OfferedModel(BaseModel):
    """A model that may be named."""

    name: str
    card: ModelCard


class ModelList(BaseModel):
    """The models that may be named."""

    models: list[OfferedModel]


class Health(BaseModel):
    """Whether the service takes in pictures."""

    status: str
    """ok, or stopping."""
    version: str


class NoOptions(BaseModel):
    """Refuses options where there are none."""

    model_config = ConfigDict(extra="forbid")


@router.post(
    "/v1/denoise",
    summary="Take the noise out of a picture",
    response_class=Response,
    responses={**_PROBLEMS, 200: _CLEANED},
    openapi_extra={"requestBody": _BODY},
)
async def denoise(request: Request, options: Annotated[DenoiseOptions, Query()]) -> Response:
    """Answer with the clean picture, in its own format, depth and metadata unless `format` says otherwise."""
    service = _service(request)
    service.cleaner.check_model(options.model)
    with service.pool.place() as place:
        source = place.folder / SOURCE
        await receive_file(request, source, service.settings)
        cleaned = await place.run(partial(service.cleaner.clean, source, options), gone=client_gone(request))
        service.metrics.count_cleaned(cleaned.treatment, cleaned.pixels)
        return FileAnswer(
            cleaned.file,
            place,
            seconds=service.settings.max_transfer_seconds,
            media_type=MEDIA_TYPES[cleaned.format],
            headers=_headers(cleaned),
        )


@router.post(
    "/v1/inspect",
    summary="Tell which noise a picture has",
    responses=_PROBLEMS,
    openapi_extra={"requestBody": _BODY},
)
async def inspect(request: Request, _options: Annotated[NoOptions, Query()]) -> Diagnosis:
    """Answer with kind, level and confidence, and what to do, as `grainless inspect --json` does."""
    service = _service(request)
    with service.pool.place() as place:
        source = place.folder / SOURCE
        await receive_file(request, source, service.settings)
        told = await place.run(partial(service.cleaner.diagnose, source), gone=client_gone(request))
        service.metrics.count_diagnosis(told)
        return told


@router.get("/v1/models", summary="List the models", responses={401: _PROBLEMS[401]})
async def models(request: Request) -> ModelList:
    """Answer with the models that may be named, and their cards."""
    cards = _service(request).cleaner.cards
    return ModelList(models=[OfferedModel(name=name, card=card) for name, card in cards.items()])


@router.get(
    HEALTH,
    summary="Tell whether the service takes in pictures",
    response_model=Health,
    responses={503: {"model": Health, "description": "It is about to stop."}},
)
async def health(request: Request) -> Health | Response:
    """Answer 200, or 503 when it is about to stop; needs no key."""
    if _service(request).pool.stopping:
        body = Health(status="stopping", version=__version__).model_dump()
        return JSONResponse(body, status_code=503)
    return Health(status="ok", version=__version__)


@router.get(
    "/metrics",
    summary="Numbers for Prometheus",
    response_class=PlainTextResponse,
    responses={401: _PROBLEMS[401]},
)
async def metrics(request: Request) -> Response:
    """Answer with all that was counted."""
    return Response(_service(request).metrics.as_text(), media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _service(request: Request) -> Service:
    return cast("Service", request.app.state.service)


def _headers(cleaned: Cleaned) -> dict[str, str]:
    """Say in headers what was done; they are ASCII, which JSON can write everything in."""
    done = cleaned.treatment
    headers = {
        "X-Grainless-Model": done.model or UNCHANGED,
        "X-Grainless-Strength": f"{done.strength:g}",
        "X-Grainless-Notes": json.dumps(cleaned.notes),
        "X-Content-Type-Options": "nosniff",
    }
    if done.diagnosis is not None:
        headers["X-Grainless-Diagnosis"] = json.dumps(done.diagnosis.as_json())
    return headers
