import os
import platform
import resource
import shutil
from types import SimpleNamespace

import pytest

from facepipe.doctor import machine
from facepipe.doctor.finding import GIB, Finding
from facepipe.doctor.machine import examine_machine
from facepipe.runtime.machine import Limits


def findings() -> dict[str, Finding]:
    return {finding.name: finding for finding in examine_machine()}


def usage(free: int, total: int) -> SimpleNamespace:
    return SimpleNamespace(total=total, used=total - free, free=free)


@pytest.fixture
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cgroup_limits", lambda: Limits(None, None))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(50 * GIB, 100 * GIB))
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (65536, 65536))
    monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2 << 20}[name])
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


@pytest.mark.usefixtures("roomy")
def test_all_is_well_on_a_roomy_machine() -> None:
    found = findings()
    assert {finding.state for finding in found.values()} == {"ok"}
    assert not any(finding.advice for finding in found.values())
    assert found["memory"].found == "8.0 GiB usable of 8.0 GiB"


@pytest.mark.usefixtures("roomy")
def test_what_is_tight_is_a_warning_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cgroup_limits", lambda: Limits(1.5, 2 * GIB))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(64 << 20, GIB))
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1024, 4096))
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    found = findings()
    for name in ("memory", "shared memory", "temporary files", "open files", "platform"):
        assert found[name].state == "warn"
        assert found[name].advice
    assert "quota 1.5" in found["cpus"].found
    assert found["memory"].found == "2.0 GiB usable of 8.0 GiB"


@pytest.mark.usefixtures("roomy")
def test_a_nearly_full_disk_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(4 * GIB, 100 * GIB))
    assert findings()["temporary files"].state == "warn"
    assert "96% full" in findings()["temporary files"].advice
