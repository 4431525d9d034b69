"""What this machine, or the cluster, has to compute with."""

import os


def usable_cpus() -> int:
    """Return how many CPUs this process may use (its affinity, not the machine's count)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
