import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from facepipe.alignment.pose import MEAN_FACE, estimate_pose, share_inside

Floats = npt.NDArray[np.float64]
FRONTAL = MEAN_FACE[:, :2]


def turned(yaw: float, pitch: float, roll: float, face: Floats = MEAN_FACE) -> Floats:
    """The mean face turned in space and seen from afar: (1, 5, 2). Signs as the docstring of Pose has them."""
    rotation = Rotation.from_euler("ZYX", [roll, -yaw, -pitch], degrees=True).as_matrix()
    seen: Floats = (face @ rotation.T)[None, :, :2]
    return seen


def angles(landmarks: Floats) -> list[float]:
    return [float(angle[0]) for angle in estimate_pose(landmarks)]


@pytest.mark.parametrize("yaw", [-80, -30, 0, 45, 80])
@pytest.mark.parametrize("pitch", [-40, 0, 25])
@pytest.mark.parametrize("roll", [-170, -20, 0, 90])
def test_a_turned_model_gives_back_its_angles(yaw: float, pitch: float, roll: float) -> None:
    landmarks = 0.7 * turned(yaw, pitch, roll) + [300, 200]
    assert angles(landmarks) == pytest.approx([yaw, pitch, roll], abs=1e-4)


def test_signs_are_those_that_one_sees() -> None:
    nose_to_the_right, nose_up = FRONTAL.copy(), FRONTAL.copy()
    nose_to_the_right[2, 0] += 10
    nose_up[2, 1] -= 10
    right_eye_lower = FRONTAL.copy()
    right_eye_lower[[1, 4], 1] += 15
    assert angles(nose_to_the_right[None])[0] > 10
    assert angles(nose_up[None])[1] > 10
    assert angles(right_eye_lower[None])[2] > 5


def test_a_mirrored_face_looks_the_other_way() -> None:
    landmarks = turned(20, 10, -15)
    mirrored = (landmarks * [-1, 1])[:, [1, 0, 2, 4, 3]]
    assert angles(mirrored) == pytest.approx([-20, 10, 15], abs=1e-6)


def test_errors_of_the_landmarks_cost_a_few_degrees() -> None:
    seed = 3
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    for yaw in (-60.0, 0.0, 30.0):
        landmarks = np.repeat(turned(yaw, 5, 10), 300, axis=0)
        noisy = estimate_pose(landmarks + rng.normal(0, 0.03 * 62, landmarks.shape))  # 3 % of the eyes' distance
        assert np.abs(noisy.yaw - yaw).mean() < 5
        assert np.abs(noisy.pitch - 5).mean() < 6
        assert np.abs(noisy.roll - 10).mean() < 3


def test_no_faces() -> None:
    pose = estimate_pose(np.zeros((0, 5, 2), np.float32))
    assert [len(angle) for angle in pose] == [0, 0, 0]


def test_agrees_with_a_model_of_68_points(data: Path) -> None:
    """Yaw and roll from five points against the pose of all 68 annotated ones, whose own 3D model the faces give."""
    points: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with (data / "faces68" / "landmarks.csv").open() as lines:
        for row in csv.DictReader(lines):
            points.setdefault((row["image"], row["face"]), []).append((float(row["x"]), float(row["y"])))
    faces = np.array(list(points.values()))  # (43, 68, 2)
    eyes = [faces[:, 36:42].mean(axis=1), faces[:, 42:48].mean(axis=1)]
    five = np.stack([*eyes, faces[:, 30], faces[:, 48], faces[:, 54]], axis=1)
    truth, ours = pose_of_68_points(faces), estimate_pose(five)
    yaw_error = np.abs(ours.yaw - truth[:, 0]).mean()
    roll_error = np.abs(ours.roll - truth[:, 2]).mean()
    print(f"mean error: yaw {yaw_error:.2f}, roll {roll_error:.2f}")
    print(f"correlation of pitch: {np.corrcoef(ours.pitch, truth[:, 1])[0, 1]:.3f}")
    assert yaw_error < 5
    assert roll_error < 2
    assert np.corrcoef(ours.yaw, truth[:, 0])[0, 1] > 0.98
    assert np.corrcoef(ours.pitch, truth[:, 1])[0, 1] > 0.75


# iBUG's points seen in a mirror: jaw, brows, nose, eyes, mouth.
MIRROR = [*range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, *range(35, 30, -1), 45, 44, 43, 42, 47, 46]
MIRROR += [39, 38, 37, 36, 41, 40, *range(54, 47, -1), *range(59, 54, -1), *range(64, 59, -1), 67, 66, 65]


def pose_of_68_points(faces: Floats) -> Floats:
    """(N, 3) yaw, pitch, roll by alternating a rigid 3D shape of 68 points with each face's view of it."""
    both = np.concatenate([faces, (faces * [-1, 1])[:, MIRROR]])
    both = both - both.mean(axis=1, keepdims=True)
    both /= np.sqrt((both**2).mean(axis=(1, 2), keepdims=True))
    rough = np.array([[*point, 0.0] for point in both.mean(axis=0)])  # flat but for the nose, to choose a side
    rough[27:36, 2] = -0.5
    rough[0:17, 2] = 0.7
    shape = rough - rough.mean(axis=0)
    for _ in range(300):
        views, scales = views_of(both, shape)
        flat = both / scales[:, None, None]
        shape = np.linalg.solve(np.einsum("nik,nil->kl", views, views), np.einsum("npi,nik->kp", flat, views)).T
        shape -= shape.mean(axis=0)
    views = views_of(both, shape)[0][: len(faces)]
    rotations = np.concatenate([views, np.cross(views[:, 0], views[:, 1])[:, None]], axis=1)
    roll, yaw, pitch = Rotation.from_matrix(rotations).as_euler("ZYX", degrees=True).T
    return np.stack([-yaw, -pitch, roll], axis=1)


def views_of(faces: Floats, shape: Floats) -> tuple[Floats, Floats]:
    """The upper rows of each face's rotation (N, 2, 3) and its scale (N,)."""
    linear = np.stack([np.linalg.lstsq(shape, face, rcond=None)[0].T for face in faces])
    left, lengths, right = np.linalg.svd(linear, full_matrices=False)
    return left @ right, lengths.mean(axis=1)


def test_share_inside() -> None:
    landmarks = (FRONTAL + np.array([200, 150]))[None]
    assert share_inside(landmarks, 400, 300)[0] == pytest.approx(1)
    middle = 200.0
    assert share_inside(landmarks, middle, 300)[0] == pytest.approx(0.5)  # the right half is cut off
    assert share_inside(landmarks - np.array([1000, 0]), 400, 300).tolist() == [0.0]
    assert share_inside(np.zeros((0, 5, 2)), 400, 300).shape == (0,)
