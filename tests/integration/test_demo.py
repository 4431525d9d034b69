"""The guided first run finds the three people that the README promises."""

import shutil
from collections import defaultdict
from pathlib import Path

import pyarrow.compute as pc
import pytest

from facepipe.demo_album import EXPECTED_PEOPLE, make_album
from facepipe.errors import FacepipeError
from facepipe.library.library import FORMAT, Library
from facepipe.models.cache import weights_path
from facepipe.sources.uris import uri_to_path
from tests.program import facepipe


@pytest.fixture
def demo_home(weights: tuple[str, str], tmp_path: Path) -> Path:
    """A home of its own that holds the weights already."""
    (tmp_path / "weights").mkdir()
    for name in weights:
        shutil.copy(weights_path(name), tmp_path / "weights")
    return tmp_path


def test_three_people_turned_photos_and_copies(demo_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEPIPE_HOME", str(demo_home))
    try:
        album = make_album()
    except FacepipeError as error:
        pytest.skip(f"the demo album can't be had: {error}")
    first = facepipe("demo", "--engine", "local", "--json", FACEPIPE_HOME=str(demo_home))
    assert first.code == 0, first.err
    assert (first.json["people"], first.json["photos_failed"], first.json["duplicate_groups"]) == (
        EXPECTED_PEOPLE,
        0,
        4,
    )

    library = Library.open(demo_home / "demo" / f"library-{FORMAT}")
    names: dict[str, list[str]] = defaultdict(list)
    for row in library.read("files").to_pylist():
        names[row["photo_id"]].append(
            uri_to_path(row["uri"]).stem.split()[0].rstrip("23").removesuffix("_partial_face")
        )
    assigned = library.read("assignments")
    who: dict[str, set[str]] = defaultdict(set)
    for row in assigned.filter(pc.is_valid(assigned["person_id"])).to_pylist():
        who[row["person_id"]].update(names[row["face_id"][:64]])
    assert sorted(map(sorted, who.values())) == [["biden", "everyone"], ["collins", "everyone"], ["everyone", "obama"]]

    before = {path.name: path.stat().st_mtime_ns for path in album.iterdir()}
    again = facepipe("demo", "--engine", "local", "--json", FACEPIPE_HOME=str(demo_home))
    assert (again.code, again.json["photos_new"], again.json["stages"]["extract"]["rows"]) == (0, 0, 0)
    assert {path.name: path.stat().st_mtime_ns for path in album.iterdir()} == before
