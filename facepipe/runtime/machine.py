"""What this machine has to compute with, and how much of it this process may use."""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def usable_cpus() -> int:
    """Return how many CPUs this process may use: its affinity or its container's quota, not the machine's count."""
    affinity = affine_cpus()
    quota = cgroup_limits().cpus
    return affinity if quota is None else max(1, min(affinity, int(quota)))


def affine_cpus() -> int:
    """Return how many CPUs this process may run on, quotas left aside."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class Limits:
    """What control groups, hence containers, leave to this process; None where they set no limit.

    Attributes:
        cpus: CPU time a second.
        memory: bytes.
    """

    cpus: float | None
    memory: int | None


def cgroup_limits(cgroups: Path = CGROUPS, membership: Path = MEMBERSHIP) -> Limits:
    """Return the least limits of this process's control group and of all that hold it.

    Args:
        cgroups: where control groups are mounted: version 2, or version 1 with a folder a controller.
        membership: `/proc/PID/cgroup`.
    """
    cpus: list[float] = []
    memory: list[int] = []
    for line in (_read(membership) or "").splitlines():
        _, controllers, path = line.split(":", 2)
        mount = cgroups / controllers if controllers else cgroups
        group = mount / path.lstrip("/")
        # Inside a container the path may be that of the host, where the mount shows the container's own group as root.
        for folder in dict.fromkeys(
            [*(parent for parent in (group, *group.parents) if mount in parent.parents), mount]
        ):
            cpus += _cpus(folder)
            memory += _numbers(folder / "memory.max") + _numbers(folder / "memory.limit_in_bytes")
    unlimited = 1 << 60  # version 1 writes a number of this size where there is no limit
    return Limits(min(cpus, default=None), min((limit for limit in memory if limit < unlimited), default=None))


def _cpus(folder: Path) -> list[float]:
    with suppress(ValueError):
        quota, period = (_read(folder / "cpu.max") or "").split()
        return [int(quota) / int(period)]
    return [
        quota / period
        for quota in _numbers(folder / "cpu.cfs_quota_us")
        for period in _numbers(folder / "cpu.cfs_period_us")
        if quota > 0
    ]


def _numbers(path: Path) -> list[int]:
    """Return the number that a file holds; none for an absent file or a word such as `max`."""
    with suppress(ValueError):
        return [int(_read(path) or "")]
    return []


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
