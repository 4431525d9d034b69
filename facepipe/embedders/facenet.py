"""FaceNet embeddings by Inception-ResNet-v1.

Source: Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering" (CVPR
2015).

Departs from the paper: these weights were trained as a classifier of identities rather than with triplets, give 512
numbers instead of 128, and a fixed mean embedding is subtracted before the final normalisation.
"""

import numpy as np
import torch
from torch import Tensor

from facepipe.embedders.network_embedder import NetworkEmbedder, Precision
from facepipe.models.inception_resnet_v1 import ARCHITECTURE, DIMENSION, INPUT_SIZE, InceptionResNetV1
from facepipe.models.split_bfloat16 import has_tiles
from facepipe.models.tensors import State


class FaceNet(NetworkEmbedder):
    """An Embedder of 512 numbers, from crops of 160 px (`network_embedder`)."""

    architecture = ARCHITECTURE

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
        where = torch.device(device)
        exact = precision == "float32"
        dtype = torch.float16 if where.type == "cuda" and not exact else torch.float32
        if where.type == "cpu" and not exact and has_tiles():
            moved = network.to(memory_format=torch.channels_last).on_tiles()
        else:
            moved = network.eval().to(where, dtype).to(memory_format=torch.channels_last)

        def raw(images: Tensor) -> Tensor:
            output: Tensor = moved((images - 127.5) / 128)
            return output

        super().__init__(raw, INPUT_SIZE, DIMENSION, mean, device=where, dtype=dtype, mirror=mirror)

    @staticmethod
    def network_of(weights: State) -> InceptionResNetV1:
        """Return the network of some weights."""
        network = InceptionResNetV1.shaped_like(weights)
        network.load_state_dict(weights)
        return network
