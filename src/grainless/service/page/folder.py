"""Many pictures, or ZIP archives of them: cleaned one after the other into one archive."""

from __future__ import annotations

import contextlib
import shutil
import threading
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grainless.batch import BatchReport, Failure, Job, Plan, RunOptions, Step, run
from grainless.batch.treatment import Treatment
from grainless.errors import GrainlessError, InputError
from grainless.picture import is_picture_name
from grainless.service.page import names
from grainless.service.page.cleaning import Order, Progress, check_bytes, check_file, work_for
from grainless.service.settings import ServiceSettings

MOST_FILES = 500
"""Pictures, good or bad, that are taken at once; the command line takes more, and goes on after a stop."""
_MOST_TIMES = 16
"""All pictures of one order together may have so many times the bytes of the largest file allowed."""
_PIECE = 2**20


@dataclass(frozen=True)
class CleanedFolder:
    """What became of many pictures."""

    archive: Path | None
    """ZIP of the clean pictures; None where there is none."""
    done: int
    failures: tuple[Failure, ...]
    """Names and reasons."""
    notes: tuple[str, ...]
    """What was done, converted or lost, each with the name of the picture."""
    left: int = 0
    """Pictures that the work had not come to when it was stopped."""
    treated: tuple[tuple[Treatment, int], ...] = ()
    """Of each result what was done, and its pixels."""


class _Stopped(Exception):  # noqa: N818  # no error: somebody wants it so
    """Ends the work on pictures that nobody wants any more."""


@dataclass
class _Intake:
    """The pictures that were dropped, and what could not be one."""

    settings: ServiceSettings
    stop: threading.Event
    """When it is set nothing more is taken."""
    found: list[tuple[Path, str]] = field(default_factory=list)
    """Path, and name for people."""
    failures: list[Failure] = field(default_factory=list)
    bytes: int = 0
    left: int = 0
    """Files, and pictures of archives, that were not come to."""

    @property
    def seen(self) -> int:
        """Files that were taken or refused: those that fail take time too."""
        return len(self.found) + len(self.failures)

    def expect(self, more: int) -> None:
        """Raise InputError where so many more are too many."""
        if self.seen + more > MOST_FILES:
            raise InputError(
                "These are too many pictures for one order",
                expected=f"at most {MOST_FILES}",
                remedy="Clean folders of any size with the command `grainless denoise`",
            )

    def take(self, path: Path, name: str) -> None:
        """Note a picture, or why it is none."""
        try:
            check_file(path, self.settings)
        except GrainlessError as error:
            self.failures.append(Failure(name, str(error).replace(str(path), name)))
        else:
            self.found.append((path, name))

    def count(self, size: int) -> None:
        """Count bytes that are unpacked; raises InputError where they are too many."""
        self.bytes += size
        most = _MOST_TIMES * self.settings.max_bytes
        if self.bytes > most:
            raise InputError(
                "The archive holds too much",
                expected=f"at most {most / 1e6:,.0f} MB unpacked",
                remedy="Split it, or clean the folder with the command `grainless denoise`",
            )


def clean_folder(
    files: Sequence[Path],
    folder: Path,
    *,
    order: Order,
    settings: ServiceSettings,
    progress: Progress,
    stop: threading.Event,
) -> CleanedFolder:
    """Clean all pictures among the files and in ZIP archives among them; what fails stops no other.

    When `stop` is set it ends at the next tile, with the pictures that are done by then. Works inside
    `folder`, where only the archive is left. Raises InputError for nothing to do and for too much, ModelError
    for a model that is not offered.
    """
    work = work_for(order, settings)
    unpacked, out = folder / "unpacked", folder / "clean"
    for place in (unpacked, out):
        place.mkdir()
    try:
        intake = _take_in(files, unpacked, _Intake(settings, stop))
        jobs = _jobs(intake, out)
        plan, report, notes = Plan(tuple(jobs), out, single=False), BatchReport(), list[str]()

        def follow(step: Step) -> None:
            if stop.is_set():
                raise _Stopped
            _tell(step, notes, progress)

        with contextlib.suppress(_Stopped):
            run(plan, work, options=RunOptions(journal=False), on_step=follow, report=report)
        if report.stopped is not None:
            notes.insert(0, "stopped before the last picture: the disk is full")
        archive = _pack([job.target for job in report.done], folder / f"{_title(files)}-clean.zip")
        failures = (*intake.failures, *_named(report.failed, jobs))
        left = intake.left + len(jobs) - len(report.done) - len(report.failed)
        return CleanedFolder(archive, len(report.done), failures, tuple(notes), left, tuple(work.done))
    finally:
        for place in (unpacked, out):
            shutil.rmtree(place, ignore_errors=True)


