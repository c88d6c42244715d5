"""The tab that tries methods on noise of which the truth is known."""

from __future__ import annotations

from typing import Any

import gradio as gr

from grainless.errors import GrainlessError
from grainless.metrics import PROTOCOLS
from grainless.service.page import lab, words
from grainless.service.page.desk import Desk
from grainless.service.page.layout.events import (
    HEAVY,
    PICTURE_FILES,
    connect_example,
    speaking,
    telling,
)


def lay_out_lab(desk: Desk) -> None:
    """Lay out the tab and connect it."""
    missing = lab.missing_extra()
    if missing:
        gr.HTML(words.problem(missing), elem_id="lab-missing")
        return
    with gr.Row(elem_classes="stage lab"):
        with gr.Column(elem_classes="drop-side"):
            gr.HTML(
                "Give a clean picture. It gets noise; models and filters take it out.", elem_classes="lead"
            )
            drop = gr.File(
                show_label=False,
                file_types=PICTURE_FILES,
                height=150,
                elem_id="drop-lab",
                elem_classes="drop",
            )
            example = gr.Button("Use the example", size="sm", elem_id="example-lab")
            inputs = [drop, *_lay_out_choices(desk)]
            start = gr.Button("Try", variant="primary", elem_id="try")
        with gr.Column(elem_classes="view-side"):
            table = gr.HTML(elem_id="scores")
            pictures = gr.Gallery(
                show_label=False,
                format="png",
                columns=3,
                height="auto",
                object_fit="contain",
                interactive=False,
                buttons=["fullscreen"],
                visible=False,
                elem_id="tried",
            )
    _connect(desk, inputs, (start, example), [table, pictures])


def _lay_out_choices(desk: Desk) -> list[Any]:
    """Lay out noise, methods, protocol and seed."""
    noise = gr.Dropdown(
        [(f"{label}: {text}", text) for label, text in lab.NOISES],
        value=lab.NOISES[0][1],
        label="Noise (choose, or write your own)",
        allow_custom_value=True,
        elem_id="noise",
    )
    offered = lab.choices(desk.settings)
    able = [choice for choice in offered if not choice.missing]
    methods = gr.CheckboxGroup(
        [(choice.label, choice.name) for choice in able],
        value=[choice.name for choice in able if choice.name in lab.DEFAULT_METHODS],
        label="Methods",
        elem_id="methods",
    )
    lacking = [choice for choice in offered if choice.missing]
    if lacking:
        lines = "".join(f"<li>{choice.label}: {choice.missing}</li>" for choice in lacking)
        gr.HTML(f"<details><summary>{len(lacking)} more can be installed</summary><ul>{lines}</ul></details>")
    with gr.Accordion("How it is measured", open=False):
        protocol = gr.Radio(
            [(PROTOCOLS[name].stamp, name) for name in lab.OFFERED_PROTOCOLS],
            value=lab.OFFERED_PROTOCOLS[0],
            label="Protocol",
            elem_id="protocol",
        )
        seed = gr.Number(0, label="Seed of the noise", precision=0, minimum=0)
    return [noise, methods, protocol, seed]


def _connect(desk: Desk, inputs: list[Any], buttons: tuple[gr.Button, gr.Button], outputs: list[Any]) -> None:
    start, example = buttons

    @speaking
    def try_out(  # Gradio hands each component over by its place
        path: str | None,
        noise: str,
        methods: list[str],
        protocol: str,
        seed: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
    ) -> list[Any]:
        if not path:
            return [words.problem("Drop a picture first, or use the example."), gr.update(visible=False)]
        try:
            with desk.turn() as turn:
                trial = lab.try_methods(
                    desk.take(path),
                    turn.folder,
                    experiment=lab.Experiment(
                        noise=noise, methods=methods, protocol=protocol, seed=int(seed or 0)
                    ),
                    settings=desk.settings,
                    progress=turn.heeding(telling(progress)),
                )
        except GrainlessError as error:
            return [words.problem(str(error)), gr.update(visible=False)]
        shown = [(str(file), caption) for file, caption in trial.pictures]
        return [words.scores(trial), gr.update(value=shown, visible=True)]

    start.click(try_out, inputs, outputs, show_progress_on=outputs[0], **HEAVY)
    connect_example(desk, "clean", example, [inputs[0], outputs[0]])
