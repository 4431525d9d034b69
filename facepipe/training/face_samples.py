"""Faces of people, as a recogniser's training reads them: wide crops and who they are, varied anew for each batch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from facepipe.training.face_crops import Crop, CropVariation, cut_crop, wear_out
from facepipe.training.people import Ints
from facepipe.training.samples import Arrays, Samples


@dataclass(frozen=True)
class FaceSamples:
    """Crops for a network, out of samples in a folder.

    The samples' arrays: `wide` (N, 256, 256, 3) uint8 RGB, `aspect` (N,) float32, width of the box over its height,
    and `person` (N,) int64.

    Attributes:
        samples: see above.
        size: of the network's crops, in pixels.
        grow: share of the box's width and height that a crop adds on each side.
        variation: of the crops that are learned from.
    """

    samples: Samples
    size: int
    grow: tuple[float, float]
    variation: CropVariation

    @cached_property
    def _arrays(self) -> Arrays:
        return self.samples.arrays()

    def __getstate__(self) -> dict[str, object]:
        """Return what a copy in another process needs: it opens the samples itself."""
        return {name: value for name, value in vars(self).items() if name != "_arrays"}

    @property
    def person(self) -> Ints:
        """Who each face is, (N,) int64."""
        return np.asarray(self._arrays["person"])

    def varied(self, rows: Ints, seeds: Ints) -> Tensor:
        """Return crops (M, S, S, 3) uint8 RGB, each varied by a generator of its own.

        Args:
            rows: (M,) which faces.
            seeds: (M,) of their generators: so a face's crop doesn't depend on what else is asked for.
        """
        return self._stacked([self._vary(row, seed) for row, seed in zip(rows.tolist(), seeds.tolist(), strict=True)])

    def plain(self, rows: Ints, *, worn: bool = False) -> Tensor:
        """Return crops (M, S, S, 3) uint8 RGB as they are, or all of them worn in the same way.

        Args:
            rows: (M,) which faces.
            worn: whether the variation's wear is laid on.
        """
        wear = self.variation.wear
        crops = []
        for row in rows.tolist():
            wide, aspect = self._arrays["wide"][row], float(self._arrays["aspect"][row])
            crops.append(
                cut_crop(wear_out(wide, aspect, wear) if worn else wide, self.size, self.grow, None, self.variation)
            )
        return self._stacked(crops)

    def _vary(self, row: int, seed: int) -> Crop:
        rng = np.random.default_rng(seed)
        wide, variation = self._arrays["wide"][row], self.variation
        if not variation.wear.does_nothing and rng.random() < variation.worn:
            wide = wear_out(wide, float(self._arrays["aspect"][row]), variation.wear, rng)
        return cut_crop(wide, self.size, self.grow, rng, variation)

    def _stacked(self, crops: Sequence[Crop]) -> Tensor:
        return torch.from_numpy(np.array(crops, np.uint8).reshape(len(crops), self.size, self.size, 3))
