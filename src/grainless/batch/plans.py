"""Which file goes where: decided for all before anything runs, and refused where a picture could be lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from grainless.errors import InputError, OutputExistsError, PictureError
from grainless.picture import EXTENSIONS, is_picture_name


@dataclass(frozen=True)
class Job:
    """One picture: where it is read, where its result goes, and its name in messages and for seeds."""

    source: Path
    target: Path
    name: str
    """Path below the input folder with forward slashes, the same on every system."""
    beside: tuple[str, ...] = ()
    """Of further files that its result consists of: what stands behind the whole name of `target`."""

    @property
    def results(self) -> tuple[Path, ...]:
        """All files of its result, `target` first."""
        return (self.target, *(self.target.with_name(self.target.name + ending) for ending in self.beside))


@dataclass(frozen=True)
class Failure:
    """A file or folder that could not be done, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """All jobs of one call, made before the first of them runs."""

    jobs: tuple[Job, ...]
    out: Path
    """File of the one result, or folder of all."""
    single: bool
    """True for one named file: its errors are raised instead of collected."""
    ignored: int = 0
    """Files in the input folders that are no pictures by their name."""
    unreadable: tuple[Failure, ...] = ()
    """Folders that could not be listed."""


def plan(
    inputs: Sequence[Path],
    out: Path,
    *,
    recursive: bool = True,
    beside: Sequence[str] = (),
    protected: Sequence[Path] = (),
) -> Plan:
    """Decide for every input where its result goes.

    One file goes to `out` itself if that has the ending of a picture format, else into the folder `out`
    under its own name. The files of one folder appear under `out` by the same relative names; of several
    inputs, files go into `out` by their name and folders under their own name. Hidden files, linked folders
    and `out` itself are not searched. `beside` each result further files are written, under its name with
    these endings behind it; `protected` files are read too, and no more than the inputs written over.

    Raises InputError for an input that does not exist or holds no picture, and for two inputs with one
    output; OutputExistsError if any file would be written twice, or over one that is read; PictureError for
    an output format that is unknown.
    """
    planned = _placed(inputs, out, recursive=recursive)
    planned = replace(planned, jobs=tuple(replace(job, beside=tuple(beside)) for job in planned.jobs))
    _refuse_losses(planned.jobs, protected)
    return planned


def pictures_in(inputs: Sequence[Path]) -> tuple[list[Path], list[Failure]]:
    """Return files as they are and the pictures in folders, as `plan` finds them; and what cannot be listed.

    Raises InputError where there is no picture at all.
    """
    pictures: list[Path] = []
    failures: list[Failure] = []
    ignored = 0
    for path in inputs:
        found = _below(path, None, recursive=True) if path.is_dir() else _Found([path])
        pictures += found.pictures
        failures += found.unreadable
        ignored += found.ignored
    if not pictures and not failures:
        raise _nothing_in(inputs, ignored)
    return pictures, failures


def _nothing_in(inputs: Sequence[Path], others: int) -> InputError:
    return InputError(
        f"no pictures in {', '.join(map(str, inputs))}",
        got=f"{others} other file{'s' * (others != 1)}",
        expected="files ending in " + ", ".join(EXTENSIONS),
    )


def _placed(inputs: Sequence[Path], out: Path, *, recursive: bool) -> Plan:
    """Do what `plan` does for results of one file each, without a look at what they would replace."""
    if not inputs:
        raise InputError("no input was named", remedy="Name at least one picture or folder")
    for path in inputs:
        if not path.exists():
            raise InputError(f"{path} does not exist", remedy="Check the spelling of the path")
    files = [path for path in inputs if not path.is_dir()]
    single = len(inputs) == 1 and len(files) == 1
    if single and _is_file_name(out):
        return Plan((Job(inputs[0], out, inputs[0].name),), out, single=True)
    _check_folder(out, inputs)

    jobs, failures, ignored = [], [], 0
    origin: dict[str, Path] = {}
    for path in inputs:
        found = _below(path, out, recursive=recursive) if path.is_dir() else _Found([path])
        failures += found.unreadable
        ignored += found.ignored
        new = [_job(path, source, out, several=len(inputs) > 1) for source in found.pictures]
        _refuse_shared_outputs(new, path, origin)
        jobs += new
    if not jobs and not failures:
        raise _nothing_in(inputs, ignored)
    return Plan(tuple(jobs), out, single=single, ignored=ignored, unreadable=tuple(failures))


