"""Half precision on a GPU agrees with single precision on the CPU, on real faces: `make test-gpu`."""

from pathlib import Path

import faiss
import numpy as np
import pytest
import torch
from PIL import Image

from facepipe.alignment.box_crop import crop_faces
from facepipe.clustering.knn import gpus, most_similar
from facepipe.config import EmbedConfig
from facepipe.demo_album import make_album
from facepipe.detectors.ddfd import DDFD
from facepipe.detectors.faceness import Faceness
from facepipe.detectors.mtcnn import MTCNN
from facepipe.embedders.deepface import DeepFace
from facepipe.embedders.facenet import FaceNet
from facepipe.embedders.vggface import VGGFace
from facepipe.imaging.boxes import iou
from facepipe.models.cache import load_weights
from facepipe.models.locally_connected import LocallyConnected2d
from facepipe.stages.align_faces import crops_for, cutter
from facepipe.training.batches import MixedBatches
from facepipe.training.deepface.train import DeepFaceOptions
from facepipe.training.deepface.train import MakeClassifier as MakeDeepFace
from facepipe.training.facenet.train import FaceNetOptions
from facepipe.training.facenet.train import MakeNetwork as MakeFaceNet
from facepipe.training.identity_task import IdentityTask
from facepipe.training.labels import read_labels
from facepipe.training.loop import Plan, Progress, fit, mixed_precision
from facepipe.training.mtcnn.networks import MtcnnTask
from facepipe.training.mtcnn.samples import collect
from facepipe.training.mtcnn.train import MINING, MtcnnOptions
from facepipe.training.photos import Variation
from facepipe.training.recipe import Fit
from facepipe.training.samples import SampleWriter
from facepipe.training.triplet_task import Kept, TripletTask
from facepipe.training.vggface.train import MakeProjection, VggFaceOptions
from facepipe.training.windows import NEGATIVE, PART, POSITIVE
from tests.drawn_faces import draw_photos
from tests.drawn_people import draw_people

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


@pytest.mark.parametrize(("name", "detector"), [("ddfd", DDFD), ("faceness", Faceness)])
def test_the_same_faces_are_found_by(name: str, detector: type[DDFD | Faceness], photos: list[np.ndarray]) -> None:
    weights = load_weights(name, name)
    on_cpu, on_gpu = (detector(weights, device=device).detect(photos) for device in ("cpu", "cuda"))
    for one, other in zip(on_cpu, on_gpu, strict=True):
        sure = one.scores >= 0.5
        assert (iou(one.boxes[sure], other.boxes).max(axis=1, initial=0) > 0.9).all()


def test_a_training_in_mixed_precision_learns_as_one_on_the_cpu_does(tmp_path: Path) -> None:
    drawn = draw_photos(tmp_path / "photos", 12, seed=4)
    labels = read_labels(drawn.images, drawn.boxes, drawn.landmarks)
    options = MtcnnOptions(effort=0.01, variation=Variation(0, 0, 0, 0))
    samples = collect("pnet", [labels], tmp_path / "samples", {}, options, Fit(), MINING)
    task = MtcnnTask("pnet", MixedBatches(samples, {POSITIVE: 32, PART: 16, NEGATIVE: 48}))
    means = []
    for device in ("cpu", "cuda"):
        reports: list[Progress] = []
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(torch.cuda, "is_available", lambda device=device: device == "cuda")
            fit(task, Plan(400, 2e-3, report_steps=100), tmp_path / device, on_progress=reports.append)
        means.append(reports[-1].losses["loss"])
        assert means[-1] < 0.5 * reports[0].losses["loss"]
    assert means[1] == pytest.approx(means[0], abs=0.02)


def test_embeddings_agree(photos: list[np.ndarray]) -> None:
    crops = np.concatenate(
        [
            crop_faces(photo, found.boxes)
            for photo, found in zip(photos, MTCNN.load(device="cpu").detect(photos), strict=True)
        ]
    )
    on_cpu = FaceNet.load("facenet-casia-webface", device="cpu", precision="float32").embed(crops)
    on_gpu = FaceNet.load("facenet-casia-webface", device="cuda").embed(crops)
    assert float((on_cpu * on_gpu).sum(axis=1).min()) > 0.9999


