import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from facepipe.stages.pixels import photos_of, pixel_column


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 5)), max_size=6), st.integers(0, 2**32 - 1))
def test_photos_come_back_as_they_were_laid(shapes: list[tuple[int, int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    images = [rng.integers(0, 255, (height, width, 3), dtype=np.uint8) for height, width in shapes]
    laid = b"".join(image.tobytes() for image in images)
    column = pixel_column(memoryview(laid), [image.size for image in images])
    column.validate(full=True)
    assert column.null_count == sum(image.size == 0 for image in images)
    widths = pa.array([width for _, width in shapes], pa.int32())
    heights = pa.array([height for height, _ in shapes], pa.int32())
    table = pa.table({"pixels": column, "pixel_width": widths, "pixel_height": heights, "width": widths})
    for image, photo in zip(images, photos_of(table), strict=True):
        if image.size:
            np.testing.assert_array_equal(photo.pixels, image)
        else:
            assert photo.pixels.size == 0


def test_nothing_is_copied() -> None:
    laid = np.arange(24, dtype=np.uint8)
    column = pixel_column(laid.data, [12, 0, 12])
    assert column.buffers()[2].address == laid.ctypes.data
