"""FaceNet embeddings by Inception-ResNet-v1.

Source: Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering" (CVPR
2015).

Departs from the paper: these weights were trained as a classifier of identities rather than with triplets, give 512
numbers instead of 128, and a fixed mean embedding is subtracted before the final normalisation.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch.nn import functional as F

from facepipe.errors import FacepipeError, WeightsError
from facepipe.models.cache import load_weights
from facepipe.models.inception_resnet_v1 import DIMENSION, INPUT_SIZE, InceptionResNetV1
from facepipe.models.mean import mean_embedding
from facepipe.models.split_bfloat16 import has_tiles

Precision = Literal["auto", "float32"]

# Crops in one pass: enough to fill the device, little enough to bound memory (2 MB a crop and pass on the CPU).
BATCH = {"cpu": 32, "cuda": 256}


class FaceNet:
    """An Embedder. Raw output ► unit length ► minus the model's mean embedding ► unit length.

    The mean is one of unit-length embeddings, hence the normalisation before it is subtracted. A model without a mean
    gives raw output of unit length.

    Attributes:
        input_size: 160.
        dimension: 512.
        alignment: `box`.
    """

    input_size = INPUT_SIZE
    dimension = DIMENSION
    alignment = "box"

    def __init__(
        self,
        network: InceptionResNetV1,
        mean: np.ndarray | None = None,
        *,
        device: str = "cpu",
        mirror: bool = False,
        precision: Precision = "auto",
    ) -> None:
        """Move a network to its device.

        Args:
            network: with its weights loaded.
            mean: (512,) float32, or None.
            device: `cpu`, or `cuda` (with an index, if need be).
            mirror: embed each crop and its mirror image, and add their raw outputs.
            precision: `auto` takes half precision on CUDA and bfloat16 on a processor with matrix tiles.
        """
        self._device = torch.device(device)
        exact = precision == "float32"
        self._dtype = torch.float16 if self._device.type == "cuda" and not exact else torch.float32
        if self._device.type == "cpu" and not exact and has_tiles():
            self._network = network.to(memory_format=torch.channels_last).on_tiles()
        else:
            self._network = network.eval().to(self._device, self._dtype).to(memory_format=torch.channels_last)
        self._mean = None if mean is None else torch.from_numpy(mean.copy()).to(self._device)
        self._mirror = mirror

    @classmethod
    def load(
        cls,
        model: str = "facenet-casia-webface",
        device: str | None = None,
        *,
        mirror: bool = False,
        centre: bool = True,
        precision: Precision = "auto",
    ) -> "FaceNet":
        """Return an embedder with the weights of a model in the cache.

        Args:
            model: a name in `facepipe models list`.
            device: `cpu` or `cuda`; None: `cuda` where there is one.
            mirror: see the constructor.
            centre: subtract the model's mean embedding, where it has one.
            precision: see the constructor.

        Raises:
            WeightsError: the weights are missing, corrupt, or of another architecture.
        """
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        weights = load_weights(model)
        network = InceptionResNetV1.shaped_like(weights)
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise WeightsError(f"the model {model!r} is no Inception-ResNet-v1, which FaceNet needs") from error
        mean = mean_embedding(model) if centre else None
        return cls(network, mean, device=device, mirror=mirror, precision=precision)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Return the embeddings, (N, 512) float32, each of unit length, in the crops' order; (0, 512) for none.

        Args:
            crops: (N, 160, 160, 3) uint8 RGB.

        Raises:
            FacepipeError: a vector is not finite or has no direction, so the weights can't be right.
            ValueError: the crops have another shape or type.
        """
        if crops.dtype != np.uint8 or crops.shape[1:] != (INPUT_SIZE, INPUT_SIZE, 3):
            raise ValueError(f"crops must be (N, 160, 160, 3) uint8, not {crops.shape} {crops.dtype}")
        embeddings = np.empty((len(crops), DIMENSION), np.float32)
        with torch.inference_mode():
            for start, images in self._batches(crops):
                raw = self._network(images).float()  # (B, 512)
                if self._mirror:
                    raw += self._network(images.flip(3)).float()
                embeddings[start : start + len(raw)] = self._finish(raw).cpu().numpy()
        return embeddings

    def _batches(self, crops: np.ndarray) -> Iterator[tuple[int, torch.Tensor]]:
        """Yield (index of the first crop, (B, 3, 160, 160) on the device, channels last in memory)."""
        size = BATCH.get(self._device.type, BATCH["cpu"])
        for start in range(0, len(crops), size):
            # A copy, since crops may be a read-only view of Arrow's memory, which torch refuses to vouch for.
            pixels = torch.from_numpy(crops[start : start + size].copy())  # (B, 160, 160, 3)
            images = pixels.to(self._device).permute(0, 3, 1, 2).to(self._dtype)  # keeps the channels last
            yield start, (images - 127.5) / 128

    def _finish(self, raw: torch.Tensor) -> torch.Tensor:
        """Return raw outputs (B, 512) centred and of unit length."""
        lengths = raw.norm(dim=1)  # (B,)
        if not bool(((lengths > 0) & lengths.isfinite()).all()):
            raise FacepipeError(
                "the embedding network gave a vector that is zero or not finite: check its weights with "
                "`facepipe models verify`"
            )
        vectors = F.normalize(raw, dim=1)
        # A mean is shorter than 1, so that no unit vector can vanish by the subtraction.
        return vectors if self._mean is None else F.normalize(vectors - self._mean, dim=1)
