"""What a trained detector by histograms of oriented gradients knows, as arrays and as a state dict of tensors."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facepipe.detectors.hog.codebook import Codebook
from facepipe.detectors.hog.descriptor import BLOCK
from facepipe.models.tensors import State

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class HogModel:
    """A codebook, a linear classifier of windows, and where faces lie in windows.

    Attributes:
        cell: side of a cell in pixels.
        codebook: of K words.
        tables: (P, P, K) float32, the classifier's weights: of each word at each place of a window of P x P blocks.
        bias: is added to their sum: the window's margin, more than 0 for most faces.
        box_mean: (4,) float32, a face's centre from the window's, x and y, and its width and height, in window's sides.
        box_tables: (P, P, K, 4) float32: what each word at each place adds to that.
        slope: of the logistic function that makes a score of a margin.
        intercept: likewise.
    """

    cell: int
    codebook: Codebook
    tables: Floats
    bias: float
    box_mean: Floats
    box_tables: Floats
    slope: float = 1.0
    intercept: float = 0.0

    @classmethod
    def from_state(cls, state: State) -> "HogModel":
        """Return what a state dict (`to_state`) holds."""
        arrays = {name: values.float().cpu().numpy() for name, values in state.items()}
        slope, intercept = arrays["calibration"].tolist()
        return cls(
            cell=round(float(arrays["cell"][0])),
            codebook=Codebook(arrays["codebook"]),
            tables=arrays["tables"],
            bias=float(arrays["bias"][0]),
            box_mean=arrays["box_mean"],
            box_tables=arrays["box_tables"],
            slope=slope,
            intercept=intercept,
        )

    def to_state(self) -> dict[str, Tensor]:
        """Return all of it as tensors, whose shapes tell K and P."""
        arrays = {
            "cell": np.array([self.cell]),
            "codebook": self.codebook.words,
            "tables": self.tables,
            "bias": np.array([self.bias]),
            "box_mean": self.box_mean,
            "box_tables": self.box_tables,
            "calibration": np.array([self.slope, self.intercept]),
        }
        return {name: torch.from_numpy(np.ascontiguousarray(values, np.float32)) for name, values in arrays.items()}

    @property
    def blocks(self) -> int:
        """P, the window's side in blocks."""
        return len(self.tables)

    @property
    def side(self) -> int:
        """The window's side in pixels."""
        return (self.blocks + BLOCK - 1) * self.cell

    @property
    def face_height(self) -> float:
        """The height of the face that a window shows, in pixels."""
        return self.side * float(self.box_mean[3])

    def score(self, margin: NDArray[np.floating]) -> Floats:
        """Return scores, 0 to 1, of margins."""
        logit = self.slope * np.asarray(margin, np.float64) + self.intercept
        return (1 / (1 + np.exp(-np.clip(logit, -60, 60)))).astype(np.float32)
