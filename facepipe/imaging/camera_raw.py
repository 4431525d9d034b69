"""Camera raw files: telling them from plain TIFF, and taking out the preview that the camera itself developed."""

import io
import itertools
from collections.abc import Iterator

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from facepipe.errors import ErrorCode, PhotoError

RAW_TYPES = frozenset(
    {
        "image/x-adobe-dng",
        "image/x-canon-cr2",
        "image/x-canon-cr3",
        "image/x-fuji-raf",
        "image/x-nikon-nef",
        "image/x-olympus-orf",
        "image/x-panasonic-rw2",
        "image/x-pentax-pef",
        "image/x-samsung-srw",
        "image/x-sony-arw",
        "image/x-dcraw",
    }
)  # the last one: of any other maker
_MAKERS = {
    "NIKON": "image/x-nikon-nef",
    "SONY": "image/x-sony-arw",
    "PENTAX": "image/x-pentax-pef",
    "RICOH": "image/x-pentax-pef",
    "SAMSUNG": "image/x-samsung-srw",
    "CANON": "image/x-canon-cr2",
}
_PHOTOMETRIC, _MAKE, _SUB_DIRECTORIES, _DNG_VERSION = 262, 271, 330, 50706
_MOSAIC = {32803, 34892}  # colour filter array (TIFF/EP), linear raw (DNG)
_MOST_DIRECTORIES = 16


def camera_raw_type(data: bytes) -> str | None:
    """Return which kind of raw file a TIFF is, such as `image/x-nikon-nef`, or None where it is a plain picture.

    It is raw where one of its directories holds a sensor's mosaic (or linear raw samples), or the first one says DNG.

    Args:
        data: the whole file; its directories may lie anywhere.
    """
    maker = ""
    try:
        for place, directory in enumerate(itertools.islice(_directories(data), _MOST_DIRECTORIES)):
            if place == 0:
                maker = str(directory.get(_MAKE, "")).upper()
                if _DNG_VERSION in directory:
                    return "image/x-adobe-dng"
            if directory.get(_PHOTOMETRIC) in _MOSAIC:
                return next((kind for name, kind in _MAKERS.items() if maker.startswith(name)), "image/x-dcraw")
    except Exception:  # noqa: BLE001 - hostile bytes raise anything inside the parser; the decoder will say what is wrong
        return None
    return None


def open_preview(data: bytes) -> Image.Image:
    """Return the largest preview inside a raw file, opened but not decoded, with the EXIF that tells which way is up.

    Raises:
        PhotoError: unsupported, where there is no preview, none of a known kind, or rawpy isn't installed; truncated,
            where the file is damaged.
    """
    try:
        import rawpy
    except ImportError as error:
        message = "camera raw files need rawpy: install facepipe[raw]"
        raise PhotoError(ErrorCode.UNSUPPORTED, message) from error
    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            preview = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError) as error:
        message = "the raw file holds no preview that can be read"
        raise PhotoError(ErrorCode.UNSUPPORTED, message) from error
    except rawpy.LibRawFileUnsupportedError as error:
        raise PhotoError(ErrorCode.UNSUPPORTED, "LibRaw doesn't know this kind of raw file") from error
    except rawpy.LibRawError as error:
        raise PhotoError(ErrorCode.TRUNCATED, f"the raw file is cut short or damaged: {error}") from error
    if isinstance(preview.data, bytes):  # a JPEG, with the camera's EXIF or one that LibRaw wrote
        return JpegImageFile(io.BytesIO(preview.data))
    image = Image.fromarray(np.ascontiguousarray(preview.data))
    image.info["exif"] = data  # a raw file that is a TIFF is its own EXIF block, and anything else is passed over
    return image


def _directories(data: bytes) -> Iterator[ImageFileDirectory_v2]:
    """Yield the directories of a TIFF: the first one, its sub-directories, the second one, …; each one once."""
    head = data[:16] if data[2:4] in {b"+\0", b"\0+"} else data[:8]  # BigTIFF, TIFF
    file, seen = io.BytesIO(data), {0}
    following = ImageFileDirectory_v2(head).next
    while following not in seen:
        directory = _directory(head, file, following)
        seen.add(following)
        yield directory
        inside = directory.get(_SUB_DIRECTORIES, ())
        for offset in inside if isinstance(inside, tuple) else (inside,):
            if isinstance(offset, int) and offset not in seen:
                seen.add(offset)
                yield _directory(head, file, offset)
        following = directory.next


def _directory(head: bytes, file: io.BytesIO, offset: int) -> ImageFileDirectory_v2:
    directory = ImageFileDirectory_v2(head)
    file.seek(offset)
    directory.load(file)
    return directory
