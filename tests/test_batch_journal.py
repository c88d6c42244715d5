"""The journal: what it keeps, who may hold it, and what it says when it cannot."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from batch_files import held_journal
from grainless.batch import Job
from grainless.batch.journal import Mark, journal_file, open_journal, read_journal
from grainless.errors import InputError, OutputExistsError


def job(out: Path, name: str) -> Job:
    return Job(Path("in", name).absolute(), out / name, name)


def test_entries_come_back_by_result(tmp_path: Path) -> None:
    a, b, c = (job(tmp_path, name) for name in ("a.png", "sub/b.png", "c.png"))
    settings = {"strength": 0.5, "crop": [1, 2, 3, 4], "model": "universal"}
    with open_journal(tmp_path) as journal:
        assert journal.entries() == {}
        journal.expect([(a, Mark(10, 20)), (b, Mark(30, 40)), (c, Mark(5, 6))], settings)
        journal.settle(a)
        journal.settle(b, reason="it is broken")
    with open_journal(tmp_path) as journal:
        entries = journal.entries()
    assert [entries[each.target].state for each in (a, b, c)] == ["done", "failed", "pending"]
    assert entries[b.target].reason == "it is broken"
    assert entries[a.target].mark == Mark(10, 20)
    assert entries[a.target].settings == settings
    assert entries[b.target].source == b.source


@pytest.mark.skipif(os.name != "posix", reason="names are text elsewhere")
def test_names_need_not_be_text(tmp_path: Path) -> None:
    odd = job(tmp_path, os.fsdecode(b"\xff\n.png"))
    with open_journal(tmp_path) as journal:
        journal.expect([(odd, Mark(1, 1))], {})
    with open_journal(tmp_path) as journal:
        assert list(journal.entries()) == [odd.target]


def test_a_mark_tells_size_and_time_and_what_is_gone(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"12")
    mark = Mark.of(file)
    assert mark.size == 2
    os.utime(file, ns=(0, mark.mtime_ns + 1000))
    assert Mark.of(file) != mark
    file.unlink()
    assert Mark.of(file) == Mark(-1, 0)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such signal")
def test_the_lock_and_nothing_else_dies_with_its_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grainless.batch.journal._SECONDS_TO_WAIT", 0.1)
    with (
        held_journal(tmp_path, tmp_path),
        pytest.raises(OutputExistsError, match="Another command is at work"),
        open_journal(tmp_path),
    ):
        pass
    with open_journal(tmp_path) as journal:
        assert [entry.state for entry in journal.entries().values()] == ["done"]
    assert [path.name for path in (tmp_path / ".grainless").iterdir()] == ["journal.sqlite3"]


def test_a_journal_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    file = journal_file(tmp_path)
    file.parent.mkdir()
    file.write_bytes(b"no journal" * 1000)
    with (
        pytest.raises(InputError, match=r"not a database\. Delete the folder .*grainless; results"),
        open_journal(tmp_path),
    ):
        pass
    file.unlink()
    with sqlite3.connect(file) as other:
        other.execute("CREATE TABLE somebody (elses)")
    other.close()
    with pytest.raises(InputError, match="it is not a journal of grainless"), open_journal(tmp_path):
        pass


def test_a_journal_of_a_newer_grainless_is_refused(tmp_path: Path) -> None:
    with open_journal(tmp_path):
        pass
    connection = sqlite3.connect(journal_file(tmp_path))
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    with (
        pytest.raises(InputError, match="newer grainless; got version 2; expected up to 1"),
        open_journal(tmp_path),
    ):
        pass


def test_a_journal_that_was_killed_while_it_was_made_is_made_anew(tmp_path: Path) -> None:
    file = journal_file(tmp_path)
    file.parent.mkdir()
    file.write_bytes(b"")
    with open_journal(tmp_path) as journal:
        assert journal.entries() == {}


@pytest.mark.parametrize(
    "damage",
    [
        "DROP TABLE files",
        "DROP TABLE overwriting",
        "UPDATE settings SET text = '{bad'",
        "UPDATE files SET target = 5",
    ],
)
def test_a_damaged_table_is_said_in_words(tmp_path: Path, damage: str) -> None:
    one = job(tmp_path, "a.png")
    with open_journal(tmp_path) as journal:
        journal.expect([(one, Mark(1, 1))], {})
    with sqlite3.connect(journal_file(tmp_path)) as connection:
        connection.execute(damage)
    connection.close()
    words = r"The journal .*journal\.sqlite3 cannot be read: .*Delete the folder"
    with open_journal(tmp_path) as journal, pytest.raises(InputError, match=words):
        (journal.entries(), journal.is_overwriting([one], {}), journal.remove_unfinished([one]))


def test_damaged_pages_are_said_in_words(tmp_path: Path) -> None:
    jobs = [(job(tmp_path, f"{number}.png"), Mark(1, 1)) for number in range(400)]
    with open_journal(tmp_path) as journal:
        journal.expect(jobs, {})
    content = journal_file(tmp_path).read_bytes()
    journal_file(tmp_path).write_bytes(content[:4096] + b"Z" * (len(content) - 4096))
    with pytest.raises(InputError, match="cannot be read"), open_journal(tmp_path) as journal:
        journal.entries()


# Looked into only


def state_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return all that can be seen of a folder's files."""
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in [folder, *folder.rglob("*")]
    }


