"""The journal of a folder of results: which files are done, with which settings, from which source.

It is a SQLite file, `.grainless/journal.sqlite3` in the folder, held by one command at a time: the lock is
the database's own, which the system takes back when the process ends, however that happens. Each row is on
the disk before the next step begins. A file goes through these points; a run may be killed between any two:

1. Its row says `pending`, written for all files before the first is begun. A result that stands there without
   a row is not ours, and is left alone.
2. The result is written under a temporary name and brought to the disk. Killed here: the row is pending and
   nothing stands there; the next run removes the temporary file and does the picture again.
3. The result gets its name in one step. Killed here: the row is pending and a whole result stands there. It
   may be of an older source, so the picture is done again and replaces it.
4. Its row says `done`. Should the system lose the new name in a power cut, there is a row without a result,
   and the picture is done again.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from grainless.atomic import remove_unfinished
from grainless.batch.plans import Job
from grainless.errors import InputError, OutputExistsError

FOLDER, FILE = ".grainless", "journal.sqlite3"
VERSION = 1
_APPLICATION = 0x67726E6C  # "grnl": tells our file from any other of SQLite
_SECONDS_TO_WAIT = 2.0
"""For the lock: a process that was killed a moment ago may still hold it."""
_LOG, _LOG_HEAD = "-wal", 32
"""What the name of the database's log ends in, and how many bytes its head has."""
_TRIES = 20
"""To copy a database that is written meanwhile."""
_held_here: set[str] = set()
"""Folders whose journals this process holds."""
_TABLES = (
    "CREATE TABLE settings (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE)",
    # The overwriting run that has not come to its end, or nothing.
    "CREATE TABLE overwriting (key TEXT NOT NULL)",
    # Paths are bytes, as names of files need not be text. CAST(target AS TEXT) shows them.
    """CREATE TABLE files (
        target BLOB PRIMARY KEY, source BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL,
        settings INTEGER NOT NULL REFERENCES settings, state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT ''
    ) WITHOUT ROWID""",
)

State = Literal["pending", "done", "failed"]
Settings = Mapping[str, object]
"""What decides the bytes of a result, besides its source: names and values that JSON can hold."""


