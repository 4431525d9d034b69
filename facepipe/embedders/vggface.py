"""VGG-Face embeddings.

Source: Parkhi, Vedaldi and Zisserman, "Deep Face Recognition" (BMVC 2015), sections 4.2 and 5.2.

Departs from the paper: crops are the detector's box, grown and stretched, at the network's own input size.
"""

from facepipe.embedders.network_embedder import NetworkEmbedder
from facepipe.models.vgg_network import ARCHITECTURE, VGG


class VGGFace(NetworkEmbedder):
    """An Embedder of the projection's numbers, or fc7's (`network_embedder`)."""

    architecture = ARCHITECTURE
    network_class = VGG
