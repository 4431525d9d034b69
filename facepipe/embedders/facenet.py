"""FaceNet embeddings by Inception-ResNet-v1.

Source: Schroff, Kalenichenko and Philbin, "FaceNet: A Unified Embedding for Face Recognition and Clustering" (CVPR
2015).

Departs from the paper: these weights were trained as a classifier of identities rather than with triplets, give 512
numbers instead of 128, and a fixed mean embedding is subtracted before the final normalisation.
"""

import torch
from torch import Tensor, nn

from facepipe.embedders.network_embedder import NetworkEmbedder
from facepipe.models.inception_resnet_v1 import ARCHITECTURE, InceptionResNetV1
from facepipe.models.split_bfloat16 import has_tiles


class FaceNet(NetworkEmbedder):
    """An Embedder of 512 numbers, from crops of 160 px (`network_embedder`)."""

    architecture = ARCHITECTURE
    network_class = InceptionResNetV1

    def _place(self, network: InceptionResNetV1, *, exact: bool) -> nn.Module:
        """Return the network on its device: on a processor with matrix tiles in bfloat16, unless it shall be exact."""
        if self._device.type == "cpu" and not exact and has_tiles():
            return network.to(memory_format=torch.channels_last).on_tiles()
        placed: nn.Module = super()._place(network, exact=exact)
        return placed

    def _raw(self, images: Tensor) -> Tensor:
        """Return raw outputs (B, 512) of images (B, 3, 160, 160)."""
        return super()._raw((images - 127.5) / 128)
