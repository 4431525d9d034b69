"""On a Ray cluster that runs already, found by its address."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.program import environment, facepipe


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture
def address() -> Iterator[str]:
    """Start a head node of its own; stop just that one."""
    port = free_port()
    ray = str(Path(sys.executable).parent / "ray")
    options = [
        "--head",
        "--num-cpus=3",
        f"--port={port}",
        "--include-dashboard=false",
        "--disable-usage-stats",
        "--block",
    ]
    with subprocess.Popen(
        [ray, "start", *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment(RAY_AUTH_MODE="disabled"),
    ) as head:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), timeout=0.1).close()
                break
            except OSError:
                head.poll()
        yield f"127.0.0.1:{port}"
        head.terminate()
        head.wait(60)


def test_a_run_on_a_running_cluster(address: str, weights: tuple[str, str], tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    rng = np.random.default_rng(11)
    for index in range(5):
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(photos / f"{index}.png")
    library = tmp_path / "library"
    outcome = facepipe("run", photos, "--library", library, "--address", address, "--json", RAY_AUTH_MODE="disabled")
    assert outcome.code == 0, outcome.err
    assert outcome.json["stages"]["extract"]["rows"] == 5
    assert facepipe("check", "--library", library).code == 0


def test_an_absent_cluster_is_named(noise_photo: Path, tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    outcome = facepipe("run", noise_photo, "--library", tmp_path / "library", "--address", address)
    assert outcome.code == 1
    assert outcome.err.startswith(f"facepipe: no Ray cluster answers at '{address}'")
    assert outcome.err.count("\n") == 1
