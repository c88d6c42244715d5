"""Whole runs: what they leave behind, and that whatever stops them, they go on as if nothing had happened."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock
from lightning.pytorch.callbacks import Callback

import faces_csv
import tiny_runs
from grainless.errors import DataError, OutputExistsError, RecipeError, TrainingError
from grainless.picture import read_picture
from grainless.training import RunOptions, train_run
from grainless.training import run as run_module
from grainless.training.adversarial import build_task
from grainless.training.run_folder import load_run_recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_runs.pictures(tmp_path_factory.mktemp("pictures"))


class EachStep(Callback):
    """Keeps a copy of the last checkpoint of each step; it has to stand behind what writes them."""

    def __init__(self, run):
        self._run = run

    def on_train_batch_end(self, trainer, *_):
        shutil.copy(self._run / "last.ckpt", self._run / f"step-{trainer.global_step}.ckpt")


class FailAt(Callback):
    """Raises at the end of a step or of the first validation batch."""

    def __init__(self, error, *, step=None):
        self._error, self._step = error, step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self._step:
            raise self._error

    def on_validation_batch_end(self, *_):
        if self._step is None:
            raise self._error


@pytest.fixture
def add_callback(monkeypatch):
    """Add a callback to the runs of a test, behind all others."""
    original = run_module._trainer

    def add(make):
        def trainer(task, output, team, callbacks):
            built = original(task, output, team, callbacks)
            built.callbacks.append(make(output))
            return built

        monkeypatch.setattr(run_module, "_trainer", trainer)

    return add


@pytest.fixture(scope="module")
def finished(data, tmp_path_factory):
    """A run of nine steps with a validation after each four, and the summary that it gave."""
    run = tmp_path_factory.mktemp("finished") / "run"
    original = run_module._trainer
    with pytest.MonkeyPatch.context() as patch:

        def trainer(task, output, team, callbacks):
            built = original(task, output, team, callbacks)
            built.callbacks.append(EachStep(output))
            return built

        patch.setattr(run_module, "_trainer", trainer)
        summary = tiny_runs.train(data, run, "schedule.steps=9", "name=nine")
    return run, summary


def copy_of_run(run, folder, step):
    """A run folder as a kill after that step leaves it."""
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("step-*", "summary.json"))
    shutil.copy(run / f"step-{step}.ckpt", folder / "last.ckpt")
    return folder


def test_summary(finished):
    run, summary = finished
    assert summary == tiny_runs.read_json(run / "summary.json")
    assert summary["version"] == 1
    assert summary["steps"] == 9
    assert summary["finished"] is True
    assert 0 <= summary["waiting"] <= 1
    scores = [row["psnr"] for row in tiny_runs.log_rows(run) if "psnr" in row]
    assert summary["best_psnr"] == pytest.approx(max(scores), abs=6e-4)


def test_the_end_is_validated_even_between_two_validations(finished):
    run, _ = finished
    assert [row["step"] for row in tiny_runs.log_rows(run) if "psnr" in row] == [3, 7, 8]


def test_logs_hold_loss_waiting_and_psnr_of_each_noise(finished):
    run, _ = finished
    rows = tiny_runs.log_rows(run)
    training = [row for row in rows if "loss" in row]
    assert training
    assert all(0 <= row["waiting"] <= 1 for row in training)
    for row in rows:
        if "psnr" in row:
            noises = [row["psnr/gaussian:25"], row["psnr/salt-pepper:0.3"]]
            assert row["psnr"] == pytest.approx(sum(noises) / 2, abs=1e-4)
            assert noises[0] != noises[1]
    events = list((run / "tensorboard").glob("events.out.tfevents.*"))
    assert events
    assert events[0].stat().st_size > 500


def test_sample_pictures_show_noisy_cleaned_and_clean(finished, data):
    run, _ = finished
    names = [path.name for path in sorted((run / "samples").iterdir())]
    assert names == ["step-0000004.png", "step-0000008.png", "step-0000009.png"]
    grid = read_picture(run / "samples" / names[0]).pixels
    assert grid.shape == (2 * 16, 3 * 16, 3)
    name = tiny_runs.read_json(run / "data.json")["validation"][0]
    clean = read_picture(data / name).pixels[12:28, 16:32]
    assert (grid[:16, 32:] == clean).all()
    assert (grid[:16, :16] != clean).any()


def test_resolved_recipe_lies_beside_the_run(finished):
    run, _ = finished
    recipe = tiny_runs.read_json(run / "recipe.json")
    assert recipe["name"] == "nine"
    assert recipe["schedule"]["steps"] == 9
    assert recipe["optimiser"]["clip_norm"] == 1.0
    assert load_run_recipe(run).schedule.steps == 9


def test_data_file_lists_split_and_skipped(tmp_path):
    folder = tiny_runs.pictures(tmp_path / "pictures", count=4)
    (folder / "broken.png").write_bytes(b"not a picture")
    tiny_runs.write_pixels(folder / "c" / "small.png", tiny_runs.pixels_for("s", 15, 40))
    tiny_runs.train(folder, tmp_path / "run", "schedule.steps=1", 'data.validation=["b/3.png", "gone.png"]')
    content = tiny_runs.read_json(tmp_path / "run" / "data.json")
    assert content["folder"] == "pictures"
    assert content["validation"] == ["b/3.png"]
    assert content["training"] == ["a/0.png", "a/2.png", "b/1.png"]
    reasons = {entry["name"]: entry["reason"] for entry in content["skipped"]}
    assert reasons.keys() == {"broken.png", "c/small.png"}
    assert reasons["c/small.png"] == "too small: 40x15 pixels, each side must be at least 16"


def test_skipped_files_are_said(tmp_path, caplog):
    folder = tiny_runs.pictures(tmp_path / "pictures", count=3)
    (folder / "broken.png").write_bytes(b"not a picture")
    with caplog.at_level(logging.INFO, logger="grainless"):
        tiny_runs.train(folder, tmp_path / "run", "schedule.steps=1")
    assert "Skipped broken.png: " in caplog.text
    assert "3 pictures from" in caplog.text


def test_validation_names_that_are_absent_fall_back_to_a_share(data, tmp_path):
    tiny_runs.train(data, tmp_path / "run", "schedule.steps=1", 'data.validation=["gone.png"]')
    content = tiny_runs.read_json(tmp_path / "run" / "data.json")
    assert len(content["validation"]) >= 1
    assert len(content["validation"]) + len(content["training"]) == 6


def test_same_seed_same_weights(data, finished, tmp_path):
    tiny_runs.train(data, tmp_path / "run", "schedule.steps=9")
    again, first = (tiny_runs.checkpoint(run / "last.ckpt") for run in (tmp_path / "run", finished[0]))
    assert tiny_runs.weight_difference(again, first) == 0
    tiny_runs.train(data, tmp_path / "other", "schedule.steps=9", "schedule.seed=8")
    assert tiny_runs.weight_difference(tiny_runs.checkpoint(tmp_path / "other" / "last.ckpt"), first) > 1e-4


@pytest.mark.parametrize("step", range(1, 9))
def test_resumed_from_any_step_it_ends_the_same(data, finished, tmp_path, step):
    run = copy_of_run(finished[0], tmp_path / "run", step)
    summary = tiny_runs.train(data, run, resume=True)
    assert summary["steps"] == 9
    expected, got = (tiny_runs.checkpoint(folder / "last.ckpt") for folder in (finished[0], run))
    assert tiny_runs.weight_difference(expected, got) <= 1e-6
    assert summary["best_psnr"] == finished[1]["best_psnr"]
    best = [tiny_runs.checkpoint(folder / "best.ckpt") for folder in (finished[0], run)]
    assert best[0]["global_step"] == best[1]["global_step"]


def test_logs_before_a_kill_are_kept(data, finished, tmp_path):
    run = copy_of_run(finished[0], tmp_path / "run", 5)
    before = (run / "csv/part-0/metrics.csv").read_text()
    tiny_runs.train(data, run, resume=True)
    assert (run / "csv/part-0/metrics.csv").read_text() == before
    assert [row["step"] for row in tiny_runs.log_rows(run) if "psnr" in row] == [3, 7, 8, 7, 8]


def test_the_best_record_survives_a_resume_and_a_move(data, finished, tmp_path):
    run = copy_of_run(finished[0], tmp_path / "moved", 5)
    state = tiny_runs.checkpoint(run / "last.ckpt")
    for callback in state["callbacks"].values():
        if callback.get("monitor") == "psnr":
            callback["best_model_score"] = callback["kth_value"] = torch.tensor(99.0)
            callback["best_k_models"] = {key: torch.tensor(99.0) for key in callback["best_k_models"]}
    torch.save(state, run / "last.ckpt")
    shutil.copy(
        run / "step-4.ckpt" if (run / "step-4.ckpt").exists() else run / "last.ckpt", run / "best.ckpt"
    )
    before = (run / "best.ckpt").read_bytes()
    assert tiny_runs.train(data, run, resume=True)["best_psnr"] == 99.0
    assert (run / "best.ckpt").read_bytes() == before


def test_a_finished_run_may_be_resumed(data, finished, tmp_path):
    run = shutil.copytree(finished[0], tmp_path / "run")
    summary = tiny_runs.train(data, run, resume=True)
    assert summary["steps"] == 9
    assert summary["best_psnr"] == finished[1]["best_psnr"]


def test_a_part_that_is_killed_leaves_no_summary(data, finished, tmp_path, add_callback):
    run = shutil.copytree(finished[0], tmp_path / "run")
    shutil.copy(run / "step-5.ckpt", run / "last.ckpt")
    add_callback(lambda _: FailAt(MemoryError("none left"), step=7))
    with pytest.raises(MemoryError):
        tiny_runs.train(data, run, resume=True)
    assert not (run / "summary.json").exists()


def test_two_trainings_cannot_share_a_folder(data, finished, tmp_path, add_callback):
    run = copy_of_run(finished[0], tmp_path / "run", 5)
    found = []

    class Second(Callback):
        def on_train_batch_end(self, *_):
            with pytest.raises(
                TrainingError, match=r"Another training is at work in .*run\. Wait for its end"
            ):
                train_run("nine", data=data, output=run, options=RunOptions(resume=True))
            found.append(1)

    add_callback(lambda _: Second())
    tiny_runs.train(data, run, resume=True)
    assert len(found) == 4


def test_a_folder_in_which_another_training_decodes_is_left_alone(data, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "recipe.json").write_text("that of the other", encoding="utf-8")
    with FileLock(run / ".lock"), pytest.raises(TrainingError, match="Another training is at work in"):
        tiny_runs.train(data, run)
    assert (run / "recipe.json").read_text(encoding="utf-8") == "that of the other"


def test_a_folder_with_other_files_stays_as_it_is(data, tmp_path):
    (tmp_path / "photo.png").touch()
    with pytest.raises(OutputExistsError, match="is not empty"):
        tiny_runs.train(data, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["photo.png"]


@pytest.mark.parametrize(
    "settings",
    [
        ("net.name=unet", "net.settings={width=4, dropout=0.5}", "data.patch=[32]"),
        ("net.name=bottleneck-unet", "net.settings={widths=[4, 4], bottleneck=4}"),
        ("net.name=upconv", "net.settings={widths=[4, 4, 4, 4, 4]}", "optimiser.loss=bce"),
    ],
    ids=["dropout", "bottleneck", "logits"],
)
@pytest.mark.slow
def test_the_networks_of_the_studies_resume_as_if_uninterrupted(data, tmp_path, add_callback, settings):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    add_callback(EachStep)
    tiny_runs.train(data, whole, *settings)
    copy_of_run(whole, parts, 3)
    tiny_runs.train(data, parts, resume=True)
    expected, got = (tiny_runs.checkpoint(folder / "last.ckpt") for folder in (whole, parts))
    assert tiny_runs.weight_difference(expected, got) <= 1e-6


def test_the_last_state_goes_on_from_the_weights_not_from_their_average(finished):
    state = tiny_runs.checkpoint(finished[0] / "last.ckpt")
    average, weights = state["state_dict"], state["current_model_state"]
    assert max(float((average[name] - weights[name]).abs().max()) for name in average) > 1e-6


def test_the_statistics_of_norms_are_those_that_the_weights_were_trained_with(data, tmp_path):
    tiny_runs.train(data, tmp_path / "run", "net.settings.norm=true")
    state = tiny_runs.checkpoint(tmp_path / "run" / "last.ckpt")
    average, weights = state["state_dict"], state["current_model_state"]
    statistics = [name for name in average if "running" in name]
    assert statistics
    assert all(torch.equal(average[name], weights[name]) for name in statistics)


def test_the_average_of_a_short_run_is_that_of_its_last_steps(data, tmp_path):
    tiny_runs.train(data, tmp_path / "run", "optimiser.ema=0.999", "schedule.steps=40", "optimiser.rate=1e-3")
    state = tiny_runs.checkpoint(tmp_path / "run/last.ckpt")
    average, weights = state["state_dict"], state["current_model_state"]
    torch.manual_seed(7)
    first = build_task(load_run_recipe(tmp_path / "run")).state_dict()
    name = next(name for name in average if name.endswith("weight") and average[name].ndim == 4)
    away = [float((part[name] - weights[name]).norm()) for part in (average, first)]
    assert away[0] < 0.5 * away[1]


def test_without_average(data, tmp_path):
    tiny_runs.train(data, tmp_path / "run", "optimiser.ema=0", "schedule.steps=2")
    assert "averaging_state" not in tiny_runs.checkpoint(tmp_path / "run" / "last.ckpt")


@pytest.mark.slow
def test_time_is_a_limit_that_a_resume_may_raise(data, tmp_path, monkeypatch):
    def seconds(clock):
        """Five more milliseconds each time that somebody looks, however fast the machine is."""
        clock.looks = getattr(clock, "looks", -1) + 1
        return clock._before + 0.005 * clock.looks

    monkeypatch.setattr(run_module.RunClock, "seconds", property(seconds))
    run = tmp_path / "run"
    first = tiny_runs.train(
        data, run, "schedule.steps=100000", "schedule.validate_every=5000", max_minutes=0.005
    )
    assert 0 < first["steps"] < 100_000
    assert first["finished"] is False
    # It was validated at its end, so there is a best state.
    assert first["best_psnr"] > 0
    state = tiny_runs.checkpoint(run / "last.ckpt")
    rate = state["optimizer_states"][0]["param_groups"][0]["lr"]
    assert rate < 0.2 * 1e-3
    second = tiny_runs.train(data, run, resume=True, max_minutes=0.012)
    assert second["steps"] > first["steps"]
    clock = tiny_runs.checkpoint(run / "last.ckpt")["callbacks"]["RunClock"]
    assert 0.012 * 60 <= clock["seconds"] < 0.012 * 60 + 0.1


def test_ctrl_c_stops_after_a_step_and_loses_nothing(data, finished, tmp_path, add_callback):
    class Press(Callback):
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == 4:
                signal.raise_signal(signal.SIGINT)

    add_callback(lambda output: Press())
    handler = signal.getsignal(signal.SIGINT)
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        tiny_runs.train(data, run, "schedule.steps=9", "schedule.checkpoint_minutes=100")
    assert signal.getsignal(signal.SIGINT) is handler
    assert tiny_runs.checkpoint(run / "last.ckpt")["global_step"] == 5
    add_callback(lambda output: Callback())
    run_module_trainer_is_clean(run, data, finished)


def run_module_trainer_is_clean(run, data, finished):
    """Resume a stopped run whose callbacks do nothing, and compare its end with that of the finished run."""
    with contextlib.suppress(KeyboardInterrupt):
        tiny_runs.train(data, run, resume=True)
    expected, got = (tiny_runs.checkpoint(folder / "last.ckpt") for folder in (finished[0], run))
    assert got["global_step"] == 9
    assert tiny_runs.weight_difference(expected, got) <= 1e-6


def test_ctrl_c_in_a_validation_keeps_weights_and_average_apart(data, finished, tmp_path, add_callback):
    class Press(Callback):
        def on_validation_batch_start(self, trainer, *_):
            if trainer.global_step == 4:
                signal.raise_signal(signal.SIGINT)

    add_callback(lambda output: Press())
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        tiny_runs.train(data, run, "schedule.steps=9", "schedule.checkpoint_minutes=100")
    assert tiny_runs.checkpoint(run / "last.ckpt")["global_step"] == 4
    assert not (run / "best.ckpt").exists()
    run_module_trainer_is_clean(run, data, finished)


def test_a_second_ctrl_c_does_not_wait(data, tmp_path, add_callback):
    class PressTwice(Callback):
        def on_train_batch_start(self, trainer, *_):
            if trainer.global_step == 2:
                signal.raise_signal(signal.SIGINT)
                signal.raise_signal(signal.SIGINT)
                pytest.fail("the second did not stop at once")

    add_callback(lambda output: PressTwice())
    with pytest.raises(KeyboardInterrupt):
        tiny_runs.train(data, tmp_path / "run")
    assert tiny_runs.checkpoint(tmp_path / "run" / "last.ckpt")["global_step"] == 2


@pytest.mark.parametrize("step", [3, None])
def test_an_error_leaves_the_last_whole_state(data, finished, tmp_path, add_callback, step):
    add_callback(lambda output: FailAt(OSError("the disk is gone"), step=step))
    run = tmp_path / "run"
    with pytest.raises(OSError, match="the disk is gone"):
        tiny_runs.train(data, run, "schedule.steps=9")
    add_callback(lambda output: Callback())
    tiny_runs.train(data, run, resume=True)
    expected, got = (tiny_runs.checkpoint(folder / "last.ckpt") for folder in (finished[0], run))
    assert tiny_runs.weight_difference(expected, got) <= 1e-6


def test_a_folder_with_a_run_is_not_overwritten(data, finished):
    before = (finished[0] / "last.ckpt").read_bytes()
    with pytest.raises(OutputExistsError, match=r"is not empty.*--resume"):
        tiny_runs.train(data, finished[0])
    assert (finished[0] / "last.ckpt").read_bytes() == before


def test_a_file_is_no_run_folder(data, tmp_path):
    (tmp_path / "run").write_text("x")
    with pytest.raises(OutputExistsError, match="is a file"):
        tiny_runs.train(data, tmp_path / "run")


def test_what_fails_before_training_leaves_the_folder_free(data, tmp_path):
    run, empty = tmp_path / "run", tmp_path / "empty"
    empty.mkdir()
    for change, folder, error in [
        ("net.name=other", data, RecipeError),
        ("net.settings.depth=3", data, RecipeError),
        ("data.channels=1", data, RecipeError),
        ("data.min_side=100", data, DataError),
        ("schedule.steps=1", empty, DataError),
        ("schedule.steps=1", tmp_path / "gone", DataError),
    ]:
        with pytest.raises(error):
            tiny_runs.train(folder, run, change)
    assert tiny_runs.train(data, run, "schedule.steps=1")["steps"] == 1


def test_network_and_pictures_have_to_fit(data, tmp_path):
    with pytest.raises(RecipeError, match=r"data\.channels do not fit.*3 channel\(s\), pictures of 1"):
        tiny_runs.train(data, tmp_path / "run", "data.channels=1")


def test_gray_pictures_are_widened_for_networks_of_colour(tmp_path):
    folder = tiny_runs.pictures(tmp_path / "colour", count=6)
    changes = ("data.gray=0.5", "data.channels=3", "schedule.batch=8", "schedule.steps=2")
    assert tiny_runs.train(folder, tmp_path / "run", *changes)["steps"] == 2
    faces = faces_csv.write_faces(tmp_path / "faces.csv", training=5, public=2, private=3)
    changes = ("data.kind=faces", "data.channels=3", "schedule.steps=2")
    assert tiny_runs.train(faces, tmp_path / "faces", *changes)["steps"] == 2


def test_one_channel(tmp_path):
    folder = tiny_runs.pictures(tmp_path / "gray", count=3, channels=1)
    summary = tiny_runs.train(
        folder, tmp_path / "run", "data.channels=1", "net.settings.channels=1", "schedule.steps=2"
    )
    assert summary["best_psnr"] > 10


def test_pictures_smaller_than_the_validation_crop(tmp_path):
    folder = tiny_runs.pictures(tmp_path / "p", count=3, height=21, width=30)
    tiny_runs.pictures(folder / "large", count=3)
    names = 'data.validation=["a/0.png", "large/a/0.png"]'
    summary = tiny_runs.train(
        folder, tmp_path / "run", names, "data.validation_patch=32", "schedule.steps=1", "data.patch=[32]"
    )
    assert summary["best_psnr"] > 10


@pytest.mark.parametrize("minutes", [0, -1.0, float("nan")])
def test_a_run_needs_time(data, tmp_path, minutes):
    with pytest.raises(TrainingError, match="more than 0"):
        tiny_runs.train(data, tmp_path / "run", max_minutes=minutes)


def test_limit_takes_some_pictures(data, tmp_path):
    tiny_runs.train(data, tmp_path / "run", "schedule.steps=1", limit_train=3)
    content = tiny_runs.read_json(tmp_path / "run" / "data.json")
    assert len(content["training"]) + len(content["validation"]) == 3


def test_resume_needs_a_run(data, tmp_path):
    with pytest.raises(TrainingError, match=r"is not the folder of a training run; got no recipe\.json"):
        tiny_runs.train(data, tmp_path / "gone", resume=True)


def test_resume_keeps_its_recipe(data, finished, tmp_path, caplog):
    tiny_runs.train(data, shutil.copytree(finished[0], tmp_path / "run"), resume=True, recipe="other.toml")
    assert "goes on by its own recipe, nine, and not by other.toml" in caplog.text
    caplog.clear()
    mine = tmp_path / "mine.toml"
    mine.write_text(tiny_runs.RECIPE.replace('"tiny"', '"nine"'), encoding="utf-8")
    tiny_runs.train(data, shutil.copytree(finished[0], tmp_path / "again"), resume=True, recipe=mine)
    assert "by its own recipe" not in caplog.text
    with pytest.raises(TrainingError, match=r"keeps its recipe; got --set schedule\.steps=10\. Leave out"):
        tiny_runs.train(data, finished[0], "schedule.steps=10", resume=True)


def test_resume_needs_the_same_pictures(data, finished, tmp_path):
    run = copy_of_run(finished[0], tmp_path / "run", 5)
    with pytest.raises(TrainingError, match=r"the pictures that it began with.*--limit-train"):
        tiny_runs.train(data, run, resume=True, limit_train=4)


def test_resume_from_a_damaged_checkpoint(data, finished, tmp_path):
    run = copy_of_run(finished[0], tmp_path / "run", 5)
    (run / "last.ckpt").write_bytes(b"garbage" * 100)
    with pytest.raises(TrainingError, match=r"last\.ckpt cannot be read as a checkpoint"):
        tiny_runs.train(data, run, resume=True)


def test_resume_with_a_damaged_recipe(data, finished, tmp_path):
    run = copy_of_run(finished[0], tmp_path / "run", 5)
    (run / "recipe.json").write_text("{")
    with pytest.raises(TrainingError, match=r"recipe\.json cannot be read"):
        tiny_runs.train(data, run, resume=True)


def test_resume_before_the_first_checkpoint_starts_at_step_0(data, finished, tmp_path, caplog):
    run = copy_of_run(finished[0], tmp_path / "run", 1)
    for name in ("last.ckpt", "best.ckpt"):
        (run / name).unlink(missing_ok=True)
    caplog.set_level(logging.INFO, logger="grainless")
    tiny_runs.train(data, run, resume=True)
    expected, got = (tiny_runs.checkpoint(folder / "last.ckpt") for folder in (finished[0], run))
    assert tiny_runs.weight_difference(expected, got) <= 1e-6
    assert "Nothing was saved before the run in" in caplog.text


def test_without_its_last_state_a_run_goes_on_from_its_best(data, finished, tmp_path, caplog):
    run = copy_of_run(finished[0], tmp_path / "run", 5)
    (run / "last.ckpt").rename(run / "best.ckpt")
    tiny_runs.train(data, run, resume=True)
    assert "Nothing was saved" not in caplog.text
    expected, got = (tiny_runs.checkpoint(folder / "last.ckpt") for folder in (finished[0], run))
    assert got["global_step"] == expected["global_step"] == 9
    assert tiny_runs.weight_difference(expected, got) <= 1e-6
    assert [row["step"] for row in tiny_runs.log_rows(run)][-1] > 5


def test_a_full_disk_is_said_in_words(data, tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("grainless.training.checkpoints.replace_file", full)
    with pytest.raises(TrainingError, match=r"cannot be written; got No space left on device"):
        tiny_runs.train(data, tmp_path / "run")


def test_too_many_devices(data, tmp_path, monkeypatch):
    def refuse(**_):
        raise run_module.MisconfigurationException("You requested gpu: [0, 1]")

    monkeypatch.setattr(run_module.L, "Trainer", refuse)
    with pytest.raises(TrainingError, match=r"set up on this machine; got 2 device\(s\): You requested gpu"):
        tiny_runs.train(data, tmp_path / "run", devices=2)


def test_bf16_and_growing_patches(data, tmp_path):
    changes = ["schedule.precision=bf16-mixed", "data.patch=[16,24]", "data.phases=[0.5]", "schedule.steps=4"]
    assert tiny_runs.train(data, tmp_path / "run", *changes)["best_psnr"] > 10


def wait_for_step(run, process, step):
    """Wait until the last checkpoint of a run is one of that step or a later one, and return its step."""
    end = time.monotonic() + 150
    while time.monotonic() < end:
        if process.poll() is not None:
            pytest.fail(f"it ended by itself: {process.communicate()}")
        with contextlib.suppress(OSError):
            reached = tiny_runs.checkpoint(run / "last.ckpt")["global_step"]
            if reached >= step:
                return reached
        time.sleep(0.02)
    return pytest.fail("no checkpoint came in time")


def descendants(pid):
    """The processes that a process started, and those that these started."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def wait_for_the_end_of(pids):
    """Wait until none of the processes is left."""
    end = time.monotonic() + 60
    while any(Path(f"/proc/{pid}").exists() for pid in pids):
        if time.monotonic() > end:
            pytest.fail("processes of the run outlive it")
        time.sleep(0.1)


