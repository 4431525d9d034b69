"""Half precision on a GPU agrees with single precision on the CPU, on real faces: `make test-gpu`."""

import faiss
import numpy as np
import pytest
import torch
from PIL import Image

from facepipe.alignment.box_crop import crop_faces
from facepipe.clustering.knn import gpus, most_similar
from facepipe.demo_album import make_album
from facepipe.detectors.mtcnn import MTCNN
from facepipe.embedders.facenet import FaceNet
from facepipe.imaging.boxes import iou

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


@pytest.fixture(scope="module")
def photos(weights: tuple[str, str]) -> list[np.ndarray]:
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(make_album().glob("*.jpg"))]


def test_the_same_faces_are_found(photos: list[np.ndarray]) -> None:
    for on_cpu, on_gpu in zip(
        MTCNN.load(device="cpu").detect(photos), MTCNN.load(device="cuda").detect(photos), strict=True
    ):
        sure = on_cpu.scores >= 0.9
        overlap = iou(on_cpu.boxes[sure], on_gpu.boxes)
        assert (overlap.max(axis=1) > 0.95).all()


def test_embeddings_agree(photos: list[np.ndarray]) -> None:
    crops = np.concatenate(
        [
            crop_faces(photo, found.boxes)
            for photo, found in zip(photos, MTCNN.load(device="cpu").detect(photos), strict=True)
        ]
    )
    on_cpu = FaceNet.load(device="cpu", precision="float32").embed(crops)
    on_gpu = FaceNet.load(device="cuda").embed(crops)
    assert float((on_cpu * on_gpu).sum(axis=1).min()) > 0.9999


def test_the_same_faces_are_nearest() -> None:
    if not gpus():
        pytest.skip("FAISS is built for CPUs here: install the extra `gpu`")
    rng = np.random.default_rng(3)
    faces = rng.normal(size=(20_000, 96)).astype(np.float32)
    faces /= np.linalg.norm(faces, axis=1, keepdims=True)
    similarities, ids = most_similar(faces[:500], faces, 65)
    on_cpu, ids_on_cpu = faiss.knn(faces[:500], faces, 65, metric=faiss.METRIC_INNER_PRODUCT)
    assert np.allclose(similarities, on_cpu, atol=1e-3)
    assert (ids == ids_on_cpu).mean() > 0.99  # equally near ones may change places
