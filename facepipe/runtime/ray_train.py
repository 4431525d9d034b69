"""Ray for trainings: how many workers, and what each gets of the machine or the cluster."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from facepipe.errors import WrongUsageError
from facepipe.runtime.machine import usable_cpus
from facepipe.runtime.ray_start import started_ray

_CONTROLLER_CPUS = 1  # Ray Train's controller reserves one


class WorkerShare(NamedTuple):
    """What Ray Train's workers get.

    Attributes:
        workers: how many.
        cpus: each of them.
        gpu: each gets one.
    """

    workers: int
    cpus: int
    gpu: bool


@contextmanager
def training_workers(address: str | None, workers: int) -> Iterator[WorkerShare]:
    """Yield how Ray Train shall work, on a Ray that is started or joined for as long as the block runs.

    Args:
        address: of a running cluster; None starts Ray here.
        workers: processes; where there are GPUs each gets one, else they share the CPUs.

    Raises:
        WrongUsageError: there are fewer GPUs than workers.
        FacepipeError: no cluster answers.
    """
    with started_ray(address, _CONTROLLER_CPUS + max(0, workers - usable_cpus())) as ray:
        logging.getLogger("ray.train").setLevel(logging.ERROR)
        have = ray.cluster_resources()
        gpus = int(have.get("GPU", 0))
        if gpus and workers > gpus:
            raise WrongUsageError(f"there are {gpus} GPUs for {workers} workers: choose --workers {gpus} at most")
        cpus = max(1, (int(have.get("CPU", 1)) - _CONTROLLER_CPUS) // workers)
        yield WorkerShare(workers, cpus, gpus > 0)
