"""Faces are turned to the front: made ones exactly, and real ones by dlib's points."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from facepipe.alignment.aligning import FaceAligner
from facepipe.alignment.fiducials import (
    DetectorPoints,
    DlibPoints,
    Fiducials,
    each_face,
    scaled_orthography,
    start_from,
)
from facepipe.alignment.frontalize import Frontalizer
from facepipe.alignment.similarity import Canvas, align, apply, five_points, inverse
from facepipe.models.cache import find_status, verified_file
from facepipe.models.face_shape import FaceShape, shipped_shape

CANVAS = Canvas(96, 0.08)  # a tight one


def camera_of(yaw: float, pitch: float = 0.0) -> np.ndarray:
    """The (2, 4) camera that sees a head turned by so many degrees."""
    turn = Rotation.from_euler("yx", [yaw, pitch], degrees=True).as_matrix()
    return np.column_stack([turn[:2], [3.0, -2.0]])


@pytest.mark.parametrize(("yaw", "pitch"), [(0, 0), (25, 5), (-40, -10)])
def test_the_camera_is_found(yaw: float, pitch: float) -> None:
    shape, camera = shipped_shape(), camera_of(yaw, pitch)
    found = Frontalizer(shape, CANVAS).camera(apply(camera, shape.points))
    np.testing.assert_allclose(found, camera, atol=1e-8)
    five = five_points(shape.points)
    np.testing.assert_allclose(scaled_orthography(five, apply(camera, five)), camera, atol=1e-6)


def test_the_camera_is_that_of_generalised_least_squares() -> None:
    """Its twin: the normal equations with the inverse of the covariance."""
    shape = shipped_shape()
    points = apply(camera_of(20), shape.points) + np.random.default_rng(0).normal(size=(68, 2)) * 3
    known = np.kron(np.column_stack([shape.points, np.ones(68)])[:, None], np.eye(2)[None]).reshape(136, 8)
    weight = np.linalg.inv(shape.covariance)
    slow = np.linalg.solve(known.T @ weight @ known, known.T @ weight @ points.reshape(-1))
    np.testing.assert_allclose(Frontalizer(shape, CANVAS).camera(points), slow.reshape(4, 2).T, atol=1e-8)


def painted(camera: np.ndarray, frontalizer: Frontalizer) -> np.ndarray:
    """A photo (1 px a mm, the middle at 200) of a head whose every triangle has a colour of its own."""
    image = np.zeros((400, 400, 3), np.uint8)
    corners = apply(camera, frontalizer.vertices)[frontalizer.triangles] + 200
    depth = (frontalizer.vertices @ np.cross(camera[0, :3], camera[1, :3]))[frontalizer.triangles].mean(axis=1)
    rng = np.random.default_rng(1)
    colours = rng.integers(40, 255, (len(corners), 3))
    for number in np.argsort(-depth).tolist():  # what lies nearest is painted last
        cv2.fillConvexPoly(image, np.rint(corners[number] * 16).astype(np.int32), colours[number].tolist(), shift=4)
    return image


def seen_by(camera: np.ndarray, shape: FaceShape) -> Fiducials:
    return Fiducials(np.array([[1.0, 0, -200], [0, 1, -200]]), apply(camera, shape.points), 1)


@pytest.mark.parametrize("yaw", [-30, 15, 30])
def test_a_turned_head_looks_as_from_the_front(yaw: float) -> None:
    shape = shipped_shape()
    frontalizer = Frontalizer(shape, CANVAS)
    straight = np.eye(2, 4)
    front = frontalizer.frontalize(painted(straight, frontalizer), seen_by(straight, shape))
    camera = camera_of(yaw)
    turned = frontalizer.frontalize(painted(camera, frontalizer), seen_by(camera, shape))
    assert front.seen.min() == 1
    numbers = frontalizer._triangle_of_each_pixel(frontalizer.vertices[:, :2], frontalizer._face_last)
    face = np.isin(numbers, np.flatnonzero(frontalizer._is_face & (turned.seen == 1)))
    face &= face[:, ::-1]  # seen on both sides: nothing is mirrored there
    face = cv2.erode(face.astype(np.uint8), np.ones((5, 5))) > 0
    assert face.mean() > 0.1
    off = np.abs(turned.picture.astype(int) - front.picture).max(axis=2)
    assert np.mean(off[face] < 40) > 0.9  # all but the triangles' edges
    plain = np.abs(painted(camera, frontalizer)[104:296, 104:296][::2, ::2].astype(int) - front.picture).max(axis=2)
    assert np.mean(plain[face] < 40) < 0.6  # which would not be so without being turned


def test_unseen_triangles_come_from_the_other_half() -> None:
    shape = shipped_shape()
    frontalizer = Frontalizer(shape, CANVAS)
    camera = camera_of(60)
    image = painted(camera, frontalizer)
    found = frontalizer.frontalize(image, seen_by(camera, shape))
    assert found.seen.min() == 0
    numbers = frontalizer._triangle_of_each_pixel(found.targets, frontalizer._face_last)
    hidden = cv2.erode((found.seen[numbers] == 0).astype(np.uint8), np.ones((13, 13))) > 0
    hidden &= found.seen[numbers][:, ::-1] == 1
    assert hidden.any()
    off = np.abs(found.picture.astype(int) - found.moved[:, ::-1]).max(axis=2)
    assert np.median(off[hidden]) < 40


@pytest.mark.parametrize("yaw", [-35, 0, 35])
def test_a_new_view_looks_as_the_head_does_when_it_is_turned(yaw: float) -> None:
    shape, straight = shipped_shape(), np.eye(2, 4)
    frontalizer = Frontalizer(shape, CANVAS)
    front = frontalizer.frontalize(painted(straight, frontalizer), seen_by(straight, shape))
    view = frontalizer.view(front, yaw)
    turn = Rotation.from_euler("y", -yaw, degrees=True).as_matrix()
    middle = shape.points.mean(axis=0)
    camera = np.column_stack([turn, middle - turn @ middle])[:2]
    expected = align(painted(camera, frontalizer), seen_by(straight, shape).to_mm, CANVAS)
    face = cv2.erode((view < 255).any(axis=2).astype(np.uint8), np.ones((3, 3))) > 0
    assert 0.2 < face.mean() < 0.9
    off = np.abs(view.astype(int) - expected).max(axis=2)
    assert np.mean(off[face] < 40) > 0.8  # all but the triangles' edges
    if yaw:
        away = np.abs(view.astype(int) - front.picture).max(axis=2)
        assert np.mean(away[face] < 40) < 0.6


def test_a_face_keeps_its_own_shape() -> None:
    """Two faces with other mouths stay two faces: what the generic shape doesn't explain moves along (section 2.2)."""
    shape = shipped_shape()
    frontalizer = Frontalizer(shape, CANVAS)
    points = shape.points[:, :2].copy()
    points[48:68, 1] += 8  # a mouth 8 mm lower
    image = np.zeros((400, 400, 3), np.uint8)
    found = frontalizer.frontalize(image, Fiducials(np.array([[1.0, 0, -200], [0, 1, -200]]), points, 1))
    moved = found.targets[:68] - shape.points[:, :2]
    assert moved[48:68, 1].mean() - moved[:48, 1].mean() > 4  # the rest passes for a nod


