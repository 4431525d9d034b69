"""What holds for any boxes and any bytes."""

import io
from datetime import datetime
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from facepipe.errors import PhotoError
from facepipe.evaluation.detection import evaluate_detections
from facepipe.imaging import boxes
from facepipe.imaging.dates import FIRST_PHOTO_YEAR, date_in_name
from facepipe.imaging.decode import check_header, decode_photo
from facepipe.imaging.pyramid import pyramid_scales
from facepipe.imaging.sniff import sniff_media_type
from facepipe.imaging.xmp import read_xmp


@st.composite
def some_boxes(draw: st.DrawFn, largest: int = 25) -> np.ndarray:
    """(N, 4) boxes with whole corners, so that equal ones and touching edges are common."""
    corner = draw(hnp.arrays(np.int64, st.tuples(st.integers(0, largest), st.just(2)), elements=st.integers(-20, 20)))
    size = draw(hnp.arrays(np.int64, corner.shape, elements=st.integers(0, 20)))
    return np.concatenate([corner, corner + size], axis=1).astype(np.float64)


@given(some_boxes(), some_boxes(), st.sampled_from(["union", "minimum"]))
def test_overlap_is_symmetric_and_a_share(first: np.ndarray, second: np.ndarray, over: boxes.Overlap) -> None:
    share = boxes.overlap(first, second, over)
    assert ((share >= 0) & (share <= 1)).all()
    np.testing.assert_array_equal(share, boxes.overlap(second, first, over).T)
    if len(first) and over == "union":
        assert (np.diag(boxes.iou(first, first))[boxes.area(first) > 0] == 1).all()


@given(some_boxes(), st.floats(0, 1), st.sampled_from(["union", "minimum"]), st.randoms(use_true_random=False))
def test_nms_keeps_the_best_and_each_dropped_box_has_a_reason(
    box_xyxy: np.ndarray, threshold: float, over: boxes.Overlap, random: Random
) -> None:
    score = np.array([random.randint(0, 5) / 5 for _ in range(len(box_xyxy))])
    kept = boxes.nms(box_xyxy, score, threshold, over)
    assert len(set(kept.tolist())) == len(kept)
    assert (np.diff(score[kept]) <= 0).all()
    among = boxes.overlap(box_xyxy[kept], box_xyxy[kept], over)
    np.fill_diagonal(among, 0)
    assert (among <= threshold).all()
    for dropped in set(range(len(box_xyxy))) - set(kept.tolist()):
        better = kept[score[kept] >= score[dropped]]
        assert (boxes.overlap(box_xyxy[better], box_xyxy[[dropped]], over) > threshold).any()


@given(some_boxes(), st.integers(1, 15), st.integers(1, 15))
def test_clipping_keeps_exactly_what_lies_inside(box_xyxy: np.ndarray, width: int, height: int) -> None:
    clipped = boxes.clip(box_xyxy, width, height)
    whole = np.array([[0.0, 0, width, height]])
    np.testing.assert_allclose(boxes.area(clipped), boxes.intersection(box_xyxy, whole)[:, 0])
    np.testing.assert_array_equal(boxes.clip(clipped, width, height), clipped)


@given(st.integers(1, 5000), st.integers(1, 5000), st.floats(12, 200), st.floats(0.2, 0.95))
def test_every_scale_fits_the_window_and_the_next_one_would_not(
    width: int, height: int, min_face: float, factor: float
) -> None:
    scales = pyramid_scales(width, height, window=12, min_face=min_face, factor=factor)
    side = min(width, height)
    assert all(side * scale >= 12 - 1e-4 for scale in scales)
    assert bool(scales) == (side >= min_face)
    if scales:
        assert scales[0] == pytest.approx(12 / min_face)
        assert side * scales[-1] * factor < 12 + 1e-4


@given(some_boxes(12), some_boxes(12), st.integers(0, 12))
def test_figures_are_shares_and_found_faces_are_never_counted_twice(
    found: np.ndarray, truth: np.ndarray, least: int
) -> None:
    score = np.linspace(1, 0, len(found))
    figures = evaluate_detections([found], [score], [truth], least)
    assert 0 <= figures.average_precision <= figures.recall <= 1
    assert 0 <= figures.precision <= 1
    assert figures.recall * figures.faces <= min(len(found), len(truth)) + 1e-9


def encoded(encoder: str) -> bytes:
    pixels = np.random.default_rng(9).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0110] = "camera"
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, encoder, exif=exif)
    return file.getvalue()


PHOTOS = {encoder: encoded(encoder) for encoder in ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")}


@settings(max_examples=300)
@given(
    st.sampled_from(sorted(PHOTOS)),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    st.floats(0, 1),
)
def test_damaged_photos_decode_or_raise_a_photo_error(
    encoder: str, changes: list[tuple[float, int]], keep: float
) -> None:
    data = bytearray(PHOTOS[encoder])
    for place, value in changes:
        data[int(place * len(data))] = value
    damaged = bytes(data) if keep > 0.5 else bytes(data[: int(2 * keep * len(data))])
    try:
        photo = decode_photo(damaged, 64, 10**6)
    except PhotoError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
    else:
        assert photo.pixels.dtype == np.uint8
        assert photo.pixels.shape[2] == 3
        assert max(photo.pixels.shape) <= 64


@given(st.binary(max_size=200))
def test_any_bytes_are_sniffed_and_refused_cleanly(data: bytes) -> None:
    sniff_media_type(data)
    try:
        check_header(data, 10**6)
    except PhotoError:
        return


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 320), st.sampled_from(["JPEG", "PNG"]))
@settings(max_examples=60)
def test_a_photo_is_never_enlarged_and_fits_the_longest_side(
    width: int, height: int, max_side: int, encoder: str
) -> None:
    file = io.BytesIO()
    Image.new("RGB", (width, height)).save(file, encoder)
    photo = decode_photo(file.getvalue(), max_side, 10**6)
    assert (photo.width, photo.height) == (width, height)
    longest = max(width, height)
    rows, columns = photo.pixels.shape[:2]
    if encoder == "PNG":
        assert max(rows, columns) == min(longest, max_side)
    else:  # nearly so, where a reduced scale comes near enough
        assert min(longest, round(0.9 * max_side)) <= max(rows, columns) <= max_side
    assert abs(rows - height * max(rows, columns) / longest) <= 1
    assert abs(columns - width * max(rows, columns) / longest) <= 1


@given(st.text() | st.from_regex(r"\A.{0,9}[12]\d{3}([-_. ]?)\d\d\1\d\d.{0,3}\d{0,9}.*\Z"))
def test_any_name_holds_a_sensible_date_or_none(name: str) -> None:
    found = date_in_name(name)
    assert found is None or (found.year >= FIRST_PHOTO_YEAR and found.tzinfo is None)


@given(
    st.datetimes(datetime(1826, 1, 1), datetime(2026, 1, 1)), st.sampled_from(["%Y%m%d_%H%M%S", "%Y-%m-%d %H.%M.%S"])
)
def test_a_date_written_into_a_name_is_found_again(time: datetime, how: str) -> None:
    time = time.replace(microsecond=0)
    assert date_in_name(f"IMG_{time.strftime(how).rjust(15, '0')}.jpg") == time


@given(st.binary() | st.text(alphabet="<>/&;!x:='\" ").map(str.encode))
def test_any_packet_is_read_without_an_error(packet: bytes) -> None:
    assert isinstance(read_xmp(packet), dict)
