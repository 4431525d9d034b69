"""Recognisers are trained without a fold's people and judged on them, as `eval recogniser` does."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from facepipe.evaluation.lfw import read_pairs
from facepipe.training.people import NOBODY
from facepipe.training.samples import Samples
from tests.program import Outcome, facepipe

PAIRS = 10  # of each kind in a fold


@pytest.fixture(scope="module")
def small_lfw(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folds of twenty pairs with their photos, two people in no pair, and twelve other people."""
    folder = tmp_path_factory.mktemp("lfw")
    lines = (data / "lfw-dev" / "pairs.txt").read_text().splitlines()
    per_kind = int(lines[0].split()[1])
    starts = [1 + fold * 2 * per_kind + kind * per_kind for fold in (0, 1) for kind in (0, 1)]
    chosen = [line for start in starts for line in lines[start : start + PAIRS]]
    (folder / "pairs.txt").write_text("\n".join([f"2\t{PAIRS}", *chosen]) + "\n")
    pairs = read_pairs(folder / "pairs.txt")
    for photo in {*pairs.left, *pairs.right}:
        target = folder / "images" / f"{photo}.jpg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data / "lfw-dev" / "images" / f"{photo}.jpg", target)
    unpaired = [
        person
        for person in sorted((data / "lfw-dev" / "images").iterdir())
        if not (folder / "images" / person.name).exists()
    ]
    for person in unpaired[:2]:
        shutil.copytree(person, folder / "images" / person.name)
    several = [
        person for person in sorted((data / "lfw-train" / "images").iterdir()) if len(list(person.iterdir())) > 1
    ]
    for person in several[:12]:
        shutil.copytree(person, folder / "others" / person.name)
    return folder


def study(name: str, folder: Path, out: Path, *options: str, engine: str = "local") -> Outcome:
    return facepipe(
        "eval",
        "recogniser",
        name,
        "--images",
        folder / "images",
        "--pairs",
        folder / "pairs.txt",
        "--other-images",
        folder / "others",
        "--out",
        out,
        "--engine",
        engine,
        "--effort",
        "0.001",
        *options,
    )


def test_vggface_learns_nothing_of_the_fold_it_is_judged_on(small_lfw: Path, tmp_path: Path, weights: object) -> None:
    done = study("vggface", small_lfw, tmp_path, "--fold", "2", "--json")
    assert done.code == 0, done.err
    stages = {"first stage", "second stage", "second stage, ten crops", "triplets alone"}
    assert done.json["rows"].keys() == {*stages, "untrained", "eigenfaces"}
    for row in done.json["rows"].values():
        assert 0 <= row["accuracy"] <= 1
        assert row["se"] == pytest.approx((row["accuracy"] * (1 - row["accuracy"]) / (2 * PAIRS)) ** 0.5)
    (over_first, *_) = done.json["differences"]
    first, second = (done.json["rows"][f"{stage} stage"]["accuracy"] for stage in ("first", "second"))
    assert over_first["mean"] == pytest.approx(second - first)
    samples = Samples(tmp_path / "faces-box-without-1-share-1").arrays()
    names = np.array(json.loads((tmp_path / "people-box" / "people.json").read_text())["names"])
    pairs = read_pairs(small_lfw / "pairs.txt")
    learned = set(names[np.unique(samples["person"][samples["person"] != NOBODY])])
    fold_of = {
        photo.split("/")[0]: fold
        for side in (pairs.left, pairs.right)
        for photo, fold in zip(side, pairs.fold, strict=True)
    }
    others = {person.name for person in (small_lfw / "others").iterdir()}
    assert learned == {*others, *(name for name, fold in fold_of.items() if fold == 0)}
    assert study("vggface", small_lfw, tmp_path, "--fold", "2").code == 0  # nothing is trained twice
    assert "there is no fold 7" in study("vggface", small_lfw, tmp_path, "--fold", "7").err
    part = ("--only", "triplets", "--share", "0.5", "--json")
    halved = study("vggface", small_lfw, tmp_path, "--fold", "2", *part)
    assert halved.json["rows"].keys() == {"triplets alone", "eigenfaces"}
    assert halved.json["differences"] == []
    assert halved.json["learned_from"][0]["people"] == round(done.json["learned_from"][0]["people"] / 2)
    other = study("vggface", small_lfw, tmp_path, "--fold", "2", "--set", "detect.min_face=30")
    assert (other.code, "holds a study of other settings" in other.err) == (2, True)
    shutil.copytree(small_lfw, tmp_path / "moved")
    other = study("vggface", tmp_path / "moved", tmp_path, "--fold", "2")
    assert (other.code, "holds a study of other photos" in other.err) == (2, True)
    unknown = study("vggface", small_lfw, tmp_path, "--only", "magic")
    assert (unknown.code, "doesn't learn by 'magic', only by stages, triplets" in unknown.err) == (2, True)


def test_on_ray_stages_and_trainings_share_one(small_lfw: Path, tmp_path: Path, weights: object) -> None:
    several_batches = ("--set", "runtime.batch_rows=16")
    options = ("--fold", "2", "--only", "triplets", *several_batches, "--json")
    done = study("vggface", small_lfw, tmp_path, *options, engine="ray")
    assert done.code == 0, done.err
    assert done.json["rows"].keys() == {"triplets alone", "eigenfaces"}


@pytest.mark.long
def test_deepface_and_facenet_are_studied(small_lfw: Path, tmp_path: Path, weights: object) -> None:
    pytest.importorskip("dlib", reason="the extra deepface is not installed")
    facepipe("models", "pull", "dlib-68")
    done = study("deepface", small_lfw, tmp_path, "--json")
    assert done.code == 0, done.err
    assert {"3d", "3d, chi2", "3d, siamese", "2d", "box", "untrained", "eigenfaces"} == done.json["rows"].keys()
    assert done.json["folds"] == [1, 2]
    done = study("facenet", small_lfw, tmp_path / "facenet", "--fold", "1", "--seeds", "2", "--json")
    assert done.code == 0, done.err
    assert done.json["rows"]["given"]["accuracy"] > 0.8
    assert len(done.json["seeds"]["adapted"]["accuracies"]) == 2
    worn = next((tmp_path / "facenet" / "judged").glob("photos-*"))
    assert sum(1 for _ in worn.rglob("*.jpg")) == sum(1 for _ in (small_lfw / "images").rglob("*.jpg"))
