"""Reads state dicts that torch has pickled, without running anything that is in them."""

import pickle
import struct
from io import BytesIO

import torch

from facepipe.errors import WeightsError

# What torch's restricted loader raises on bytes that are damaged or no state dict at all.
_UNREADABLE = (
    pickle.UnpicklingError, struct.error, RuntimeError, ValueError, EOFError, OSError, LookupError, TypeError,
    AttributeError, AssertionError, ArithmeticError, MemoryError,
)  # fmt: skip


def load_pickle(data: bytes, source: str) -> dict[str, torch.Tensor]:
    """Return a state dict saved by torch, read by its restricted loader: tensors and plain containers, no code.

    Args:
        data: the file's bytes.
        source: the file's name, for the error.

    Raises:
        WeightsError: the bytes hold anything else.
    """
    try:
        state = torch.load(BytesIO(data), map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(f"{source} is no plain state dict saved by torch: {reason}") from error
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(tensor, torch.Tensor) for name, tensor in state.items()
    ):
        raise WeightsError(f"{source} is no plain state dict saved by torch: it holds more than named tensors")
    return state
