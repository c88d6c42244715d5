"""Pictures that are there twice, and in two parts."""

from __future__ import annotations

from doctor_pictures import scene, spoilt
from grainless.doctor.copies import Kept, find_copies
from grainless.doctor.likeness import checksum, thumbnail


def kept(name: str, seed: int, *, part: str = "", noise: str = "clean", small: bool = True) -> Kept:
    pixels = spoilt(scene(seed), noise)
    return Kept(name, part, checksum(pixels), thumbnail(pixels) if small else None)


def told(own: list[Kept], others: list[Kept] | None = None) -> list[tuple[str, str, str | None]]:
    return [(finding.file, finding.kind, finding.other) for finding in find_copies(own, others or [])]


def test_nothing_is_said_of_different_pictures() -> None:
    assert told([kept(str(seed), seed) for seed in range(8)], [kept("x", 9)]) == []
    assert told([]) == []


def test_each_copy_is_named_once_with_the_first() -> None:
    own = [kept("a", 1), kept("b", 2), kept("c", 1), kept("d", 1), kept("e", 2, noise="gaussian:9")]
    expected = [("c", "duplicate", "a"), ("d", "duplicate", "a"), ("e", "near-duplicate", "b")]
    assert told(own) == expected


def test_a_picture_of_another_part_is_a_leak() -> None:
    own = [kept("test/a", 1, part="test"), kept("train/b", 1, part="train"), kept("train/c", 1, part="train")]
    own += [kept("train/d", 1, part="train", noise="gaussian:9"), kept("e", 1)]
    assert told(own) == [
        ("train/b", "leak", "test/a"),
        ("train/c", "leak", "test/a"),
        ("e", "duplicate", "test/a"),
        ("train/d", "leak", "test/a"),
    ]


def test_an_earlier_picture_of_its_own_part_does_not_hide_a_leak() -> None:
    own = [kept("a", 1, part="train"), kept("b", 1, part="test"), kept("c", 1, part="train")]
    assert told(own) == [("b", "leak", "a"), ("c", "leak", "b")]


def test_other_folders_come_before_the_own_one() -> None:
    own = [kept("a", 1), kept("b", 1), kept("c", 2, noise="jpeg:30"), kept("d", 3)]
    others = [kept("o/1", 1), kept("o/2", 2), kept("o/again", 1)]
    assert told(own, others) == [("a", "leak", "o/1"), ("b", "leak", "o/1"), ("c", "leak", "o/2")]


def test_without_thumbnails_only_equal_pixels_are_found() -> None:
    own = [kept("a", 1, small=False), kept("b", 1, small=False), kept("c", 1, noise="jpeg:30", small=False)]
    assert told(own) == [("b", "duplicate", "a")]


def test_words_and_steps() -> None:
    mirror = scene(4)[:, ::-1].copy()
    own = [kept("a", 4), Kept("b", "", checksum(mirror), thumbnail(mirror)), kept("c", 4)]
    steps = []
    near, equal = sorted(find_copies(own, step=lambda: steps.append(1)), key=lambda found: found.file)
    assert near.found == "nearly the mirror image of a (correlation 1.000)"
    assert equal.found == "the same picture as a"
    assert len(steps) == 3
