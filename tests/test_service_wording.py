"""What errors say outside: of the picture, never of the server's folders."""

from __future__ import annotations

import errno
import os
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainless.errors import GrainlessError, InputError, PictureError, PictureTooLargeError
from grainless.service.refusals import NoSpaceError, TooManyPixelsError
from grainless.service.wording import without_paths, worded

FOLDER, OTHER = Path("/var/tmp/one place"), Path("/var/tmp/two")
SOURCE = FOLDER / "my photo.png"


def told(error: Exception, name: str = "") -> BaseException:
    with pytest.raises(Exception) as caught, worded(SOURCE, OTHER, name=name, remedy="Send a smaller one"):  # noqa: PT011
        raise error
    return caught.value


@pytest.mark.parametrize(
    ("name", "words"),
    [("", "my photo.png: cut off; got b-clean.png."), ("the picture", "Cut off; got the picture.")],
)
def test_files_have_no_folders(name: str, words: str) -> None:
    source = SOURCE if not name else FOLDER / "picture"
    error = InputError(f"{source}: cut off", got=OTHER / "b-clean.png")
    said = told(error, name)
    assert type(said) is InputError
    assert str(said) == words
    assert said.__cause__ is error
    assert str(pickle.loads(pickle.dumps(said))) == words


@pytest.mark.parametrize(("name", "subject"), [("", "my photo.png"), ("the picture", "The picture")])
def test_too_many_pixels_are_a_limit_of_the_service(name: str, subject: str) -> None:
    said = told(PictureTooLargeError(f"{SOURCE} is too large", got="9", expected="5"), name)
    assert isinstance(said, TooManyPixelsError)
    assert str(said) == f"{subject} is too large; got 9; expected 5. Send a smaller one."


def test_a_full_disk_is_the_fault_of_the_service() -> None:
    for full in (OSError(errno.ENOSPC, "full"), OSError(f"vips: {os.strerror(errno.ENOSPC)}")):
        error = PictureError(f"{SOURCE} cannot be written")
        error.__cause__ = full
        assert isinstance(told(error), NoSpaceError)
    assert isinstance(told(OSError(errno.EDQUOT, "quota")), NoSpaceError)


def test_what_the_system_refuses_is_an_error_in_words() -> None:
    for error in (MemoryError(), PermissionError(errno.EACCES, "denied", str(SOURCE))):
        said = told(error)
        assert isinstance(said, GrainlessError)
        assert str(FOLDER) not in str(said)


def test_what_is_unexpected_stays_as_it_is() -> None:
    error = ZeroDivisionError(f"{SOURCE}")
    assert told(error) is error


@given(st.text(), st.sampled_from([FOLDER, OTHER]), st.sampled_from(["", "it"]))
def test_no_folder_is_left_in_any_text(text: str, folder: Path, name: str) -> None:
    said = without_paths(f"{text}{folder}/a.png{text}", FOLDER, OTHER, name=name)
    assert f"{folder}/" not in said.removeprefix(text) or str(folder) in text
