"""Recognisers learn from people named in a library, whose photos lie in files, in a tar file and packed."""

import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from facepipe.config import Config
from facepipe.labelled_people import LabelledPeople, collect_people
from facepipe.library.library import Library
from facepipe.runtime.local import LocalEngine
from facepipe.stages.named_faces import named_faces
from tests.archives import write_tar
from tests.program import Outcome, facepipe

TRAIN = (
    *("train", "vggface", "--engine", "local", "--effort", "0.001"),
    *("--configuration", "A", "--width", "0.0625", "--size", "64", "--projection", "16"),
)
PHOTOS = 3  # of each person


class Named(NamedTuple):
    """A library and its photos.

    Attributes:
        library: its folder.
        source: `loose` (Ann's, Cid's and Eve's photos, one of Ann and Bob together), `more.tar` (Bob's) and `again`,
            with one of Ann's photos; Dan's, who has no name, are packed and gone.
        eve: the person_id of somebody about whom nothing is decided.
    """

    library: Path
    source: Path
    eve: str


def faces_of(library: Path, photos: list[Path]) -> list[str]:
    """Return the ids of the highest face on each photo."""
    photo_ids = [hashlib.sha256(photo.read_bytes()).hexdigest() for photo in photos]
    rows = Library.open(library).read("faces", ["face_id", "photo_id", "y0", "y1"]).to_pylist()
    rows.sort(key=lambda row: row["y1"] - row["y0"])
    highest = {row["photo_id"]: row["face_id"] for row in rows}
    return [highest[photo_id] for photo_id in photo_ids]


def owner_of(library: Path, photos: list[Path]) -> str:
    """Return the person_id of most faces on photos of one person."""
    assignments = Library.open(library).read("assignments", ["face_id", "person_id"])
    owners = dict(zip(*(column.to_pylist() for column in assignments.columns), strict=True))
    return str(Counter(owners[face] for face in faces_of(library, photos)).most_common(1)[0][0])


def run(*words: str | Path) -> Outcome:
    done = facepipe(*words)
    assert done.code == 0, done.err
    return done


@pytest.fixture(scope="module")
def named(weights: tuple[str, str], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Named:
    folder = tmp_path_factory.mktemp("named")
    library, source, packed = folder / "library", folder / "source", folder / "packed"
    for place in (source / "loose", source / "again", packed):
        place.mkdir(parents=True)
    known = (sorted(person.glob("*.jpg")) for person in sorted((data / "lfw-train" / "images").iterdir()))
    people = [photos for photos in known if len(photos) > PHOTOS][:5]
    ann, bob, cid, dan, eve = (photos[:PHOTOS] for photos in people)
    for photo in (*ann, *cid, *eve):
        shutil.copy(photo, source / "loose")
    together = [Image.open(photos[PHOTOS]) for photos in people[:2]]
    Image.fromarray(np.hstack([np.asarray(photo) for photo in together])).save(source / "loose" / "ann and bob.png")
    write_tar(source / "more.tar", {photo.name: photo.read_bytes() for photo in bob})
    shutil.copy(ann[0], source / "again")
    for photo in dan:
        shutil.copy(photo, packed)
    run("ingest", packed, "--library", library, "--engine", "local", "--pack")
    run("run", source, "--library", library, "--engine", "local")
    shutil.rmtree(packed)
    for photos, name in ((ann, "Ann"), (bob, "Bob"), (cid, "Cid"), (dan, "")):
        person = owner_of(library, photos)
        if name:
            run("people", "name", person, name, "--library", library)
        run("people", "confirm", person, *faces_of(library, photos), "--library", library)
    return Named(library, source, owner_of(library, eve))


@contextmanager
def other_bytes(photo: Path, content: bytes | None) -> Iterator[None]:
    """Let a photo be gone, or have changed, while the block runs."""
    before = photo.read_bytes()
    try:
        if content is None:
            photo.unlink()
        else:
            photo.write_bytes(content)
        yield
    finally:
        photo.write_bytes(before)


def collected(named: Named, folder: Path, *images: Path) -> LabelledPeople:
    folder.mkdir()
    return collect_people(images, named_faces(Library.open(named.library)), folder, Config(), LocalEngine())


def faces_by_person(people: LabelledPeople) -> dict[str, int]:
    counts = np.bincount(people.samples.arrays()["person"])
    return dict(zip(people.names, counts.tolist(), strict=True))


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    found = ((path, path.stat()) for path in folder.rglob("*"))
    return {str(path.relative_to(folder)): (status.st_size, status.st_mtime_ns) for path, status in found}


def test_who_is_named_or_confirmed_is_learned_from_and_the_library_stays_as_it_is(named: Named, tmp_path: Path) -> None:
    before = tree(named.library)
    _, _, gone, altered, *_ = sorted((named.source / "loose").glob("*.jpg"))  # Ann's and Cid's
    blank = io.BytesIO()
    Image.new("RGB", (250, 250)).save(blank, "JPEG")
    with other_bytes(gone, None), other_bytes(altered, blank.getvalue()):
        done = run(*TRAIN, "--library", named.library, "--out", tmp_path / "out", "--json")
    assert (done.json["people"], done.json["faces"]) == (4, 4 * PHOTOS + 2 - 2)
    assert done.json["left_out"] == {"photos that are gone": 1, "photos that have changed": 1}
    assert "left out photos that are gone: 1\nleft out photos that have changed: 1\n" in done.err
    assert tree(named.library) == before
    assert Path(done.json["weights"]).exists()


def test_all_faces_of_a_photo_are_used_cut_as_a_detector_would_have_them_cut(named: Named, tmp_path: Path) -> None:
    people = collected(named, tmp_path / "library")
    assert sorted(faces_by_person(people).values()) == [PHOTOS, PHOTOS, PHOTOS + 1, PHOTOS + 1]
    assert people.left_out == {}
    for photo in sorted((named.source / "loose").glob("*.jpg"))[PHOTOS : 2 * PHOTOS]:
        (tmp_path / "folders" / "Cid").mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, tmp_path / "folders" / "Cid")
    (tmp_path / "alone").mkdir()
    alone = collect_people([tmp_path / "folders"], None, tmp_path / "alone", Config(), LocalEngine())
    arrays, others = people.samples.arrays(), alone.samples.arrays()
    of_cid = arrays["person"] == people.names.index("Cid")
    for name in ("wide", "aspect"):
        np.testing.assert_array_equal(arrays[name][of_cid], others[name])


