"""Puts the service together: routes, limits, gate, and the page if there is one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI

from grainless.service.api import Service, router
from grainless.service.cleaning import Cleaner
from grainless.service.gate import Gate
from grainless.service.metrics import Metrics
from grainless.service.page import mount_page
from grainless.service.pool import Pool
from grainless.service.problems import add_problem_handlers, answer_before_the_page
from grainless.version import __version__

if TYPE_CHECKING:
    from grainless.service.settings import ServiceSettings


def create_app(settings: ServiceSettings, *, page: bool = False) -> FastAPI:
    """Return the app, with its model loaded, and with the page at `/` if that is wanted.

    Raises ModelError where a model that is to be offered is missing or refused, and MissingExtraError where
    the page is wanted and Gradio is missing.
    """
    pool = Pool(settings)
    service = Service(settings, Cleaner.of(settings), pool, Metrics(pool))

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        pool.open()
        yield
        await pool.close()

    # FastAPI's own pages of documentation load scripts from other hosts; the schema itself stays.
    app = FastAPI(
        title="grainless",
        description="Takes the noise out of pictures.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.service = service
    app.include_router(router)
    add_problem_handlers(app, service.metrics)
    app.add_middleware(Gate, metrics=service.metrics, api_key=settings.api_key)
    if page:
        answer_before_the_page(app, router.routes)
        # Last, as it answers for every path that no route has taken.
        mount_page(app, settings, pool=pool, metrics=service.metrics)
    return app
