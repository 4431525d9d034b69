"""CPUs, memory, and room for what Ray keeps on the side."""

import os
import platform
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from facepipe.doctor.finding import GIB, Finding, gib, judge
from facepipe.runtime.machine import affine_cpus, cgroup_limits, usable_cpus

LEAST_MEMORY = 4 * GIB  # what a run on any number of photos keeps below
LEAST_SHARED_MEMORY = 1 * GIB
LEAST_TEMPORARY = 2 * GIB
FULL_SHARE = 0.95  # of a disk, from which Ray writes nothing more to it
LEAST_OPEN_FILES = 4096
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - looked at, not written to


def examine_machine() -> Iterator[Finding]:
    """Yield what this machine gives to a process."""
    yield Finding("python", "ok", f"{platform.python_version()} ({sys.executable})")
    known = (sys.platform, platform.machine()) == ("linux", "x86_64")
    yield judge(
        "platform", platform.platform(), "ok" if known else "warn", "facepipe is tested on Linux on x86-64 alone"
    )
    yield _cpus()
    yield _memory()
    yield _open_files()
    yield _shared_memory()
    yield _temporary()


def _cpus() -> Finding:
    quota = cgroup_limits().cpus
    parts = [f"{affine_cpus()} of {os.cpu_count()} by affinity", f"quota {'none' if quota is None else f'{quota:g}'}"]
    return Finding("cpus", "ok", f"{usable_cpus()} usable ({', '.join(parts)})")


def _memory() -> Finding:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = cgroup_limits().memory
    usable = total if limit is None else min(total, limit)
    found = f"{gib(usable)} usable of {gib(total)}"
    return judge("memory", found, "ok" if usable >= LEAST_MEMORY else "warn", f"give it {gib(LEAST_MEMORY)} or more")


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft == resource.RLIM_INFINITY or soft >= LEAST_OPEN_FILES
    shown = " of ".join("unlimited" if limit == resource.RLIM_INFINITY else f"{limit:,}" for limit in (soft, hard))
    return judge("open files", shown, "ok" if enough else "warn", "run `ulimit -n 65536` first: Ray opens many files")


def _shared_memory() -> Finding:
    name = "shared memory"
    try:
        free = shutil.disk_usage(SHARED_MEMORY).free
    except OSError as error:
        return Finding(name, "warn", f"{SHARED_MEMORY}: {error.strerror}", "Ray's object store will be slow without it")
    enough = free >= LEAST_SHARED_MEMORY
    advice = f"Ray's object store lies there: give the container {gib(LEAST_SHARED_MEMORY)} or more (--shm-size=4g)"
    return judge(name, f"{gib(free)} free in {SHARED_MEMORY}", "ok" if enough else "warn", advice)


def _temporary() -> Finding:
    name = "temporary files"
    folder = tempfile.gettempdir()
    usage = shutil.disk_usage(folder)
    found = f"{gib(usage.free)} free in {folder}"
    if usage.free < LEAST_TEMPORARY:
        return Finding(name, "warn", found, f"Ray writes there: free {gib(LEAST_TEMPORARY)} or set TMPDIR elsewhere")
    full = 1 - usage.free / usage.total
    advice = f"the disk is {full:.0%} full, and Ray stops writing at {FULL_SHARE:.0%}: make room"
    return judge(name, found, "ok" if full < FULL_SHARE else "warn", advice)
