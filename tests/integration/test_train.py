"""Detectors are trained through the real program, on drawn faces: killed, resumed, imported, and better than chance."""

import csv
import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from facepipe.training.labels import read_labels
from tests.drawn_faces import Drawn, draw_photos
from tests.program import Outcome, facepipe, killed_once

LEAST_AP = 0.5  # of faces at least 20 px high; windows at random have less than 0.02


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Drawn, Drawn]:
    """Labelled photos to learn from and to be judged on."""
    folder = tmp_path_factory.mktemp("drawn")
    return draw_photos(folder / "train", 60, seed=1), draw_photos(folder / "test", 20, seed=2)


def arguments(name: str, labels: Drawn, out: Path, *more: str) -> list[str]:
    command = ["train", name, "--engine", "local", "--images", str(labels.images), "--boxes", str(labels.boxes)]
    return [*command, "--landmarks", str(labels.landmarks), "--out", str(out), *more]


def judged(name: str, weights: Path, labels: Drawn, home: Path) -> float:
    """Return the average precision of trained weights, imported and used as a user would."""
    imported = facepipe("models", "import", weights, "--name", "drawn", FACEPIPE_HOME=str(home))
    assert imported.code == 0, imported.err
    command: list[str | Path] = [
        "eval",
        "detection",
        "--json",
        "--engine",
        "local",
        "--images",
        labels.images,
        "--boxes",
        labels.boxes,
    ]
    found = facepipe(*command, "--detector", name, "--set", "detect.model=drawn", FACEPIPE_HOME=str(home))
    assert found.code == 0, found.err
    return float(found.json["average_precision"]["20"])


def test_mtcnn_learns_and_goes_on_after_a_kill(drawn: tuple[Drawn, Drawn], tmp_path: Path) -> None:
    command = arguments("mtcnn", drawn[0], tmp_path / "out", "--effort", "0.015")
    killed_once(command, tmp_path / "out" / "rnet", "samples/samples.json")
    first = (tmp_path / "out" / "pnet" / "model.safetensors").stat()
    plot = ("--plot", tmp_path / "curves.png") if importlib.util.find_spec("matplotlib") else ()
    done = facepipe(*command, *plot, "--json")
    assert done.code == 0, done.err
    assert done.json["faces"] == 120
    assert not plot or plot[1].read_bytes().startswith(b"\x89PNG")
    assert "onet: 30 of 30 steps, loss" in done.err
    assert "samples/s" in done.err
    assert (tmp_path / "out" / "pnet" / "model.safetensors").stat() == first  # not done again
    curve = pq.read_table(tmp_path / "out" / "rnet" / "progress.parquet").to_pylist()
    assert curve[-1]["step"] == 60
    assert judged("mtcnn", tmp_path / "out" / "model.safetensors", drawn[1], tmp_path / "home") > LEAST_AP
    other = facepipe(*arguments("mtcnn", drawn[0], tmp_path / "out", "--effort", "0.02"))
    assert other.code == 2
    assert "another 'effort'" in other.err
    (tmp_path / "out" / "model.safetensors").write_bytes(b"damaged")
    damaged = facepipe(*command)
    assert damaged.code != 0
    assert re.fullmatch(
        r"facepipe: .*model.safetensors is damaged, or no training wrote it: move it away.*\n", damaged.err
    )


def without(command: Sequence[str], *left_out: str) -> list[str]:
    return [word for word in command if word not in left_out]


