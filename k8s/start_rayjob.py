"""Create a RayJob from a manifest under a new name, and wait until it has ended: what the nightly CronJob runs.

    python start_rayjob.py MANIFEST NAME

Exit status: 0 the RayJob succeeded, or another one was still running and nothing was started; 1 it failed, was deleted
or was refused; 2 wrong arguments. A second call with the same name waits for the RayJob that the first one created.
"""

import http.client
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import yaml

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
LOOK_EVERY_S = 30.0
REQUEST_S = 60.0
REFUSED = range(400, 500)
TOO_MANY_REQUESTS = 429
ENDED = frozenset({"Complete", "Failed", "ValidationFailed"})  # values of status.jobDeploymentStatus


class RayJobs:
    """The RayJobs of the namespace that this pod runs in.

    Args:
        account: folder with the service account's `token` (renewed while the pod runs), `ca.crt` and `namespace`.
    """

    def __init__(self, account: Path) -> None:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        host = f"[{host}]" if ":" in host else host
        namespace = (account / "namespace").read_text().strip()
        self._token = account / "token"
        self._url = f"https://{host}:{port}/apis/ray.io/v1/namespaces/{namespace}/rayjobs"
        self._tls = ssl.create_default_context(cafile=str(account / "ca.crt"))

    def request(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the API server's answer, trying again for as long as it can't be reached or is overloaded.

        Raises:
            urllib.error.HTTPError: it refuses.
        """
        while True:
            request = urllib.request.Request(  # noqa: S310 - always https
                self._url + path,
                data=None if body is None else json.dumps(body).encode(),
                headers={"Authorization": f"Bearer {self._token.read_text().strip()}"}
                | {"Content-Type": "application/json", "Accept": "application/json"},
            )
            try:
                with urllib.request.urlopen(request, context=self._tls, timeout=REQUEST_S) as answer:  # noqa: S310
                    found: dict[str, Any] = json.load(answer)
                    return found
            except urllib.error.HTTPError as error:
                if error.code in REFUSED and error.code != TOO_MANY_REQUESTS:
                    raise
                print(f"the API server answers {error.code}", file=sys.stderr, flush=True)
            except (OSError, http.client.HTTPException, json.JSONDecodeError) as error:
                print(f"the API server can't be reached: {error}", file=sys.stderr, flush=True)
            time.sleep(LOOK_EVERY_S)

    def find(self, name: str) -> dict[str, Any] | None:
        """Return a RayJob; None where there is none of that name."""
        try:
            return self.request(f"/{name}")
        except urllib.error.HTTPError as error:
            if error.code == http.client.NOT_FOUND:
                return None
            raise


def status(rayjob: dict[str, Any], key: str) -> str:
    """Return a field of a RayJob's status; "" before the operator has written one."""
    return str(rayjob.get("status", {}).get(key, ""))


def run(rayjobs: RayJobs, manifest: dict[str, Any], name: str) -> int:
    """Create the RayJob unless it is there or another one of the same label is running; return the exit status."""
    label = "app.kubernetes.io/name"
    found = rayjobs.find(name)
    if found is None:
        same = rayjobs.request(f"?labelSelector={label}%3D{manifest['metadata']['labels'][label]}")["items"]
        busy = [job["metadata"]["name"] for job in same if status(job, "jobDeploymentStatus") not in ENDED]
        if busy:
            print(f"{', '.join(busy)} is still running: nothing was started", flush=True)
            return 0
        metadata = {"name": name, "labels": manifest["metadata"]["labels"]}
        try:
            found = rayjobs.request("", manifest | {"metadata": metadata})
        except urllib.error.HTTPError as error:
            if error.code != http.client.CONFLICT:  # an earlier request, whose answer was lost, did create it
                raise
            found = rayjobs.request(f"/{name}")
        print(f"created the RayJob {name}", flush=True)
    while found is not None and status(found, "jobDeploymentStatus") not in ENDED:
        time.sleep(LOOK_EVERY_S)
        found = rayjobs.find(name)
    if found is None:
        print(f"the RayJob {name} was deleted before it had ended", file=sys.stderr)
        return 1
    deployment, job = status(found, "jobDeploymentStatus"), status(found, "jobStatus")
    print(f"the RayJob {name} has ended: {deployment} {job} {status(found, 'message')}".rstrip(), flush=True)
    return 0 if deployment == "Complete" and job == "SUCCEEDED" else 1


def main(arguments: list[str]) -> int:
    """Return the exit status of a call with these arguments."""
    if len(arguments) != 2:
        print("usage: start_rayjob.py MANIFEST NAME", file=sys.stderr)
        return 2
    manifest = yaml.safe_load(Path(arguments[0]).read_text(encoding="utf-8"))
    try:
        return run(RayJobs(ACCOUNT), manifest, arguments[1])
    except urllib.error.HTTPError as error:
        print(f"the API server refuses: {error.code} {error.read().decode(errors='replace')}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
