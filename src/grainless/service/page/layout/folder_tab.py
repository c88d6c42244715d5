"""The tab for many pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from grainless.batch.pictures import AUTO
from grainless.errors import GrainlessError
from grainless.service.cleaning import offered_models
from grainless.service.page import words
from grainless.service.page.cleaning import Order
from grainless.service.page.folder import clean_folder
from grainless.service.page.layout.events import HEAVY, PICTURE_FILES, Desk, speaking, telling


def lay_out_folder(desk: Desk) -> None:
    """Lay out the tab and connect it."""
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
        said = gr.HTML(elem_id="folder-said")
        download = gr.DownloadButton("Download", variant="primary", visible=False, elem_id="download-many")

    @speaking
    def clean(
        paths: list[str] | None,
        name: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Any]:
        if not paths:
            return [words.problem("Drop some pictures first."), gr.update(visible=False)]
        try:
            result = clean_folder(
                [desk.take(path) for path in paths],
                desk.scratch.folder(),
                order=Order(model=name),
                settings=desk.settings,
                progress=telling(progress),
            )
        except GrainlessError as error:
            return [words.problem(str(error)), gr.update(visible=False)]
        if result.archive is None:
            return [words.folder_summary(result), gr.update(visible=False)]
        label = f"Download {Path(result.archive).name}"
        return [words.folder_summary(result), gr.update(value=str(result.archive), label=label, visible=True)]

    start.click(clean, [drop, model], [said, download], show_progress_on=said, **HEAVY)
