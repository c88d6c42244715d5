"""The journal: what it keeps, who may hold it, and what it says when it cannot."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from grainless.batch import Job
from grainless.batch.journal import Mark, journal_file, open_journal
from grainless.errors import InputError, OutputExistsError

HOLD = """
import sys, time
from pathlib import Path
from grainless.batch import Job
from grainless.batch.journal import Mark, open_journal
out = Path(sys.argv[1])
with open_journal(out) as journal:
    job = Job(Path("in/a.png"), out / "a.png", "a.png")
    journal.expect([(job, Mark(1, 2))], {"strength": 1.0})
    journal.settle(job)
    print("held", flush=True)
    time.sleep(60)
"""


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
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(OutputExistsError, match="Another command is at work"), open_journal(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
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
