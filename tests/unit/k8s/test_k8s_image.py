"""What can be said of the image without building it."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCKERFILE = re.sub(r"\\\n", " ", (ROOT / "k8s" / "Dockerfile").read_text(encoding="utf-8"))
STEPS = [
    (line.split(maxsplit=1)[0], line.split(maxsplit=1)[1])
    for line in DOCKERFILE.splitlines()
    if line and not line.startswith("#")
]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def rest(word: str) -> list[str]:
    return [text for name, text in STEPS if name == word]


def test_base_images_are_of_one_exact_version() -> None:
    (argument,) = (text for text in rest("ARG") if text.startswith("PYTHON="))
    assert re.fullmatch(r"PYTHON=3\.\d+\.\d+-slim-[a-z]+", argument)
    assert [text.split()[0] for text in rest("FROM")] == ["python:${PYTHON}"] * 2


def test_it_runs_as_the_user_of_the_manifests() -> None:
    assert rest("USER") == ["1000:1000"]
    last = max(index for index, (name, _) in enumerate(STEPS) if name == "FROM")
    assert "USER" in [name for name, _ in STEPS[last:]]


def test_extras_exist_and_versions_are_pinned() -> None:
    (install,) = (text for text in rest("RUN") if "pip install" in text)
    assert "--constraint constraints.txt" in install
    (extras,) = re.findall(r'"\.\[(.+)\]"', install)
    assert {"gpu", "cpu"} <= set(PROJECT["optional-dependencies"])
    assert set(extras.split(",")) - {"${EXTRA}"} <= set(PROJECT["optional-dependencies"])
    assert "EXTRA=gpu" in rest("ARG")


def test_what_is_copied_exists_and_is_sent() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    for text in rest("COPY"):
        if text.startswith("--from"):
            continue
        for source in text.split()[:-1]:
            assert (ROOT / source).exists()
            assert f"!{source}" in ignored


def test_no_secret_is_built_in() -> None:
    assert not re.search(r"(?i)(password|secret|token)\s*=", DOCKERFILE)
    assert not re.search(r"https?://", DOCKERFILE)


def test_weights_are_those_that_the_defaults_need() -> None:
    from facepipe.config import Config

    (pull,) = (text for text in rest("RUN") if "models pull" in text)
    assert {Config().detect.detector, Config().embed.weights} <= set(pull.split())
