from pathlib import Path
from typing import Any, cast

import pytest

from facepipe.doctor import programs
from facepipe.doctor.finding import Finding
from facepipe.doctor.programs import Probes, examine_programs

TORCH = {"version": "2.14.1", "cuda": "13.0", "gpus": []}
FAISS = {"version": "1.15.1", "gpu": False}
RAY = {"version": "2.60.0"}


def findings(**results: Any) -> dict[str, Finding]:
    class Given:
        def result(self, name: str) -> Any:
            return {"torch": TORCH, "faiss": FAISS, "ray": RAY, **results}[name]

    return {finding.name: finding for finding in examine_programs(cast("Probes", Given()))}


def test_a_probe_says_what_it_found_or_why_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        programs,
        "PROBES",
        {
            "good": "print('noise'); found = {'version': '1'}",
            "absent": "import no_such_module_at_all",
            "crash": "import os; os.kill(os.getpid(), 11)",
            "slow": "import time; time.sleep(60)",
        },
    )
    monkeypatch.setattr(programs, "IMPORT_SECONDS", 2)
    probes = Probes()
    assert probes.result("good") == {"version": "1"}
    assert probes.result("absent") == "ModuleNotFoundError: No module named 'no_such_module_at_all'"
    assert probes.result("crash") == "importing it ends with status -11"
    assert probes.result("slow") == "importing it takes more than 2 s"


@pytest.mark.parametrize("name", ["torch", "faiss", "ray"])
def test_a_library_that_cannot_be_imported_is_a_failure(name: str) -> None:
    found = findings(**{name: "ImportError: libcudart.so.13"})
    assert (found[name].state, found[name].found) == ("fail", "ImportError: libcudart.so.13")
    assert found[name].advice


def test_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(programs, "NVIDIA", tmp_path / "absent")
    assert (findings()["gpus"].state, findings()["gpus"].found) == ("ok", "none")
    monkeypatch.setattr(programs, "NVIDIA", tmp_path)
    assert "sees no GPU" in findings()["gpus"].found
    cards = TORCH | {"gpus": [["H100", 80 << 30]]}
    assert findings(torch=cards)["gpus"].state == "warn"  # with a FAISS for CPUs
    found = findings(torch=cards, faiss=FAISS | {"gpu": True})
    assert (found["gpus"].state, found["gpus"].found) == ("ok", "H100 with 80.0 GiB")
    assert found["faiss"].found == "1.15.1 for CUDA"


def test_an_absent_extra_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "find_spec", lambda _name: None)
    found = findings()
    assert found["heic"].state == found["raw"].state == "warn"
    assert "extra `heic`" in found["heic"].advice
    assert "without job submission" in found["ray"].found


def test_missing_packages_are_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "RECORDED_VERSIONS", ("facepipe", "no-such-package"))
    assert (findings()["versions"].state, findings()["versions"].found) == ("fail", "missing: no-such-package")