def test_a_detectors_five_points_place_all_68() -> None:
    shape, camera = shipped_shape(), camera_of(25)
    to_photo = np.array([[1.5, 0.2, 80], [-0.2, 1.5, 120]])
    landmarks = apply(to_photo, apply(camera, five_points(shape.points)))
    found = DetectorPoints(shape).find(np.zeros((9, 9, 3), np.uint8), np.zeros(4), landmarks)
    in_photo = apply(inverse(found.to_mm), found.points)
    np.testing.assert_allclose(in_photo, apply(to_photo, apply(camera, shape.points)), atol=1e-6)


def test_landmarks_in_one_place_are_none() -> None:
    boxes, landmarks = np.zeros((2, 4)), np.stack([np.arange(10.0).reshape(5, 2), np.full((5, 2), 7.0)])
    assert [given is None for _, given in each_face(boxes, landmarks)] == [False, True]
    assert [given is None for _, given in each_face(boxes, np.empty((0, 5, 2)))] == [True, True]
    assert [given is None for _, given in each_face(boxes, None)] == [True, True]


def test_without_landmarks_the_box_is_what_there_is() -> None:
    matrix = start_from(np.array([10.0, 20, 90, 120]), None)
    np.testing.assert_allclose(apply(matrix, np.array([[50.0, 70]])), [[0, 0]], atol=1e-12)
    assert matrix[0, 0] == pytest.approx(1.52)
    aligner = FaceAligner(CANVAS, DetectorPoints(shipped_shape()), shipped_shape())
    image = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    crops = aligner.crop(image, np.array([[40.0, 30, 140, 150]]), np.empty((0, 5, 2)))
    assert crops.shape == (1, 96, 96, 3)
    assert len(aligner.crop(image, np.empty((0, 4)), np.empty((0, 5, 2)))) == 0


def test_dlib_finds_labelled_points(data: Path) -> None:
    """On photos with 68 labelled points each: 5 % of the distance of the eyes' outer corners is what is usual."""
    pytest.importorskip("dlib", reason="the extra deepface is not installed")
    if find_status("dlib-68") != "ready":
        pytest.skip("the model dlib-68 has not been pulled: facepipe models pull dlib-68")
    folder = data / "faces68"
    labelled: dict[tuple[str, str], np.ndarray] = {}
    with (folder / "landmarks.csv").open() as file:
        for row in csv.DictReader(file):
            points = labelled.setdefault((row["image"], row["face"]), np.zeros((68, 2)))
            points[int(row["point"]) % 68] = float(row["x"]), float(row["y"])
    finder = DlibPoints(verified_file("dlib-68"))
    errors = []
    for (name, _), truth in labelled.items():
        image = np.asarray(Image.open(folder / "images" / name).convert("RGB"))
        landmarks = five_points(truth)
        found = finder.find(image, np.zeros(4), landmarks)
        places = apply(inverse(found.to_mm), found.points)
        errors.append(np.linalg.norm(places - truth, axis=1).mean() / np.linalg.norm(truth[36] - truth[45]))
    assert len(errors) == 43
    assert np.median(errors) < 0.07
