"""A run folder belongs to one training, keeps its recipe, and is no folder of the user's other files."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest

import tiny_runs
from grainless.errors import OutputExistsError, RecipeError, TrainingError
from grainless.training.recipe import load_recipe
from grainless.training.run_folder import (
    LOCK,
    RECIPE_FILE,
    UNTRAINED,
    Limits,
    alone_in,
    check_free,
    check_outside,
    keep_limits,
    leads,
    load_run_recipe,
    resolve_recipe,
)
from grainless.training.sources import write_json

HOLD = """
import sys, time
from pathlib import Path
from grainless.training.run_folder import alone_in
with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def tiny(tmp_path):
    return tiny_runs.recipe_file(tmp_path)


@pytest.fixture
def run(tmp_path, tiny):
    folder = tmp_path / "run"
    folder.mkdir()
    write_json(folder / RECIPE_FILE, load_recipe(tiny, ["schedule.steps=5"]).model_dump(mode="json"))
    return folder


def test_one_process_holds_the_folder_until_it_is_killed(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(TrainingError, match=r"Another training is at work in .*; wait|Wait for its end"):
            alone_in(tmp_path).__enter__()
        other.kill()
    with alone_in(tmp_path):
        assert (tmp_path / LOCK).exists()


def test_processes_that_share_the_work_do_not_ask_for_the_lock(tmp_path, monkeypatch):
    assert leads()
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert not leads()
    with alone_in(tmp_path):
        assert list(tmp_path.iterdir()) == []


def test_a_folder_is_free_until_training_began_in_it(tmp_path):
    check_free(tmp_path / "new")
    for name in UNTRAINED:
        (tmp_path / name).touch()
    check_free(tmp_path)
    (tmp_path / "last.ckpt").touch()
    with pytest.raises(OutputExistsError, match=r"is not empty. Pass --resume to go on"):
        check_free(tmp_path)
    with pytest.raises(OutputExistsError, match=r"last\.ckpt is a file; expected a folder for the run"):
        check_free(tmp_path / "last.ckpt")


def test_a_new_run_takes_the_recipe_and_a_resumed_one_its_own(tmp_path, tiny, run, caplog):
    assert resolve_recipe(tiny, run, changes=["schedule.steps=9"], resume=False).schedule.steps == 9
    assert resolve_recipe(tiny, run, changes=[], resume=True) == load_run_recipe(run)
    assert load_run_recipe(run).schedule.steps == 5
    assert caplog.text == ""
    resolve_recipe("universal", run, changes=[], resume=True)
    assert "goes on by its own recipe, tiny, and not by universal" in caplog.text
    with pytest.raises(TrainingError, match=r"keeps its recipe; got --set schedule\.steps=9\. Leave out"):
        resolve_recipe(tiny, run, changes=["schedule.steps=9"], resume=True)


def test_a_recipe_goes_by_the_name_in_it_while_its_file_is_there(tmp_path, tiny, run, caplog):
    mine = tiny.rename(tmp_path / "mine.toml")
    resolve_recipe(mine, run, changes=[], resume=True)
    assert caplog.text == ""
    mine.unlink()
    resolve_recipe(mine, run, changes=[], resume=True)
    assert "and not by" in caplog.text
    with pytest.raises(RecipeError):
        resolve_recipe(mine, run, changes=[], resume=False)


def test_processes_that_share_the_work_read_the_recipe_of_the_first(tmp_path, run, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert resolve_recipe("universal", run, changes=[], resume=False) == load_run_recipe(run)


def test_limits_are_kept_until_there_are_new_ones(tmp_path):
    def resumed(*limits):
        return keep_limits(tmp_path, Limits(*limits), resume=True)

    assert resumed() == Limits()  # a run from before limits were noted
    assert keep_limits(tmp_path, Limits(90, 7), resume=False) == Limits(90, 7)
    assert resumed() == Limits(90, 7)
    assert resumed(120) == Limits(120, 7)
    assert resumed() == Limits(120, 7)
    assert resumed(math.inf) == Limits(math.inf, 7)
    assert resumed() == Limits(math.inf, 7)
    assert keep_limits(tmp_path, Limits(), resume=False) == Limits()
    assert resumed().pictures is None


def test_processes_that_share_the_work_read_the_limits_of_the_first(tmp_path, monkeypatch):
    keep_limits(tmp_path, Limits(90, 7), resume=False)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert keep_limits(tmp_path, Limits(), resume=False) == Limits()
    assert keep_limits(tmp_path, Limits(), resume=True) == Limits(90, 7)
    assert keep_limits(tmp_path, Limits(5), resume=True) == Limits(5, 7)
    monkeypatch.delenv("LOCAL_RANK")
    assert keep_limits(tmp_path, Limits(), resume=True) == Limits(90, 7)


def test_what_a_killed_training_left_half_written_is_cleared_away(tmp_path):
    (tmp_path / ".grainless-ab12.part").write_bytes(bytes(100))
    check_free(tmp_path)
    with alone_in(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] == [LOCK]


def test_a_run_among_the_pictures_is_refused(tmp_path):
    for folder in (tmp_path, tmp_path / "runs" / "one"):
        with pytest.raises(TrainingError, match=r"The run folder lies in the data.*Pass a folder elsewhere"):
            check_outside(folder, tmp_path)
    check_outside(tmp_path / "run", tmp_path / "pictures")


def test_other_folders_are_no_runs(tmp_path):
    with pytest.raises(TrainingError, match=r"is not the folder of a training run; got no recipe\.json"):
        load_run_recipe(tmp_path)
    (tmp_path / RECIPE_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(TrainingError, match=r"recipe\.json"):
        load_run_recipe(tmp_path)