@pytest.mark.parametrize(("name", "embedder"), [("vggface", VGGFace), ("deepface", DeepFace)])
def test_embeddings_agree_of(name: str, embedder: type[VGGFace | DeepFace], photos: list[np.ndarray]) -> None:
    cut = cutter(crops_for(EmbedConfig(embedder=name)))
    found = MTCNN.load(device="cpu").detect(photos)
    crops = [
        cut(photo, faces.boxes, faces.landmarks)
        for photo, faces in zip(photos, found, strict=True)
        if faces.landmarks is not None
    ]
    on_cpu = embedder.load(name, device="cpu", precision="float32").embed(np.concatenate(crops))
    on_gpu = embedder.load(name, device="cuda").embed(np.concatenate(crops))
    assert float((on_cpu * on_gpu).sum(axis=1).min()) > 0.999


def test_locally_connected_layers_agree_and_so_do_their_gradients() -> None:
    torch.manual_seed(0)
    layer, x = LocallyConnected2d(3, 4, 16, 5), torch.randn(4, 3, 16, 16)
    results = {}
    for device in ("cpu", "cuda"):
        copy = LocallyConnected2d(3, 4, 16, 5).to(device)
        copy.load_state_dict(layer.state_dict())
        output = copy(x.to(device))
        output.square().mean().backward()
        assert copy.weight.grad is not None
        results[device] = output.detach().cpu(), copy.weight.grad.cpu()
    for on_cpu, on_gpu in zip(*results.values(), strict=True):
        torch.testing.assert_close(on_cpu, on_gpu, atol=1e-3, rtol=1e-3)  # tensor cores round to ten bits


def make_task(name: str, folder: Path) -> TripletTask | IdentityTask:
    """Return what a recogniser learns from drawn people; of triplets all, since rounding makes others of the choice."""
    size = {"facenet": 160, "vggface": 64, "deepface": 72}[name]
    faces = draw_people(folder, size)
    rows = np.arange(len(faces.person))
    if name == "deepface":
        return IdentityTask(MakeDeepFace(DeepFaceOptions(width=0.25, input_size=size)), faces, rows, rows)
    if name == "vggface":
        vgg = VggFaceOptions(configuration="A", projection=64, triplets_alone=True, mining="all")
        return TripletTask.of(vgg, MakeProjection(vgg, None), faces, rows, rows)
    make_network = MakeFaceNet(None, None, 0.25)
    writer = SampleWriter(folder / "kept")
    writer.append({"embedding": np.random.default_rng(0).normal(size=(len(rows), 512)).astype(np.float32) / 23})
    return TripletTask.of(FaceNetOptions(mining="all"), make_network, faces, rows, rows, Kept(writer.finish(), 1.0))


@pytest.mark.parametrize("name", ["facenet", "vggface", "deepface"])
def test_a_recogniser_learns_in_mixed_precision_what_it_learns_on_the_cpu(name: str, tmp_path: Path) -> None:
    task = make_task(name, tmp_path)
    torch.manual_seed(0)
    network = task.network().eval()  # without dropout
    batch = task.batch(np.random.default_rng(0), slice(0, None, 1))
    losses, gradients = [], []
    for device in ("cpu", "cuda"):
        network.zero_grad()
        network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        with mixed_precision(torch.device(device)):
            learned = task.losses(network, {key: values.to(device) for key, values in batch.items()})
        learned["loss"].backward()  # type: ignore[no-untyped-call]
        losses.append(float(learned["loss"].detach()))
        shown = [parameter.grad for parameter in network.parameters() if parameter.grad is not None]
        gradients.append(torch.cat([gradient.float().flatten().cpu() for gradient in shown]))
    assert losses[1] == pytest.approx(losses[0], rel=0.02)
    alike = torch.nn.functional.cosine_similarity(gradients[0], gradients[1], dim=0)
    assert float(alike) > 0.95  # bfloat16 rounds to 8 bits


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
