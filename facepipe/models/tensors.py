"""State dicts: a network's tensors by their names; and what a safetensors file tells beside them."""

import json
from collections.abc import Mapping

from torch import Tensor

State = Mapping[str, Tensor]


def part_of(state: State, prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def looks_like_safetensors(data: bytes) -> bool:
    """Return whether a file begins with the length of its header, 8 bytes, and the header is a JSON object."""
    return data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data) - 8


def metadata_of(data: bytes) -> dict[str, str]:
    """Return the metadata in a safetensors file's header; nothing of other files."""
    if not looks_like_safetensors(data):
        return {}
    metadata: dict[str, str] = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).get("__metadata__", {})
    return metadata
