"""The tab for many pictures."""

from __future__ import annotations

import threading
from typing import Any

import gradio as gr

from grainless.batch.pictures import AUTO
from grainless.errors import GrainlessError
from grainless.service.cleaning import offered_models
from grainless.service.page import words
from grainless.service.page.cleaning import Order, Progress
from grainless.service.page.desk import Desk
from grainless.service.page.folder import CleanedFolder, clean_folder
from grainless.service.page.layout.events import HEAVY, LIGHT, PICTURE_FILES, speaking, telling


def lay_out_folder(desk: Desk, page: gr.Blocks) -> None:
    """Lay out the tab and connect it; who closes the page has no work left there."""
    with gr.Column(elem_classes="narrow"):
        gr.HTML("Drop many pictures, or a ZIP of them. You get a ZIP back.", elem_classes="lead")
        drop = gr.File(
            label="Pictures",
            show_label=False,
            file_count="multiple",
            file_types=[*PICTURE_FILES, ".zip"],
            height=210,
            elem_id="drop-many",
            elem_classes="drop",
        )
        model = gr.Dropdown(
            [AUTO, *offered_models(desk.settings.models)],
            value=AUTO,
            label="Model",
            info="auto looks at each picture first",
            filterable=False,
        )
        start = gr.Button("Clean them all", variant="primary", elem_id="clean-all")
        stop = gr.Button("Stop", visible=False, elem_id="stop-all")
        said = gr.HTML(elem_id="folder-said")
        download = gr.DownloadButton("Download", variant="primary", visible=False, elem_id="download-many")

    # By session: one person's button stops nobody else's work.
    stops: dict[str | None, threading.Event] = {}

    def begin(request: gr.Request) -> list[Any]:
        stops[request.session_hash] = threading.Event()
        return [gr.update(visible=False), gr.update(visible=True, value="Stop", interactive=True)]

    def halt(request: gr.Request) -> Any:
        if request.session_hash in stops:
            stops[request.session_hash].set()
        return gr.update(value="Stopping", interactive=False)

    def leave(request: gr.Request) -> None:
        # A closed page takes no answer.
        halt(request)

    def end(request: gr.Request) -> list[Any]:
        stops.pop(request.session_hash, None)
        return [gr.update(visible=True), gr.update(visible=False)]

    @speaking
    def clean(
        paths: list[str] | None,
        name: str,
        request: gr.Request,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Any]:
        stop = stops.setdefault(request.session_hash, threading.Event())
        try:
            said, result = _cleaned(desk, paths or [], Order(model=name), (telling(progress), stop))
        finally:
            # Here, as what follows does not come to pass where the page was closed.
            stops.pop(request.session_hash, None)
        if result is None or result.archive is None:
            return [said, gr.update(visible=False)]
        label = f"Download {result.archive.name}"
        return [said, gr.update(value=str(result.archive), label=label, visible=True)]

    begun = start.click(begin, None, [start, stop], **LIGHT)
    done = begun.then(clean, [drop, model], [said, download], show_progress_on=said, **HEAVY)
    done.then(end, None, [start, stop], **LIGHT)
    # `then` does not follow on what a full line has refused.
    done.failure(end, None, [start, stop], **LIGHT)
    page.unload(leave)
    stop.click(halt, None, stop, **LIGHT)


def _cleaned(
    desk: Desk, paths: list[str], order: Order, watch: tuple[Progress, threading.Event]
) -> tuple[str, CleanedFolder | None]:
    """Clean pictures; return what is said, and the result if there is one."""
    progress, stop = watch

    def tell(share: float, text: str) -> None:
        if desk.pool.stopping:
            stop.set()
        progress(share, text)

    if not paths:
        return words.problem("Drop some pictures first."), None
    try:
        with desk.turn() as turn:
            result = clean_folder(
                [desk.take(path) for path in paths],
                turn.folder,
                order=order,
                settings=desk.settings,
                progress=tell,
                stop=stop,
            )
            desk.count(result.treated)
            turn.check()
    except GrainlessError as error:
        return words.problem(str(error)), None
    return words.folder_summary(result), result
