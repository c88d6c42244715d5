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
from grainless.service.page.cleaning import Progress

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
        except GrainlessError as error:
            raise _message(str(error)) from error
        except Exception as error:
            _log.exception("the page failed")
            raise _message("Something went wrong here; the log of the service says what.") from error

    return wrapped


def _message(text: str) -> gr.Error:
    """Return what shows a text until it is closed."""
    return gr.Error(escape(text, quote=False), duration=None, print_exception=False)


def telling(progress: gr.Progress) -> Progress:
    """Return what shows a share and a text as Gradio does."""
    return lambda share, text: progress(share, desc=text)
