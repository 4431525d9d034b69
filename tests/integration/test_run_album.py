"""The whole job on the labelled album, through the real program."""

import csv
from collections import defaultdict
from pathlib import Path

import pyarrow.compute as pc
import pytest

from facepipe.library.library import Library
from facepipe.sources.uris import uri_to_path
from tests.equal_tables import assert_equal_libraries
from tests.program import Outcome, facepipe, job

RUN_KEYS = {
    "photos_seen",
    "photos_new",
    "photos_skipped",
    "photos_failed",
    "faces",
    "people",
    "unassigned",
    "duplicate_groups",
    "seconds",
    "photos_per_second",
    "report",
    "stages",
}


@pytest.fixture(scope="module")
def album(data: Path, weights: tuple[str, str]) -> Path:
    return data / "album"


@pytest.fixture(scope="module")
def on_ray(album: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    library = tmp_path_factory.mktemp("ray") / "library"
    return library, facepipe("run", album, "--library", library, "--json")


def test_the_right_people_are_found(on_ray: tuple[Path, Outcome], album: Path) -> None:
    library, outcome = on_ray
    assert outcome.code == 0, outcome.err
    figures = outcome.json
    assert set(figures) >= RUN_KEYS
    assert list(figures["stages"]) == ["ingest", "extract", "dedup", "group", "report"]
    assert all({"seconds", "rows", "rows_per_second"} <= set(stage) for stage in figures["stages"].values())
    assert (figures["photos_seen"], figures["photos_new"], figures["photos_failed"]) == (20, 20, 0)
    assert figures["people"] == 5
    assert Path(figures["report"]).is_file()
    with (album / "labels.csv").open() as lines:
        shown = {row["image"]: set(row["people"].split(";")) for row in csv.DictReader(lines)}
    assert _names_of_people(library, shown) == {"alex", "biden", "kit", "obama", "rose"}


def test_a_second_run_finds_nothing_new(on_ray: tuple[Path, Outcome], album: Path) -> None:
    library, first = on_ray
    again = facepipe("run", album, "--library", library, "--json")
    assert again.code == 0, again.err
    assert (again.json["photos_new"], again.json["photos_skipped"]) == (0, 20)
    assert again.json["stages"]["extract"]["rows"] == 0
    for key in ("faces", "people", "unassigned", "duplicate_groups"):
        assert again.json[key] == first.json[key]


def test_the_library_is_sound(on_ray: tuple[Path, Outcome]) -> None:
    outcome = facepipe("check", "--library", on_ray[0])
    assert outcome.code == 0, outcome.out


def test_the_plain_loop_gives_equal_tables(on_ray: tuple[Path, Outcome], album: Path, tmp_path: Path) -> None:
    outcome = facepipe("run", album, "--library", tmp_path / "local", "--engine", "local", "--json")
    assert outcome.code == 0, outcome.err
    assert_equal_libraries(Library.open(on_ray[0]), Library.open(tmp_path / "local"))


def test_the_jobs_one_by_one_give_equal_tables(on_ray: tuple[Path, Outcome], album: Path, tmp_path: Path) -> None:
    library = tmp_path / "jobs"
    for name, arguments in (("ingest", [album]), ("extract", []), ("dedup", []), ("group", [])):
        outcome = job(name, *arguments, "--library", library, "--engine", "local", "--json")
        assert outcome.code == 0, outcome.err
        assert list(outcome.json["stages"]) == [name]
    assert_equal_libraries(Library.open(on_ray[0]), Library.open(library))
    outcome = facepipe("report", "--library", library, "--json")
    assert Path(outcome.json["report"]).is_file()


def _names_of_people(location: Path, shown: dict[str, set[str]]) -> set[str]:
    """Return who each person is: the one name that all of their photos share; fail where there is none."""
    library = Library.open(location)
    names = {row["photo_id"]: uri_to_path(row["uri"]).name for row in library.read("files").to_pylist()}
    assigned = library.read("assignments")
    photos = defaultdict(set)
    for row in assigned.filter(pc.is_valid(assigned["person_id"])).to_pylist():
        photos[row["person_id"]].add(names[row["face_id"][:64]])
    found = []
    for faces in photos.values():
        common = set.intersection(*(shown[photo] for photo in faces))
        assert len(common) == 1, f"no one person is on all of {sorted(faces)}"
        found.append(common.pop())
    assert len(found) == len(set(found)), f"somebody is more than one person: {found}"
    return set(found)
