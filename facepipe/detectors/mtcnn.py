"""MTCNN: a cascade of three small networks, each looking closer at what the one before it left over.

Source: Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", IEEE Signal Processing Letters 23(10), 2016, section II.A.

Departs from the paper: candidates of all scales are first moved by their regression, then suppressed against each
other (unmoved windows of neighbouring scales overlap too little for that to ever happen).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facepipe.detectors.candidates import Candidates, concatenate
from facepipe.detectors.detector import Detections, last_step
from facepipe.detectors.sliding_window import slide_window
from facepipe.imaging import boxes
from facepipe.imaging.pyramid import Octaves, pyramid_scales
from facepipe.imaging.steps_picture import Step
from facepipe.models.cache import load_weights
from facepipe.models.mtcnn_networks import ONet, PNet, RNet
from facepipe.models.tensors import part_of

Image = NDArray[np.uint8]
Thresholds = tuple[float, float, float]
Network = TypeVar("Network", bound=nn.Module)

# Pixels that go through a network at once; on a processor, for each thread. There they are few enough that feature maps
# stay in its cache (twice as fast as a whole photo), on a CUDA device enough to keep it busy. It bounds memory, too.
_PIXELS_AT_ONCE = {"cpu": 1 << 16, "cuda": 1 << 23}
# Crops that go through R-Net or O-Net at once, for the same reasons: on a processor 113 take a third longer a crop.
_CROPS_AT_ONCE = {"cpu": 32, "cuda": 4096}


class MTCNN:
    """Finds faces and five landmarks.

    Attributes:
        min_face: least height of a face, in pixels of the upright photo.
        thresholds: least probability after P-Net, R-Net and O-Net.
        factor: ratio between neighbouring scales of the image pyramid.
    """

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        *,
        min_face: float = 20.0,
        thresholds: Thresholds = (0.6, 0.7, 0.2),
        factor: float = 0.709,
        device: str | torch.device | None = None,
    ) -> None:
        """Build the networks on a device.

        Args:
            weights: tensors named `pnet.…`, `rnet.…` and `onet.…`.
            min_face: in pixels.
            thresholds: three probabilities.
            factor: between 0 and 1.
            device: none: CUDA where there is one. There P-Net, which does most of the work, runs in half precision.
        """
        self.min_face, self.thresholds, self.factor = min_face, thresholds, factor
        self._device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._crops_at_once = _CROPS_AT_ONCE.get(self._device.type, _CROPS_AT_ONCE["cpu"])
        self._pnet = self._prepare(PNet(), "pnet.", weights)
        self._rnet = self._prepare(RNet(), "rnet.", weights)
        self._onet = self._prepare(ONet(), "onet.", weights)
        self._pnet_dtype = torch.float16 if self._device.type == "cuda" else torch.float32
        self._pnet.to(dtype=self._pnet_dtype)

    @classmethod
    def load(
        cls,
        min_face: float = 20.0,
        thresholds: Thresholds = (0.6, 0.7, 0.2),
        factor: float = 0.709,
        device: str | torch.device | None = None,
    ) -> "MTCNN":
        """Return the detector with the pretrained weights from this machine's cache.

        Raises:
            WeightsError: they are not there, or corrupt.
        """
        return cls(load_weights("mtcnn"), min_face=min_face, thresholds=thresholds, factor=factor, device=device)

    @torch.inference_mode()
    def detect(self, images: Sequence[Image], scales: Sequence[float] | None = None) -> list[Detections]:
        """Return the faces of each image, by descending score.

        Images of equal size share P-Net's passes, the crops of all images those of R-Net and O-Net; what else is in
        the batch changes an image's faces by no more than rounding in floating point.

        Args:
            images: (H, W, 3) uint8 RGB, upright; one that is smaller than the least face has no faces.
            scales: pixels of each image per pixel of its upright photo, none: all 1. `min_face` counts in pixels of
                the photo, but a face has to be at least 12 px high in the image, too.
        """
        faces = self._cascade([Octaves(image) for image in images], scales)
        faces = faces.move().suppress(0.7, over="minimum")
        return [_detections(faces[faces.photo == index], image) for index, image in enumerate(images)]

    def explain(self, image: Image) -> list[Step]:
        """Return the windows that each of the three networks lets through, then the faces."""
        steps = [
            Step(f"{len(box):,} windows after {name}", image, box)
            for count, name in enumerate(("P-Net", "R-Net", "O-Net"), start=1)
            for box in self.propose([image], count)
        ]
        return [*steps, last_step(image, self.detect([image])[0])]

    @torch.inference_mode()
    def propose(self, images: Sequence[Image], networks: int) -> list[NDArray[np.float32]]:
        """Return the boxes (N, 4) of each image that the first networks let through: what the next one looks at.

        Args:
            images: (H, W, 3) uint8 RGB, upright.
            networks: how many, 1 to 3; of the last one, before its regression moves them.
        """
        faces = self._cascade([Octaves(image) for image in images], None, networks)
        return [faces.box[faces.photo == index] for index in range(len(images))]

    def _cascade(self, photos: Sequence[Octaves], scales: Sequence[float] | None, networks: int = 3) -> Candidates:
        faces = self._propose(photos, [1.0] * len(photos) if scales is None else scales)
        faces = faces.suppress(0.5, by_level=True).move().suppress(0.7)
        if networks > 1:
            faces = self._look_closer(self._rnet, photos, faces, self.thresholds[1])
            faces = faces.suppress(0.7).move()
        if networks > 2:
            faces = self._look_closer(self._onet, photos, faces, self.thresholds[2])
        return faces

    @property
    def _pixels_at_once(self) -> int:
        if self._device.type == "cuda":
            return _PIXELS_AT_ONCE["cuda"]
        return _PIXELS_AT_ONCE["cpu"] * torch.get_num_threads()

    def _propose(self, photos: Sequence[Octaves], scales: Sequence[float]) -> Candidates:
        """Return the windows of each photo's pyramid in which P-Net suspects a face."""
        pictures = defaultdict(list)  # size: (level, photo, picture, its pixels' width and height)
        level = 0
        for index, (photo, scale) in enumerate(zip(photos, scales, strict=True)):
            height, width = photo.image.shape[:2]
            least = max(self.min_face * scale, PNet.window)
            for step in pyramid_scales(width, height, window=PNet.window, min_face=least, factor=self.factor):
                picture, pixel = photo.resized(step)
                pictures[picture.shape].append((level, index, picture, pixel))
                level += 1
        found = []
        for group in pictures.values():
            levels, indices, images, pixels = zip(*group, strict=True)
            for windows in slide_window(
                lambda band: self._pnet(self._to_input(band, self._pnet_dtype)),
                images,
                window=PNet.window,
                stride=PNet.stride,
                threshold=self.thresholds[0],
                pixels_at_once=self._pixels_at_once,
            ):
                corners = np.concatenate([windows.corner, windows.corner + PNet.window], axis=1)  # (N, 4)
                box = corners * np.array(pixels)[windows.image][:, [0, 1, 0, 1]]
                found.append(
                    Candidates(
                        photo=np.array(indices)[windows.image],
                        level=np.array(levels)[windows.image],
                        box=box.astype(np.float32),
                        score=windows.score,
                        offsets=windows.offsets,
                        landmarks=np.zeros((len(box), 5, 2), dtype=np.float32),
                    )
                )
        return concatenate(found)

    def _look_closer(
        self, network: RNet | ONet, photos: Sequence[Octaves], faces: Candidates, threshold: float
    ) -> Candidates:
        """Return those faces, in square boxes, whose crops the network scores higher than `threshold`."""
        box = boxes.square(faces.box)
        passed = []
        for first in range(0, len(faces), self._crops_at_once):
            chosen = slice(first, first + self._crops_at_once)
            part, window = faces[chosen], box[chosen]
            crops = [photos[photo].crop(edges, network.window) for photo, edges in zip(part.photo, window, strict=True)]
            score, offsets, *landmarks = (
                output.cpu().numpy() for output in network(self._to_input(crops, torch.float32))
            )
            side = window[:, None, 2:] - window[:, None, :2]  # (N, 1, 2)
            points = window[:, None, :2] + landmarks[0] * side if landmarks else part.landmarks
            seen = Candidates(part.photo, part.level, window, score, offsets, points)
            passed.append(seen[score > threshold])
        return concatenate(passed)

    def _prepare(self, network: Network, prefix: str, weights: Mapping[str, Tensor]) -> Network:
        network.load_state_dict(part_of(weights, prefix))
        return network.eval().to(self._device).to(memory_format=torch.channels_last)

    def _to_input(self, images: Sequence[Image], dtype: torch.dtype) -> Tensor:
        """Return N images (H, W, 3) of one size as the networks want them: (N, 3, H, W), channels last in memory."""
        values = torch.from_numpy(np.stack(images)).to(self._device, dtype)
        return values.sub_(127.5).div_(128).permute(0, 3, 1, 2)


def _detections(faces: Candidates, image: Image) -> Detections:
    height, width = image.shape[:2]
    box = boxes.clip(faces.box, width, height)
    seen = boxes.area(box) > 0
    return Detections(boxes=box[seen], scores=faces.score[seen], landmarks=faces.landmarks[seen])
