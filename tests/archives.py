"""Archives of photos, as programs for training data write them."""

import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def write_tar(path: Path, members: Mapping[str, bytes], tar_format: int = tarfile.PAX_FORMAT) -> Path:
    """Write a tar file; names may hold surrogate escapes."""
    with tarfile.open(path, "w", format=tar_format, encoding="utf-8", errors="surrogateescape") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def write_parquet(path: Path, photos: Sequence[bytes | None], column: str = "image", rows_a_group: int = 100) -> Path:
    """Write a Parquet file with a column of photos, and one of labels beside it."""
    table = pa.table({"label": pa.array(range(len(photos)), pa.int64()), column: pa.array(photos, pa.binary())})
    pq.write_table(table, path, row_group_size=rows_a_group)
    return path


def write_hugging_face_parquet(path: Path, photos: Sequence[bytes | None]) -> Path:
    """Write a Parquet file with a struct of bytes and path, as Hugging Face's datasets have it."""
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    rows = [None if photo is None else {"bytes": photo, "path": f"{i}.jpg"} for i, photo in enumerate(photos)]
    pq.write_table(pa.table({"image": pa.array(rows, kind)}), path)
    return path
