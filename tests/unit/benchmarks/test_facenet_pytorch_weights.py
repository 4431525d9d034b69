import numpy as np
import torch

from facepipe.benchmarks.facenet_pytorch_weights import facenet_to_facenet_pytorch
from facepipe.models.conversion import facenet_from_facenet_pytorch
from facepipe.models.inception_resnet_v1 import InceptionResNetV1
from tests.facenet_pytorch_layout import Reference, random_state


@torch.inference_mode()
def test_both_networks_compute_the_same() -> None:
    ours = InceptionResNetV1().eval()
    ours.load_state_dict(facenet_from_facenet_pytorch(random_state(seed=4)))
    theirs = facenet_to_facenet_pytorch(ours.state_dict())
    assert theirs.keys() == {name for name in random_state() if not name.startswith("logits.")}
    images = torch.randn(2, 3, 160, 160, generator=torch.Generator().manual_seed(5))
    expected = ours(images).numpy()
    np.testing.assert_allclose(Reference(state=theirs)(images).numpy(), expected, atol=1e-4 * np.abs(expected).max())
