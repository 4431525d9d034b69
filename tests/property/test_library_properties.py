"""Whatever the order of batches and kills, every photo and face ends up in the tables once."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from facepipe.library.check import check
from facepipe.library.library import Library
from facepipe.library.pending import compare_listing, pending_photos
from facepipe.library.writer import Writer
from facepipe.schemas import LISTED_FILE
from facepipe.sources.scan_sources import scan_sources
from facepipe.sources.uris import path_to_uri, uri_to_path
from tests.library_rows import MODIFIED, error_rows, face_ids_of, file_rows, photo_id_of, table_of, uri_of, write_batch

FACES = {"a": 2, "b": 1, "c": 0, "d": 3, "e": 1, "f": 2}
KILLS = ["never", "before faces", "after faces", "after photos", "in the middle of two batches"]


class KilledError(BaseException):
    """The end of a run."""


@contextmanager
def new_library() -> Iterator[Library]:
    with tempfile.TemporaryDirectory() as folder:
        yield Library.create_or_open(Path(folder, "library"))


def extract(library: Library, writer: Writer, names: list[str], batch_id: str, kill: str) -> None:
    faces, photos = write_batch(library, {name: FACES[name] for name in names}, batch_id)
    if kill == "before faces":
        raise KilledError
    if kill == "in the middle of two batches":
        more_faces, _ = write_batch(library, {"z": 1}, f"{batch_id}-second")
        writer.commit_data_files("faces", [*faces, *more_faces])
        writer.commit_data_files("photos", photos)
        raise KilledError
    writer.commit_data_files("faces", faces)
    if kill == "after faces":
        raise KilledError
    writer.commit_data_files("photos", photos)
    if kill == "after photos":
        raise KilledError


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
@given(runs=st.lists(st.tuples(st.integers(1, 3), st.integers(0, 3), st.sampled_from(KILLS)), max_size=4))
def test_rows_exactly_once_whatever_is_killed(runs: list[tuple[int, int, str]]) -> None:
    with new_library() as library:
        name_of = {photo_id_of(name): name for name in FACES}
        with library.writer("ingest") as writer:
            writer.commit_files(file_rows(*FACES), error_rows(*FACES))  # all failed once, and are tried again
        for number, (batch, batches, kill) in enumerate([*runs, (4, 4, "never")]):
            try:
                with library.writer("extract") as writer:
                    assert len({file.path for file in library.data_files("faces")}) == len(library.data_files("faces"))
                    for turn in range(batches):
                        files, photos, errors = (library.read(name) for name in ("files", "photos", "errors"))
                        pending = pending_photos(files, photos, errors, True)["photo_id"].to_pylist()[:batch]
                        if pending:
                            names = [name_of[photo_id] for photo_id in pending]
                            last = turn == batches - 1
                            extract(library, writer, names, f"batch-{number}-{turn}", kill if last else "never")
            except KilledError:
                continue
        with library.writer("last"):
            pass
        assert sorted(library.read("photos")["photo_id"].to_pylist()) == sorted(map(photo_id_of, FACES))
        expected = [face_id for name, count in FACES.items() for face_id in face_ids_of(name, count)]
        assert sorted(library.read("faces")["face_id"].to_pylist()) == sorted(expected)
        assert check(library) == []


SEGMENT = st.binary(min_size=1, max_size=12).filter(
    lambda raw: not {0, ord("/")} & set(raw) and raw not in {b".", b".."}
)


@given(st.lists(SEGMENT, max_size=4))
def test_every_path_survives_as_a_uri(segments: list[bytes]) -> None:
    path = b"/" + b"/".join(segments)
    uri = path_to_uri(path)
    assert os.fsencode(uri_to_path(uri)) == path
    assert uri.isascii()
    assert uri.isprintable()
    assert uri == Path(os.fsdecode(path)).as_uri()


@settings(max_examples=25, deadline=None)
@given(st.lists(SEGMENT, max_size=6, unique=True))
def test_every_name_is_listed_once_and_found_again(names: list[bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wanted = []
        for name in names:
            path = Path(folder, os.fsdecode(name + b".jpg"))
            path.write_bytes(name)
            if not name.startswith(b"."):
                wanted.append(name)
        listed = [file.uri for file in scan_sources([folder])]
        assert [uri_to_path(uri).read_bytes() for uri in listed] == sorted(wanted, key=lambda name: name + b".jpg")


PLACE = st.fixed_dictionaries(
    {"bytes": st.integers(1, 2), "failed": st.booleans(), "missing": st.booleans(), "content": st.sampled_from("pqr")}
)


@settings(max_examples=200, deadline=None)
@given(
    listed=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 2)),
    files=st.dictionaries(st.sampled_from("abcdef"), PLACE),
    errors=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 2)),
    retry_failed=st.booleans(),
)
def test_comparison_agrees_with_a_loop_over_rows(
    listed: dict[str, int], files: dict[str, dict[str, int]], errors: dict[str, int], retry_failed: bool
) -> None:
    def row(name: str, size: int) -> dict[str, object]:
        return {"uri": uri_of(name), "bytes": size, "modified_at": MODIFIED}

    listing = pa.Table.from_pylist([row(n, s) | {"status": "", "message": ""} for n, s in listed.items()], LISTED_FILE)
    missing = {name: MODIFIED if place["missing"] else None for name, place in files.items()}
    known = [row(name, place["bytes"]) | {"missing_since": missing[name]} for name, place in files.items()]
    failed = [row(name, size) for name, size in errors.items()]
    found = compare_listing(listing, table_of("files", known), table_of("errors", failed), ["/"], retry_failed)

    new, changed, cleared = set(), set(), {name for name in errors if name not in listed}
    for name, size in listed.items():
        stays_failed = errors.get(name) == size and not retry_failed
        same_file = name in files and files[name]["bytes"] == size
        if name in errors and not stays_failed:
            cleared.add(name)
        if name in files and not same_file:
            changed.add(name)
        if not same_file and not stays_failed:
            new.add(name)
    assert found.new["uri"].to_pylist() == [uri_of(name) for name in listed if name in new]
    assert set(found.changed.to_pylist()) == {uri_of(name) for name in changed}
    assert set(found.cleared.to_pylist()) == {uri_of(name) for name in cleared}
    gone = {uri_of(name) for name in files if name not in listed and not missing[name]}
    assert set(found.missing.to_pylist()) == gone
    back = {uri_of(n) for n in files if missing[n] and listed.get(n) == files[n]["bytes"]}
    assert set(found.returned.to_pylist()) == back


@settings(max_examples=200, deadline=None)
@given(
    files=st.dictionaries(st.sampled_from("abcdef"), PLACE),
    photos=st.sets(st.sampled_from("pqr")),
    retry_failed=st.booleans(),
)
def test_pending_agrees_with_a_loop_over_rows(
    files: dict[str, dict[str, str | bool]], photos: set[str], retry_failed: bool
) -> None:
    rows = [
        {"uri": name, "photo_id": place["content"], "missing_since": MODIFIED if place["missing"] else None}
        for name, place in files.items()
    ]
    errors = [{"uri": name, "photo_id": place["content"]} for name, place in files.items() if place["failed"]]
    pending = pending_photos(
        table_of("files", rows),
        table_of("photos", [{"photo_id": p} for p in photos]),
        table_of("errors", errors),
        retry_failed,
    )
    expected: dict[str | bool, str] = {}
    for name, place in sorted(files.items()):
        if place["content"] not in photos and not place["missing"] and (retry_failed or not place["failed"]):
            expected.setdefault(place["content"], name)
    found = zip(pending["photo_id"].to_pylist(), pending["uri"].to_pylist(), strict=True)
    assert list(found) == list(expected.items())