@pytest.mark.long
def test_workers_on_ray_go_on_where_a_killed_program_left_them(drawn: tuple[Drawn, Drawn], tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = without(arguments("mtcnn", drawn[0], out, "--effort", "0.07", "--workers", "2"), "--engine", "local")
    killed_once(command, out / "pnet", "ray/checkpoint_manager_snapshot.json")  # Ray knows the first checkpoint
    done = facepipe(*command)
    assert done.code == 0, done.err
    assert int(re.findall(r"pnet: (\d+) of 560 steps", done.err)[0]) > 500
    assert pq.read_table(out / "pnet" / "progress.parquet")["step"].to_pylist() == [*range(50, 560, 50), 560]
    assert judged("mtcnn", out / "model.safetensors", drawn[1], tmp_path / "home") > LEAST_AP


@pytest.mark.long
@pytest.mark.parametrize("words", [["ddfd"], ["faceness"], ["mtcnn", "--init", "mtcnn-scratch"]])
def test_two_workers_train(words: list[str], drawn: tuple[Drawn, Drawn], tmp_path: Path) -> None:
    name, *more = words
    command = arguments(name, drawn[0], tmp_path / "out", "--effort", "0.02", "--workers", "2", *more)
    done = facepipe(*without(command, "--engine", "local"))
    assert done.code == 0, done.err
    imported = facepipe(
        "models", "import", tmp_path / "out" / "model.safetensors", "--name", "drawn", FACEPIPE_HOME=str(tmp_path)
    )
    assert imported.code == 0, imported.err


def refused(*command: str | Path) -> Outcome:
    outcome = facepipe(*command)
    assert outcome.code == 2, outcome.err
    assert "Traceback" not in outcome.err
    return outcome


def test_labels_that_teach_nothing_are_refused_in_one_sentence(drawn: tuple[Drawn, Drawn], tmp_path: Path) -> None:
    labels = drawn[0]
    empty = tmp_path / "empty.csv"
    empty.write_text("image,x0,y0,x1,y1\n000.png,,,,\n001.png,50,50,20,90\n002.png,500,500,600,600\nno.png,1,1,9,9\n")
    message = refused(*arguments("mtcnn", labels._replace(boxes=empty), tmp_path / "out")).err
    assert "holds no face to learn from" in message
    missing = tmp_path / "missing.csv"
    missing.write_text("image,x0,y0,x1,y1\nno.png,1,1,9,9\n")
    assert "none of the 1 photos" in refused(*arguments("mtcnn", labels._replace(boxes=missing), tmp_path / "out")).err
    command = ["train", "mtcnn", "--images", str(labels.images), "--images", str(labels.images)]
    assert "each folder needs its own" in refused(*command, "--boxes", str(labels.boxes)).err
    assert "leave out --engine local" in refused(*arguments("mtcnn", labels, tmp_path / "out", "--workers", "2")).err
    assert not (tmp_path / "out").exists()


def test_what_a_detector_finds_becomes_labels(mtcnn_weights: str, data: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    (images / "below").mkdir(parents=True)
    for source, name in (("2007_007763.jpg", "below/group.jpg"), ("2008_001009.jpg", "other.jpg")):
        (images / name).write_bytes((data / "faces68" / "images" / source).read_bytes())
    Image.new("RGB", (80, 60), (90, 90, 90)).save(images / "plain.png")
    boxes, points = tmp_path / "boxes.csv", tmp_path / "points.csv"
    command: list[str | Path] = [
        "train",
        "labels",
        "--engine",
        "local",
        "--images",
        images,
        "--boxes",
        boxes,
        "--landmarks",
        points,
    ]
    done = facepipe(*command, "--json", "--set", "detect.thresholds=0.5,0.6,0.1")
    assert done.code == 0, done.err
    labels = read_labels(images, boxes, points)
    assert [photo.path.name for photo in labels.photos] == ["group.jpg", "other.jpg", "plain.png"]
    assert labels.faces == done.json["faces"] >= 8
    assert sum(len(photo.ignored) for photo in labels.photos) == done.json["ignored"] > 0
    group = labels.photos[0]
    inside = (group.landmarks > group.boxes[:, None, :2]) & (group.landmarks < group.boxes[:, None, 2:])
    assert inside.all()
    assert len(labels.photos[2].boxes) == 0  # known to be without faces
    with boxes.open() as file:
        assert {row["ignore"] for row in csv.DictReader(file)} == {"", "1"}


def test_a_photos_faces_are_shown_step_by_step(mtcnn_weights: str, data: Path, tmp_path: Path) -> None:
    photo = data / "faces68" / "images" / "2007_007763.jpg"
    done = facepipe("detect", photo, "--show", tmp_path / "steps.png", "--json")
    assert done.code == 0, done.err
    faces = done.json["faces"]
    assert len(faces) >= 7
    assert faces[0]["score"] > 0.99
    assert len(faces[0]["landmarks"]) == 5
    picture = np.asarray(Image.open(tmp_path / "steps.png"))
    assert picture.shape[1] == 2 * 480 + 8
    assert (picture == (255, 64, 64)).all(axis=2).sum() > 1000  # boxes are drawn
    plain = facepipe("detect", photo)
    assert plain.out.splitlines()[-1] == f"{len(faces)} faces"
    (tmp_path / "no.jpg").write_text("no photo")
    assert facepipe("detect", tmp_path / "no.jpg").code == 2


def test_tuning_is_judged_beside_the_published_weights(mtcnn_weights: str, tmp_path: Path) -> None:
    few = draw_photos(tmp_path / "few", 8, seed=5)
    command: list[str | Path] = ["eval", "detectors", "--tuning", "--engine", "local", "--effort", "0.003"]
    command += ["--images", few.images, "--boxes", few.boxes, "--out", tmp_path / "out", "--share", "0.5"]
    done = facepipe(*command, "--json")
    assert done.code == 0, done.err
    assert list(done.json) == [
        f"{weights} at {thresholds}"
        for thresholds in ("0.6, 0.7, 0.2", "0.6, 0.4, 0.1")
        for weights in ("published", "fine-tuned")
    ]
    for figures in done.json.values():
        assert list(figures) == [f"{kind}, {height} px" for kind in ("clean", "degraded") for height in (20, 40, 60)]
        assert all(0 <= value <= 1 for value in figures.values())
    for fold in (0, 1):
        assert (tmp_path / "out" / "mtcnn-tuned" / f"without-{fold}" / "model.safetensors").exists()


def test_detectors_are_compared_in_tables_also_on_unseen_photos(mtcnn_weights: str, tmp_path: Path) -> None:
    few, unseen = draw_photos(tmp_path / "few", 8, seed=5), draw_photos(tmp_path / "unseen", 3, seed=6)
    command: list[str | Path] = ["eval", "detectors", "--detector", "hog", "--engine", "local", "--effort", "0.01"]
    command += ["--images", few.images, "--boxes", few.boxes, "--out", tmp_path / "out"]
    done = facepipe(*command, "--unseen-images", unseen.images, "--unseen-boxes", unseen.boxes)
    assert done.code == 0, done.err
    titles = re.findall(r"^([\w ]+?)  +(?:20 px|upright) ", done.out, re.MULTILINE)
    assert titles == ["average precision", "on unseen photos", "AP at 40 px", "recall at 40 px"]
    for name in ("turned 15", "turned 90", "covered 40%", "shades", "scarf", "degraded"):
        assert done.out.count(f" {name}") == 2, name
    assert len(re.findall(r"^mtcnn, published( +\d\.\d{3}){11}$", done.out, re.MULTILINE)) == 2
