"""DeepFace features.

Source: Taigman, Yang, Ranzato and Wolf, "DeepFace" (CVPR 2014), section 3.2. Crops are faces aligned in space
(`alignment.frontalize`), or as the weights tell.
"""

from typing import Any

from facepipe.embedders.network_embedder import NetworkEmbedder
from facepipe.models.deepface_network import ARCHITECTURE, DeepFaceNetwork, alignment_at


class DeepFace(NetworkEmbedder):
    """An Embedder of F7's numbers, never negative (`network_embedder`)."""

    architecture = ARCHITECTURE
    network_class = DeepFaceNetwork

    def __init__(self, network: DeepFaceNetwork, *args: Any, **options: Any) -> None:
        """Move a network to its device; its weights tell how faces are aligned. See `NetworkEmbedder` for the rest."""
        super().__init__(network, *args, **options)
        self.alignment = alignment_at(float(network.alignment))
