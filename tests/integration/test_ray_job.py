"""`ray job submit` from a checkout to a head that asks for a token: uploaded, run, and its exit status seen."""

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil
import pytest
from PIL import Image

from tests.program import environment, facepipe

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
MOST_UPLOADED = 16 << 20  # bytes; a checkout's .venv alone has gigabytes


class Head(NamedTuple):
    """A Ray head.

    Attributes:
        url: of its dashboard, to which jobs are submitted.
        variables: environment with its token.
        folder: its files.
    """

    url: str
    variables: dict[str, str]
    folder: Path


def free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports


@pytest.fixture(scope="module")
def head() -> Iterator[Head]:
    """Start a head with free ports and files of its own; end it with all its processes."""
    ports = dict(
        zip(
            ("port", "dashboard-port", "dashboard-agent-listen-port", "ray-client-server-port"),
            free_ports(4),
            strict=True,
        )
    )
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"  # `python` in an entrypoint is the head's
    variables = environment(PATH=path, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32), OMP_NUM_THREADS="1")
    variables.pop("RAY_ADDRESS", None)
    options = ["--head", "--num-cpus=2", "--include-dashboard=true", "--dashboard-host=127.0.0.1"]
    options += ["--disable-usage-stats", "--block", *(f"--{name}={port}" for name, port in ports.items())]
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as folder:  # short: sockets' paths have 107 bytes
        log = Path(folder) / "head.log"
        with (
            log.open("w") as sink,
            subprocess.Popen(
                [str(BIN / "ray"), "start", *options, f"--temp-dir={folder}/ray"],
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=variables,
            ) as process,
        ):
            started = Head(f"http://127.0.0.1:{ports['dashboard-port']}", variables, Path(folder))
            try:
                wait_until_it_answers(started, process, log)
                yield started
            finally:
                end_all(process)


def wait_until_it_answers(head: Head, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            ask(head, "/api/version")
        except OSError:
            time.sleep(0.2)
        else:
            return
    pytest.fail(f"the head does not answer:\n{log.read_text()}")


def end_all(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        head = psutil.Process(process.pid)
        family = [head, *head.children(recursive=True)]
        process.terminate()
        _, alive = psutil.wait_procs(family, timeout=10)
        for left in alive:
            left.kill()


def ask(head: Head, path: str, token: str | None = None) -> Any:
    request = urllib.request.Request(head.url + path)
    request.add_header("Authorization", f"Bearer {token or head.variables['RAY_AUTH_TOKEN']}")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def submit(head: Head, job: str, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Submit `jobs/JOB.py`; return the exit status of `ray job submit` and what Ray knows of the job."""
    command = [str(BIN / "ray"), "job", "submit", "--address", head.url, "--working-dir", "."]
    done = subprocess.run(
        [*command, "--", "python", f"jobs/{job}.py", *map(str, arguments), "--address", "auto"],
        cwd=ROOT,
        env=head.variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    submission = re.search(r"raysubmit_\w+", done.stdout + done.stderr)
    assert submission is not None, done.stdout + done.stderr
    found: dict[str, Any] = ask(head, f"/api/jobs/{submission[0]}")
    return done.returncode, found


def test_jobs_end_with_the_status_of_their_run(head: Head, weights: tuple[str, str], tmp_path: Path) -> None:
    photos, library = tmp_path / "photos", tmp_path / "library"
    photos.mkdir()
    rng = np.random.default_rng(17)
    for index in range(4):
        Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(photos / f"{index}.png")
    (photos / "cut.png").write_bytes((photos / "0.png").read_bytes()[:3000])
    assert facepipe("ingest", photos, "--library", library, "--engine", "local").code == 0

    code, job = submit(head, "extract", "--library", library, "--max-failed", "25%")
    assert (code, job["status"], job["driver_exit_code"]) == (0, "SUCCEEDED", 0), job["message"]
    assert facepipe("check", "--library", library).code == 0
    packages = list(head.folder.glob("ray/session_2*/runtime_resources/working_dir_files/_ray_pkg_*/"))
    uploaded = [path for package in packages for path in package.rglob("*")]
    assert {"jobs", "facepipe"} <= {path.name for path in uploaded}
    assert not {".venv", ".git"} & {path.name for path in uploaded}
    assert sum(path.stat().st_size for path in uploaded if path.is_file()) < MOST_UPLOADED

    code, job = submit(head, "extract", "--library", library, "--retry-failed")
    assert (code, job["status"], job["driver_exit_code"]) == (1, "FAILED", 3), job["message"]
    assert "1 of 1 photos failed" in job["message"]


def test_nobody_submits_without_the_token(head: Head) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(head, "/api/jobs/", token="0" * 64)
    assert refused.value.code in (401, 403)
