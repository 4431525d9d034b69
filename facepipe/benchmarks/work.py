"""What benchmarks work on: photos of a folder, in full, in pixels, as central crops, or enlarged to many megapixels."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from facepipe.config import Config
from facepipe.errors import WrongUsageError
from facepipe.stages.align_faces import crops_for

SUFFIXES = (".jpg", ".jpeg", ".png")
CENTRAL_SHARE = 126 / 250  # of each side: on LFW's photos the face
JPEG_QUALITY = 90


@dataclass(frozen=True)
class Work:
    """A benchmark's photos and settings.

    Attributes:
        paths: of the photos, sorted.
        config: settings, the same for everyone where they have such a setting.
        threads: that everyone computes with.
    """

    paths: tuple[Path, ...]
    config: Config
    threads: int

    @cached_property
    def pictures(self) -> list[Image.Image]:
        """The photos, decoded by Pillow."""
        return [Image.open(path).convert("RGB") for path in self.paths]

    @cached_property
    def crops(self) -> np.ndarray:
        """(N, S, S, 3) uint8 RGB, as large as the embedder wants them: each photo's central part, a face on LFW's."""
        size = crops_for(self.config.embed).size
        crops = np.empty((len(self.paths), size, size, 3), np.uint8)
        for crop, picture in zip(crops, self.pictures, strict=True):
            side = CENTRAL_SHARE * min(picture.size)
            left, top = (picture.width - side) / 2, (picture.height - side) / 2
            box = (left, top, left + side, top + side)
            crop[:] = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, box))
        return crops


def find_photos(folder: Path, limit: int | None) -> list[Path]:
    """Return a folder's photos, at every depth, sorted; at most `limit`, evenly spaced.

    Raises:
        WrongUsageError: there is none.
    """
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise WrongUsageError(f"{folder} holds no photos ({', '.join(SUFFIXES)}): name another folder by --images")
    if limit is None or limit >= len(paths):
        return paths
    return [paths[index * len(paths) // limit] for index in range(limit)]


def default_photos(name: str) -> Path:
    """Return where labelled photos lie by default: a folder of FACEPIPE_DATA.

    Raises:
        WrongUsageError: the variable is not set or names no such folder.
    """
    folder = Path(os.environ.get("FACEPIPE_DATA", "")) / name / "images"
    if not os.environ.get("FACEPIPE_DATA") or not folder.is_dir():
        raise WrongUsageError(f"say --images DIR, or set FACEPIPE_DATA to a folder that holds {name}/images")
    return folder


def enlarge(paths: list[Path], megapixels: float, folder: Path) -> list[Path]:
    """Write each photo as a JPEG of about so many megapixels into a folder, and return their paths."""
    enlarged = []
    for index, path in enumerate(paths):
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        scale = (megapixels * 1e6 / (picture.width * picture.height)) ** 0.5
        size = round(picture.width * scale), round(picture.height * scale)
        enlarged.append(folder / f"{index:04d}.jpg")
        picture.resize(size, Image.Resampling.BICUBIC).save(enlarged[-1], quality=JPEG_QUALITY)
    return enlarged


def limit_threads(threads: int) -> Any:
    """Return torch, limited to so many threads, as is OpenCV."""
    import cv2
    import torch

    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    return torch
