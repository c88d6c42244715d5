"""The page: drop a picture, see it clean, take it home. Also many pictures at once, and a lab.

    page = build_page(ServiceSettings())       # gradio.Blocks
    mount_page(app, settings, pool=pool, metrics=metrics)    # the same at "/" of a FastAPI application

What the page does stands in plain modules; `layout` puts components of Gradio around them. Nothing of it asks
any other machine for anything.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from grainless.errors import MissingExtraError
from grainless.service.page.desk import Desk
from grainless.service.page.scratch import Scratch
from grainless.service.pool import Pool
from grainless.service.settings import ServiceSettings

if TYPE_CHECKING:
    import fastapi
    import gradio

    from grainless.service.metrics import Metrics

__all__ = ["build_page", "mount_page"]


def build_page(settings: ServiceSettings) -> gradio.Blocks:
    """Return the page; raises MissingExtraError without Gradio.

    What is dropped and what is made of it lies in a private folder among the system's temporary files, and is
    deleted an hour after it was used, and at the end of the program.
    """
    scratch = Scratch()
    _load_gradio(scratch)
    from grainless.service.metrics import Metrics  # noqa: PLC0415  # of the same extra
    from grainless.service.page.layout import build  # noqa: PLC0415  # Gradio takes seconds to load

    pool = Pool(settings)
    return build(Desk(settings, scratch, pool, Metrics(pool)))


def mount_page(app: fastapi.FastAPI, settings: ServiceSettings, *, pool: Pool, metrics: Metrics) -> None:
    """Put the page at "/" of an application, behind all routes that it has by now.

    What it has at work takes places of `pool` and is counted in `metrics`. Its files are deleted when the
    application ends. Raises MissingExtraError without Gradio.
    """
    scratch = Scratch()
    _load_gradio(scratch)
    from grainless.service.page.layout import mount  # noqa: PLC0415  # Gradio takes seconds to load

    mount(app, Desk(settings, scratch, pool, metrics))
    before = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(started: fastapi.FastAPI) -> AsyncIterator[Any]:
        # Not at the end of the program: a server that is told to stop ends by that very signal.
        try:
            async with before(started) as state:
                yield state
        finally:
            scratch.close()

    app.router.lifespan_context = lifespan


def _load_gradio(scratch: Scratch) -> None:
    """Load Gradio with everything off that would call home; the switches are read when it is loaded.

    Its own place for files is shared by all users of a machine, and the first of them locks the others out.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(scratch.root)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        import gradio  # noqa: F401  # loaded for the modules that lay out the page
    except ImportError as error:
        raise MissingExtraError("The page", "web") from error
