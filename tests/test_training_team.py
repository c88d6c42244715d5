"""Several machines train one network: they wait for the first, share the work, and leave one run."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
import torch

import tiny_runs
from grainless.errors import TrainingError
from grainless.training.run_folder import leads
from grainless.training.team import Team, joined, launcher

TOLD = (
    "RANK",
    "LOCAL_RANK",
    "WORLD_SIZE",
    "TORCHELASTIC_RUN_ID",
    "SLURM_NTASKS",
    "SLURM_PROCID",
    "MASTER_ADDR",
    "MASTER_PORT",
)


def by_torchrun(rank, port, nodes=2):
    """What torchrun tells a process that is alone on its machine; its agent is left out."""
    return {
        "TORCHELASTIC_RUN_ID": "none",
        "RANK": str(rank),
        "GROUP_RANK": str(rank),
        "LOCAL_RANK": "0",
        "WORLD_SIZE": str(nodes),
        "LOCAL_WORLD_SIZE": "1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


def by_slurm(rank, port, nodes=2):
    """What srun tells a task that is alone on its machine."""
    return {
        "SLURM_JOB_ID": "1234567",
        "SLURM_JOB_NAME": "training",
        "SLURM_NTASKS": str(nodes),
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NNODES": str(nodes),
        "SLURM_PROCID": str(rank),
        "SLURM_LOCALID": "0",
        "SLURM_NODEID": str(rank),
        "SLURM_NODELIST": "127.0.0.1",
        "MASTER_PORT": str(port),
    }


@pytest.fixture
def told(monkeypatch):
    """Set what a launcher tells, and nothing else."""

    def tell(**variables):
        for name in TOLD:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    tell()
    return tell


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("tells", [by_torchrun, by_slurm])
def test_one_of_all_leads(told, tells):
    assert leads()
    assert launcher() is None
    told(**tells(0, 1))
    assert leads()
    assert launcher().global_rank() == 0
    told(**tells(1, 1))
    assert not leads()
    assert (launcher().global_rank(), launcher().local_rank(), launcher().world_size()) == (1, 0, 2)


def test_lightnings_own_processes_and_a_lonely_task_are_no_team(told):
    told(LOCAL_RANK="1", RANK="0")
    assert not leads()
    assert launcher() is None
    told(**by_slurm(0, 1, nodes=1))
    assert leads()
    assert launcher() is None


def test_alone_nothing_is_waited_for(told):
    with joined(devices=1, nodes=1) as team:
        team.meet()
        assert team == Team()
        assert team.alone
    assert not Team(devices=2).alone
    assert not Team(nodes=2).alone


def test_machines_that_nobody_started(told):
    words = r"Nothing has started .* other machines; got --devices 2 --nodes 3\. Start .* torchrun or srun"
    with pytest.raises(TrainingError, match=words), joined(devices=2, nodes=3):
        pass


@pytest.mark.parametrize("tells", [by_torchrun, by_slurm])
@pytest.mark.parametrize(("devices", "nodes"), [(1, 1), (2, 2)])
def test_other_processes_than_asked_for(told, tells, devices, nodes):
    told(**tells(0, 1))
    words = rf"got 2 of them and --devices {devices} --nodes {nodes}; expected {devices * nodes} processes"
    with pytest.raises(TrainingError, match=words), joined(devices=devices, nodes=nodes):
        pass


def start(rank, tells, port, *arguments):
    """Start the command of one machine; both are this one."""
    known = {name: value for name, value in os.environ.items() if name not in TOLD}
    return subprocess.Popen(
        [sys.executable, "-m", "grainless", "train", *map(str, arguments), "--nodes", "2"],
        env=known | tells(rank, port) | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def train_on_two(tells, *arguments):
    """Train on two machines, the second of which comes first; return exit codes and what was said."""
    port = free_port()
    processes = [start(rank, tells, port, *arguments) for rank in (1, 0)]
    try:
        errors = [process.communicate(timeout=500)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
    return [process.returncode for process in processes][::-1], errors[::-1]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this torch cannot train on several machines"
)
@pytest.mark.parametrize("tells", [by_torchrun, by_slurm])
def test_two_machines_train_one_network(tmp_path, tells):
    data, run = tiny_runs.pictures(tmp_path / "pictures"), tmp_path / "run"
    recipe = tiny_runs.recipe_file(tmp_path)
    codes, errors = train_on_two(tells, recipe, "--data", data, "-o", run, "--set", "schedule.steps=6")
    assert codes == [0, 0], errors
    assert "6 pictures from" in errors[0]
    assert "next: grainless export" in errors[0]
    assert errors[1] == ""
    assert sorted(path.name for path in run.iterdir() if not path.name.startswith(".")) == [
        "best.ckpt", "csv", "data.json", "last.ckpt", "limits.json", "pixels", "recipe.json", "samples",
        "summary.json", "tensorboard",
    ]  # fmt: skip
    assert [path.name for path in (run / "csv").iterdir()] == ["part-0"]
    # 6 steps of two patches on each of two machines.
    assert tiny_runs.read_json(run / "summary.json")["pictures"] == 24
    beside = tmp_path / "beside"
    with tiny_runs.cli(
        "train", recipe, "--data", data, "-o", beside, "--set", "schedule.steps=6", "--devices", 2
    ) as process:
        assert process.communicate(timeout=500)[1]
    assert process.returncode == 0
    ends = [tiny_runs.checkpoint(folder / "last.ckpt") for folder in (run, beside)]
    assert ends[0]["global_step"] == 6
    # Two devices of one machine and two machines are the same training.
    assert tiny_runs.weight_difference(*ends) <= 1e-6

    codes, errors = train_on_two(tells, recipe, "--data", data, "-o", run, "--resume")
    assert codes == [0, 0], errors
    assert tiny_runs.checkpoint(run / "last.ckpt")["global_step"] == 6


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(
    not torch.distributed.is_available(), reason="this torch cannot train on several machines"
)
def test_what_is_wrong_ends_all_and_the_first_says_it(tmp_path):
    data = tiny_runs.pictures(tmp_path / "pictures")
    recipe = tiny_runs.recipe_file(tmp_path)
    wrong = ["--set", "schedule.stepps=6"]
    codes, errors = train_on_two(by_torchrun, recipe, "--data", data, "-o", tmp_path / "run", *wrong)
    assert codes == [2, 2]
    assert "stepps" in errors[0]
    assert "Another process of this training has ended. Its own message says why." in errors[1]
    assert "Traceback" not in "".join(errors)
    assert not (tmp_path / "run").exists()