def _take_in(files: Sequence[Path], unpacked: Path, intake: _Intake) -> _Intake:
    """Look at all that was dropped, archives unpacked; raises InputError for nothing to do and too much."""
    for number, path in enumerate(files):
        if intake.stop.is_set():
            intake.left += len(files) - number
            break
        intake.expect(1)
        if zipfile.is_zipfile(path):
            _unpack(path, unpacked, intake)
        else:
            intake.take(path, path.name)
    if not intake.found and not intake.failures and not intake.stop.is_set():
        raise InputError("There are no pictures in what was dropped", expected="pictures, or a ZIP of them")
    return intake


def _named(failures: Sequence[Failure], jobs: Sequence[Job]) -> list[Failure]:
    """Return the failures with names for people in place of paths."""
    shown = {str(job.source): job.name for job in jobs}
    return [Failure(shown[item.name], item.reason.replace(item.name, shown[item.name])) for item in failures]


def _tell(step: Step, notes: list[str], progress: Progress) -> None:
    if step.outcome == "done":
        notes.extend(f"{step.job.name}: {message}" for message in step.messages)
    number = min(int(step.position) + 1, step.total)
    progress(step.position / max(1, step.total), f"{number} of {step.total}: {step.job.name}")


def _jobs(intake: _Intake, out: Path) -> list[Job]:
    """Give every picture a result of its own, named after it."""
    taken, jobs = names.Names(), []
    for path, name in intake.found:
        target = taken.claim(names.clean_name(name, check_file(path, intake.settings)))
        jobs.append(Job(path, out / target, name))
    return jobs


def _title(files: Sequence[Path]) -> str:
    return names.stem_of(files[0].name) if len(files) == 1 else "pictures"


def _unpack(archive: Path, folder: Path, intake: _Intake) -> None:
    """Unpack the pictures of an archive under numbers: the names in it never become paths."""
    try:
        with zipfile.ZipFile(archive) as content:
            entries = [entry for entry in content.infolist() if _is_picture(entry)]
            intake.expect(len(entries))
            for number, entry in enumerate(entries):
                if intake.stop.is_set():
                    intake.left += len(entries) - number
                    return
                _unpack_one(content, entry, folder / f"{intake.seen}", intake)
    except (zipfile.BadZipFile, OSError, EOFError) as error:
        intake.failures.append(Failure(archive.name, f"this ZIP archive cannot be read: {error}"))


def _is_picture(entry: zipfile.ZipInfo) -> bool:
    last = entry.filename.replace("\\", "/").rsplit("/", 1)[-1]
    return not entry.is_dir() and is_picture_name(last) and not last.startswith(".")


def _unpack_one(content: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, intake: _Intake) -> None:
    name = entry.filename
    try:
        check_bytes(name, entry.file_size, intake.settings)
        with content.open(entry) as packed, path.open("wb") as plain:
            # What the archive says of its sizes need not be true.
            while piece := packed.read(_PIECE):
                intake.count(len(piece))
                plain.write(piece)
        check_bytes(name, path.stat().st_size, intake.settings)
    except InputError:
        raise
    except GrainlessError as error:
        intake.failures.append(Failure(name, str(error)))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, zlib.error) as error:
        intake.failures.append(Failure(name, f"it cannot be unpacked: {error}"))
    else:
        intake.take(path, name)


def _pack(pictures: Sequence[Path], archive: Path) -> Path | None:
    """Put the results into one archive; they are compressed already."""
    if not pictures:
        return None
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as content:
        for path in pictures:
            content.write(path, path.name)
    return archive
