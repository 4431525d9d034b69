"""VGG-Face embeddings.

Source: Parkhi, Vedaldi and Zisserman, "Deep Face Recognition" (BMVC 2015), sections 4.2 and 5.2.

Departs from the paper: crops are the detector's box, grown and stretched, at the network's own input size.
"""

import numpy as np
import torch
from torch import Tensor

from facepipe.embedders.network_embedder import NetworkEmbedder, Precision
from facepipe.models.tensors import State
from facepipe.models.vgg_network import ARCHITECTURE, VGG


class VGGFace(NetworkEmbedder):
    """An Embedder of the projection's numbers, or fc7's (`network_embedder`)."""

    architecture = ARCHITECTURE

    def __init__(
        self,
        network: VGG,
        mean: np.ndarray | None = None,
        *,
        device: str = "cpu",
        mirror: bool = False,
        precision: Precision = "auto",
    ) -> None:
        """Move a network to its device.

        Args:
            network: with its weights loaded.
            mean: (D,) float32, or None.
            device: `cpu`, or `cuda` (with an index, if need be).
            mirror: embed each crop and its mirror image, and add their outputs.
            precision: `auto` takes half precision on CUDA.
        """
        where = torch.device(device)
        dtype = torch.float16 if where.type == "cuda" and precision != "float32" else torch.float32
        moved = network.eval().to(where, dtype).to(memory_format=torch.channels_last)

        def raw(images: Tensor) -> Tensor:
            output: Tensor = moved(images)
            return output

        super().__init__(raw, network.input_size, network.dimension, mean, device=where, dtype=dtype, mirror=mirror)

    @staticmethod
    def network_of(weights: State) -> VGG:
        """Return the network of some weights."""
        network = VGG.shaped_like(weights)
        network.load_state_dict(weights)
        return network
