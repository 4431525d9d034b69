from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from facepipe.cli import main as main_module
from facepipe.cli.options import parse_max_failed
from facepipe.errors import WrongUsageError
from tests.program import facepipe


def parsed(text: str) -> tuple[float, bool]:
    command = click.Command("run")
    limit = parse_max_failed(click.Context(command), click.Option(["--max-failed"]), text)
    return limit.number, limit.percent


def test_max_failed_is_a_number_or_a_share() -> None:
    assert parsed("3") == (3, False)
    assert parsed("1%") == (1, True)
    assert parsed("0.5%") == (0.5, True)
    for wrong in ("x", "-1", "101%", "1.5", "%"):
        with pytest.raises(click.BadParameter):
            parsed(wrong)


@pytest.mark.parametrize(
    ("installed", "says"),
    [([], "faiss is not installed"), (["faiss-cpu", "faiss_gpu"], "faiss-cpu and faiss-gpu are both installed")],
)
def test_one_faiss_is_required(installed: list[str], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(main_module, "distributions", lambda: [SimpleNamespace(name=name) for name in installed])
    with pytest.raises(WrongUsageError, match=says):
        main_module.require_one_faiss()


def test_this_installation_has_one_faiss() -> None:
    main_module.require_one_faiss()
    assert metadata.version("facepipe")


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "/no/such/folder", "--library", "LIBRARY"],
        ["check", "--library", "/no/such/library"],
        ["extract", "--library", "/no/such/library"],
        ["run", ".", "--library", "LIBRARY", "--set", "detect.minface=3"],
        ["run", ".", "--library", "LIBRARY", "--config", "/no/such/file.toml"],
        ["models", "verify", "nosuchmodel"],
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_2(arguments: list[str], tmp_path: Path) -> None:
    library = tmp_path / "library"
    outcome = facepipe(*[library if item == "LIBRARY" else item for item in arguments])
    assert not library.exists()
    assert outcome.code == 2, outcome.err
    assert outcome.err.startswith("facepipe: ")
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""


@pytest.mark.parametrize(
    "arguments", [["run"], ["run", "."], ["nosuchcommand"], ["run", ".", "--library", "x", "--max-failed", "many"]]
)
def test_wrong_options_end_with_2(arguments: list[str]) -> None:
    outcome = facepipe(*arguments)
    assert outcome.code == 2
    assert "Traceback" not in outcome.err


def test_help_imports_nothing_heavy() -> None:
    import subprocess
    import sys

    code = (
        "import sys; from click.testing import CliRunner; from facepipe.cli.main import cli;"
        "assert CliRunner().invoke(cli, ['--help']).exit_code == 0;"
        "print([name for name in ('torch', 'ray', 'faiss', 'deltalake', 'pyarrow', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_step_without_a_report_names_none(noise_photo: Path, tmp_path: Path) -> None:
    outcome = facepipe("ingest", noise_photo, "--library", tmp_path / "library", "--engine", "local")
    assert outcome.code == 0
    assert "1 photo seen: 1 new" in outcome.out
    assert "Report" not in outcome.out
