"""Where parts lie, what part networks learn from, and how the arrangement of parts is found again."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from facepipe.models.faceness_networks import PARTS
from facepipe.training.faceness.arrangement import fit_logistic, learn_arrangement
from facepipe.training.faceness.celeba import ATTRIBUTES
from facepipe.training.faceness.parts import (
    CROP,
    MOST_FACES,
    UNKNOWN,
    USUAL_LANDMARKS,
    attribute_loss,
    fill_landmarks,
    map_loss,
    part_regions,
    part_samples,
)
from facepipe.training.photos import FacesOnPhoto

NO_ATTRIBUTES = np.zeros(len(ATTRIBUTES), np.int8)


def photo(*boxes: tuple[float, float, float, float], ignored: tuple[float, ...] = ()) -> FacesOnPhoto:
    faces = np.array(boxes, np.float32).reshape(-1, 4)
    image = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
    unknown = np.full((len(faces), 5, 2), np.nan, np.float32)
    return FacesOnPhoto(image, faces, unknown, np.array(ignored, np.float32).reshape(-1, 4))


def test_parts_lie_one_below_the_other_and_follow_a_face_that_is_turned() -> None:
    box = np.array([[10, 20, 50, 70]], np.float32)
    points = fill_landmarks(box, np.full((1, 5, 2), np.nan, np.float32), USUAL_LANDMARKS)
    regions = part_regions(points)[0]
    middle = (regions[:, :2] + regions[:, 2:]) / 2
    assert (np.diff(middle[:, 1]) > 0).all(), "hair, eyes, nose, mouth, beard"
    assert (regions[1:4, :2] > box[0, :2]).all()
    assert (regions[1:4, 2:] < box[0, 2:]).all()
    about = (np.stack([points[0, :, 1], -points[0, :, 0]], axis=1))[None]  # turned a quarter: down is to the right
    turned = part_regions(about)[0]
    assert (np.diff((turned[:, 0] + turned[:, 2]) / 2) > 0).all()


def test_known_landmarks_stay() -> None:
    points = np.arange(20, dtype=np.float32).reshape(2, 5, 2)
    points[1, 3, 0] = np.nan
    boxes = np.array([[0, 0, 10, 10], [0, 0, 100, 200]], np.float32)
    filled = fill_landmarks(boxes, points, USUAL_LANDMARKS)
    np.testing.assert_array_equal(filled[0], points[0])
    np.testing.assert_allclose(filled[1], USUAL_LANDMARKS * (100, 200))


def test_maps_show_parts_of_faces_of_the_size_that_is_looked_for() -> None:
    samples = part_samples(photo((40, 30, 80, 80)), USUAL_LANDMARKS, NO_ATTRIBUTES, np.random.default_rng(1))
    count = len(samples["kind"])
    assert samples["crops"].shape == (count, CROP, CROP, 3)
    assert samples["maps"].shape == (count, len(PARTS), CROP // 4, CROP // 4)
    on_face = samples["maps"][0]
    for face in samples["faces"][0][:1]:
        nose = np.argwhere(on_face[PARTS.index("nose")] == 1)  # cells
        assert len(nose)
        middle = (nose.mean(axis=0)[::-1] + 0.5) * 4
        assert (middle > face[:2]).all()
        assert (middle < face[2:]).all()
    assert np.isnan(samples["faces"][0][1:]).all()
    assert samples["faces"].shape == (count, MOST_FACES, 4)


def test_ignored_regions_and_tiny_faces_are_open_and_no_photo_is_too_small() -> None:
    samples = part_samples(
        photo((60, 60, 66, 68), ignored=(0, 0, 160, 120)), USUAL_LANDMARKS, NO_ATTRIBUTES, np.random.default_rng(1)
    )
    assert set(np.unique(samples["maps"])) <= {0, UNKNOWN}
    assert (samples["maps"] == UNKNOWN).any()
    speck = FacesOnPhoto(
        np.zeros((1, 1, 3), np.uint8), *(np.empty(shape, np.float32) for shape in ((0, 4), (0, 5, 2), (0, 4)))
    )
    assert len(part_samples(speck, USUAL_LANDMARKS, NO_ATTRIBUTES, np.random.default_rng(1))["kind"]) == 2


def test_losses_count_what_is_known() -> None:
    logits = torch.tensor([[[2.0, -1.0], [0.5, 9.0]]])
    wanted = torch.tensor([[[1, 0], [0, UNKNOWN]]])
    by_hand = 2 * F.softplus(torch.tensor(-2.0)) + F.softplus(torch.tensor(-1.0)) + F.softplus(torch.tensor(0.5))
    torch.testing.assert_close(map_loss(logits, wanted), by_hand / 3)
    assert map_loss(logits, torch.full_like(wanted, UNKNOWN)) == 0
    on_part = torch.tensor([[[True, False], [True, False]]])
    answers = torch.tensor([[[[3.0, 50.0], [1.0, 50.0]]] * 2])[0][None]  # (1, 2, 2, 2)
    loss = attribute_loss(answers, on_part, torch.tensor([[-1, 0]], dtype=torch.int8))
    torch.testing.assert_close(loss, F.softplus(torch.tensor(2.0)))


def test_logistic_coefficients_have_no_slope_left() -> None:
    rng = np.random.default_rng(3)
    values = rng.normal(size=(400, 2))
    is_face = rng.random(400) < 1 / (1 + np.exp(-(values @ [2.0, -1.0] + 0.3)))
    found, best = fit_logistic(values, is_face, steps=30)
    assert found[0] > 1
    assert found[1] < -0.3

    def posterior(coefficients: np.ndarray) -> float:
        margin = np.where(is_face, 1, -1) * (values @ coefficients[:2] + coefficients[2])
        weight = np.where(is_face, 0.5 / is_face.sum(), 0.5 / (~is_face).sum()) * 400
        return float(-(weight * np.log1p(np.exp(-margin))).sum() - (coefficients[:2] ** 2).sum() / 18)

    assert best == pytest.approx(posterior(found), abs=1e-4)
    for step in np.concatenate([np.eye(3), -np.eye(3)]) * 0.05:
        assert posterior(found + step) < best


def test_the_arrangement_of_made_responses_is_found_again() -> None:
    """Faces of one size whose parts lie in five known bands, on maps with noise."""
    rng = np.random.default_rng(4)
    count, cells = 60, 12
    maps = rng.random((count, 5, cells, cells)).astype(np.float32) * 0.1
    faces = np.full((count, MOST_FACES, 4), np.nan, np.float32)
    bands = ((0.0, 0.3), (0.3, 0.5), (0.4, 0.7), (0.7, 0.9), (0.7, 1.0))
    for index in range(count):
        top, left = rng.integers(0, 6), rng.integers(0, 7)
        faces[index, 0] = np.array([left, top, left + 4.56, top + 6]) * 4
        for part, (first, last) in enumerate(bands):
            rows = slice(top + round(first * 6), top + round(last * 6))
            maps[index, part, rows, left + 1 : left + 4] = 0.9
    arrangement = learn_arrangement(maps, faces, seed=0)
    for (first, last), region in zip(bands, arrangement.regions, strict=True):
        assert region[1] == pytest.approx(first, abs=0.21)
        assert region[3] == pytest.approx(last, abs=0.21)
    assert arrangement.weights.sum() > 0
    assert arrangement.bias < 0
