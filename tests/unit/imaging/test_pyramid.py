import pytest

from facepipe.imaging.pyramid import pyramid_scales


def slow_scales(width, height, window, min_face, factor):
    scales, scale = [], window / min_face
    while min(width, height) * scale >= window:
        scales.append(scale)
        scale *= factor
    return scales


@pytest.mark.parametrize("size", [(640, 480), (20, 20), (250, 250), (4000, 33), (2048, 1536)])
@pytest.mark.parametrize("factor", [0.5, 0.709, 0.9])
@pytest.mark.parametrize("min_face", [12.0, 20.0, 33.3])
def test_scales_equal_their_slow_twin(size, factor, min_face):
    expected = slow_scales(*size, 12, min_face, factor)
    assert pyramid_scales(*size, window=12, min_face=min_face, factor=factor) == pytest.approx(expected)


def test_a_photo_smaller_than_the_least_face_has_no_scales():
    assert pyramid_scales(100, 19, window=12, min_face=20, factor=0.7) == []
    assert pyramid_scales(100, 0, window=12, min_face=20, factor=0.7) == []


def test_a_photo_just_as_large_as_the_least_face_has_one():
    assert pyramid_scales(20, 30, window=12, min_face=20, factor=0.7) == pytest.approx([0.6])
