"""Names of users' files: kept for people to read, and never trusted as paths."""

from __future__ import annotations

from grainless.picture import EXTENSIONS
from grainless.picture.formats import FORMATS

_LONGEST = 150
"""Bytes of a name's stem: with what is added, within the 255 that file systems take."""
_FORBIDDEN = frozenset('<>:"/\\|?*')
"""What Windows does not allow in names, separators among them."""
_NAMELESS = "picture"


def stem_of(name: str) -> str:
    """Return a file's name without folders, ending and whatever a file system could stumble over.

    The result is never empty, has no separators, control characters, or dots and spaces at its ends, and at
    most 150 bytes.
    """
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    stem = last.rpartition(".")[0] or last
    kept = "".join(letter for letter in stem if letter.isprintable() and letter not in _FORBIDDEN)
    short = kept.encode("utf-8", "ignore")[:_LONGEST].decode("utf-8", "ignore")
    return short.strip(" .") or _NAMELESS


def clean_name(name: str, picture_format: str) -> str:
    """Return what the clean version of a file is called: NAME-clean, with an ending of its true format."""
    ending = f".{name.rpartition('.')[2]}"
    if EXTENSIONS.get(ending.lower()) != picture_format:
        ending = FORMATS[picture_format].suffixes[0]
    return f"{stem_of(name)}-clean{ending}"


class Names:
    """Names that are given once each, also where a system takes A.png and a.png for one file."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def claim(self, name: str) -> str:
        """Return the name, or NAME-2, NAME-3 and so on where it is taken."""
        stem, dot, ending = name.rpartition(".")
        number, free = 1, name
        while free.casefold() in self._taken:
            number += 1
            free = f"{stem}-{number}{dot}{ending}"
        self._taken.add(free.casefold())
        return free
