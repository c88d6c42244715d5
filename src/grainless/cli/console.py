"""What the commands have in common on the terminal: a bar, Ctrl-C, and files that can be written.

Everything said to a person goes to stderr; stdout is for results that another program may read.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from grainless.errors import InputError

if TYPE_CHECKING:
    from types import FrameType

    from rich.console import Console


def stderr() -> Console:
    """Return a console for people; it draws bars only on a terminal."""
    from rich.console import Console

    return Console(stderr=True, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def bar(console: Console) -> Iterator[Callable[[str, float, int], None]]:
    """Show a bar with the time left on a terminal; call the result with text, position, total.

    That call is also the place where Ctrl-C takes effect.
    """
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with (
        held_interrupt() as check,
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        task = progress.add_task("", total=None)

        def show(text: str, position: float, total: int) -> None:
            check()
            progress.update(task, description=text, completed=position, total=total)

        yield show


@contextmanager
def held_interrupt() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back until `check` is called, as an exception inside a call from C into Python is lost.

    A second Ctrl-C does not wait.
    """
    stopped = threading.Event()

    def hold(_number: int, _frame: FrameType | None) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, previous)

    def check() -> None:
        if stopped.is_set():
            raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, hold)
    try:
        yield check
        # It may have come after the last call.
        check()
    finally:
        signal.signal(signal.SIGINT, previous)


def check_place(path: Path) -> None:
    """Refuse a file that cannot be written before the work and not after it; its folder is made."""
    with writing(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(path.parent, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def check_places(*paths: Path, read: Sequence[Path] = ()) -> None:
    """Refuse files to write that cannot be, are asked for twice, or are files to `read`."""
    inputs, taken = {path.resolve() for path in read}, set()
    for path in paths:
        place = path.resolve()
        if place in inputs:
            raise InputError(f"{path} is a file to read", remedy="Name another file")
        if place in taken:
            raise InputError(f"{path} is to be written twice", remedy="Name another file")
        taken.add(place)
        check_place(path)


def check_filters(names: Sequence[str]) -> None:
    """Refuse names that are no filters, which would else be looked for among the models."""
    from grainless.baselines import BASELINES

    for name in names:
        if name not in BASELINES:
            raise InputError(f"There is no filter named {name!r}", expected=f"one of {', '.join(BASELINES)}")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusal to write a file into an error in words."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}", remedy="Name another file"
        ) from error
