"""What the doctor says: findings, each of a kind that has a remedy, and the report that holds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

Severity = Literal["fault", "note"]

JSON_VERSION = 1
"""Version of `Report.as_json`: fields and kinds are only added within a version."""


@dataclass(frozen=True)
class Kind:
    """A kind of finding."""

    title: str
    severity: Severity
    """A fault spoils what is trained or measured; a note is worth a look."""
    remedy: str


PARTS = {"train": "train", "training": "train", "val": "validation", "valid": "validation"} | {
    name: name for name in ("validation", "test")
}
"""Sub-folders whose names say what their pictures are for, and that they must share none."""

_SAME_TWICE = "Keep one of the two"

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "unreadable": Kind("Unreadable", "fault", "Get the file from its source again, or remove it"),
        "blank": Kind(
            "Of one single value", "fault", "Remove it: there is nothing in it to learn or measure"
        ),
        "too-small": Kind("Too small", "fault", "Remove it, or ask for less with --min-side"),
        "noisy": Kind("Noisy", "fault", "Remove it, or denoise or scale it down: it is to be clean"),
        "impulses": Kind(
            "With black and white specks", "fault", "Remove it, or denoise it: it is to be clean"
        ),
        "duplicate": Kind("Twice in the data", "fault", _SAME_TWICE),
        "leak": Kind("In two parts that must share nothing", "fault", "Remove it from one of the two parts"),
        "pair-name": Kind(
            "Without a partner of its name",
            "fault",
            "Add the partner under the same name, or remove the picture: noisy/a/1.jpg, clean/a/1.png",
        ),
        "pair-size": Kind(
            "Pairs of two sizes",
            "fault",
            "Cut or convert them so that they fit pixel by pixel, or remove the pair",
        ),
        "pair-equal": Kind("Pairs of the same picture", "fault", "Put the noisy picture there, or remove it"),
        "pair-scene": Kind("Pairs that show different scenes", "fault", "Give each noisy one its clean one"),
        "pair-shifted": Kind("Shifted pairs", "fault", "Move one to fit the other, cut both, or remove them"),
        "pair-swapped": Kind(
            "Swapped pairs", "fault", "Exchange the two pictures, or the names of the folders"
        ),
        "near-duplicate": Kind("Nearly the same picture", "note", f"{_SAME_TWICE}, if they are one picture"),
        "texture": Kind(
            "Fine texture or noise", "note", "Look at it; remove it if that is noise and not what it shows"
        ),
        "jpeg": Kind("Strongly compressed", "note", "Take the original, or scale it down by two or more"),
        "gray-in-colour": Kind(
            "Gray, stored as colour", "note", "Save it as gray, or leave it: it teaches a network gray"
        ),
        "odd-size": Kind("Of another size than the rest", "note", "See whether it belongs here"),
        "odd-channels": Kind("Of another colour type than the rest", "note", "See whether it belongs here"),
    }
)
"""All kinds by name, in the order in which they are shown."""


@dataclass(frozen=True)
class Finding:
    """One thing found about one file."""

    file: str
    """Name below the folder that was checked, with `/`; else the path as it was given."""
    kind: str
    """A key of `KINDS`."""
    found: str
    """What was found, in words."""
    other: str | None = None
    """The other picture, where there is one."""

    @property
    def severity(self) -> Severity:
        """Whether it is a fault or a note."""
        return KINDS[self.kind].severity

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return KINDS[self.kind].remedy


@dataclass(frozen=True)
class Report:
    """What was found in a folder or a file of faces."""

    path: str
    """As it was given."""
    pictures: int
    """How many files with a picture's name, or faces, were looked at; not counting other folders."""
    findings: tuple[Finding, ...]
    """By kind in the order of `KINDS`, then by file."""

    @property
    def faults(self) -> tuple[Finding, ...]:
        """The findings that spoil what is trained or measured."""
        return tuple(finding for finding in self.findings if finding.severity == "fault")

    @property
    def notes(self) -> tuple[Finding, ...]:
        """The findings that are worth a look."""
        return tuple(finding for finding in self.findings if finding.severity == "note")

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each kind that was found."""
        return dict(Counter(finding.kind for finding in self.findings))

    def as_json(self) -> dict[str, Any]:
        """Return the report as JSON holds it."""
        entries = [
            {
                "file": finding.file,
                "kind": finding.kind,
                "severity": finding.severity,
                "found": finding.found,
                "remedy": finding.remedy,
                "other": finding.other,
            }
            for finding in self.findings
        ]
        return {"version": JSON_VERSION, "path": self.path, "pictures": self.pictures, "findings": entries}


def part_of_name(file: str) -> str:
    """Return what a picture is for by the sub-folder that it is in; empty where that does not tell."""
    return PARTS.get(file.split("/", maxsplit=1)[0].lower(), "") if "/" in file else ""


def report_of(path: object, pictures: int, findings: list[Finding]) -> Report:
    """Return a report with its findings in order."""
    place = {kind: number for number, kind in enumerate(KINDS)}
    ordered = sorted(findings, key=lambda finding: (place[finding.kind], finding.file, finding.found))
    return Report(str(path), pictures, tuple(ordered))
