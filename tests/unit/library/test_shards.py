"""Packed photos: written whole, found again, removed where nobody names them."""

import os
import random
import shutil
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from facepipe.errors import PhotoError
from facepipe.library import shards
from facepipe.library.check import check
from facepipe.library.library import Library
from facepipe.library.shards import (
    cut_by_bytes,
    find_broken_places,
    open_shard,
    packed_root,
    remove_unnamed_shards,
    with_known_places,
)
from facepipe.library.storage import Storage
from facepipe.sources import parquet_rows
from facepipe.sources.read_source import read_source
from tests.library_rows import photo_id_of, table_of


def column(*places: str | None) -> pa.ChunkedArray:
    return pa.chunked_array([list(places)], pa.string())


def pack(storage: Storage, photos: Iterable[bytes]) -> list[str]:
    with open_shard(storage) as shard:
        return [shard.add(photo_id_of(str(i)), f"file:///{i}.jpg", photo) for i, photo in enumerate(photos)]


def test_photos_are_found_again_also_after_the_library_has_moved(tmp_path: Path) -> None:
    seed = 5
    print("seed", seed)
    rng = random.Random(seed)
    photos = [rng.randbytes(rng.randrange(1, 5000)) for _ in range(50)]
    places = pack(Storage.at(tmp_path / "library"), photos)
    (tmp_path / "library").rename(tmp_path / "moved é#")
    root = packed_root(Storage.at(tmp_path / "moved é#"))
    assert [read_source(f"{root}/{place}", 5000) for place in places] == photos


def test_row_groups_are_small_and_photos_larger_than_one_stand_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "ROW_GROUP_BYTES", 1000)
    pack(Storage.at(tmp_path), [b"x" * size for size in (400, 500, 300, 5000, 10, 990)])
    (path,) = (tmp_path / "shards").iterdir()
    metadata = pq.ParquetFile(path).metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [2, 1, 1, 2]


def test_a_shard_that_is_not_finished_is_not_there(tmp_path: Path) -> None:
    def interrupted() -> Iterator[bytes]:
        yield b"x"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        pack(Storage.at(tmp_path), interrupted())
    assert list((tmp_path / "shards").iterdir()) == []


@given(st.lists(st.none() | st.integers(0, 12), max_size=30), st.integers(1, 20))
def test_runs_fit_and_lose_nothing(sizes: list[int | None], most: int) -> None:
    real = [shards.UNKNOWN_BYTES if size is None else size for size in sizes]
    runs = list(cut_by_bytes(sizes, most))
    assert [row for run in runs for row in range(run.start, run.stop)] == list(range(len(sizes)))
    for run in runs:
        assert run.stop - run.start == 1 or sum(real[run]) <= most
    for left, right in pairwise(runs):
        assert sum(real[left]) + real[right.start] > most


def test_what_no_row_names_is_removed(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path)
    named, unnamed = pack(storage, [b"a", b"b"]), pack(storage, [b"c"])
    (tmp_path / "shards/left.parquet.123.tmp").touch()
    assert remove_unnamed_shards(storage, column(named[1], None)) == 2
    assert [path.name for path in (tmp_path / "shards").iterdir()] == [named[0].split("/")[1].partition("#")[0]]
    assert unnamed[0] not in named
    assert remove_unnamed_shards(Storage.at(tmp_path / "none"), column()) == 0


def test_in_an_object_store_only_old_shards_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filesystem = pafs.SubTreeFileSystem(str(tmp_path), pafs.LocalFileSystem())
    monkeypatch.setattr(Storage, "open_filesystem", lambda _: (filesystem, "bucket/library"))
    opener = SimpleNamespace(from_uri=lambda uri: (filesystem, uri.removeprefix("s3://")))
    monkeypatch.setattr("facepipe.sources.parquet_rows.pafs", SimpleNamespace(FileSystem=opener))
    storage = Storage("s3://bucket/library")
    (tmp_path / "bucket/library/shards").mkdir(parents=True)
    (named,), (old,), (new,) = (pack(storage, [data]) for data in (b"a", b"b", b"c"))
    for place in (named, old):
        os.utime(tmp_path / "bucket/library" / place.partition("#")[0], (1, 1))
    assert read_source(f"{packed_root(storage)}/{named}", 10) == b"a"
    assert remove_unnamed_shards(storage, column(named)) == 1
    assert list(find_broken_places(storage, column(named, new))) == []
    parquet_rows._open_object.cache_clear()
    with pytest.raises(PhotoError, match="no longer there"):
        read_source(f"{packed_root(storage)}/{old}", 10)


def test_what_was_packed_stays_packed() -> None:
    files = table_of("files", [{"photo_id": "a", "packed": "shards/x#0"}, {"photo_id": "z", "packed": "y"}])
    rows = table_of(
        "files", [{"photo_id": i, "packed": p} for i, p in [("a", None), ("a", "new"), ("b", None), ("c", "d")]]
    )
    assert with_known_places(rows, files)["packed"].to_pylist() == ["shards/x#0", "new", None, "d"]
    assert with_known_places(rows, files).schema == rows.schema
    assert with_known_places(rows, files.slice(0, 0)).equals(rows)


def test_broken_places_are_named(tmp_path: Path) -> None:
    storage = Storage.at(tmp_path)
    whole, cut, gone = (pack(storage, [b"a", b"b"]) for _ in range(3))
    path = tmp_path / cut[0].partition("#")[0]
    os.truncate(path, path.stat().st_size - 5)
    (tmp_path / gone[0].partition("#")[0]).unlink()
    beyond = whole[1].replace("#1", "#2")
    assert list(find_broken_places(storage, column(*whole, None))) == []
    problems = list(find_broken_places(storage, column(*whole, beyond, *cut, *gone)))
    assert sorted(problem.partition(".parquet")[2].split(":")[0] for problem in problems) == [
        " can't be read",
        " lacks photos that files name",
        ", which files name, is missing",
    ]


def test_a_run_removes_and_check_names_what_is_wrong(library: Library) -> None:
    (place,) = pack(library.storage, [b"a"])
    with library.writer("test") as writer:
        assert not (Path(library.location) / place.partition("#")[0]).exists()
        (place,) = pack(library.storage, [b"a"])
        writer.append("files", table_of("files", [{"uri": "file:///packed.jpg", "photo_id": "x", "packed": place}]))
    with library.writer("test"):
        pass
    assert check(library) == []
    shutil.rmtree(Path(library.location) / "shards")
    (problem,) = check(library)
    assert "shards/" in problem
