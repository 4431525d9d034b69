"""State dicts: a network's tensors by their names."""

from collections.abc import Mapping

from torch import Tensor

State = Mapping[str, Tensor]


def part_of(state: State, prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin with a prefix, by the rest of their names."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
