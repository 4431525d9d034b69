from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from facepipe.embedders import network_embedder
from facepipe.embedders.embedder import Embedder
from facepipe.embedders.facenet import FaceNet
from facepipe.embedders.network_embedder import Precision
from facepipe.errors import FacepipeError, WeightsError, WrongUsageError
from facepipe.models.inception_resnet_v1 import InceptionResNetV1

PRECISIONS: tuple[Precision, Precision] = ("float32", "auto")


@pytest.fixture(scope="module")
def network() -> InceptionResNetV1:
    """Random weights; tests that change them copy it."""
    torch.manual_seed(0)
    network = InceptionResNetV1().eval()
    for tensor in network.parameters():
        if tensor.ndim > 1:
            torch.nn.init.kaiming_normal_(tensor)
    return network


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(9).integers(0, 256, (3, 160, 160, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def mean() -> np.ndarray:
    return np.random.default_rng(10).normal(0, 0.02, 512).astype(np.float32)


@pytest.fixture(scope="module")
def raw_outputs(network: InceptionResNetV1, crops: np.ndarray) -> np.ndarray:
    """(2, 3, 512) float64: of each crop and of its mirror image, one network pass each, scaled by numpy."""

    def raw(image: np.ndarray) -> np.ndarray:
        pixels = (image.astype(np.float64) - 127.5) / 128
        with torch.no_grad():
            output = network(torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32).copy()))
        vector: np.ndarray = output[0].numpy().astype(np.float64)
        return vector

    return np.stack([[raw(crop) for crop in crops], [raw(crop[:, ::-1]) for crop in crops]])


@pytest.mark.parametrize("mirror", [False, True], ids=["once", "mirrored"])
@pytest.mark.parametrize("centred", [False, True], ids=["raw", "centred"])
def test_equals_the_slow_twin(
    network: InceptionResNetV1,
    crops: np.ndarray,
    mean: np.ndarray,
    raw_outputs: np.ndarray,
    mirror: bool,
    centred: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(network_embedder.BATCH, "cpu", 2)  # two passes, the second of them short
    expected = []
    for straight, mirrored in zip(*raw_outputs, strict=True):
        vector = straight + mirrored if mirror else straight
        vector = vector / np.linalg.norm(vector)
        if centred:
            vector = vector - mean
        expected.append(vector / np.linalg.norm(vector))
    embedder = FaceNet(network, mean if centred else None, mirror=mirror, precision="float32")
    embeddings = embedder.embed(crops)
    np.testing.assert_allclose(embeddings, np.stack(expected), atol=2e-5)
    assert embeddings.dtype == np.float32


def test_unit_length_and_settings(network: InceptionResNetV1, crops: np.ndarray, mean: np.ndarray) -> None:
    embedder: Embedder = FaceNet(network, mean)
    np.testing.assert_allclose(np.linalg.norm(embedder.embed(crops[:2]), axis=1), 1, atol=1e-6)
    assert (embedder.input_size, embedder.dimension, embedder.alignment) == (160, 512, "box")


def test_no_crops_no_embeddings(network: InceptionResNetV1, crops: np.ndarray) -> None:
    embeddings = FaceNet(network).embed(crops[:0])
    assert embeddings.shape == (0, 512)
    assert embeddings.dtype == np.float32


@pytest.mark.filterwarnings("error")
def test_read_only_views_are_fine(network: InceptionResNetV1, crops: np.ndarray) -> None:
    view = np.frombuffer(crops[:2].tobytes(), np.uint8).reshape(2, 160, 160, 3)[::-1]
    np.testing.assert_allclose(FaceNet(network).embed(view), FaceNet(network).embed(crops[:2])[::-1], atol=1e-6)


@pytest.mark.parametrize("shape", [(160, 160, 3), (1, 182, 182, 3), (1, 160, 160), (1, 3, 160, 160)])
def test_other_shapes_are_a_bug(network: InceptionResNetV1, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="crops must be"):
        FaceNet(network).embed(np.zeros(shape, np.uint8))
    with pytest.raises(ValueError, match="crops must be"):
        FaceNet(network).embed(np.zeros((1, 160, 160, 3), np.float32))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_a_vector_without_direction_is_never_returned(
    network: InceptionResNetV1, crops: np.ndarray, mean: np.ndarray, value: float
) -> None:
    network = deepcopy(network)
    with torch.no_grad():
        network.bottleneck.weight.fill_(value if value == 0 else 0.0)
        network.bottleneck.bias.fill_(value)
    with pytest.raises(FacepipeError, match="zero or not finite"):
        FaceNet(network, mean).embed(crops[:1])


def test_absent_weights_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="facepipe models pull facenet-casia-webface"):
        FaceNet.load("facenet-casia-webface")


def test_weights_of_another_architecture(mtcnn_weights: str) -> None:
    with pytest.raises(WrongUsageError, match="'mtcnn' is of the architecture mtcnn, not inception_resnet_v1"):
        FaceNet.load(mtcnn_weights, device="cpu")


def central_crop(path: Path) -> np.ndarray:
    """The middle 126 x 126 of a 250 x 250 photo of LFW, at the network's size."""
    with Image.open(path) as photo:
        face = photo.convert("RGB").crop((62, 62, 188, 188)).resize((160, 160), Image.Resampling.BILINEAR)
    return np.asarray(face)


def test_shorter_numbers_hardly_move_an_embedding(data: Path, facenet_weights: str) -> None:
    photos = sorted((data / "lfw-dev" / "images").glob("*/*_0001.jpg"))[::40]
    crops = np.stack([central_crop(path) for path in photos])
    exact, fast = (FaceNet.load(facenet_weights, device="cpu", precision=name).embed(crops) for name in PRECISIONS)
    assert (exact * fast).sum(axis=1).min() > 0.9999


def test_photos_of_one_person_lie_closer(data: Path, facenet_weights: str) -> None:
    people = [sorted(p.glob("*.jpg"))[:2] for p in sorted((data / "lfw-dev" / "images").iterdir())]
    pairs = [photos for photos in people if len(photos) == 2][:12]
    embedder = FaceNet.load(facenet_weights, device="cpu")
    first, second = (embedder.embed(np.stack([central_crop(pair[i]) for pair in pairs])) for i in range(2))
    similarities = first @ second.T  # (12, 12): same people on the diagonal
    same, different = np.diag(similarities), similarities[~np.eye(len(pairs), dtype=bool)]
    assert (similarities.argmax(axis=1) == np.arange(len(pairs))).sum() >= 11
    assert same.mean() > 0.5
    uncentred = FaceNet.load(facenet_weights, device="cpu", centre=False)
    first, second = (uncentred.embed(np.stack([central_crop(pair[i]) for pair in pairs])) for i in range(2))
    assert different.mean() < (first @ second.T)[~np.eye(len(pairs), dtype=bool)].mean()  # strangers move apart
