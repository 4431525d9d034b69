import numpy as np
import numpy.typing as npt
import pytest

from facepipe.evaluation.degrade import KINDS, LEAST_HEIGHT, degrade

BOX = np.array([60.0, 50.0, 140.0, 150.0])


def photo() -> npt.NDArray[np.uint8]:
    rng = np.random.default_rng(2)
    small = rng.integers(0, 256, (25, 25, 3))
    return np.kron(small, np.ones((8, 8, 1))).astype(np.uint8)  # (200, 200, 3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("strength", [0.02, 0.5, 0.98])
def test_each_kind_changes_the_photo_and_says_where_the_face_is(kind: str, strength: float) -> None:
    image = photo()
    worse, box = KINDS[kind](image, BOX, strength, np.random.default_rng(4))
    assert worse.dtype == np.uint8
    assert worse.ndim == 3
    assert worse.shape[2] == 3
    assert worse.size > 0
    assert np.isfinite(box).all()
    assert (box[2:] > box[:2]).all()
    if strength > 0.4:
        assert worse.shape != image.shape or (worse != image).any()
    assert (image == photo()).all()  # the original stays as it is


def test_the_box_follows_what_moves() -> None:
    image = np.zeros((200, 200, 3), np.uint8)
    image[50:150, 60:140] = 255  # the face
    for kind in ("rotate", "shrink", "cut"):
        worse, box = KINDS[kind](image, BOX, 0.7, np.random.default_rng(1))
        rows, columns = np.nonzero(worse[:, :, 0] > 127)
        seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        expected = np.clip(box, 0, np.array([worse.shape[1], worse.shape[0]] * 2))
        np.testing.assert_allclose(seen, expected, atol=3)


def test_faces_never_shrink_below_the_least_height() -> None:
    rng = np.random.default_rng(8)
    for _ in range(20):
        _, box = KINDS["shrink"](photo(), BOX, 1.0, rng)
        assert box[3] - box[1] >= LEAST_HEIGHT - 1e-6


def test_a_seed_repeats_a_copy() -> None:
    first, again, other = (degrade(photo(), BOX, np.random.default_rng(seed)) for seed in (6, 6, 7))
    assert first.kinds == again.kinds
    assert 1 <= len(first.kinds) <= 3
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert (
        other.kinds != first.kinds or other.pixels.shape != first.pixels.shape or (other.pixels != first.pixels).any()
    )