def test_a_photo_that_is_gone_is_read_from_another_file_that_holds_it(named: Named, tmp_path: Path) -> None:
    places = [named.source / "loose", named.source / "again"]
    (first,) = [photo for photo in places[0].iterdir() if (places[1] / photo.name).exists()]
    for number, place in enumerate(places):
        with other_bytes(place / first.name, None):
            people = collected(named, tmp_path / str(number))
        assert faces_by_person(people)["Ann"] == PHOTOS + 1
        assert people.left_out == {}


def test_a_folder_of_a_persons_name_is_that_person(named: Named, data: Path, tmp_path: Path) -> None:
    loose = sorted((named.source / "loose").glob("*.jpg"))
    (tmp_path / "images" / "Cid").mkdir(parents=True)
    (tmp_path / "images" / "Zoë").mkdir()
    for photo in loose[2 * PHOTOS :]:
        shutil.copy(photo, tmp_path / "images" / "Zoë")
    shutil.copy(loose[PHOTOS], tmp_path / "images" / "Cid")  # the library has it already
    shutil.copy(loose[0], tmp_path / "images" / "Cid")  # somebody else says who it is
    both = ("--library", named.library, "--images", tmp_path / "images")
    done = run(*TRAIN, *both, "--out", tmp_path / "out", "--json")
    assert (done.json["people"], done.json["faces"]) == (5, 4 * PHOTOS + 2 + PHOTOS + 1)
    assert done.json["left_out"] == {"photos that are copies of others": 1}
    assert json.loads((tmp_path / "out" / "people.json").read_text())["names"][-1] == "Zoë"


def test_a_library_whose_people_have_changed_is_not_mixed_in(named: Named, tmp_path: Path) -> None:
    library = tmp_path / "library"
    shutil.copytree(named.library, library)
    command = (*TRAIN, "--library", library, "--out", tmp_path / "out")
    run(*command)
    run(*command)  # the same people: there is nothing left to do
    run("people", "name", named.eve, "Eve", "--library", library)
    refused = facepipe(*command)
    assert refused.code == 2
    assert f"the named people of {library}, or their faces, have changed since" in refused.err
    refused = facepipe(*TRAIN, "--images", named.source, "--out", tmp_path / "out")
    assert "holds a training with another 'labels'" in refused.err


def test_what_cannot_be_is_one_sentence(named: Named, tmp_path: Path) -> None:
    Library.create_or_open(tmp_path / "empty")
    gone = tmp_path / "gone"
    shutil.copytree(named.library, gone)
    shutil.rmtree(gone / "shards")
    cases: list[tuple[list[str | Path], str]] = [
        ([], "say whom to learn from: --images DIR, a folder a person, or --library DIR, or both"),
        (["--library", tmp_path / "none"], f"there is no library at {tmp_path / 'none'}"),
        (["--library", tmp_path / "empty"], "is named or confirmed: `facepipe people name P NAME` says who"),
        (["--library", gone], f"there is no face to learn from in {gone}: {4 * PHOTOS + 1} photos that are gone"),
    ]
    moved = named.source.rename(named.source.with_name("moved"))
    try:
        for words, says in cases:
            refused = facepipe(*TRAIN, *words, "--out", tmp_path / "out")
            assert (refused.code, len(refused.err.splitlines())) == (2, 1), refused.err
            assert says in refused.err
    finally:
        moved.rename(named.source)
