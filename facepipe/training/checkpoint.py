"""What a training that stops goes on from: network, optimizer, the best network so far, and the progress.

One safetensors file: tensors `model.…`, `optimizer.…` and `best.…`, and as metadata the rows of the progress table.
"""

import json
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from facepipe.errors import TrainingError
from facepipe.models.tensors import State, part_of

Rows = list[dict[str, float]]


def pack(network: nn.Module, optimizer: torch.optim.Optimizer, best: State, rows: Rows) -> bytes:
    """Return a checkpoint's bytes.

    Args:
        network: as it is.
        optimizer: its.
        best: the state dict of the best network so far; empty where none is judged.
        rows: the progress so far.
    """
    tensors: dict[str, Any] = {f"model.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in values.items()}
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    data: bytes = safetensors.torch.save(plain, metadata={"progress": json.dumps(rows)})
    return data


def learned_so_far(checkpoint: Path) -> tuple[dict[str, Tensor], Rows]:
    """Return the best network's state dict, or the last one's where none is judged, and the progress so far."""
    tensors, rows = _read(checkpoint)
    return part_of(tensors, "best.") or part_of(tensors, "model."), rows


def restore(checkpoint: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], Rows]:
    """Set network and optimizer to a checkpoint's, and return its best network and the progress so far.

    Raises:
        TrainingError: it can't be read, or is another network's.
    """
    try:
        tensors, rows = _read(checkpoint)
        network.load_state_dict(part_of(tensors, "model."))
        numbers: dict[int, dict[str, Tensor]] = {}
        for key, value in part_of(tensors, "optimizer.").items():
            index, _, name = key.partition(".")
            numbers.setdefault(int(index), {})[name] = value
        optimizer.load_state_dict({**optimizer.state_dict(), "state": numbers})
    except (RuntimeError, ValueError, KeyError, TypeError, OSError, safetensors.SafetensorError) as error:
        problem = str(error).strip().splitlines()[-1].strip()
        raise TrainingError(
            f"the checkpoint in {checkpoint.parent} is none of this training ({problem}): choose another folder"
        ) from error
    return part_of(tensors, "best."), rows


def _read(checkpoint: Path) -> tuple[dict[str, Tensor], Rows]:
    with safetensors.safe_open(checkpoint, "pt") as file:
        rows: Rows = json.loads(file.metadata()["progress"])
        return {key: file.get_tensor(key) for key in file.keys()}, rows  # noqa: SIM118 - it is no dictionary
