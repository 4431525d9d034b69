"""Limits of control groups, as files of both versions."""

from pathlib import Path

import pytest

from facepipe.runtime import machine
from facepipe.runtime.machine import Limits, cgroup_limits, usable_cpus


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize(
    ("membership", "files", "limits"),
    [
        ("0::/\n", {"cpu.max": "150000 100000\n", "memory.max": "2147483648\n"}, Limits(1.5, 2 << 30)),
        ("0::/\n", {"cpu.max": "max 100000\n", "memory.max": "max\n"}, Limits(None, None)),
        ("0::/\n", {}, Limits(None, None)),
        # The least of a group and of those that hold it.
        (
            "0::/user.slice/job\n",
            {"user.slice/cpu.max": "200000 100000", "user.slice/job/cpu.max": "400000 100000", "memory.max": "max"},
            Limits(2.0, None),
        ),
        # The host's path inside a container, where the mount shows the container's group as root.
        ("0::/kubepods/pod7/c1\n", {"cpu.max": "50000 100000", "memory.max": "1024"}, Limits(0.5, 1024)),
        (
            "4:memory:/docker/c1\n3:cpu,cpuacct:/docker/c1\n",
            {
                "memory/memory.limit_in_bytes": "1073741824",
                "cpu,cpuacct/cpu.cfs_quota_us": "300000",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            Limits(3.0, 1 << 30),
        ),
        (
            "4:memory:/\n3:cpu,cpuacct:/\n1:name=systemd:/\n",
            {
                "memory/memory.limit_in_bytes": "9223372036854771712",
                "cpu,cpuacct/cpu.cfs_quota_us": "-1",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            Limits(None, None),
        ),
    ],
)
def test_limits(membership: str, files: dict[str, str], limits: Limits, tmp_path: Path) -> None:
    root = write(tmp_path / "cgroup", files)
    (tmp_path / "membership").write_text(membership)
    assert cgroup_limits(root, tmp_path / "membership") == limits


def test_without_control_groups(tmp_path: Path) -> None:
    assert cgroup_limits(tmp_path / "none", tmp_path / "nothing") == Limits(None, None)


@pytest.mark.parametrize(("quota", "affinity", "usable"), [(None, 8, 8), (2.5, 8, 2), (0.5, 8, 1), (16.0, 8, 8)])
def test_a_quota_counts_like_fewer_cpus(
    quota: float | None, affinity: int, usable: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "affine_cpus", lambda: affinity)
    monkeypatch.setattr(machine, "cgroup_limits", lambda: Limits(quota, None))
    assert usable_cpus() == usable
