"""What a file's name promises: a photo, a film, an archive of photos."""

import os

PHOTOS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".gif"}
    | {".heic", ".heif", ".hif", ".avif", ".jxl", ".jp2"}
    | {".cr2", ".cr3", ".nef", ".nrw", ".arw", ".sr2", ".dng", ".raf", ".orf", ".rw2", ".pef", ".srw"}
)
VIDEOS = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".avi", ".mkv", ".webm", ".wmv", ".asf", ".flv", ".ogv", ".vob", ".mts", ".m2ts"}
    | {".mpg", ".mpeg", ".mpe", ".m2v", ".3gp", ".3g2"}
)
COMPRESSED_TARS = (
    *(".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz", ".txz", ".tar.zst", ".tzst"),
    *(".tar.lz4", ".tar.lz", ".tar.lzma", ".tar.z", ".tar.br"),
)


def is_photo_name(name: str) -> bool:
    """Return whether folders and archives are searched for files of such a name."""
    return _extension(name) in PHOTOS


def is_video_name(name: str) -> bool:
    """Return whether a file of such a name is a film, which is counted and left alone."""
    return _extension(name) in VIDEOS


def is_tar_name(name: str) -> bool:
    """Return whether a file of such a name is searched for members."""
    return _extension(name) == ".tar"


def is_compressed_tar_name(name: str) -> bool:
    """Return whether a file of such a name is an archive without access to single members."""
    return name.lower().endswith(COMPRESSED_TARS)


def is_parquet_name(name: str) -> bool:
    """Return whether a file of such a name holds a photo a row."""
    return _extension(name) == ".parquet"


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path for each of many files is slow
