"""DeepFace features.

Source: Taigman, Yang, Ranzato and Wolf, "DeepFace" (CVPR 2014), section 3.1. Crops are faces aligned in space
(`alignment.frontalize`), or as the weights tell.
"""

from facepipe.embedders.network_embedder import NetworkEmbedder
from facepipe.models.deepface_network import ARCHITECTURE, DeepFaceNetwork


class DeepFace(NetworkEmbedder):
    """An Embedder of F7's numbers, never negative (`network_embedder`)."""

    architecture = ARCHITECTURE
    network_class = DeepFaceNetwork
