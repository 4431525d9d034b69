"""Face crops as JPEG files, named after the face and nothing else."""

import hashlib
import io
import re
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from PIL import Image

CROPS = pa.schema([("face_id", pa.string()), ("image", pa.string()), ("width", pa.int32()), ("height", pa.int32())])
_PLAIN = re.compile(r"[0-9a-f][0-9a-f-]{7,99}")


def file_stem(identifier: str) -> str:
    """Return a file name for a face or person id: the id itself where it is plain, otherwise its digest."""
    return identifier if _PLAIN.fullmatch(identifier) else hashlib.sha256(identifier.encode()).hexdigest()


def write_crops(faces: Iterable[pa.RecordBatch], hidden_face_ids: pa.Array | pa.ChunkedArray, folder: Path) -> pa.Table:
    """Write `faces/AB/ABCD….jpg` for each face that may be shown, and return where each one lies.

    Args:
        faces: with `face_id` and `crop` (JPEG bytes; null or damaged ones get no file), a batch in memory at a time.
        hidden_face_ids: faces that must not be written.
        folder: of the report.

    Returns:
        Rows of `CROPS`, in the order of `faces`: `image` is relative to `folder`, width and height are pixels.
    """
    made: set[Path] = set()
    rows: list[tuple[str, str, int, int]] = []
    for batch in faces:
        shown = batch.filter(pc.invert(pc.is_in(batch["face_id"], value_set=hidden_face_ids)))
        for face_id, crop in zip(shown["face_id"].to_pylist(), shown["crop"].to_pylist(), strict=True):
            size = jpeg_size(crop) if crop else None
            if size is None:
                continue
            stem = file_stem(face_id)
            image = Path("faces", stem[:2], f"{stem}.jpg")
            if image.parent not in made:
                (folder / image.parent).mkdir(parents=True, exist_ok=True)
                made.add(image.parent)
            (folder / image).write_bytes(crop)
            rows.append((face_id, image.as_posix(), *size))
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(CROPS)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, CROPS, strict=True)], schema=CROPS)


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return a JPEG's width and height in pixels from its header, or None where it is no JPEG."""
    try:
        with Image.open(io.BytesIO(data), formats=["JPEG"]) as image:
            return image.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
