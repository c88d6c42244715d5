"""The tab for one picture."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from grainless.batch.pictures import AUTO
from grainless.service.page import words
from grainless.service.page.cleaning import Cleaned, Order, clean_file, offered_models, part_of
from grainless.service.page.example import write_example
from grainless.service.page.layout.events import HEAVY, LIGHT, PICTURE_FILES, Desk, speaking, telling


@dataclass(frozen=True)
class _Views:
    """Components that show a result."""

    whole: gr.ImageSlider
    part: gr.ImageSlider
    map: gr.Image
    removed: gr.Image
    amplified: gr.HTML

    def all(self) -> list[Any]:
        return [getattr(self, item.name) for item in fields(self)]


def lay_out_clean(desk: Desk) -> None:
    """Lay out the tab and connect it."""
    kept = gr.State(None, time_to_live=3600)
    with gr.Row(elem_classes="stage"):
        with gr.Column(elem_classes="drop-side"):
            drop = gr.File(
                label="Picture",
                show_label=False,
                file_types=PICTURE_FILES,
                height=210,
                elem_id="drop",
                elem_classes="drop",
            )
            with gr.Row(elem_classes="examples") as examples:
                gr.HTML("No picture at hand? Try one:", elem_classes="examples-text")
                grain = gr.Button("Grain", size="sm", elem_id="example-grain")
                specks = gr.Button("Specks", size="sm", elem_id="example-specks")
            said = gr.HTML(elem_id="verdict")
        with gr.Column(visible=False, elem_classes="view-side") as seen:
            views = _lay_out_views()
        with gr.Column(visible=False, elem_classes="take-side") as take:
            download = gr.DownloadButton("Download", variant="primary", elem_id="download")
            with gr.Accordion("Settings", open=True, elem_classes="settings"):
                strength = gr.Slider(0, 100, value=100, step=1, label="Strength, %", elem_id="strength")
                model = gr.Dropdown(
                    _model_choices(desk), value=AUTO, label="Model", info="auto looks at the picture first", elem_id="model", filterable=False
                )
    outputs = [said, kept, *views.all(), download, strength, seen, take, examples]
    _connect(desk, drop, outputs, settings=(model, strength))
    for name, button in (("grain", grain), ("specks", specks)):
        _connect_example(desk, name, button, drop)
    _connect_views(desk, kept, views)


def _model_choices(desk: Desk) -> list[tuple[str, str]]:
    models = offered_models(desk.settings)
    return [("auto", AUTO), *((name, name) for name in models)]


def _lay_out_views() -> _Views:
    with gr.Tabs(elem_classes="views"):
        with gr.Tab("Compare"):
            whole = _slider("whole")
        with gr.Tab("100 %"):
            part = _slider("part")
            with gr.Row(elem_classes="closer"):
                shown_map = gr.Image(
                    show_label=False,
                    interactive=False,
                    format="png",
                    buttons=[],
                    elem_id="map",
                    type="filepath",
                )
                gr.HTML("Pixel for pixel. Click on the small picture to look elsewhere.", elem_classes="hint")
        with gr.Tab("Removed"):
            removed = gr.Image(
                show_label=False,
                interactive=False,
                format="png",
                buttons=["fullscreen"],
                elem_id="removed",
                type="filepath",
            )
            amplified = gr.HTML(elem_classes="hint", elem_id="amplified")
    return _Views(whole, part, shown_map, removed, amplified)


def _slider(name: str) -> gr.ImageSlider:
    return gr.ImageSlider(
        show_label=False,
        interactive=False,
        format="png",
        type="filepath",
        buttons=["fullscreen"],
        max_height=720,
        elem_id=name,
    )


def _connect(
    desk: Desk, drop: gr.File, outputs: list[Any], *, settings: tuple[gr.Dropdown, gr.Slider]
) -> None:
    """Clean what is dropped, and again when a setting is changed."""
    model, strength = settings

    def clean(path: str | None, name: str, share: float | None, progress: gr.Progress) -> list[Any]:
        if not path:
            return [None, None, *[None] * 5, None, gr.skip(), *[gr.update(visible=False)] * 2, gr.update(visible=True)]
        folder = desk.scratch.folder()
        cleaned = clean_file(
            desk.take(path),
            folder,
            order=Order(model=name, strength=share),
            settings=desk.settings,
            progress=telling(progress),
        )
        used = share if share is not None else (cleaned.diagnosis.strength or 1.0)
        return [
            words.verdict(cleaned),
            cleaned,
            (str(cleaned.before), str(cleaned.after)),
            *_part(desk, cleaned, cleaned.place),
            str(cleaned.removed),
            words.amplified(cleaned),
            str(cleaned.file),
            round(100 * used),
            gr.update(visible=True),
            gr.update(visible=True),
            gr.update(visible=False),
        ]

    @speaking
    def first(path: str | None, name: str, progress: gr.Progress = gr.Progress()) -> list[Any]:  # noqa: B008
        return clean(path, name, None, progress)

    @speaking
    def again(
        path: str | None, name: str, percent: float, progress: gr.Progress = gr.Progress()  # noqa: B008
    ) -> list[Any]:
        return clean(path, name, percent / 100, progress)

    said = outputs[0]
    drop.change(first, [drop, model], outputs, show_progress_on=said, **HEAVY)
    model.input(first, [drop, model], outputs, show_progress_on=said, **HEAVY)
    strength.release(again, [drop, model, strength], outputs, show_progress_on=said, **HEAVY)


def _connect_example(desk: Desk, name: str, button: gr.Button, drop: gr.File) -> None:
    @speaking
    def example() -> str:
        return str(write_example(name, desk.scratch.folder()))

    button.click(example, None, drop, **{**LIGHT, "show_progress": "minimal"})


def _part(desk: Desk, cleaned: Cleaned, place: tuple[float, float]) -> list[Any]:
    """Return what the view pixel for pixel, and the map beside it, show."""
    part = part_of(cleaned, desk.scratch.folder(), place=place)
    return [(str(part.before), str(part.after)), str(part.map)]


def _connect_views(desk: Desk, kept: gr.State, views: _Views) -> None:
    """Move the part that is shown pixel for pixel to where the map is clicked."""

    @speaking
    def pick(cleaned: Cleaned | None, event: gr.SelectData) -> list[Any]:
        if cleaned is None:
            return [gr.skip(), gr.skip()]
        across, down = event.index
        width, height = cleaned.map_size
        return _part(desk, cleaned, (down / height, across / width))

    views.map.select(pick, [kept], [views.part, views.map], **LIGHT)
