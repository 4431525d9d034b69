"""Pixels of any kind and colour space become 8-bit sRGB."""

import io
from functools import cache, lru_cache
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

Pixels = NDArray[np.uint8]
Space = Literal["L", "RGB", "CMYK"]

_PROFILE_SPACES: dict[str, Space] = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}  # as a profile's header names them
_LARGEST_PROFILE = 4 << 20  # bytes: those of printing presses reach 3 MB
_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC  # white becomes white, as in viewers
_FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION  # and black becomes black
_ALIKE = 2  # of 255: a profile that changes no colour by more is not worth applying
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0  # TIFF 6.0


def eight_bits(image: Image.Image) -> tuple[Pixels, Space]:
    """Return a loaded image's samples as 8 bits, with transparent parts shown on white.

    16 bits keep their upper eight (12 bits likewise); 32-bit and floating-point pictures are stretched from their least
    to their greatest value.

    Returns:
        Samples in the image's own colours: (h, w) uint8 grey, (h, w, 3) RGB, or (h, w, 4) CMYK (255: full ink), and
        which of the three they are.
    """
    if image.mode.startswith(("I", "F")):
        return _deep_grey(image), "L"
    if image.mode == "LAB":
        image = ImageCms.applyTransform(image, _lab_to_srgb()) or image
    if image.mode == "CMYK":
        return np.asarray(image), "CMYK"
    space: Space = "L" if image.mode in {"1", "L", "LA", "La"} else "RGB"
    if image.has_transparency_data:
        if image.mode == "La":
            image = image.convert("LA")  # premultiplied alpha converts to nothing else
        clear = image.convert("RGBA")
        shown = Image.new(space, image.size, "white")
        shown.paste(clear.convert(space), mask=clear.getchannel("A"))
        return np.asarray(shown), space
    return np.asarray(image if image.mode == space else image.convert(space)), space


def to_srgb(samples: Pixels, space: Space, profile: bytes | None = None) -> Pixels:
    """Return samples as sRGB, (h, w, 3) uint8; RGB that needs no conversion comes back uncopied.

    The embedded profile is applied by relative colorimetric intent with black-point compensation. It is passed over
    where it is broken, belongs to another colour space, or changes no colour by more than 2 of 255 (it is sRGB, or as
    good as). Grey pictures with an RGB profile are common and are converted as grey RGB.

    Args:
        samples: as `eight_bits` returns them.
        space: likewise.
        profile: ICC, as embedded; without one, grey and RGB are taken for sRGB, and CMYK for ideal inks.
    """
    transform = _transform(profile, space) if profile and len(profile) <= _LARGEST_PROFILE else None
    if transform is None and space == "L" and profile:
        samples, space = cv2.cvtColor(samples, cv2.COLOR_GRAY2RGB), "RGB"
        return to_srgb(samples, space, profile)
    if transform is not None:
        return np.asarray(_apply(_picture(samples, space), transform))
    if space == "L":
        return np.asarray(cv2.cvtColor(samples, cv2.COLOR_GRAY2RGB), dtype=np.uint8)
    return np.asarray(_picture(samples, space).convert("RGB")) if space == "CMYK" else samples


def _deep_grey(image: Image.Image) -> Pixels:
    tags = getattr(image, "tag_v2", {})  # Pillow leaves to the caller what a TIFF says of samples this deep
    if image.mode.startswith("I;16"):
        depth = 12 if tags.get(_BITS_PER_SAMPLE) == (12,) else 16
        values = np.asarray(image)
        grey = (values >> (depth - 8)).astype(np.uint8)
        if (clear := image.info.get("transparency")) is not None:
            grey[values == clear] = 255
    else:
        values = np.nan_to_num(np.asarray(image, dtype=np.float32))
        spread = float(np.ptp(values)) or 1.0
        grey = ((values - values.min()) * (255 / spread)).astype(np.uint8)
    return 255 - grey if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else grey


def _picture(samples: Pixels, space: Space) -> Image.Image:
    size = samples.shape[1], samples.shape[0]
    return Image.frombuffer(space, size, np.ascontiguousarray(samples), "raw", space, 0, 1)


def _apply(picture: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    return ImageCms.applyTransform(picture, transform) or picture  # None only where it is asked to work in place


@cache
def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@cache
def _lab_to_srgb() -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB", _INTENT, _FLAGS)


@lru_cache(maxsize=8)  # most albums come from a few cameras; a profile of 4 MB is kept with its transform
def _transform(profile: bytes, space: Space) -> ImageCms.ImageCmsTransform | None:
    """Return the way from a profile to sRGB, or None where there is none or it would change next to nothing."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if _PROFILE_SPACES.get(source.profile.xcolor_space.strip()) != space:
            return None
        transform = ImageCms.buildTransform(source, _srgb(), space, "RGB", _INTENT, _FLAGS)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if space == "CMYK":
        return transform
    probe = _probe(space)
    changed = np.asarray(_apply(_picture(probe, space), transform)).astype(np.int16)  # (n, n, 3)
    return transform if np.abs(changed - probe.reshape(*probe.shape[:2], -1)).max() > _ALIKE else None


def _probe(space: Space) -> Pixels:
    """Return colours all over the space: 256 greys, or 16 levels of red, green and blue each."""
    if space == "L":
        return np.arange(256, dtype=np.uint8).reshape(16, 16)
    levels = np.linspace(0, 255, 16).round().astype(np.uint8)
    return np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), axis=-1).reshape(64, 64, 3)
