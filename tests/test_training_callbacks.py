"""Around the steps: clock, counts, waiting, roll-back, checkpoint files, Ctrl-C."""

from __future__ import annotations

import logging
import math
import signal
import time
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import Callback

import tiny_runs
from grainless.errors import TrainingError
from grainless.training import run as run_module
from grainless.training.callbacks import (
    PictureCount,
    RollBack,
    RunClock,
    SamplePictures,
    WaitingTime,
)
from grainless.training.checkpoints import MovedRun, WholeFiles, read_checkpoint
from grainless.training.interruption import Interruption
from grainless.training.task import SupervisedTask


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tiny_runs.pictures(tmp_path_factory.mktemp("pictures"))


def test_clock_counts_all_parts_and_stops(now):
    clock = RunClock(1.0)
    clock.load_state_dict({"seconds": 20.0})
    clock.on_train_start(tiny_runs.a_trainer(), None)
    assert clock.progress(10, 1000) == pytest.approx(20 / 60)
    now.seconds += 30
    trainer = tiny_runs.a_trainer()
    clock.on_train_batch_end(trainer)
    assert not trainer.should_stop
    assert clock.progress(10, 1000) == pytest.approx(50 / 60)
    assert clock.progress(900, 1000) == 0.9
    assert clock.state_dict() == {"seconds": 50.0, "max_seconds": 60.0}
    now.seconds += 10
    clock.on_train_batch_end(trainer)
    assert trainer.should_stop


def test_clock_without_a_limit_goes_by_steps(now):
    clock = RunClock(None)
    clock.on_train_start(tiny_runs.a_trainer(), None)
    now.seconds += 1e6
    trainer = tiny_runs.a_trainer(step=5)
    clock.on_train_batch_end(trainer)
    assert not trainer.should_stop
    assert clock.progress(250, 1000) == 0.25
    last = tiny_runs.a_trainer(step=1000)
    clock.on_train_batch_end(last)
    assert last.should_stop


def test_a_resumed_clock_keeps_its_limit_unless_told_otherwise():
    kept, raised, old = RunClock(None), RunClock(2.0), RunClock(None)
    for clock in (kept, raised):
        clock.load_state_dict({"seconds": 30.0, "max_seconds": 60.0})
    assert (kept.max_seconds, raised.max_seconds) == (60.0, 120.0)
    old.load_state_dict({"seconds": 30.0})
    assert old.max_seconds is None


def test_processes_go_by_the_clock_of_the_first(now):
    clock = RunClock(1.0)
    trainer = tiny_runs.a_trainer()
    trainer.strategy.broadcast = lambda value: 45.0
    clock.on_train_start(trainer, None)
    clock.on_train_batch_end(trainer)
    assert clock.progress(0, 1000) == 0.75


def test_a_lifted_limit_is_none_and_goes_by_steps(now):
    clock = RunClock(math.inf)
    clock.load_state_dict({"seconds": 30.0, "max_seconds": 60.0})
    clock.on_train_start(tiny_runs.a_trainer(), None)
    now.seconds += 1e6
    trainer = tiny_runs.a_trainer(step=5)
    clock.on_train_batch_end(trainer)
    assert not trainer.should_stop
    assert clock.progress(250, 1000) == 0.25
    assert clock.max_minutes is None
    assert RunClock(1.5).max_minutes == 1.5


def test_pictures_are_counted_on_all_processes_and_in_all_parts():
    count = PictureCount()
    for size in (4, 2):
        batch = {"noisy": torch.zeros(size, 3, 8, 8)}
        count.on_train_batch_end(tiny_runs.a_trainer(world_size=3), None, None, batch, 0)
    later = PictureCount()
    later.load_state_dict(count.state_dict())
    later.on_train_batch_end(tiny_runs.a_trainer(world_size=1), None, None, batch, 0)
    assert (count.pictures, later.pictures) == (18, 20)


def test_share_of_waiting(now):
    waiting = WaitingTime()
    assert waiting.share == 0
    logged = []
    module = SimpleNamespace(log=lambda name, value: logged.append((name, value)))
    waiting.on_train_epoch_start()
    now.seconds += 50  # workers start: before the first step nothing is counted
    for wait in (0, 2, 1):
        now.seconds += wait
        waiting.on_train_batch_start()
        now.seconds += 3
        waiting.on_train_batch_end(None, module)
    assert waiting.share == pytest.approx(3 / 12)
    assert logged[-1] == ("waiting", pytest.approx(0.25))
    now.seconds += 100  # a validation
    waiting.on_train_epoch_start()
    now.seconds += 1
    waiting.on_train_batch_start()
    assert waiting.waited == pytest.approx(4)


