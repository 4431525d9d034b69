"""The scales at which a detector with a window of fixed size looks at a photo."""

import math


def pyramid_scales(width: int, height: int, *, window: int, min_face: float, factor: float) -> list[float]:
    """Return the scales of an image pyramid, largest first.

    The first scale makes a face of `min_face` pixels as large as the window; each next one is `factor` times smaller;
    the last is the smallest at which the window still fits into the photo. (Zhang et al. 2016, section II.A: the
    input is resized to different scales to build an image pyramid.)

    Args:
        width: of the photo, in pixels.
        height: likewise.
        window: side of the detector's window, in pixels.
        min_face: side of the least face, in pixels of the photo.
        factor: ratio between neighbouring scales, between 0 and 1.

    Returns:
        Resized pixels per pixel of the photo; empty where the photo is smaller than the least face.
    """
    first = window / min_face
    steps = math.log(window / (min(width, height) * first)) / math.log(factor) if min(width, height) > 0 else -1
    return [first * factor**step for step in range(math.floor(steps + 1e-9) + 1)]
