"""The processes that train together on several machines, and how they wait for the first of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import distributed

from grainless.errors import TrainingError

PATIENCE = timedelta(days=1)
"""So long the others wait until the first process has decoded the pictures."""


@dataclass(frozen=True)
class Team:
    """How many processes train together, and what started them."""

    devices: int = 1
    """Processes on each machine, one for each processor or graphics card."""
    nodes: int = 1
    """Machines."""
    environment: ClusterEnvironment | None = None
    """What started all of them, torchrun or SLURM; None where Lightning starts those of this machine."""
    waiting: distributed.ProcessGroup | None = None
    """The connection over which they wait for each other before the training."""

    @property
    def alone(self) -> bool:
        """Whether there is one process only."""
        return self.devices * self.nodes == 1

    def meet(self) -> None:
        """Wait until all processes are here; TrainingError if one of them has ended."""
        if self.waiting is None:
            return
        try:
            distributed.barrier(group=self.waiting)
        except RuntimeError as error:
            raise TrainingError(
                "Another process of this training has ended", remedy="Its own message says why"
            ) from error


def launcher() -> ClusterEnvironment | None:
    """Return what started this process beside others: torchrun or SLURM's srun; None for neither."""
    if TorchElasticEnvironment.detect():
        return TorchElasticEnvironment()
    # A task that is alone in its step trains as one outside of SLURM does.
    if int(os.environ.get("SLURM_NTASKS", "1")) > 1 and SLURMEnvironment.detect():
        return SLURMEnvironment(auto_requeue=False)
    return None


@contextmanager
def joined(*, devices: int, nodes: int) -> Iterator[Team]:
    """Join the processes that torchrun or SLURM started, if any; the others wait for the first to `meet`.

    Raises TrainingError where the number of processes is not that of `devices` on each of `nodes`.
    """
    environment = launcher()
    _check(environment, devices=devices, nodes=nodes)
    if environment is None or devices * nodes == 1:
        yield Team(devices, nodes, environment)
        return
    os.environ["MASTER_ADDR"] = environment.main_address
    os.environ["MASTER_PORT"] = str(environment.main_port)
    # Lightning takes up a connection that it finds.
    distributed.init_process_group(
        "nccl" if torch.cuda.is_available() else "gloo",
        rank=environment.global_rank(),
        world_size=environment.world_size(),
    )
    try:
        # Of its own, as that of the training gives up after half an hour, and between graphics cards cannot
        # wait without one.
        waiting = distributed.new_group(backend="gloo", timeout=PATIENCE)
        team = Team(devices, nodes, environment, waiting)
        if environment.global_rank() != 0:
            team.meet()
        yield team
    finally:
        distributed.destroy_process_group()


def _check(environment: ClusterEnvironment | None, *, devices: int, nodes: int) -> None:
    """Raise TrainingError unless as many processes were started as are asked for."""
    asked = f"--devices {devices} --nodes {nodes}"
    if environment is None:
        if nodes > 1:
            raise TrainingError(
                "Nothing has started the processes on the other machines",
                got=asked,
                remedy="Start the command on each machine by torchrun or srun, as docs/cluster.md shows",
            )
        return
    started = environment.world_size()
    if started != devices * nodes:
        raise TrainingError(
            "Other processes were started than asked for",
            got=f"{started} of them and {asked}",
            expected=f"{devices * nodes} processes: --devices on each machine times --nodes",
            remedy="Give torchrun or srun, and this command, the same numbers",
        )
