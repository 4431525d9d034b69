"""`doctor` through the real program."""

from pathlib import Path

from tests.program import facepipe


def test_doctor_on_this_machine(weights: tuple[str, str]) -> None:
    outcome = facepipe("doctor", "--json")
    assert outcome.code == 0, outcome.out
    assert outcome.json["ok"]
    names = {finding["name"] for finding in outcome.json["findings"]}
    assert names >= {"python", "cpus", "memory", "gpus", "ray", "faiss", "weights", "shared memory", "open files"}
    assert all(finding["advice"] or finding["state"] == "ok" for finding in outcome.json["findings"])


def test_what_is_missing_fails_with_advice(tmp_path: Path) -> None:
    outcome = facepipe("doctor", "--library", tmp_path / "absent", FACEPIPE_HOME=str(tmp_path / "home"), COLUMNS="200")
    assert outcome.code == 1
    assert "mtcnn: absent" in outcome.out
    assert "→ run `facepipe models pull mtcnn`" in outcome.out
    assert "there is no library" in outcome.out
    assert "Traceback" not in outcome.err
