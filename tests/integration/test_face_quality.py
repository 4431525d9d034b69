"""Face measures through the real program: in the library's table, and fitted and judged by its commands."""

import shutil
from pathlib import Path

import pytest

from facepipe.library.library import Library
from facepipe.models.face_quality import SHIPPED
from tests.program import facepipe


def test_faces_are_measured(data: Path, weights: tuple[str, str], tmp_path: Path) -> None:
    source = tmp_path / "photos"
    source.mkdir()
    for name in ("obama_1.jpg", "kit_and_rose.jpg"):
        shutil.copy(data / "album" / name, source / name)
    done = facepipe("run", source, "--library", tmp_path / "library", "--engine", "local")
    assert done.code == 0, done.err
    faces = Library.open(tmp_path / "library").read("faces")
    assert len(faces) >= 3
    for face in faces.to_pylist():
        assert -90 <= face["yaw"] <= 90
        assert -180 <= face["pitch"] <= 180
        assert 0 < face["sharpness"] < 1
        assert 0 <= face["quality"] <= 1
        if face["score"] > 0.99:
            assert face["quality"] > 0.8, face["face_id"]
            assert abs(face["roll"]) < 30
        elif face["score"] < 0.6:
            assert face["quality"] < 0.3, face["face_id"]


def small_lfw(data: Path, folder: Path) -> tuple[Path, Path]:
    """Six people of two photos each, and pairs of them in two folds: (images, pairs)."""
    images = data / "lfw-train" / "images"
    people = [person for person in sorted(images.iterdir()) if len(list(person.glob("*_000[12].jpg"))) == 2][:6]
    for person in people:
        (folder / person.name).mkdir(parents=True)
        for number in (1, 2):
            name = f"{person.name}_{number:04d}.jpg"
            shutil.copy(person / name, folder / person.name / name)
    names = [person.name for person in people]
    lines = ["2 3"]
    for fold in (names[:3], names[3:]):
        lines += [f"{name}\t1\t2" for name in fold]
        lines += [f"{name}\t1\t{other}\t2" for name, other in zip(fold, [*fold[1:], fold[0]], strict=True)]
    pairs = folder.parent / "pairs.txt"
    pairs.write_text("\n".join(lines) + "\n")
    return folder, pairs


@pytest.mark.long
def test_quality_is_fitted_and_judged(data: Path, weights: tuple[str, str], tmp_path: Path) -> None:
    images, pairs = small_lfw(data, tmp_path / "images")
    numbers = tmp_path / "quality.safetensors"
    fitted = facepipe("models", "quality", numbers, "--images", images, "--engine", "local", "--json")
    assert fitted.code == 0, fitted.err
    assert fitted.json["people"] == 6
    assert fitted.json["photos"] == 12
    assert fitted.json["copies"] + fitted.json["undetected"] == 36
    arguments = ("eval", "quality", "--images", images, "--pairs", pairs, "--engine", "local", "--json")
    own = facepipe(*arguments, "--parameters", numbers)
    assert own.code == 0, own.err
    assert set(own.json["rank_correlation"]) == {"quality", "score", "sharpness"}
    assert own.json["photos"] == 12
    assert set(own.json["false_non_match"]["quality"]) == {"0", "0.05", "0.1", "0.2", "0.3"}
    assert sum(row["faces"] for row in own.json["calibration"]) == 12 - own.json["undetected"]


@pytest.mark.long
def test_quality_foretells_matches_on_other_people(data: Path, weights: tuple[str, str]) -> None:
    folder = data / "lfw-dev"
    arguments = ("eval", "quality", "--images", folder / "images", "--pairs", folder / "pairs.txt", "--engine", "local")
    figures = facepipe(*arguments, "--parameters", SHIPPED, "--json").json
    print(figures)
    ranks, errors = figures["rank_correlation"], figures["false_non_match"]
    assert ranks["quality"] > 0.7
    assert ranks["quality"] > max(ranks["score"], ranks["sharpness"]) + 0.1
    for share in ("0.1", "0.2", "0.3"):
        assert errors["quality"][share] < min(errors["score"][share], errors["sharpness"][share])
    assert errors["quality"]["0.3"] < 0.75 * errors["quality"]["0"]
