"""The code in a page of the documentation: its commands, its Python and the files that it shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

PROGRAMS = (
    "grainless", "python", "python3", "py", "pip", "uv", "make", "dask", "torchrun", "srun", "sbatch", "curl",
    "docker",
)  # fmt: skip
"""A line of an indented block is a command if it begins with one of these."""
FENCE = re.compile(r'^(?P<mark>```+|~~~+)\s*(?P<language>\w*)(?:.*?\btitle="(?P<title>[^"]+)")?.*$')


@dataclass(frozen=True)
class Block:
    """A piece of code in a page."""

    language: str
    """`sh`, `python`, `toml`, ...; empty for an indented block."""
    title: str | None
    """Name of the file that the block is the content of."""
    text: str
    line: int
    """Where its text begins in the page, counted from 1."""


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of code of a page, fenced or indented by four columns behind an empty line."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        fence = FENCE.match(lines[at])
        begin = at
        if fence:
            at = next(i for i in range(at + 1, len(lines)) if lines[i].strip() == fence["mark"])
            yield Block(fence["language"], fence["title"], "\n".join(lines[begin + 1 : at]), begin + 2)
        elif lines[at].startswith("    ") and (at == 0 or not lines[at - 1].strip()):
            while at < len(lines) and (lines[at].startswith("    ") or not lines[at].strip()):
                at += 1
            body = "\n".join(line[4:] for line in lines[begin:at]).rstrip()
            yield Block("", None, body, begin + 1)
        at += 1


def commands(block: Block) -> list[str]:
    """Return the shell commands of a block, a line each: all of a `sh` block, known programs of others."""
    if block.language not in {"", "sh"}:
        return []
    joined = re.sub(r"\\\n\s*", "", block.text)
    lines = [
        line.strip() for line in joined.splitlines() if line.strip() and not line.strip().startswith("#")
    ]
    return [line for line in lines if block.language == "sh" or program(line) in PROGRAMS]


def program(command: str) -> str:
    """Return the program that a command runs; variables may be set before it."""
    return next((word for word in command.split() if not re.match(r"\w+=", word)), "")


def is_python(block: Block) -> bool:
    """Return whether a block is Python: it says so, or it is an indented one that begins with an import."""
    return block.language == "python" or (
        not block.language and re.match(r"(import|from) \w+", block.text) is not None
    )
