"""How events run: those that clean in one line, others at once; and errors that people can read."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr

from grainless.errors import GrainlessError
from grainless.picture import EXTENSIONS
from grainless.service.page import words
from grainless.service.page.cleaning import Progress
from grainless.service.page.desk import Desk
from grainless.service.page.example import write_example

PICTURE_FILES = list(EXTENSIONS)
HEAVY: dict[str, Any] = {
    "concurrency_limit": 1,
    "concurrency_id": "pictures",
    "api_visibility": "private",
}
"""Of all events that clean: one after the other, whoever asks."""
LIGHT: dict[str, Any] = {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
"""Of events that only show what is there: a full line must not refuse them, nor what stops the work."""

_log = logging.getLogger(__name__)


def speaking(act: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same event, whose errors become messages: never a traceback, never silence."""

    @functools.wraps(act)
    def wrapped(*inputs: Any, **named: Any) -> Any:
        try:
            return act(*inputs, **named)
        except Exception as error:
            # Shown until it is closed.
            text = escape(_text_of(error), quote=False)
            raise gr.Error(text, duration=None, print_exception=False) from error

    return wrapped


def speaking_in_place(act: Callable[..., list[Any]], *, outputs: int) -> Callable[..., list[Any]]:
    """Return a light event with so many outputs and one more, HTML, that shows what is wrong, if anything is.

    Gradio shows no messages of events that do not stand in its line.
    """

    @functools.wraps(act)
    def wrapped(*inputs: Any) -> list[Any]:
        try:
            return [*act(*inputs), gr.skip()]
        except Exception as error:  # noqa: BLE001  # it is said, and logged if it is unexpected
            return [*[gr.skip()] * outputs, words.problem(_text_of(error))]

    return wrapped


def _text_of(error: Exception) -> str:
    """Return what a person is told of an error; what is unexpected goes to the log."""
    if isinstance(error, GrainlessError):
        return str(error)
    _log.error("the page failed", exc_info=error)
    return "Something went wrong here; the log of the service says what."


def connect_example(desk: Desk, name: str, button: gr.Button, outputs: list[Any]) -> None:
    """Have a button drop an example; `outputs` are the place for files and that for what is wrong."""

    def example() -> list[Any]:
        return [str(write_example(name, desk.scratch.folder()))]

    act = speaking_in_place(example, outputs=1)
    button.click(act, None, outputs, **{**LIGHT, "show_progress": "minimal"})


def telling(progress: gr.Progress) -> Progress:
    """Return what shows a share and a text as Gradio does."""
    return lambda share, text: progress(share, desc=text)