def command(data, run, *options):
    return ["train", tiny_runs.recipe_file(run.parent), "--data", data, "-o", run, *options]


def run_to_the_end(data, run, *options):
    """Train on the command line, and return what it said."""
    with tiny_runs.cli(*command(data, run, *options)) as process:
        _, errors = process.communicate(timeout=250)
    assert process.returncode == 0, errors
    return errors


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc are those of Linux")
@pytest.mark.parametrize("workers", [0, 1])
def test_killed_and_resumed_it_ends_as_if_uninterrupted(data, tmp_path, workers):
    settings = ["--set", "schedule.steps=150", "--set", "schedule.validate_every=70"]
    settings += ["--set", f"schedule.workers={workers}"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    errors = run_to_the_end(data, whole, *settings)
    assert errors.count("next: grainless export") == 1
    assert "Lightning" not in errors
    assert "Warning" not in errors
    with tiny_runs.cli(*command(data, killed, *settings)) as process:
        wait_for_step(killed, process, 75)
        helpers = descendants(process.pid)
        assert len(helpers) >= workers
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_for_the_end_of(helpers)
    stopped = tiny_runs.checkpoint(killed / "last.ckpt")["global_step"]
    assert 75 <= stopped < 140
    run_to_the_end(data, killed, "--resume")
    ends = [tiny_runs.checkpoint(run / "last.ckpt") for run in (whole, killed)]
    assert ends[0]["global_step"] == ends[1]["global_step"] == 150
    assert tiny_runs.weight_difference(*ends) <= 1e-6
    scores = [tiny_runs.read_json(run / "summary.json")["best_psnr"] for run in (whole, killed)]
    assert scores[0] == scores[1]
    assert [row["step"] for row in tiny_runs.log_rows(killed) if "psnr" in row] == [69, 139, 149]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc are those of Linux")
def test_ctrl_c_on_the_command_line(data, tmp_path):
    run = tmp_path / "run"
    settings = ["--set", "schedule.steps=100000", "--set", "schedule.workers=1"]
    with tiny_runs.cli(*command(data, run, *settings)) as process:
        wait_for_step(run, process, 3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert f"-o {run} --resume" in errors
    assert "Traceback" not in errors
    stopped = tiny_runs.checkpoint(run / "last.ckpt")["global_step"]
    run_to_the_end(data, run, "--resume", "--max-minutes", "0.2")
    assert tiny_runs.checkpoint(run / "last.ckpt")["global_step"] > stopped


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="signals and /proc are those of Linux")
def test_ctrl_c_while_a_worker_starts_reaches_the_run_alone(data, tmp_path):
    run = tmp_path / "run"
    settings = ["--set", "schedule.steps=100000", "--set", "schedule.workers=1"]
    with tiny_runs.cli(*command(data, run, *settings), "--max-minutes", "9", alone=True) as process:
        deadline = time.monotonic() + 60
        # The second child of the server is the worker: so early, it has only begun to import torch.
        while len(descendants(process.pid)) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "Traceback" not in errors
    assert f"-o {run} --resume" in errors


@pytest.mark.slow
def test_two_devices_share_the_work(data, tmp_path):
    run = tmp_path / "run"
    errors = run_to_the_end(data, run, "--devices", "2", "--set", "schedule.steps=6")
    assert errors.count("6 pictures from") == 1
    assert errors.count("next: grainless export") == 1
    together = tiny_runs.checkpoint(run / "last.ckpt")
    assert together["global_step"] == 6
    tiny_runs.train(data, tmp_path / "alone", "schedule.steps=6")
    alone = tiny_runs.checkpoint(tmp_path / "alone" / "last.ckpt")
    # Had the second process seen the first one's patches, the mean gradient would be the same as alone.
    assert tiny_runs.weight_difference(together, alone) > 1e-5
    run_to_the_end(data, run, "--devices", "2", "--resume")


def test_library_call_without_options(data, tmp_path):
    recipe = tiny_runs.recipe_file(tmp_path)
    assert train_run(recipe, data=data, output=tmp_path / "run")["steps"] == 8
