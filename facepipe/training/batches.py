"""Batches of samples, with a fixed number of each kind, and what is done to their colours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facepipe.errors import TrainingError
from facepipe.training.samples import Arrays, Samples


@dataclass(frozen=True)
class MixedBatches:
    """Draws rows of samples that have an array `kind`.

    Attributes:
        samples: with an array `kind` (N,).
        counts: rows of each kind in a batch; a kind that no sample has is left out.
    """

    samples: Samples
    counts: Mapping[int, int] = field(default_factory=dict)

    @cached_property
    def _arrays(self) -> Arrays:
        return self.samples.arrays()

    @cached_property
    def _rows(self) -> dict[int, NDArray[np.intp]]:
        kinds = np.asarray(self._arrays["kind"])
        rows = {kind: np.flatnonzero(kinds == kind) for kind in self.counts}
        return {kind: of_kind for kind, of_kind in rows.items() if len(of_kind)}

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy in another process needs: it opens the samples itself."""
        return {"samples": self.samples, "counts": self.counts}

    def draw(self, rng: np.random.Generator, share: slice) -> dict[str, Tensor]:
        """Return a share of the batch that `rng` draws, with replacement, in random order."""
        chosen = np.concatenate([rng.choice(rows, self.counts[kind]) for kind, rows in self._rows.items()])
        chosen = rng.permutation(chosen)[share]
        return {name: torch.from_numpy(values[chosen]) for name, values in self._arrays.items()}


@dataclass(frozen=True)
class EvenBatches:
    """Draws from several batches alike, an equal part of each.

    Attributes:
        parts: of the same arrays.
    """

    parts: Sequence[MixedBatches]

    def draw(self, rng: np.random.Generator, share: slice) -> dict[str, Tensor]:
        """Return a share of the batch that `rng` draws: of N parts, one row in N of each one's batch."""
        drawn = [part.draw(rng, slice(None, None, len(self.parts))) for part in self.parts]
        return {name: torch.cat([rows[name] for rows in drawn])[share] for name in drawn[0]}


def check_share(rows: int, workers: int) -> None:
    """Check that workers' parts of a batch are of one size: their gradients are averaged as if they were.

    Raises:
        TrainingError: they are not.
    """
    if rows % workers:
        raise TrainingError(
            f"a batch of {rows} faces can't be shared out evenly among {workers} workers: choose --workers, or the "
            "faces in a batch, otherwise"
        )


def as_input(crops: Tensor, rng: np.random.Generator | None = None) -> Tensor:
    """Return crops (N, S, S, 3) uint8 as networks take them: (N, 3, S, S) float32, (value - 127.5) / 128.

    Args:
        crops: RGB.
        rng: changes each crop's contrast, brightness and colours at random; none: nothing is changed.
    """
    values = crops.permute(0, 3, 1, 2).to(torch.float32).sub_(127.5).div_(128)  # (N, 3, S, S), channels last in memory
    if rng is None:
        return values
    count = len(crops)
    contrast = torch.from_numpy(rng.uniform(0.7, 1.3, (count, 1, 1, 1)).astype(np.float32))
    tint = torch.from_numpy(
        (rng.uniform(-0.2, 0.2, (count, 1, 1, 1)) + rng.uniform(-0.06, 0.06, (count, 3, 1, 1))).astype(np.float32)
    )
    return values.mul_(contrast.to(values.device)).add_(tint.to(values.device)).clamp_(-1, 1)
