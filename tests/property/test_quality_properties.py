"""What must hold of face measures whatever the photo."""

import cv2
import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from facepipe.alignment.pose import MEAN_FACE, estimate_pose
from facepipe.models.face_quality import load_quality
from facepipe.stages.measure_faces import measure_faces
from facepipe.stages.pixels import PhotoPixels

Image = npt.NDArray[np.uint8]
QUALITY = load_quality()
SLACK = 0.02  # resampling moves a measure a little either way


def picture(seed: int, side: int = 256, sizes: int = 6) -> Image:
    """Blobs of so many sizes, of a half, a quarter, … of the side, the finer the fainter, as in faces."""
    rng = np.random.default_rng(seed)
    planes = np.zeros((side, side, 3))
    for level in range(1, sizes + 1):
        planes += 0.6**level * cv2.resize(rng.normal(0, 1, (2**level, 2**level, 3)), (side, side))
    pixels: Image = np.clip(120 + 45 * (planes - planes.mean()) / planes.std(), 0, 255).astype(np.uint8)
    return pixels


def judged(image: Image, score: float = 0.999) -> float:
    """The quality of a face that fills three quarters of a picture."""
    side = image.shape[0]
    box = np.array([[0.15, 0.1, 0.85, 0.9]]) * side
    landmarks = (MEAN_FACE[:, :2] / 62 * 0.3 * side + side / 2)[None]
    return float(QUALITY(measure_faces(PhotoPixels(image, 1.0), box, np.array([score]), landmarks))[0])


@given(seed=st.integers(0, 10_000), blurs=st.lists(st.floats(0.3, 12), min_size=2, max_size=2, unique=True))
@settings(max_examples=40, deadline=None)
def test_more_blur_never_raises_quality(seed: int, blurs: list[float]) -> None:
    image = picture(seed, sizes=5)  # finer blobs pass for noise, which a little blur mends
    less, more = (judged(np.asarray(cv2.GaussianBlur(image, (0, 0), blur), np.uint8)) for blur in sorted(blurs))
    assert more <= less + SLACK
    assert less <= judged(image) + SLACK


@given(seed=st.integers(0, 10_000), side=st.integers(40, 256), share=st.floats(0.3, 0.8))
@settings(max_examples=40, deadline=None)
def test_fewer_pixels_never_raise_quality(seed: int, side: int, share: float) -> None:
    image = picture(seed)
    smaller, larger = (
        judged(np.asarray(cv2.resize(image, (pixels, pixels), interpolation=cv2.INTER_AREA), np.uint8))
        for pixels in (round(side * share), side)
    )
    assert smaller <= larger + SLACK


@given(seed=st.integers(0, 10_000), scores=st.lists(st.floats(0, 1), min_size=2, max_size=2))
@settings(max_examples=30, deadline=None)
def test_a_surer_detector_never_lowers_quality(seed: int, scores: list[float]) -> None:
    image = picture(seed, 64)
    assert judged(image, min(scores)) <= judged(image, max(scores))


@given(points=st.lists(st.floats(-1e5, 1e5, width=32), min_size=10, max_size=10))
@settings(max_examples=100, deadline=None)
def test_poses_are_angles_whatever_the_landmarks(points: list[float]) -> None:
    pose = estimate_pose(np.array(points).reshape(1, 5, 2))
    assert abs(pose.yaw[0]) <= 90
    assert abs(pose.pitch[0]) <= 180
    assert abs(pose.roll[0]) <= 180


@given(
    yaw=st.floats(-70, 70),
    roll=st.floats(-180, 180),
    scale=st.floats(0.1, 50),
    shift=st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)),
)
@settings(max_examples=60, deadline=None)
def test_a_turn_of_the_photo_changes_the_roll_alone(
    yaw: float, roll: float, scale: float, shift: tuple[float, float]
) -> None:
    side = np.radians(yaw)
    depth = MEAN_FACE - MEAN_FACE.mean(axis=0)
    flat = np.stack([depth[:, 0] * np.cos(side) - depth[:, 2] * np.sin(side), depth[:, 1]], axis=1)
    angle = np.radians(roll)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    pose = estimate_pose((scale * flat @ turn.T + np.array(shift))[None])
    np.testing.assert_allclose([pose.yaw[0], pose.pitch[0]], [yaw, 0], atol=1e-3)
    assert abs((pose.roll[0] - roll + 180) % 360 - 180) < 1e-3
