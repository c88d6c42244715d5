"""Limits of memory: the largest tiles that fit, none tried that is not expected to, and a true minimum."""

from __future__ import annotations

import re
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tiny_models
from grainless import budget
from grainless.budget import SIDES, Budget
from grainless.denoiser import Denoiser
from grainless.errors import InputError
from grainless.tiling import round_up

BASE = 100 * 10**6


class Machine:
    """A process whose model takes so many bytes a pixel of a window, on top of a base, and keeps them."""

    def __init__(self, monkeypatch, per_pixel, *, halo=16, stride=4):
        self.held = self.peak = BASE
        self.windows = []
        card = tiny_models.card(stride=stride, receptive_radius=halo)

        def run(inputs):
            height, width = inputs["picture"].shape[2:]
            self.windows.append((height, width))
            self.held = max(self.held, BASE + int(per_pixel * height * width))
            self.peak = max(self.peak, self.held)
            return inputs["picture"]

        self.denoiser = Denoiser(card, run, name="hungry")
        self.window = lambda side: round_up(side + 2 * round_up(halo, stride), stride)
        self.need = lambda side: BASE + int(per_pixel * self.window(side) ** 2)
        monkeypatch.setattr(budget, "held_memory", lambda: self.held)
        monkeypatch.setattr(budget, "peak_memory", lambda: self.peak)


@settings(deadline=None, max_examples=15)
@given(st.floats(1, 2000), st.integers(130, 3000), st.integers(0, 60))
def test_the_largest_tile_that_fits_and_never_a_larger_one(per_pixel, limit, beside):
    limit, beside = limit * 10**6, beside * 10**6
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine(patch, per_pixel)
        room = limit - beside - budget._SPARE
        fitting = [side for side in SIDES if machine.need(side) <= room]
        if not fitting:
            with pytest.raises(InputError, match="The limit of memory is too small"):
                Budget(limit).tile(machine.denoiser, beside=beside, side=10_000)
            return
        assert Budget(limit).tile(machine.denoiser, beside=beside, side=10_000) == fitting[-1]
        assert max(machine.windows) <= (machine.window(fitting[-1]),) * 2
        assert machine.peak <= limit


@pytest.mark.parametrize("further", range(10))
def test_the_smallest_limit_that_is_told_does_in_the_next_process_too(further):
    # Of which some megabytes more are held at its begin.
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine(patch, 1500)
        with pytest.raises(InputError, match="expected at least") as caught:
            Budget(110 * 10**6).tile(machine.denoiser, beside=further * 10**6, side=5000)
        least = int(re.search(r"at least (\d+) MB", str(caught.value))[1]) * 10**6
        assert (
            Budget(least).tile(Machine(patch, 1500).denoiser, beside=(further + 4) * 10**6, side=5000) == 64
        )


def test_the_smallest_limit_is_told_and_does(monkeypatch):
    machine = Machine(monkeypatch, 1500)
    with pytest.raises(InputError, match=r"got 110 MB; expected at least .* MB.*Raise") as caught:
        Budget(110 * 10**6).tile(machine.denoiser, beside=7 * 10**6, side=5000)
    least = int(re.search(r"at least (\d+) MB", str(caught.value))[1])
    again = Machine(monkeypatch, 1500)
    assert Budget(least * 10**6).tile(again.denoiser, beside=7 * 10**6, side=5000) == SIDES[0]
    assert least * 10**6 - 14 * 10**6 <= machine.need(SIDES[0]) + 7 * 10**6 + budget._SPARE <= least * 10**6


def test_small_pictures_need_no_large_trials(monkeypatch):
    machine = Machine(monkeypatch, 10)
    assert Budget(10**9).tile(machine.denoiser, beside=0, side=100) == 128
    assert max(machine.windows)[0] == machine.window(128)


def test_nothing_is_tried_twice_and_memory_that_stays_counts(monkeypatch):
    machine = Machine(monkeypatch, 500)
    limited = Budget(600 * 10**6)
    assert limited.tile(machine.denoiser, beside=0, side=9000) == 768
    tried = list(machine.windows)
    assert limited.tile(machine.denoiser, beside=0, side=9000) == 768
    machine.held += 100 * 10**6
    assert limited.tile(machine.denoiser, beside=0, side=9000) == 768
    machine.held += 150 * 10**6
    assert limited.tile(machine.denoiser, beside=0, side=9000) < 768
    assert machine.windows == tried


def test_tiles_are_never_larger_than_the_denoisers_own(monkeypatch):
    machine = Machine(monkeypatch, 1)
    assert Budget(10**9).tile(machine.denoiser.with_tile(200), beside=0, side=9000) == 192
    assert Budget(10**9).tile(machine.denoiser.with_tile(16), beside=0, side=9000) == 16


def test_what_a_process_held_before_does_not_count(monkeypatch):
    machine = Machine(monkeypatch, 1000)
    machine.peak = 5 * 10**9
    assert Budget(10**9).tile(machine.denoiser, beside=0, side=9000) == 768
    machine = Machine(monkeypatch, 1000)
    machine.peak = 5 * 10**9
    assert Budget(500 * 10**6).tile(machine.denoiser, beside=0, side=9000) == 512


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the numbers are Linux's")
def test_memory_that_is_given_back_is_seen_while_it_is_held():
    # In a process of its own: what other tests have freed may be taken again, or given back in the middle.
    code = """
import time
import numpy as np
from grainless import budget
from grainless.memory import held_memory
np.ones(300 * 2**20, np.uint8)
before = held_memory()
with budget._Watch() as watch:
    values = np.ones(100 * 2**20, np.uint8)
    # On a busy machine the thread that looks may wait for its turn.
    end = time.monotonic() + 20
    while watch.most - before < 95 * 2**20 and time.monotonic() < end:
        time.sleep(0.02)
    del values
print(watch.most - before, held_memory() - before)
"""
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    held, kept = map(int, told.stdout.split())
    assert 95 * 2**20 < held < 130 * 2**20
    assert kept < 20 * 2**20


def test_systems_that_tell_no_memory_promise_nothing(monkeypatch):
    monkeypatch.setattr(budget, "held_memory", lambda: None)
    with pytest.raises(InputError, match=r"cannot be promised here.*expected Linux.*Leave out --max-memory"):
        Budget(10**9)


def test_trials_see_the_whole_window_with_colours_and_alpha(monkeypatch):
    machine = Machine(monkeypatch, 1)
    seen = []
    run = machine.denoiser.network.run
    machine.denoiser.network.run = lambda inputs: seen.append(inputs["picture"]) or run(inputs)
    Budget(10**9).tile(machine.denoiser, beside=0, side=64)
    assert [values.shape for values in seen] == [(1, 3, machine.window(64), machine.window(64))]
    assert np.ptp(seen[0]) > 0.9
