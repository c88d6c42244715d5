"""Names of users' files, never trusted as paths."""

from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grainless.picture import is_picture_name
from grainless.service.page.names import Names, clean_name, stem_of


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("holiday.png", "holiday"),
        ("my scan (2).tif", "my scan (2)"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\photo.jpg", "photo"),
        ("..", "picture"),
        (".png", "png"),
        ("", "picture"),
        ("a\nb\x00c.png", "abc"),
        ("Größe, 写真.webp", "Größe, 写真"),
        ("<b>x</b>.png", "b"),
    ],
)
def test_stems_keep_what_is_harmless(name: str, stem: str) -> None:
    assert stem_of(name) == stem


@given(st.text(max_size=400))
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    made = clean_name(name, "png")
    for kind in (PurePosixPath, PureWindowsPath):
        assert kind(made).name == made
        assert not kind(made).is_absolute()
    assert len(made.encode()) <= 255
    assert made.isprintable()
    assert made.endswith(".png") or made.lower().endswith(".png")
    assert is_picture_name(made)


@pytest.mark.parametrize(
    ("name", "kind", "made"),
    [
        ("a.TIFF", "tiff", "a-clean.TIFF"),
        ("a.jpeg", "jpeg", "a-clean.jpeg"),
        ("a.jpg", "png", "a-clean.png"),
        ("a", "webp", "a-clean.webp"),
        ("a.b.png", "png", "a.b-clean.png"),
    ],
)
def test_the_ending_is_that_of_the_true_format(name: str, kind: str, made: str) -> None:
    assert clean_name(name, kind) == made


@given(st.lists(st.sampled_from(["a.png", "A.png", "a.PNG", "a-2.png", "b.png"]), max_size=12))
def test_each_name_is_given_once(wanted: list[str]) -> None:
    names = Names()
    given_names = [names.claim(name) for name in wanted]
    assert len({name.casefold() for name in given_names}) == len(wanted)
    assert all(name.lower().endswith(".png") for name in given_names)
