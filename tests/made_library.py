"""A library of made-up faces: each person's vectors lie around a direction of their own, one face a photo."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facepipe.library.library import Library
from tests.library_rows import file_rows, photo_id_of, table_of

DIMENSION = 512
SPREAD = 0.5


def photo_name(person: str, number: int) -> str:
    return f"{person}{number}"


def face_id(person: str, number: int) -> str:
    """Return the id of a person's face on their photo of that number."""
    return f"{photo_id_of(photo_name(person, number))}-0001"


def add_photos(
    library: Path, people: Sequence[tuple[str, int]], first: int = 0, model: str = "mtcnn+facenet-casia-webface"
) -> None:
    """Add photos with one face each to a library, made where there is none.

    Args:
        library: its folder.
        people: who, and on how many photos; a person's vectors depend on name and number alone.
        first: the number of each one's first photo.
        model: what the faces are said to come from.
    """
    opened = Library.create_or_open(library)
    names = [(person, number) for person, count in people for number in range(first, first + count)]
    batch = f"batch-{first}-{len(opened.read('photos'))}"
    with opened.writer("test") as writer:
        writer.append("files", file_rows(*(photo_name(*name) for name in names)))
        writer.append("faces", table_of("faces", [_face(person, number, batch) for person, number in names]))
        photos = [
            {
                "photo_id": photo_id_of(photo_name(*name)),
                "width": 640,
                "height": 480,
                "faces": 1,
                "extracted_with": model,
                "batch_id": batch,
            }
            for name in names
        ]
        writer.append("photos", table_of("photos", photos))


def _face(person: str, number: int, batch: str) -> dict[str, object]:
    around = _direction(person)
    vector = around + SPREAD * _direction(f"{person} {number}")
    return {
        "face_id": face_id(person, number),
        "photo_id": photo_id_of(photo_name(person, number)),
        "x0": 10.0,
        "y0": 20.0,
        "x1": 60.0,
        "y1": 80.0,
        "score": 0.99,
        "quality": 0.9,
        "crop": _crop(person),
        "embedding": (vector / np.linalg.norm(vector)).tolist(),
        "batch_id": batch,
    }


def _direction(name: str) -> np.ndarray:
    vector = np.random.default_rng(int(photo_id_of(name)[:12], 16)).normal(size=DIMENSION)
    unit: np.ndarray = vector / np.linalg.norm(vector)
    return unit


def _crop(person: str) -> bytes:
    colour = tuple(int(photo_id_of(person)[place : place + 2], 16) for place in (0, 2, 4))
    data = io.BytesIO()
    Image.new("RGB", (40, 40), colour).save(data, "JPEG")
    return data.getvalue()