class Spoil(Callback):
    """Makes the clean side of batches not a number, and looks at what comes of it."""

    def __init__(self, steps, *, part):
        self.steps, self.part, self.after = steps, part, {}

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step in self.steps:
            self.before = {name: value.clone() for name, value in pl_module.state_dict().items()}
            batch[self.part].fill_(float("nan"))

    def on_train_batch_end(self, trainer, pl_module, *_):
        state = pl_module.state_dict()
        finite = all(bool(torch.isfinite(value).all()) for value in state.values())
        average = next(one for one in trainer.callbacks if hasattr(one, "_average_model"))._average_model
        kept = all(bool(torch.isfinite(value).all()) for value in average.state_dict().values())
        self.after[trainer.global_step - 1] = (finite, kept)


def run_with(monkeypatch, *extra, without=()):
    """Let runs have more callbacks, in front of the others, and leave some out."""
    original = run_module._trainer

    def trainer(task, output, team, around):
        kept = [one for one in around if not isinstance(one, tuple(without))]
        return original(task, output, team, [*extra, *kept])

    monkeypatch.setattr(run_module, "_trainer", trainer)


@pytest.mark.parametrize("part", ["clean", "noisy"])
def test_nan_is_said_and_rolled_back(data, tmp_path, monkeypatch, caplog, part):
    spoil = Spoil({5}, part=part)
    run_with(monkeypatch, spoil)
    with caplog.at_level(logging.WARNING, logger="grainless"):
        summary = tiny_runs.train(data, tmp_path / "run")
    assert "Step 5: the loss or its gradient is not a number; weights rolled back to step 0" in caplog.text
    assert summary["steps"] == 8
    assert all(finite and kept for finite, kept in spoil.after.values())
    state = tiny_runs.checkpoint(tmp_path / "run" / "last.ckpt")
    assert all(torch.isfinite(value).all() for value in state["state_dict"].values())
    optimiser = state["optimizer_states"][0]["state"]
    assert all(torch.isfinite(values["exp_avg"]).all() for values in optimiser.values())
    # Steps 0 to 4 and the bad one are undone, so only steps 6 and 7 are left.
    assert {int(values["step"]) for values in optimiser.values()} == {2}


def test_without_the_roll_back_nan_would_spread(data, tmp_path, monkeypatch):
    spoil = Spoil({5}, part="noisy")
    # The samples of such a run cannot be written.
    run_with(monkeypatch, spoil, without=[RollBack, SamplePictures])
    tiny_runs.train(data, tmp_path / "run")
    assert spoil.after[4] == (True, True)
    assert spoil.after[7] == (False, False)


def test_nan_again_and_again_ends_the_run(data, tmp_path, monkeypatch):
    run_with(monkeypatch, Spoil(set(range(1, 20)), part="clean"))
    with pytest.raises(
        TrainingError, match=r"again and again; got 6 times within 100 steps.*optimiser\.rate"
    ):
        tiny_runs.train(data, tmp_path / "run", "schedule.steps=20")


def test_roll_back_goes_to_the_last_good_state(data, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(run_module, "RollBack", lambda: RollBack(every=2, patience=1))
    # Two times, but further apart than the two steps that count.
    run_with(monkeypatch, Spoil({3, 7}, part="clean"))
    with caplog.at_level(logging.WARNING, logger="grainless"):
        assert tiny_runs.train(data, tmp_path / "run")["steps"] == 8
    assert "Step 3: " in caplog.text
    assert "rolled back to step 2, this batch is left out" in caplog.text
    assert "rolled back to step 6" in caplog.text


def test_samples_show_the_average_that_is_validated(data, tmp_path, monkeypatch):
    seen = {}

    class Look(Callback):
        def on_validation_batch_end(self, trainer, pl_module, *_):
            seen["validated"] = {name: value.clone() for name, value in pl_module.state_dict().items()}

    answer = SupervisedTask.answer

    def spy(self, batch):
        if len(batch["noisy"]) == 1:
            seen["sampled"] = {name: value.clone() for name, value in self.state_dict().items()}
        return answer(self, batch)

    monkeypatch.setattr(SupervisedTask, "answer", spy)
    run_with(monkeypatch, Look())
    tiny_runs.train(data, tmp_path / "run", 'data.validation=["a/0.png", "b/1.png"]')
    assert all(torch.equal(seen["validated"][name], seen["sampled"][name]) for name in seen["sampled"])


def test_checkpoints_are_replaced_in_one_step(tmp_path):
    path = tmp_path / "new" / "x.ckpt"
    WholeFiles().save_checkpoint({"state_dict": {}, "global_step": 3}, path)
    assert read_checkpoint(path)["global_step"] == 3
    with pytest.raises(TrainingError, match="is not a checkpoint of a training run"):
        read_checkpoint(path, whole=True)
    with pytest.raises(AttributeError, match="pickle"):
        WholeFiles().save_checkpoint({"x": lambda: None}, path)
    assert read_checkpoint(path)["global_step"] == 3
    assert [entry.name for entry in path.parent.iterdir()] == ["x.ckpt"]


@pytest.mark.parametrize("content", [b"", b"garbage" * 50, b"PK\x03\x04 cut off", b"\x80\x02" + b"." * 30])
def test_files_that_are_no_checkpoints(tmp_path, content):
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(
        TrainingError, match=r"x\.ckpt cannot be read as a checkpoint; got .+ It is damaged; without it"
    ):
        read_checkpoint(tmp_path / "x.ckpt")


def test_truncated_checkpoint(tmp_path):
    WholeFiles().save_checkpoint({"state_dict": {"x": torch.zeros(999)}, "global_step": 3}, tmp_path / "x")
    whole = (tmp_path / "x").read_bytes()
    (tmp_path / "x").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrainingError, match="cannot be read"):
        read_checkpoint(tmp_path / "x")


