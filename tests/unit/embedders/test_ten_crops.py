from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from facepipe.embedders.embedder import Embedder
from facepipe.embedders.facenet import FaceNet
from facepipe.embedders.ten_crops import face_sides, thirty_views
from facepipe.embedders.vggface import VGGFace
from facepipe.models.inception_resnet_v1 import InceptionResNetV1
from facepipe.models.vgg_network import VGG


def pictures(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(11).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


def scaled(crop: np.ndarray, side: int) -> np.ndarray:
    """(side, side, 3) float64, each colour resized by Pillow without rounding."""
    planes = [Image.fromarray(crop[:, :, colour].astype(np.float32)) for colour in range(3)]
    resized = [np.asarray(plane.resize((side, side), Image.Resampling.BILINEAR)) for plane in planes]
    return np.stack(resized, axis=2).astype(np.float64)


def slow_views(crop: np.ndarray, size: int) -> list[np.ndarray]:
    """30 arrays (S, S, 3)."""
    views = []
    for scale in (256, 384, 512):
        side = round(size * scale / 224)
        face = scaled(crop, side)
        middle = (side - size) // 2
        corners = [face[:size, :size], face[:size, -size:], face[-size:, :size], face[-size:, -size:]]
        for view in [*corners, face[middle:, middle:][:size, :size]]:
            views += [view, view[:, ::-1]]
    return views


def test_faces_are_as_large_beside_the_network_as_in_the_paper() -> None:
    assert face_sides(224) == (256, 384, 512)
    assert face_sides(64) == (73, 110, 146)
    assert face_sides(160) == (183, 274, 366)


@pytest.mark.parametrize("size", [7, 14, 16])
def test_views_equal_their_slow_twins(size: int) -> None:
    crops = pictures(2, face_sides(size)[-1])
    faces = torch.from_numpy(crops).permute(0, 3, 1, 2).float()
    views = [view.permute(0, 2, 3, 1).numpy() for view in thirty_views(faces, size)]
    assert len(views) == 30
    for place, crop in enumerate(crops):
        for view, expected in zip(views, slow_views(crop, size), strict=True):
            np.testing.assert_allclose(view[place], expected, atol=1e-3)


def test_a_mirrored_face_has_the_same_views() -> None:
    face = torch.from_numpy(pictures(1, face_sides(14)[-1])).permute(0, 3, 1, 2).float()
    views, mirrored = (torch.stack(list(thirty_views(faces, 14)))[:, 0] for faces in (face, face.flip(3)))
    for view in views:
        assert min(float((view - other).abs().max()) for other in mirrored) < 1e-3


def slow_embedding(network: Any, crop: np.ndarray, mean: np.ndarray | None, shift: float, scale: float) -> np.ndarray:
    outputs = []
    for view in slow_views(crop, network.input_size):
        pixels = ((view - shift) / scale).transpose(2, 0, 1)[None].astype(np.float32)
        with torch.no_grad():
            outputs.append(network(torch.from_numpy(pixels.copy()))[0].numpy().astype(np.float64))
    vector = np.mean(outputs, axis=0)
    vector = vector / np.linalg.norm(vector)
    if mean is not None:
        vector = vector - mean
        vector = vector / np.linalg.norm(vector)
    return np.asarray(vector)


@pytest.mark.parametrize("mirror", [False, True], ids=["once", "mirrored"])
@pytest.mark.parametrize("centred", [False, True], ids=["raw", "centred"])
def test_vggface_equals_the_slow_twin(mirror: bool, centred: bool) -> None:
    torch.manual_seed(0)
    network = VGG("A", 1 / 16, 32, projection=6).eval()
    mean = np.full(6, 0.05, np.float32) if centred else None
    embedder: Embedder = VGGFace(network, mean, ten_crops=True, mirror=mirror)
    assert (embedder.input_size, embedder.dimension) == (73, 6)
    crops = pictures(3, 73)
    expected = [slow_embedding(network, crop, mean, 0, 1) for crop in crops]
    np.testing.assert_allclose(embedder.embed(crops), expected, atol=2e-5)
    assert embedder.embed(crops[:0]).shape == (0, 6)
    with pytest.raises(ValueError, match=r"crops must be \(N, 73, 73, 3\)"):
        embedder.embed(crops[:, :32, :32])


def test_facenet_equals_the_slow_twin() -> None:
    torch.manual_seed(0)
    network = InceptionResNetV1().eval()
    crop = pictures(1, 366)
    embedder = FaceNet(network, ten_crops=True, precision="float32")
    np.testing.assert_allclose(embedder.embed(crop)[0], slow_embedding(network, crop[0], None, 127.5, 128), atol=2e-5)