def test_a_journal_is_read_while_another_process_holds_it_and_after_that_was_killed(tmp_path: Path) -> None:
    with held_journal(tmp_path, tmp_path):
        before = state_of(tmp_path)
        with read_journal(tmp_path) as journal:
            assert [entry.state for entry in journal.entries().values()] == ["done"]
        assert state_of(tmp_path) == before
    before = state_of(tmp_path)
    assert len(before) == 4, "the log has to be there, or this tests nothing"
    with read_journal(tmp_path) as journal:
        assert list(journal.entries()) == [tmp_path / "a.png"]
    assert state_of(tmp_path) == before


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="rights do not bind this user")
def test_a_journal_is_read_in_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    with open_journal(tmp_path) as journal:
        journal.expect([(job(tmp_path, "a.png"), Mark(1, 1))], {})
    folder = journal_file(tmp_path).parent
    folder.chmod(0o555)
    journal_file(tmp_path).chmod(0o444)
    try:
        with read_journal(tmp_path) as journal:
            assert len(journal.entries()) == 1
    finally:
        folder.chmod(0o755)


MARK = """
import sys
import time
import time
from pathlib import Path
from grainless.batch import Job
from grainless.batch.journal import Mark, open_journal
out = Path(sys.argv[1])
jobs = [Job(Path("in/a.png"), out / f"{number:03}.png", "a.png") for number in range(400)]
with open_journal(out) as journal:
    # The log is begun anew with nearly each mark, and not after a thousand.
    journal._connection.execute("PRAGMA wal_autocheckpoint = 4")
    journal._connection.execute("PRAGMA synchronous = OFF")
    print("begun", flush=True)
    while True:
        journal.expect([(job, Mark(1, 2)) for job in jobs], {"strength": 1.0})
        for job in jobs:
            journal.settle(job)
            # Else it would be at the end whenever the other process gets its turn.
            time.sleep(0.001)
"""


def test_what_is_read_beside_a_running_command_is_of_one_moment(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", MARK, tmp_path], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        try:
            seen, reads = set(), 0
            end = time.monotonic() + 60
            # By chance the first looks may all fall between two rounds of the other process.
            while (reads < 60 or len(seen) <= 5) and time.monotonic() < end:
                reads += 1
                try:
                    with read_journal(tmp_path) as journal:
                        states = [entry.state for _, entry in sorted(journal.entries().items())]
                except OutputExistsError:
                    continue
                assert states == sorted(states), "files are marked in their order"
                assert len(states) in {0, 400}
                seen.add(states.count("done"))
        finally:
            writer.kill()
    assert len(seen) > 5


OPEN = """
import sys
import time
from pathlib import Path
from grainless.batch.journal import open_journal
with open_journal(Path(sys.argv[1])):
    pass
"""


def test_the_own_process_does_not_lose_its_lock_by_a_look(tmp_path: Path) -> None:
    with open_journal(tmp_path):
        with pytest.raises(OutputExistsError, match="Another command is at work"), read_journal(tmp_path):
            pass
        command = [sys.executable, "-c", OPEN, tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "Another command is at work" in done.stderr
    with read_journal(tmp_path) as journal:
        assert journal.entries() == {}


def test_a_look_at_what_is_no_journal_says_what_to_do(tmp_path: Path) -> None:
    file = journal_file(tmp_path)
    file.parent.mkdir()
    file.write_bytes(b"no journal" * 1000)
    with (
        pytest.raises(InputError, match=rf"The journal {file} cannot be read.*Delete the folder"),
        read_journal(tmp_path),
    ):
        pass
    assert file.read_bytes() == b"no journal" * 1000
    file.write_bytes(b"")
    with read_journal(tmp_path) as journal:
        assert journal.entries() == {}
    assert file.read_bytes() == b""
