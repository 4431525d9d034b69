"""The nightly creator against an API server of its own, over TLS."""

import importlib.util
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

K8S = Path(__file__).parents[3] / "k8s"
RAYJOBS = "/apis/ray.io/v1/namespaces/photos/rayjobs"
NAME = "facepipe-nightly-29384756"


def load_creator() -> Any:
    spec = importlib.util.spec_from_file_location("start_rayjob", K8S / "start_rayjob.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class ApiServer(ThreadingHTTPServer):
    """Keeps RayJobs; each look at one moves it to its next status, as the operator would."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), ApiRequest)
        self.rayjobs: dict[str, dict[str, Any]] = {}
        self.course: list[dict[str, str] | None] = []  # statuses that a RayJob goes through; None: it is deleted
        self.created: list[dict[str, Any]] = []
        self.answers: list[int] = []  # status codes for the next requests, before anything is looked at

    def add(self, name: str, state: str, label: str = "facepipe") -> None:
        metadata = {"name": name, "labels": {"app.kubernetes.io/name": label}}
        self.rayjobs[name] = {"metadata": metadata, "status": {"jobDeploymentStatus": state}}


class ApiRequest(BaseHTTPRequestHandler):
    server: ApiServer

    def reply(self, code: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def is_refused(self) -> bool:
        code = 401 if self.headers["Authorization"] != "Bearer t0k3n" else None
        if self.server.answers:
            code = self.server.answers.pop(0)
        if code is not None:
            self.reply(code, {"message": "no"})
        return code is not None

    def do_GET(self) -> None:
        if self.is_refused():
            return
        address, jobs = urlsplit(self.path), self.server.rayjobs
        if address.path == RAYJOBS:
            key, _, value = parse_qs(address.query)["labelSelector"][0].partition("=")
            self.reply(200, {"items": [job for job in jobs.values() if job["metadata"]["labels"].get(key) == value]})
            return
        name = address.path.removeprefix(f"{RAYJOBS}/")
        if name in jobs and self.server.course:
            state = self.server.course.pop(0)
            if state is None:
                del jobs[name]
            else:
                jobs[name]["status"] = state
        self.reply(200, jobs[name]) if name in jobs else self.reply(404, {"message": "not found"})

    def do_POST(self) -> None:
        if self.is_refused():
            return
        job = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        name = job["metadata"]["name"]
        if name in self.server.rayjobs:
            self.reply(409, {"message": "already exists"})
            return
        self.server.created.append(job)
        self.server.rayjobs[name] = dict(job)
        self.reply(201, job)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    folder, key = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")]), datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.crt").write_bytes(made.public_bytes(pem))
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "key").write_bytes(key.private_bytes(pem, *plain))
    return folder / "ca.crt", folder / "key"


@pytest.fixture
def server(certificate: tuple[Path, Path]) -> Iterator[ApiServer]:
    with ApiServer() as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def creator(server: ApiServer, certificate: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "token").write_text("t0k3n\n")
    (tmp_path / "namespace").write_text("photos")
    (tmp_path / "ca.crt").write_bytes(certificate[0].read_bytes())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.server_address[1]))
    module = load_creator()
    monkeypatch.setattr(module, "ACCOUNT", tmp_path)
    monkeypatch.setattr(module, "LOOK_EVERY_S", 0.01)
    return module


def call(creator: Any) -> int:
    code: int = creator.main([str(K8S / "rayjob.yaml"), NAME])
    return code


RUNNING = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
SUCCEEDED = {"jobDeploymentStatus": "Complete", "jobStatus": "SUCCEEDED"}
FAILED = {"jobDeploymentStatus": "Failed", "jobStatus": "FAILED", "message": "exit code 3"}


def test_creates_the_manifest_under_the_new_name_and_waits(server: ApiServer, creator: Any) -> None:
    server.course = [{"jobDeploymentStatus": "Initializing"}, RUNNING, SUCCEEDED]
    assert call(creator) == 0
    (created,) = server.created
    manifest = yaml.safe_load((K8S / "rayjob.yaml").read_text())
    assert created == manifest | {"metadata": {"name": NAME, "labels": manifest["metadata"]["labels"]}}
    assert server.course == []


@pytest.mark.parametrize("last", [FAILED, {"jobDeploymentStatus": "ValidationFailed"}, None])
def test_a_failed_or_deleted_rayjob_is_a_failure(
    last: dict[str, str] | None, server: ApiServer, creator: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server.course = [RUNNING, last]
    assert call(creator) == 1
    said = capsys.readouterr()
    assert ("exit code 3" in said.out) == (last == FAILED)
    assert ("was deleted" in said.err) == (last is None)


def test_starts_nothing_while_another_one_runs(
    server: ApiServer, creator: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    server.add("facepipe", "Running")
    assert call(creator) == 0
    assert server.created == []
    assert "facepipe is still running" in capsys.readouterr().out


def test_ended_ones_and_those_of_others_do_not_matter(server: ApiServer, creator: Any) -> None:
    server.add("facepipe", "Complete")
    server.add("facepipe-nightly-29383316", "Failed")
    server.add("training", "Running", label="other")
    server.course = [SUCCEEDED]
    assert call(creator) == 0
    assert len(server.created) == 1


def test_a_second_call_waits_for_what_the_first_created(server: ApiServer, creator: Any) -> None:
    server.add(NAME, "Running")
    server.course = [RUNNING, RUNNING, SUCCEEDED]
    assert call(creator) == 0
    assert server.created == []


def test_an_overloaded_server_is_asked_again(server: ApiServer, creator: Any) -> None:
    server.answers = [503, 429, 500]
    server.course = [SUCCEEDED]
    assert call(creator) == 0
    assert len(server.created) == 1


def test_a_refusal_ends_it(server: ApiServer, creator: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server.answers = [403]
    assert call(creator) == 1
    assert "refuses: 403" in capsys.readouterr().err


def test_wrong_arguments(creator: Any) -> None:
    assert creator.main([]) == 2
