"""What embedders by a network share: batches, several views of a face, centring, unit length."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from facepipe.embedders.ten_crops import face_sides, thirty_views
from facepipe.errors import FacepipeError
from facepipe.models.cache import load_weights
from facepipe.models.mean import mean_embedding

Precision = Literal["auto", "float32"]

# Crops in one pass: enough to fill the device, little enough to bound memory (2 MB a crop and pass on the CPU).
BATCH = {"cpu": 32, "cuda": 256}


class NetworkEmbedder:
    """An Embedder. Raw output ► unit length ► minus the model's mean embedding ► unit length.

    The mean is one of unit-length embeddings, hence the normalisation before it is subtracted. A model without a mean
    gives raw output of unit length.

    Attributes:
        input_size: side of the crops, in pixels: the network's, or that from which ten crops at three scales are taken.
        dimension: numbers of an embedding.
        alignment: how the crops are to be cut, `box`, `2d` or `3d`.
        architecture: of its weights.
        network_class: of its network, which knows its size by its tensors (`shaped_like`).
    """

    alignment = "box"
    architecture: ClassVar[str]
    network_class: ClassVar[type[Any]]

    def __init__(
        self,
        network: Any,
        mean: np.ndarray | None = None,
        *,
        device: str = "cpu",
        mirror: bool = False,
        ten_crops: bool = False,
        precision: Precision = "auto",
    ) -> None:
        """Move a network to its device.

        Args:
            network: a `network_class` with its weights loaded.
            mean: (D,) float32, or None.
            device: `cpu`, or `cuda` (with an index, if need be).
            mirror: embed each crop and its mirror image, and add their raw outputs.
            ten_crops: embed ten crops at three scales (`thirty_views`), and add their raw outputs. Half of them are
                mirrored, so that `mirror` changes nothing then.
            precision: `auto` takes shorter numbers where the device has them: half precision on CUDA.
        """
        self._device = torch.device(device)
        exact = precision == "float32"
        self._dtype = torch.float16 if self._device.type == "cuda" and not exact else torch.float32
        self._network_size: int = network.input_size
        self.input_size = face_sides(self._network_size)[-1] if ten_crops else self._network_size
        self.dimension = network.dimension
        self._network = self._place(network, exact=exact)
        self._mean = None if mean is None else torch.from_numpy(mean.copy()).to(self._device)
        self._mirror, self._ten_crops = mirror, ten_crops

    def _place(self, network: Any, *, exact: bool) -> Any:
        """Return the network on its device, in the type of its images."""
        return network.eval().to(self._device, self._dtype).to(memory_format=torch.channels_last)

    def _raw(self, images: Tensor) -> Tensor:
        """Return raw outputs (B, D) of images (B, 3, S, S), RGB, 0 to 255, channels last in memory."""
        outputs: Tensor = self._network(images)
        return outputs.float()

    @classmethod
    def load(
        cls,
        model: str,
        device: str | None = None,
        *,
        mirror: bool = False,
        ten_crops: bool = False,
        centre: bool = True,
        precision: Precision = "auto",
    ) -> Self:
        """Return an embedder with the weights of a model in the cache.

        Args:
            model: a name in `facepipe models list`.
            device: `cpu` or `cuda`; None: `cuda` where there is one.
            mirror: embed each crop and its mirror image, and add their raw outputs.
            ten_crops: embed ten crops at three scales, and add their raw outputs.
            centre: subtract the model's mean embedding, where it has one.
            precision: `auto` takes shorter numbers where the device has them.

        Raises:
            WeightsError: the weights are missing or corrupt.
            WrongUsageError: there is no such model, or it is of another architecture.
        """
        weights = load_weights(model, cls.architecture)
        mean = mean_embedding(model) if centre else None
        return cls.of(weights, mean, device, mirror=mirror, ten_crops=ten_crops, precision=precision)

    @classmethod
    def of(
        cls,
        weights: Mapping[str, Tensor],
        mean: np.ndarray | None = None,
        device: str | None = None,
        *,
        mirror: bool = False,
        ten_crops: bool = False,
        precision: Precision = "auto",
    ) -> Self:
        """Return an embedder with given weights; for the others see `load`.

        Raises:
            WeightsError: the weights are of another network.
        """
        if device is None:
            device = "cuda" if torch.cuda.is_available() else "cpu"
        network = cls.network_class.shaped_like(weights)
        network.load_state_dict(weights)
        return cls(network, mean, device=device, mirror=mirror, ten_crops=ten_crops, precision=precision)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Return the embeddings, (N, D) float32, each of unit length, in the crops' order; (0, D) for none.

        Args:
            crops: (N, input_size, input_size, 3) uint8 RGB.

        Raises:
            FacepipeError: a vector is not finite or has no direction, so the weights can't be right.
            ValueError: the crops have another shape or type.
        """
        size = self.input_size
        if crops.dtype != np.uint8 or crops.shape[1:] != (size, size, 3):
            raise ValueError(f"crops must be (N, {size}, {size}, 3) uint8, not {crops.shape} {crops.dtype}")
        embeddings = np.empty((len(crops), self.dimension), np.float32)
        with torch.inference_mode():
            for start, images in self._batches(crops):
                raw = torch.stack([self._raw(view) for view in self._views(images)]).sum(dim=0)  # (B, D)
                embeddings[start : start + len(raw)] = self._finish(raw).cpu().numpy()
        return embeddings

    def _views(self, images: Tensor) -> Iterator[Tensor]:
        """Yield what the network sees of crops (B, 3, input_size, input_size): (B, 3, S, S) each."""
        if self._ten_crops:
            yield from thirty_views(images, self._network_size)
            return
        yield images
        if self._mirror:
            yield images.flip(3)

    def _batches(self, crops: np.ndarray) -> Iterator[tuple[int, Tensor]]:
        """Yield (index of the first crop, (B, 3, input_size, input_size) on the device, channels last in memory)."""
        size = BATCH.get(self._device.type, BATCH["cpu"])
        for start in range(0, len(crops), size):
            # A copy, since crops may be a read-only view of Arrow's memory, which torch refuses to vouch for.
            pixels = torch.from_numpy(crops[start : start + size].copy())  # (B, S, S, 3)
            yield start, pixels.to(self._device).permute(0, 3, 1, 2).to(self._dtype)  # keeps the channels last

    def _finish(self, raw: Tensor) -> Tensor:
        """Return raw outputs (B, D) centred and of unit length."""
        lengths = raw.norm(dim=1)  # (B,)
        if not bool(((lengths > 0) & lengths.isfinite()).all()):
            raise FacepipeError(
                "the embedding network gave a vector that is zero or not finite: check its weights with "
                "`facepipe models verify`"
            )
        vectors = F.normalize(raw, dim=1)
        # A mean is shorter than 1, so that no unit vector can vanish by the subtraction.
        return vectors if self._mean is None else F.normalize(vectors - self._mean, dim=1)
