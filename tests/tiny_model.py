"""A model of two megabytes in a wheel made on the spot, so that pulling is tested without the network."""

import hashlib
import io
import zipfile
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch

from facepipe.models.architectures import expected_shapes
from facepipe.models.conversion import mtcnn_from_facenet_pytorch
from facepipe.models.registry import MODELS, ModelEntry, Source

NAME = "tiny"
WHEEL = "tiny_weights-1.0-py3-none-any.whl"


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def make_tiny_model(folder: Path) -> ModelEntry:
    """Write `WHEEL` into a folder and return the registry entry that fits it."""
    generator = torch.Generator().manual_seed(5)
    nets: dict[str, dict[str, torch.Tensor]] = {}
    for name, shape in expected_shapes("mtcnn").items():
        net, _, tensor = name.partition(".")
        nets.setdefault(net, {})[tensor] = torch.randn(shape, generator=generator)
    members = {}
    for net, tensors in nets.items():
        buffer = io.BytesIO()
        torch.save(tensors, buffer)
        members[f"tiny_weights/{net}.pt"] = buffer.getvalue()
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / WHEEL
    write_wheel(wheel, members)
    return replace(
        MODELS["mtcnn"],
        name=NAME,
        source=Source("tiny-weights==1.0", sha256(wheel.read_bytes()), {m: sha256(d) for m, d in members.items()}),
        sha256=sha256(safetensors.torch.save(mtcnn_from_facenet_pytorch(nets))),
    )


def write_wheel(path: Path, members: dict[str, bytes]) -> None:
    """Write the least that pip takes for a wheel."""
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
