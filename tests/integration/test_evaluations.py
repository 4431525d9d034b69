"""The protocols end to end, on a part of the labelled photos in `make test`, on all of them in `make test-long`."""

import csv
from pathlib import Path

import pytest

from tests.program import facepipe

FOLDS, PER_KIND = 2, 12


@pytest.fixture(scope="module")
def labelled(data: Path, weights: tuple[str, str]) -> Path:
    return data


def few_pairs(labelled: Path, tmp_path: Path) -> Path:
    """Write the first pairs of each kind of two folds."""
    lines = (labelled / "lfw-dev" / "pairs.txt").read_text().splitlines()[1:]
    chosen = [f"{FOLDS}\t{PER_KIND}"]
    for fold in range(FOLDS):
        for kind in range(2):
            start = fold * 600 + kind * 300
            chosen += lines[start : start + PER_KIND]
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(chosen) + "\n")
    return path


def test_verification(labelled: Path, tmp_path: Path) -> None:
    images = labelled / "lfw-dev" / "images"
    outcome = facepipe(
        "eval", "lfw", "--images", images, "--pairs", few_pairs(labelled, tmp_path), "--engine", "local", "--json"
    )
    assert outcome.code == 0, outcome.err
    figures = outcome.json
    assert set(figures) >= {"accuracy", "accuracy_se", "folds", "auc", "tar_at_far", "pairs", "undetected"}
    assert set(figures["tar_at_far"]) == {"0.01", "0.001"}
    assert (figures["pairs"], len(figures["folds"])) == (4 * PER_KIND, FOLDS)
    assert figures["accuracy"] >= 0.9


def test_detection(labelled: Path, tmp_path: Path) -> None:
    with (labelled / "wider-dev" / "boxes.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    chosen = sorted({row["image"] for row in rows})[::12]
    few = tmp_path / "boxes.csv"
    with few.open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0].keys())
        writer.writeheader()
        writer.writerows(row for row in rows if row["image"] in chosen)
    images = labelled / "wider-dev" / "images"
    outcome = facepipe("eval", "detection", "--images", images, "--boxes", few, "--engine", "local", "--json")
    assert outcome.code == 0, outcome.err
    figures = outcome.json
    assert set(figures) >= {"average_precision", "recall", "photos", "faces", "photos_per_second"}
    assert set(figures["average_precision"]) == {"20", "40", "60"}
    assert figures["photos"] == len(chosen)
    assert figures["average_precision"]["40"] >= 0.7


def test_clustering(labelled: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    people = [
        folder
        for folder in sorted((labelled / "lfw-dev" / "images").iterdir())
        if 2 <= len(list(folder.iterdir())) <= 4
    ]
    for folder in people[:15]:
        (images / folder.name).symlink_to(folder)
    outcome = facepipe("eval", "clustering", "--images", images, "--engine", "local", "--json")
    assert outcome.code == 0, outcome.err
    figures = outcome.json
    assert set(figures) >= {"bcubed", "pairwise", "faces", "groups", "unassigned", "largest_impure"}
    assert figures["faces"] == sum(len(list(folder.iterdir())) for folder in people[:15])
    assert figures["bcubed"]["f"] >= 0.9
    assert figures["bcubed"]["precision"] >= 0.97


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lfw", "--images", "IMAGES", "--pairs", "BROKEN"], "first line"),
        (["detection", "--images", "IMAGES", "--boxes", "BROKEN"], "image, x0, y0, x1, y1"),
        (["clustering", "--images", "EMPTY"], "holds no photos"),
    ],
)
def test_unusable_labels_are_named(arguments: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("nothing of use\n")
    (tmp_path / "empty").mkdir()
    places = {"IMAGES": str(tmp_path), "BROKEN": str(tmp_path / "broken"), "EMPTY": str(tmp_path / "empty")}
    outcome = facepipe("eval", *[places.get(argument, argument) for argument in arguments], "--engine", "local")
    assert outcome.code == 2
    assert says in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_pair_without_its_photo_is_named(tmp_path: Path, weights: tuple[str, str]) -> None:
    (tmp_path / "pairs.txt").write_text("2 1\na 1 2\na 1 b 1\nc 1 2\nc 1 d 1\n")
    outcome = facepipe("eval", "lfw", "--images", tmp_path, "--pairs", tmp_path / "pairs.txt", "--engine", "local")
    assert outcome.code == 2
    assert "a_0001.jpg" in outcome.err


@pytest.mark.long
def test_the_promised_figures_on_all_labelled_photos(labelled: Path) -> None:
    lfw, wider = labelled / "lfw-dev", labelled / "wider-dev"
    verification = facepipe("eval", "lfw", "--images", lfw / "images", "--pairs", lfw / "pairs.txt", "--json").json
    assert verification["accuracy"] >= 0.987
    clustering = facepipe("eval", "clustering", "--images", lfw / "images", "--json").json
    assert clustering["bcubed"]["f"] >= 0.95
    found = facepipe("eval", "detection", "--images", wider / "images", "--boxes", wider / "boxes.csv", "--json").json
    assert found["average_precision"]["20"] >= 0.65
