"""Libraries: their versions, and whether those that are slow to import or may crash can be, each in its own process."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from facepipe.doctor.finding import Finding, gib, judge
from facepipe.library.run_record import RECORDED_VERSIONS

IMPORT_SECONDS = 30
PROBES = {
    "torch": "import torch; c = torch.cuda; n = c.device_count() if c.is_available() else 0; "
    "found = {'version': torch.__version__, 'cuda': torch.version.cuda, 'gpus': "
    "[[c.get_device_name(i), c.get_device_properties(i).total_memory] for i in range(n)]}",
    "ray": "import ray, ray.data; found = {'version': ray.__version__}",
    "faiss": "import faiss; found = {'version': faiss.__version__, 'gpu': hasattr(faiss, 'StandardGpuResources')}",
}
OPTIONAL = {"heic": ("pillow_heif", "HEIC and AVIF photos"), "raw": ("rawpy", "the previews in RAW photos")}
NVIDIA = Path("/dev/nvidiactl")


class Probes:
    """Imports under way; they run beside each other and beside whatever else is looked at."""

    def __init__(self) -> None:
        self._running = {
            name: subprocess.Popen(
                [sys.executable, "-c", f"import json; {code}; print(json.dumps(found))"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for name, code in PROBES.items()
        }

    def result(self, name: str) -> dict[str, Any] | str:
        """Return what a library said of itself, or why it could not be imported."""
        process = self._running[name]
        try:
            out, err = process.communicate(timeout=IMPORT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            return f"importing it takes more than {IMPORT_SECONDS} s"
        if process.returncode:
            return (err.strip().splitlines() or [f"importing it ends with status {process.returncode}"])[-1]
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
        return found


def examine_programs(probes: Probes) -> Iterator[Finding]:
    """Yield which libraries are there and which can be imported."""
    yield _versions()
    torch, faiss = probes.result("torch"), probes.result("faiss")
    reinstall = "install facepipe again, at the versions of constraints.txt"
    if isinstance(torch, str):
        yield Finding("torch", "fail", torch, reinstall)
    else:
        yield _gpus(torch, faiss)
    if isinstance(faiss, str):
        yield Finding("faiss", "fail", faiss, "install facepipe with the extra `cpu` or, for CUDA, `gpu`")
    else:
        yield Finding("faiss", "ok", f"{faiss['version']} for {'CUDA' if faiss['gpu'] else 'CPUs'}")
    ray = probes.result("ray")
    if isinstance(ray, str):
        yield Finding("ray", "fail", ray, f"{reinstall}; meanwhile use `--engine local`")
    else:
        jobs = "with" if find_spec("aiohttp_cors") else "without"
        yield Finding("ray", "ok", f"{ray['version']}, {jobs} job submission (extra `cluster`)")
    for extra, (module, reads) in OPTIONAL.items():
        there = find_spec(module) is not None
        found = f"reads {reads}" if there else "not installed"
        advice = f"install facepipe with the extra `{extra}` to read {reads}"
        yield judge(extra, found, "ok" if there else "warn", advice)


def _versions() -> Finding:
    found, missing = [], []
    for name in RECORDED_VERSIONS:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding("versions", "fail", f"missing: {', '.join(missing)}", "install facepipe again")
    return Finding("versions", "ok", ", ".join(found))


def _gpus(torch: dict[str, Any], faiss: dict[str, Any] | str) -> Finding:
    if torch["gpus"]:
        found = ", ".join(f"{name} with {gib(memory)}" for name, memory in torch["gpus"])
        fits = isinstance(faiss, dict) and faiss["gpu"]
        return judge(
            "gpus", found, "ok" if fits else "warn", "install the extra `gpu` in place of `cpu`: FAISS uses none"
        )
    if not NVIDIA.exists():
        return Finding("gpus", "ok", "none")
    found = f"there is an NVIDIA driver, but torch {torch['version']} sees no GPU"
    return Finding("gpus", "warn", found, f"compare the driver with CUDA {torch['cuda']} and CUDA_VISIBLE_DEVICES")
