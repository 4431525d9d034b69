from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from facepipe.errors import WeightsError
from facepipe.models.face_quality import MEASURES, SHIPPED, FaceQuality, Term, load_quality, write_quality

GOOD = {"score": 1.0, "size": 150.0, "sharpness": 0.42, "noise": 0.15, "contrast": 130.0, "brightness": 120.0}
GOOD |= {"yaw": 2.0, "pitch": 3.0, "roll": 1.0, "inside": 1.0}


def judged(quality: FaceQuality, **changed: float) -> float:
    return float(quality({name: np.array([value]) for name, value in (GOOD | changed).items()})[0])


def test_the_shipped_one_says_what_people_would() -> None:
    quality = load_quality()
    good = judged(quality)
    assert good > 0.85
    spoilt = {"score": 0.3, "size": 14.0, "sharpness": 0.1, "noise": 0.8, "yaw": 85.0, "roll": -80.0, "inside": 0.5}
    for name, value in spoilt.items():
        assert judged(quality, **{name: value}) < good - 0.03, name
    assert judged(quality, score=0.3, sharpness=0.2) < 0.1


@pytest.mark.parametrize("name", MEASURES)
def test_the_shipped_curves_go_the_way_that_sense_demands(name: str) -> None:
    values = load_quality().terms[name].values
    if name in ("score", "size", "sharpness", "contrast", "inside"):
        assert (np.diff(values) >= 0).all()
    elif name == "brightness":  # neither dark nor bright
        assert (np.diff(np.sign(np.diff(values))) <= 0).all()
    else:
        assert (np.diff(values) <= 0).all()


def test_a_turn_to_the_left_counts_as_one_to_the_right() -> None:
    quality = load_quality()
    assert judged(quality, yaw=-50, pitch=-35, roll=-40) == judged(quality, yaw=50, pitch=35, roll=40)


def test_what_is_not_known_counts_as_typical() -> None:
    quality = load_quality()
    unknown = judged(quality, yaw=np.nan, pitch=np.nan, roll=np.nan, inside=np.nan)
    assert judged(quality, yaw=60, roll=60, inside=0.6) < unknown <= judged(quality) + 0.01


def test_no_faces() -> None:
    none = load_quality()({name: np.zeros(0) for name in MEASURES})
    assert none.shape == (0,)
    assert none.dtype == np.float32


def test_known_numbers() -> None:
    flat = Term(np.array([0.0, 1.0]), np.zeros(2), 0.0)
    terms = dict.fromkeys(MEASURES, flat) | {"size": Term(np.array([10.0, 20.0]), np.array([0.0, 2.0]), 0.5)}
    quality = FaceQuality(-1.0, terms)
    for size, logit in ((5.0, -1.0), (15.0, 0.0), (20.0, 1.0), (500.0, 1.0), (np.nan, -0.5)):
        assert judged(quality, size=size) == pytest.approx(1 / (1 + np.exp(-logit)))


def test_written_and_read(tmp_path: Path) -> None:
    quality = load_quality()
    write_quality(tmp_path / "q.safetensors", quality)
    again = load_quality(tmp_path / "q.safetensors")
    assert judged(again, yaw=33, size=40) == judged(quality, yaw=33, size=40)
    assert (tmp_path / "q.safetensors").read_bytes() == SHIPPED.read_bytes()


def test_other_contents_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "q.safetensors"
    with pytest.raises(WeightsError, match="can't be read"):
        load_quality(path)
    path.write_text("a quality")
    with pytest.raises(WeightsError, match="can't be read"):
        load_quality(path)
    path.write_bytes(safetensors.numpy.save({"mean": np.zeros(4, np.float32)}))
    with pytest.raises(WeightsError, match="no face quality"):
        load_quality(path)
    quality = load_quality()
    backwards = replace(quality.terms["yaw"], knots=quality.terms["yaw"].knots[::-1].copy())
    write_quality(path, replace(quality, terms={**quality.terms, "yaw": backwards}))
    with pytest.raises(WeightsError, match="'yaw'"):
        load_quality(path)


def test_it_has_a_card() -> None:
    card = SHIPPED.parent.parent / "cards" / "face-quality.md"
    assert card.read_text(encoding="utf-8").startswith("# face-quality\n")
