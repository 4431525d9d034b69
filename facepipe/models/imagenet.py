"""AlexNet's weights from ImageNet, as torchvision publishes them, from a file that the user has; nothing is fetched."""

from pathlib import Path

import torch

from facepipe.errors import WeightsError
from facepipe.models.cache import home
from facepipe.models.pickles import load_pickle

NAME = "imagenet"
PATTERN = "alexnet-owt-*.pth"  # torchvision's name for them, with the beginning of their SHA-256


def read_imagenet(file: Path | None = None) -> dict[str, torch.Tensor]:
    """Return torchvision's state dict of AlexNet (`features.N`, `classifier.N`).

    Args:
        file: as torch saved it; None: the one that lies among facepipe's weights.

    Raises:
        WeightsError: there is none, or it is no plain state dict.
    """
    if file is None:
        folder = home() / "weights"
        found = sorted(folder.glob(PATTERN))
        if not found:
            raise WeightsError(
                f"there is no {PATTERN} in {folder}: put the file that torchvision publishes there, "
                "or name it with --init FILE.pth"
            )
        file = found[0]
    try:
        data = file.read_bytes()
    except OSError as error:
        raise WeightsError(f"cannot read {file}: {error.strerror}") from error
    return load_pickle(data, file.name)