@dataclass(frozen=True)
class Mark:
    """What a file of pixels was when it was last looked at: changed if one of the two has changed."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Mark:
        """Return the present mark of a file; of one that cannot be looked at, one that no file has."""
        try:
            status = path.stat()
        except OSError:
            return cls(-1, 0)
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Entry:
    """What the journal knows of one result."""

    source: Path
    mark: Mark
    """Of the source, taken before it was read."""
    settings: Settings
    state: State
    reason: str
    """Why it failed; empty for the others."""


class Journal:
    """The journal of one folder, held until it is closed."""

    def __init__(self, connection: sqlite3.Connection, out: Path) -> None:
        """Take a database that is locked and has its tables; `open_journal` makes one."""
        self._connection = connection
        self._out = out

    def entries(self) -> dict[Path, Entry]:
        """Return all entries, by the path of the result."""
        with _in_words(self._out):
            rows = self._connection.execute(
                "SELECT target, source, size, mtime_ns, text, state, reason FROM files"
                " JOIN settings ON settings.id = files.settings"
            )
            return {
                self._out / os.fsdecode(target): Entry(
                    Path(os.fsdecode(source)), Mark(size, mtime), json.loads(text), state, reason
                )
                for target, source, size, mtime, text, state, reason in rows
            }

    def expect(self, jobs: Iterable[tuple[Job, Mark]], settings: Settings) -> None:
        """Note that these files are going to be done, before the first of them is begun."""
        with self._transaction() as connection:
            number = self._number(settings)
            connection.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, 'pending', '')",
                (
                    (self._key(job), os.fsencode(job.source.absolute()), mark.size, mark.mtime_ns, number)
                    for job, mark in jobs
                ),
            )

    def settle(self, job: Job, *, reason: str | None = None) -> None:
        """Note that an expected file is done, or failed for a reason."""
        state: State = "done" if reason is None else "failed"
        with self._transaction() as connection:
            connection.execute(
                "UPDATE files SET state = ?, reason = ? WHERE target = ?",
                (state, reason or "", self._key(job)),
            )

    def forget(self, job: Job) -> None:
        """Take a file out, as if no run had come to it."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM files WHERE target = ?", (self._key(job),))

    def is_overwriting(self, jobs: Sequence[Job], settings: Settings) -> bool:
        """Tell whether a run that was overwriting just these files was killed before its end."""
        with _in_words(self._out):
            row = self._connection.execute("SELECT key FROM overwriting").fetchone()
        return bool(row == (self._overwriting_key(jobs, settings),))

    def begin_overwriting(self, jobs: Sequence[Job], settings: Settings) -> None:
        """Let these files count as not done; where a killed run had begun with that, it goes on instead."""
        if self.is_overwriting(jobs, settings):
            return
        with self._transaction() as connection:
            connection.execute("DELETE FROM overwriting")
            connection.execute("INSERT INTO overwriting VALUES (?)", (self._overwriting_key(jobs, settings),))
            connection.executemany(
                "UPDATE files SET state = 'pending' WHERE target = ?", ((self._key(job),) for job in jobs)
            )

    def end_overwriting(self) -> None:
        """Note that a run came to its end, so that the next one that overwrites begins anew."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM overwriting")

    def remove_unfinished(self, jobs: Iterable[Job]) -> None:
        """Remove half-written files of killed runs: nobody else may be at work in this folder."""
        with _in_words(self._out):
            expected = self._connection.execute("SELECT target FROM files WHERE state = 'pending'")
            places = {(self._out / os.fsdecode(target)).parent for (target,) in expected}
        for folder in sorted(places | {job.target.parent for job in jobs}):
            remove_unfinished(folder)

    def _key(self, job: Job) -> bytes:
        return os.fsencode(job.target.relative_to(self._out))

    def _overwriting_key(self, jobs: Sequence[Job], settings: Settings) -> str:
        digest = sha256(_text(settings).encode())
        for job in jobs:
            digest.update(b"\0" + self._key(job))
        return digest.hexdigest()

    def _number(self, settings: Settings) -> int:
        text = _text(settings)
        self._connection.execute("INSERT OR IGNORE INTO settings (text) VALUES (?)", (text,))
        row = self._connection.execute("SELECT id FROM settings WHERE text = ?", (text,)).fetchone()
        return int(row[0])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with _in_words(self._out), _transaction(self._connection) as connection:
            yield connection


@contextmanager
def open_journal(out: Path) -> Iterator[Journal]:
    """Hold the journal of the folder `out`, both made if they are missing.

    Raises InputError where another command holds it, where it is damaged or of a newer grainless, and where
    it cannot be written.
    """
    file, place = journal_file(out), os.path.realpath(out)
    with _in_words(out):
        file.parent.mkdir(parents=True, exist_ok=True)
    with _connected(file, out) as connection:
        _held_here.add(place)
        try:
            yield Journal(connection, out)
        finally:
            _held_here.discard(place)


@contextmanager
def read_journal(out: Path) -> Iterator[Journal]:
    """Look into the journal of the folder `out` as it is now; nothing there is made, changed or locked.

    So it may be read where nothing can be written, and while another command holds it. What is read is a
    copy: SQLite itself would wait for that command, and make files. Raises InputError as `open_journal` does,
    and OutputExistsError where this very process holds the journal.
    """
    if os.path.realpath(out) in _held_here:
        # On POSIX systems whoever closes a file gives up all locks that his process has on it.
        raise _busy(out)
    with TemporaryDirectory(prefix="grainless-") as folder:
        copy = Path(folder) / FILE
        with _in_words(out):
            _copy_database(journal_file(out), copy, out)
        with _connected(copy, out) as connection:
            yield Journal(connection, out)


@contextmanager
def _connected(file: Path, out: Path) -> Iterator[sqlite3.Connection]:
    """Hold the database in a file, the journal of `out`."""
    with _in_words(out):
        connection = sqlite3.connect(file, timeout=_SECONDS_TO_WAIT, isolation_level=None)
    try:
        with _in_words(out):
            _prepare(connection, out)
        yield connection
    finally:
        # The rows are on the disk already; closing only tidies up.
        with suppress(sqlite3.Error):
            connection.close()


def _copy_database(file: Path, copy: Path, out: Path) -> None:
    """Copy a database with its log so that both belong together, whoever writes them meanwhile.

    What is new stands in the log first, and goes from there into the database, until the log is begun anew
    under other numbers in its head (https://www.sqlite.org/walformat.html). So a log that is copied last, and
    that is the same one as before, holds all that the copy of the database has missed.
    """
    for _ in range(_TRIES):
        before = _log_of(file)
        for ending in ("", "-journal", _LOG):
            part = copy.with_name(copy.name + ending)
            part.unlink(missing_ok=True)
            with suppress(FileNotFoundError):
                shutil.copyfile(file.with_name(file.name + ending), part)
        if _log_of(file) == before:
            return
    raise _busy(out)


def _log_of(file: Path) -> object:
    """Return what tells one log of a database from the next; what tells the database where it has none."""
    try:
        with file.with_name(file.name + _LOG).open("rb") as stream:
            head = stream.read(_LOG_HEAD)
    except FileNotFoundError:
        head = b""
    return head or Mark.of(file)


def journal_file(out: Path) -> Path:
    """Return where the journal of a folder is, whether or not there is one."""
    return out / FOLDER / FILE


def _prepare(connection: sqlite3.Connection, out: Path) -> None:
    """Lock a database, see that it is ours, and make its tables if it is new."""
    # Exclusive first: then the log needs no shared memory, which network disks do not have.
    connection.execute("PRAGMA locking_mode = EXCLUSIVE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    with _transaction(connection):
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if application == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            for table in _TABLES:
                connection.execute(table)
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        elif application != _APPLICATION:
            raise _damaged(out, "it is not a journal of grainless")
        elif version > VERSION:
            raise InputError(
                f"The journal of {out} is of a newer grainless",
                got=f"version {version}",
                expected=f"up to {VERSION}",
                remedy="Update grainless, or name another output",
            )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    except BaseException:
        # Where the disk is full SQLite has rolled back already.
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def _in_words(out: Path) -> Iterator[None]:
    """Turn what SQLite and the system refuse into errors that say what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        # The lower byte is the kind of error, the rest says more about it.
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            raise _busy(out) from error
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:
            # The disk is well: a table is missing.
            raise _damaged(out, str(error)) from error
        raise InputError(
            f"The journal of {out} cannot be written: {error}",
            remedy="Check free space and access rights of the folder",
        ) from error
    except sqlite3.DatabaseError as error:
        raise _damaged(out, str(error)) from error
    except (TypeError, ValueError) as error:
        raise _damaged(out, f"a row is not what was written ({error})") from error
    except OSError as error:
        raise InputError(
            f"The folder {out} cannot be used: {error.strerror or error}", remedy="Name another output"
        ) from error


def _busy(out: Path) -> OutputExistsError:
    return OutputExistsError(
        f"Another command is at work in {out}", remedy="Wait for its end, or name another output"
    )


def _damaged(out: Path, reason: str) -> InputError:
    return InputError(
        f"The journal {journal_file(out)} cannot be read: {reason}",
        remedy=f"Delete the folder {out / FOLDER}; results that stand then stay, unless you add --overwrite",
    )


def _text(settings: Settings) -> str:
    return json.dumps(dict(settings), sort_keys=True)
