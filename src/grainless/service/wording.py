"""What errors say to people outside: of their picture, and never of files and folders of the server."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from grainless.batch import Job
from grainless.batch.work import in_words, is_disk_full
from grainless.errors import GrainlessError, PictureTooLargeError
from grainless.service.refusals import NoSpaceError, TooManyPixelsError


@contextlib.contextmanager
def worded(source: Path, *folders: Path, name: str = "", remedy: str) -> Iterator[None]:
    """Reword errors that are raised while a file is worked on in folders, its own among them.

    Files are called `name`, or by their own names without folders where that is empty. Raises
    TooManyPixelsError, with a `remedy`, for too many pixels, NoSpaceError for a full disk, PictureError for
    other refusals of the system, and errors of grainless as the kind they are; others pass as they are.
    """
    try:
        yield
    except PictureTooLargeError as error:
        raise TooManyPixelsError(
            f"{_begun(name) or source.name} is too large",
            got=error.got,
            expected=error.expected,
            remedy=remedy,
        ) from error
    except (GrainlessError, OSError, MemoryError) as error:
        if is_disk_full(error):
            raise NoSpaceError("The disk of the service is full", remedy="Try again later") from error
        said = in_words(error, Job(source, source, ""))
        told = type(said).__new__(type(said), without_paths(str(said), source.parent, *folders, name=name))
        told.__dict__.update(said.__dict__)
        raise told from error


def without_paths(text: str, *folders: Path, name: str = "") -> str:
    """Return a text in which the files of folders are called `name`, or by their own names if it is empty."""
    for folder in folders:
        start = re.escape(f"{folder}{os.sep}")
        if name:
            # Before a colon it is not needed: all is about the picture.
            text = re.sub(rf"{start}[\w.-]*\w(: )?", lambda found: "" if found[1] else name, text)
        else:
            text = re.sub(start, "", text)
    return _begun(text) if name else text


def _begun(text: str) -> str:
    """Return a text as a sentence begins."""
    return text[:1].upper() + text[1:]
