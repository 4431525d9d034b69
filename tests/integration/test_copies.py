"""Copies through the real program: found once, compared once, counted once."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from facepipe.library.library import Library
from tests.program import facepipe


def save(path: Path, source: Path, scale: float = 1.0, **options: Any) -> None:
    with Image.open(source) as photo:
        small = photo.resize((round(photo.width * scale), round(photo.height * scale)), Image.Resampling.LANCZOS)
        small.save(path, **options)


def rows(library: Path, table: str) -> list[dict[str, object]]:
    found: list[dict[str, object]] = Library.open(library).read(table).to_pylist()
    return found


@pytest.fixture(scope="module")
def people(data: Path) -> tuple[list[Path], Path]:
    """Two photos of one person, one of another."""
    folders = sorted((data / "lfw-dev" / "images").iterdir())
    several = next(sorted(folder.iterdir())[:2] for folder in folders if 4 <= len(list(folder.iterdir())) <= 6)
    single = next(next(folder.iterdir()) for folder in folders if len(list(folder.iterdir())) == 1)
    return several, single


def test_copies_are_found_compared_and_counted_once(
    people: tuple[list[Path], Path], weights: tuple[str, str], tmp_path: Path
) -> None:
    (first, second), single = people
    photos, library = tmp_path / "photos", tmp_path / "library"
    photos.mkdir()
    for path in (first, second, single):
        shutil.copyfile(path, photos / path.name)
    save(photos / "single, smaller.jpg", single, 0.6, quality=80)
    save(photos / "single.png", single)
    save(photos / "first again.webp", first, 0.8, quality=70)
    arguments = (photos, "--library", library, "--engine", "local", "--json")

    outcome = facepipe("run", *arguments)
    assert outcome.code == 0, outcome.err
    figures = outcome.json
    assert figures["duplicate_groups"] == 2
    assert figures["stages"]["dedup"]["inner"]["compare_photos"]["rows"] == 5
    copies = {str(row["uri"]).rpartition("/")[2]: row for row in rows(library, "duplicates")}
    assert {name: (row["kind"], row["keeper"]) for name, row in copies.items()} == {
        first.name: ("near", True),
        "first%20again.webp": ("near", False),
        single.name: ("exact", False),
        "single.png": ("near", True),  # the same pixels, and less compressed
        "single%2C%20smaller.jpg": ("near", False),
    }
    # One person is on two photos and a copy; the other one on a photo and two copies of it, which is one photo.
    assert figures["people"] == 1
    assert [(row["faces"], row["photos"]) for row in rows(library, "people")] == [(3, 3)]

    again = facepipe("run", *arguments).json
    assert "inner" not in again["stages"]["dedup"]
    assert {str(row["uri"]).rpartition("/")[2]: row for row in rows(library, "duplicates")} == copies

    save(photos / "late.jpg", first, 0.5, quality=90)
    later = facepipe("run", *arguments).json
    assert later["stages"]["dedup"]["inner"]["compare_photos"]["rows"] == 3  # the late one, and the two it may copy
    assert len(rows(library, "duplicates")) == 6
    assert [(row["faces"], row["photos"]) for row in rows(library, "people")] == [(4, 4)]
    checked = facepipe("check", "--library", library)
    assert checked.code == 0, checked.out


def test_the_albums_copies_are_found_exactly(data: Path, weights: tuple[str, str], tmp_path: Path) -> None:
    """Those that differ in size alone, as the album's `duplicates.csv` has them, and no others."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for path in sorted((data / "album").glob("obama*.jpg")):
        with Image.open(path) as photo:  # faces don't matter here: small photos are soon searched
            assert max(photo.size) > 100
        shutil.copyfile(path, photos / path.name)
    outcome = facepipe(
        "run", photos, "--library", tmp_path / "library", "--engine", "local", "--set", "detect.min_face=200", "--json"
    )
    assert outcome.code == 0, outcome.err
    found = {str(row["uri"]).rpartition("/")[2] for row in rows(tmp_path / "library", "duplicates")}
    assert found == {"obama_1_1080p.jpg", "obama_1_480p.jpg"}


def test_copies_made_of_labelled_photos_are_found(data: Path) -> None:
    folders = [option for name in ("lfw-dev", "wider-dev") for option in ("--images", data / name / "images")]
    outcome = facepipe("eval", "dedup", *folders, "--photos", "40", "--seed", "7", "--engine", "local", "--json")
    assert outcome.code == 0, outcome.err
    figures = outcome.json
    kinds = {"exact", "near", "resized", "recompressed", "reformatted", "metadata", "combined", "all"}
    assert set(figures) == kinds
    assert figures["all"]["pairs"] == 40 * 15
    assert all(figures[kind]["recall"] >= 0.98 and figures[kind]["precision"] >= 0.999 for kind in kinds)


@pytest.mark.long
def test_the_promised_figures_on_copies_of_2000_photos(data: Path) -> None:
    folders = [option for name in ("lfw-dev", "wider-dev") for option in ("--images", data / name / "images")]
    figures = facepipe("eval", "dedup", *folders, "--photos", "2000", "--json").json
    assert figures["all"]["pairs"] == 2000 * 15
    assert all(figure["recall"] >= 0.98 and figure["precision"] >= 0.999 for figure in figures.values())


def test_folders_without_photos_are_named(tmp_path: Path) -> None:
    outcome = facepipe("eval", "dedup", "--images", tmp_path, "--engine", "local")
    assert outcome.code == 2
    assert "holds no photos" in outcome.err
