"""Which decoder reads which media type, opened directly: no other one is let near the bytes."""

import io
from collections.abc import Callable

from PIL import AvifImagePlugin, Image, features
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Jpeg2KImagePlugin import Jpeg2KImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from facepipe.errors import ErrorCode, PhotoError
from facepipe.imaging.camera_raw import RAW_TYPES, open_preview

AvifImagePlugin.DEFAULT_MAX_THREADS = 1  # photos are decoded beside each other already
Image.MAX_IMAGE_PIXELS = None  # our own limit, checked from the header, takes the place of Pillow's fixed one


def open_photo(data: bytes, media_type: str) -> Image.Image:
    """Return a photo opened by the decoder of its media type: its header is read, its pixels aren't.

    Args:
        data: the whole file.
        media_type: as `sniff_media_type` or `camera_raw_type` tells it.

    Raises:
        PhotoError: unsupported, where there is no decoder for it, or none is installed.
        Exception: anything else the decoder raises on damaged bytes.
    """
    if media_type in RAW_TYPES:
        return open_preview(data)
    if media_type not in _OPENERS:
        raise PhotoError(ErrorCode.UNSUPPORTED, f"files of type {media_type} are not supported")
    feature = _FEATURES.get(media_type)
    if feature and not features.check(feature):
        message = f"files of type {media_type} need a Pillow built with {feature}: its wheels from PyPI are"
        raise PhotoError(ErrorCode.UNSUPPORTED, message)
    return _OPENERS[media_type](io.BytesIO(data))


def _open_heif(file: io.BytesIO) -> Image.Image:
    try:
        import pillow_heif
    except ImportError as error:
        message = "HEIC photos need pillow-heif: install facepipe[heic]"
        raise PhotoError(ErrorCode.UNSUPPORTED, message) from error
    pillow_heif.options.DECODE_THREADS = 1
    pillow_heif.options.THUMBNAILS = pillow_heif.options.DEPTH_IMAGES = pillow_heif.options.AUX_IMAGES = False
    opened: Image.Image = pillow_heif.HeifImageFile(file)  # type: ignore[no-untyped-call]
    return opened


_OPENERS: dict[str, Callable[[io.BytesIO], Image.Image]] = {
    "image/jpeg": JpegImageFile,
    "image/png": PngImageFile,
    "image/webp": WebPImageFile,
    "image/gif": GifImageFile,
    "image/bmp": BmpImageFile,
    "image/tiff": TiffImageFile,
    "image/jp2": Jpeg2KImageFile,
    "image/avif": AvifImageFile,
    "image/heic": _open_heif,
}
_FEATURES = {"image/webp": "webp", "image/avif": "avif", "image/jp2": "jpg_2000"}

READABLE_TYPES = frozenset(_OPENERS) | RAW_TYPES  # those of optional decoders too