def _is_file_name(out: Path) -> bool:
    """Tell whether the output of a single file names a file; refuse an ending that cannot be written."""
    if out.is_dir():
        return False
    if out.suffix and not is_picture_name(out):
        raise PictureError(
            f"{out} has an unknown ending",
            expected=", ".join(EXTENSIONS),
            remedy="If a folder is meant, create it first",
        )
    return bool(out.suffix)


def _check_folder(out: Path, inputs: Sequence[Path]) -> None:
    """Refuse an output that cannot be a folder."""
    if out.exists() and not out.is_dir():
        raise InputError(
            f"{out} is a file", expected="a folder for the results", remedy="Name another output"
        )
    if not out.exists() and is_picture_name(out):
        reason = "the input is a folder" if len(inputs) == 1 else "there are several inputs"
        raise InputError(
            f"{out} is the name of one picture, but {reason}",
            expected="a folder for the results",
        )


def _job(root: Path, source: Path, out: Path, *, several: bool) -> Job:
    """Place one file under the output folder."""
    if root == source:
        return Job(source, out / source.name, source.name)
    relative = source.relative_to(root)
    # `resolve` gives "." and ".." their real name.
    target = out / root.resolve().name / relative if several else out / relative
    return Job(source, target, relative.as_posix())


@dataclass
class _Found:
    """What a search of one folder gave."""

    pictures: list[Path] = field(default_factory=list)
    unreadable: list[Failure] = field(default_factory=list)
    ignored: int = 0


def _below(root: Path, out: Path | None, *, recursive: bool) -> _Found:
    """Search a folder for pictures, in a stable order."""
    found = _Found()

    def refused(error: OSError) -> None:
        found.unreadable.append(Failure(str(error.filename), error.strerror or str(error)))

    skipped = None if out is None else os.path.realpath(out)
    for folder, names in _folders(root, skipped, recursive, refused):
        for name in sorted(names):
            if is_picture_name(Path(name)) and not name.startswith("."):
                found.pictures.append(folder / name)
            else:
                found.ignored += 1
    return found


def _folders(
    root: Path, out: str | None, recursive: bool, refused: Callable[[OSError], None]
) -> Iterator[tuple[Path, list[str]]]:
    """Walk through a folder, without hidden folders and without the results of an earlier run inside it."""
    for folder, subfolders, names in os.walk(root, onerror=refused):
        here = Path(folder)
        yield here, names
        kept = [
            name
            for name in sorted(subfolders)
            # Not Path.resolve, which raises a RuntimeError for a link that leads to itself.
            if not name.startswith(".") and os.path.realpath(here / name) != out
        ]
        subfolders[:] = kept if recursive else []


def _refuse_shared_outputs(jobs: Sequence[Job], path: Path, origin: dict[str, Path]) -> None:
    """Refuse an output that another input has taken already; `origin` remembers who took what."""
    # Case is folded because some systems would take A.png and a.png for one file.
    names = {str(job.target).casefold(): job.target for job in jobs}
    for name, target in names.items():
        if name in origin:
            raise InputError(
                f"{origin[name]} and {path} would both be written to {target}",
                remedy="Run them one by one with an output folder each",
            )
    origin.update(dict.fromkeys(names, path))


def _refuse_losses(jobs: Sequence[Job], protected: Sequence[Path]) -> None:
    """Refuse to write any file twice or over one that is read, also through a link or another spelling."""
    read = {_identity(path): f"{path}, which is read" for path in protected}
    read |= {_identity(job.source): f"the input {job.source}" for job in jobs}
    read.pop(None, None)
    written: set[tuple[str, str]] = set()
    folders: dict[Path, str] = {}
    for path in (path for job in jobs for path in job.results):
        if (lost := read.get(_identity(path))) is not None:
            raise OutputExistsError(
                f"{path} would replace {lost}",
                remedy="Name another output; what is read is never written over, also not with --overwrite",
            )
        # By name, as each gets a file of its own: links between older results do not matter.
        if path.parent not in folders:
            folders[path.parent] = os.path.realpath(path.parent)
        place = folders[path.parent], path.name
        if place in written:
            raise OutputExistsError(f"{path} would be written twice", remedy="Name another output")
        written.add(place)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and number of a file, equal for two paths to the same one; None if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
