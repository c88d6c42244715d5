"""What a run says about how far it is."""

from __future__ import annotations

import logging
import math
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

import tiny_runs
from grainless.training import progress
from grainless.training.callbacks import RunClock
from grainless.training.progress import ProgressLine, decoding_bar, progress_text


def test_progress_text():
    assert progress_text("step 5/9", loss=0.0123456, psnr=None, seconds_left=None) == "step 5/9  loss 0.01235"
    text = progress_text("step 5/9", loss=1, psnr=31.456, seconds_left=3725.9)
    assert text == "step 5/9  loss 1.00000  PSNR 31.46 dB  1:02:05 left"
    assert progress_text("x", loss=math.nan, psnr=None, seconds_left=59) == "x  loss nan  0:00:59 left"


def test_without_a_terminal_a_line_is_logged_each_minute(now, caplog, monkeypatch):
    monkeypatch.setenv("TERM", "dumb")
    clock = RunClock(None)
    line = ProgressLine(clock, steps=100)
    line.on_train_start(tiny_runs.a_trainer(step=10), None)
    with caplog.at_level(logging.INFO, logger="grainless"):
        for step in range(11, 71):
            now.seconds += 2
            metrics = {"loss": torch.tensor(math.inf if step == 41 else 0.5), "psnr": torch.tensor(30.0)}
            line.on_train_batch_end(tiny_runs.a_trainer(step=step, callback_metrics=metrics), None, None)
    line.on_train_end()
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "step 11/100  loss 0.50000  PSNR 30.00 dB  0:02:58 left",
        "step 41/100  loss 0.50000  PSNR 30.00 dB  0:01:58 left",
    ]


def test_on_a_terminal_a_bar_is_drawn_and_closed(monkeypatch):
    shown = []

    class Bar:
        def __init__(self, *columns, console, **_):
            assert console.stderr
            self.console = SimpleNamespace(is_terminal=True)

        def add_task(self, text, *, total):
            assert total == 1.0
            return 1

        def start(self):
            shown.append(("start", {}))

        def stop(self):
            shown.append(("stop", {}))

        def update(self, task, **options):
            shown.append(("update", options))

    monkeypatch.setattr(progress, "Progress", Bar)
    clock = RunClock(None)
    line = ProgressLine(clock, steps=100)
    line.on_train_start(tiny_runs.a_trainer(), None)
    metrics = {"loss": torch.tensor(0.5)}
    for step in range(1, 21):
        line.on_train_batch_end(tiny_runs.a_trainer(step=step, callback_metrics=metrics), None, None)
    line.on_exception()
    line.on_train_end()
    assert [name for name, _ in shown].count("stop") == 1
    updates = [options for name, options in shown if name == "update"]
    assert updates[-1]["completed"] == pytest.approx(0.2)
    assert updates[-1]["description"].startswith("step 20/100  loss 0.50000")


def test_decoding_is_shown_on_a_terminal_and_only_where_something_is_decoded(monkeypatch):
    for calls, expected in (((), False), ((10, 20), True)):
        console = Console(force_terminal=True, record=True, width=60, file=tiny_runs.Nowhere())
        monkeypatch.setattr(progress, "Console", lambda stderr, console=console: console)
        with decoding_bar() as show:
            for done in calls:
                show(done, 20)
        assert ("decoding" in console.export_text()) == expected
