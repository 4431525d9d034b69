"""The embedders by name, as `embed.embedder` has them."""

from facepipe.embedders.deepface import DeepFace
from facepipe.embedders.facenet import FaceNet
from facepipe.embedders.network_embedder import NetworkEmbedder
from facepipe.embedders.vggface import VGGFace

EMBEDDERS: dict[str, type[NetworkEmbedder]] = {"facenet": FaceNet, "vggface": VGGFace, "deepface": DeepFace}