def test_hostile_checkpoint_runs_nothing(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (open, (str(tmp_path / "hacked"), "w"))

    torch.save({"state_dict": {}, "global_step": Hostile()}, tmp_path / "x.ckpt")
    with pytest.raises(TrainingError, match="cannot be read"):
        read_checkpoint(tmp_path / "x.ckpt")
    assert not (tmp_path / "hacked").exists()


@pytest.mark.parametrize("content", [[1], {"weights": 1}])
def test_other_files_of_torch(tmp_path, content):
    torch.save(content, tmp_path / "x.ckpt")
    with pytest.raises(TrainingError, match="is not a checkpoint of a training run"):
        read_checkpoint(tmp_path / "x.ckpt")


def test_moved_run(tmp_path):
    score = torch.tensor(30.0)
    best = {
        "dirpath": "/old",
        "best_model_path": "/old/best.ckpt",
        "kth_best_model_path": "/old/best.ckpt",
        "last_model_path": "",
        "best_k_models": {"/old/best.ckpt": score},
    }
    state = {"callbacks": {"Best": best, "Clock": {"seconds": 1.0}}}
    MovedRun(tmp_path).on_load_checkpoint(None, None, state)
    path = str(tmp_path.resolve() / "best.ckpt")
    assert best["dirpath"] == str(tmp_path.resolve())
    assert best["best_model_path"] == best["kth_best_model_path"] == path
    assert best["last_model_path"] == ""
    assert best["best_k_models"] == {path: score}
    assert state["callbacks"]["Clock"] == {"seconds": 1.0}


def step_end(*, world_size=1, agreed=False, last=False):
    """A trainer at the end of a step, and the list of files that it saves."""
    saved = []
    loop = SimpleNamespace(epoch_loop=SimpleNamespace(batch_progress=SimpleNamespace(is_last_batch=last)))
    strategy = SimpleNamespace(reduce_boolean_decision=lambda own, *, all: own or agreed)
    trainer = SimpleNamespace(
        world_size=world_size, strategy=strategy, fit_loop=loop, save_checkpoint=saved.append
    )
    return trainer, saved


def test_interruption_waits_for_the_end_of_the_step(tmp_path):
    interruption = Interruption(tmp_path)
    trainer, saved = step_end()
    with interruption.handling():
        signal.raise_signal(signal.SIGINT)
        assert saved == []
        with pytest.raises(KeyboardInterrupt):
            interruption.on_train_batch_end(trainer)
    assert saved == [tmp_path]


def test_state_is_saved_before_each_validation(tmp_path):
    for last in (False, True):
        trainer, saved = step_end(last=last)
        Interruption(tmp_path).on_train_batch_end(trainer)
        assert saved == [tmp_path] * last


def test_all_processes_stop_at_the_same_step(tmp_path):
    trainer, saved = step_end(world_size=2, agreed=True)
    with pytest.raises(KeyboardInterrupt):
        Interruption(tmp_path).on_train_batch_end(trainer)
    assert saved == [tmp_path]
    with pytest.raises(KeyboardInterrupt):
        Interruption(tmp_path).on_validation_batch_end(trainer)


def test_other_exits_pass(tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(SystemExit), Interruption(tmp_path).handling():
        raise SystemExit(3)
    assert signal.getsignal(signal.SIGINT) is handler


def test_clock_of_the_real_time():
    clock = RunClock(1.0)
    clock.on_train_start(tiny_runs.a_trainer(), None)
    time.sleep(0.01)
    assert 0.01 <= clock.seconds < 5
