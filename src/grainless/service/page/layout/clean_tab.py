"""The tab for one picture."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import gradio as gr

from grainless.batch.pictures import AUTO
from grainless.errors import GrainlessError
from grainless.service.cleaning import offered_models
from grainless.service.page import words
from grainless.service.page.cleaning import Cleaned, Order, clean_file, part_of, slider_strength
from grainless.service.page.desk import Desk
from grainless.service.page.example import EXAMPLES
from grainless.service.page.layout.events import (
    HEAVY,
    LIGHT,
    PICTURE_FILES,
    connect_example,
    speaking,
    speaking_in_place,
    telling,
)


@dataclass(frozen=True)
class Seen:
    """What is on the screen, from one event to the next."""

    cleaned: Cleaned
    place: tuple[float, float]
    """Of the part that is shown pixel for pixel, down and across from 0 to 1."""


@dataclass(frozen=True)
class _Parts:
    """All that an event changes, in the order in which it returns the values."""

    said: gr.HTML
    seen: gr.State
    whole: gr.ImageSlider
    part: gr.ImageSlider
    map: gr.Image
    removed: gr.Image
    amplified: gr.HTML
    download: gr.DownloadButton
    strength: gr.Slider
    view_side: gr.Column
    take_side: gr.Column
    examples: gr.Row

    def all(self) -> list[Any]:
        """Return the components."""
        return [getattr(self, item.name) for item in fields(self)]


def lay_out_clean(desk: Desk) -> None:
    """Lay out the tab and connect it."""
    seen = gr.State(None, time_to_live=3600)
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
                buttons = {
                    name: gr.Button(EXAMPLES[name][0], size="sm", elem_id=f"example-{name}")
                    for name in ("grain", "specks")
                }
            said = gr.HTML(elem_id="verdict")
        with gr.Column(visible=False, elem_classes="view-side") as view_side:
            views = _lay_out_views()
        with gr.Column(visible=False, elem_classes="take-side") as take_side:
            download = gr.DownloadButton("Download", variant="primary", elem_id="download")
            strength, model = _lay_out_settings(desk)
    parts = _Parts(said, seen, *views, download, strength, view_side, take_side, examples)
    _connect(desk, drop, model, parts)
    _connect_map(parts)
    for name, button in buttons.items():
        connect_example(desk, name, button, [drop, said])


def _lay_out_settings(desk: Desk) -> tuple[gr.Slider, gr.Dropdown]:
    with gr.Accordion("Settings", open=True):
        strength = gr.Slider(0, 100, value=100, step=1, label="Strength, %", elem_id="strength")
        model = gr.Dropdown(
            [AUTO, *offered_models(desk.settings.models)],
            value=AUTO,
            label="Model",
            info="auto looks at the picture first",
            filterable=False,
            elem_id="model",
        )
    return strength, model


def _lay_out_views() -> tuple[gr.ImageSlider, gr.ImageSlider, gr.Image, gr.Image, gr.HTML]:
    with gr.Tabs(elem_classes="views"):
        with gr.Tab("Compare"):
            whole = _slider("whole")
        with gr.Tab("100 %"):
            part = _slider("part")
            with gr.Row(elem_classes="closer"):
                shown_map = _picture("map", buttons=[])
                gr.HTML("Pixel for pixel. Click on the small picture to look elsewhere.", elem_classes="hint")
        with gr.Tab("Removed"):
            removed = _picture("removed", buttons=["fullscreen"])
            amplified = gr.HTML(elem_classes="hint", elem_id="amplified")
    return whole, part, shown_map, removed, amplified


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


def _picture(name: str, *, buttons: list[str]) -> gr.Image:
    return gr.Image(
        show_label=False, interactive=False, format="png", type="filepath", buttons=buttons, elem_id=name
    )


def _connect(desk: Desk, drop: gr.File, model: gr.Dropdown, parts: _Parts) -> None:
    """Clean what is dropped, and again when a setting is changed."""

    @speaking
    def first(
        path: str | None,
        name: str,
        seen: Seen | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Any]:
        return _cleaned(desk, path, (Order(model=name), seen), progress)

    @speaking
    def again(
        path: str | None,
        name: str,
        percent: float,
        seen: Seen | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Any]:
        order = Order(model=name, strength=percent / 100)
        return _cleaned(desk, path, (order, seen), progress, keep_place=True)

    shared = {"show_progress_on": parts.said, **HEAVY}
    drop.change(first, [drop, model, parts.seen], parts.all(), **shared)
    model.input(first, [drop, model, parts.seen], parts.all(), **shared)
    parts.strength.release(again, [drop, model, parts.strength, parts.seen], parts.all(), **shared)


def _cleaned(
    desk: Desk,
    path: str | None,
    task: tuple[Order, Seen | None],
    progress: gr.Progress,
    *,
    keep_place: bool = False,
) -> list[Any]:
    """Clean a picture and return what `_Parts` then show; what was on the screen before is deleted."""
    order, before = task
    if before is not None:
        # Pictures as large as these would fill the disk while somebody moves the slider.
        desk.scratch.discard(before.cleaned.file)
    if not path:
        return _nothing("")
    try:
        with desk.turn() as turn:
            cleaned = clean_file(
                desk.take(path),
                turn.folder,
                order=order,
                settings=desk.settings,
                progress=turn.heeding(telling(progress)),
            )
            place = before.place if before is not None and keep_place else cleaned.place
            part = _part(cleaned, place)
    except GrainlessError as error:
        # In place of the result: an old one must not stand beside the name of a new picture.
        return _nothing(words.problem(str(error)))
    desk.count([(cleaned.treatment, cleaned.size)])
    return [
        words.verdict(cleaned),
        Seen(cleaned, place),
        (str(cleaned.before), str(cleaned.after)),
        *part,
        str(cleaned.removed),
        words.amplified(cleaned),
        str(cleaned.file),
        slider_strength(order, cleaned),
        *[gr.update(visible=True)] * 2,
        gr.update(visible=False),
    ]


def _nothing(said: str) -> list[Any]:
    """Return what `_Parts` show without a result."""
    return [said, *[None] * 7, gr.skip(), *[gr.update(visible=False)] * 2, gr.update(visible=True)]


def _part(cleaned: Cleaned, place: tuple[float, float]) -> list[Any]:
    """Return what the view pixel for pixel, and the map below it, show."""
    part = part_of(cleaned, place=place)
    return [(str(part.before), str(part.after)), str(part.map)]


def _connect_map(parts: _Parts) -> None:
    """Move the part that is shown pixel for pixel to where the map is clicked."""

    def pick(seen: Seen | None, event: gr.SelectData) -> list[Any]:
        if seen is None:
            return [gr.skip()] * 3
        across, down = event.index
        width, height = seen.cleaned.map_size
        place = down / height, across / width
        return [Seen(seen.cleaned, place), *_part(seen.cleaned, place)]

    shown = [parts.seen, parts.part, parts.map]
    act = speaking_in_place(pick, outputs=len(shown))
    parts.map.select(act, [parts.seen], [*shown, parts.said], **LIGHT)
