"""Archives, packing, selection, limits and rehearsals through the real program."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from facepipe.library.library import Library
from tests.archives import write_hugging_face_parquet, write_tar
from tests.program import facepipe

PHOTOS = [f"{number}.jpg" for number in range(6)]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Six photos of noise, by name."""
    folder = tmp_path_factory.mktemp("drawn")
    rng = np.random.default_rng(21)
    for name in PHOTOS:
        Image.fromarray(rng.integers(0, 255, (48, 64, 3), dtype=np.uint8)).save(folder / name)
    return {name: (folder / name).read_bytes() for name in PHOTOS}


@pytest.fixture
def source(drawn: dict[str, bytes], tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "sub").mkdir(parents=True)
    for name, data in drawn.items():
        (folder / name).write_bytes(data)
    (folder / "clip.mp4").touch()
    return folder


def ingest(source: Path, library: Path, *options: str) -> dict[str, Any]:
    outcome = facepipe("ingest", source, "--library", library, "--engine", "local", "--json", *options)
    assert outcome.code in {0, 3}, outcome.err
    return outcome.json


def rows(library: Path, table: str) -> dict[str, dict[str, Any]]:
    """Return a table's rows by their uri below the source."""
    return {row["uri"].rpartition("/source/")[2]: row for row in Library.open(library).read(table).to_pylist()}


def counts(figures: dict[str, Any]) -> tuple[int, int, int, int]:
    seen, new, skipped, failed = (figures[f"photos_{name}"] for name in ("seen", "new", "skipped", "failed"))
    return seen, new, skipped, failed


def sound(library: Path) -> bool:
    return facepipe("check", "--library", library).code == 0


def test_photos_in_archives_are_those_in_files(drawn: dict[str, bytes], tmp_path: Path) -> None:
    source, library = tmp_path / "source", tmp_path / "library"
    source.mkdir()
    for name, data in drawn.items():
        (source / name).write_bytes(data)
    odd = os.fsdecode(b"\xff\n#.jpg")
    members = {"0.json": b"{}", **{f"./{name}": data for name, data in drawn.items()}, odd: drawn["0.jpg"]}
    write_tar(source / "x.tar", members)
    write_hugging_face_parquet(source / "y.parquet", [*drawn.values(), None])
    whole = write_tar(tmp_path / "whole.tar", drawn).read_bytes()
    (source / "cut.tar").write_bytes(whole[:4000])
    (source / "z.tar.gz").write_bytes(b"\x1f\x8b")

    figures = ingest(source, library)
    errors = {name: (row["code"], row["message"]) for name, row in rows(library, "errors").items()}
    assert {name: code for name, (code, _) in errors.items()} == {
        "y.parquet#6": "empty",
        "cut.tar": "truncated",
        "z.tar.gz": "unsupported",
    }
    files = rows(library, "files")
    whole_in_cut = {name for name in files if name.startswith("cut.tar#")}
    assert len(files) == 6 + 7 + 6 + len(whole_in_cut)
    photo_ids = {name: files[name]["photo_id"] for name in PHOTOS}
    for number, name in enumerate(PHOTOS):
        assert files[f"x.tar#./{name}"]["photo_id"] == photo_ids[name]
        assert files[f"y.parquet#{number}"]["photo_id"] == photo_ids[name]
        assert files[f"y.parquet#{number}"]["bytes"] == len(drawn[name])
    assert files["x.tar#%FF%0A%23.jpg"]["photo_id"] == photo_ids["0.jpg"]
    assert counts(figures) == (len(files) + 3, len(files) + 3, 0, 3)
    assert counts(ingest(source, library)) == (len(files) + 3, 0, len(files) + 3, 0)  # known, failures too

    os.utime(source / "y.parquet", (1, 1))
    assert counts(ingest(source, library))[1] == 7  # all of its rows are read again
    (source / "x.tar").unlink()
    ingest(source, library)
    missing = {name for name, row in rows(library, "files").items() if row["missing_since"]}
    assert len(missing) == 7
    assert all(name.startswith("x.tar#") for name in missing)
    assert sound(library)


def test_a_rehearsal_writes_nothing(source: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    expected = {
        "photos_seen": 6,
        "photos_new": 6,
        "photos_skipped": 0,
        "videos_skipped": 1,
        "photos_pending": 0,
        "dry_run": True,
    }
    assert ingest(source, library, "--dry-run") == expected
    assert not library.exists()

    ingest(source, library, "--include", "[0-3].jpg")
    before = {path: path.stat().st_mtime_ns for path in library.rglob("*")}
    expected |= {"photos_new": 2, "photos_skipped": 4, "photos_pending": 4}
    outcome = facepipe("run", source, "--library", library, "--dry-run", "--json")
    assert outcome.json == expected
    shown = facepipe("run", source, "--library", library, "--dry-run")
    assert (shown.code, "2 new, 4 known, 1 video skipped" in shown.out) == (0, True)
    assert {path: path.stat().st_mtime_ns for path in library.rglob("*")} == before


def test_a_limit_cuts_a_run_and_the_next_one_goes_on(source: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    assert counts(ingest(source, library, "--limit", "4")) == (4, 4, 0, 0)
    assert counts(ingest(source, library, "--limit", "4")) == (6, 2, 4, 0)
    assert not any(row["missing_since"] for row in rows(library, "files").values())


def test_what_a_pattern_leaves_out_is_not_missing(source: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    ingest(source, library)
    (source / "0.jpg").unlink()
    (source / "5.jpg").unlink()
    figures = ingest(source, library, "--include", "*.jpg", "--exclude", "[3-5].jpg")
    assert counts(figures) == (2, 0, 2, 0)
    assert [name for name, row in rows(library, "files").items() if row["missing_since"]] == ["0.jpg"]


def test_packed_photos_outlive_their_files(source: Path, tmp_path: Path, weights: tuple[str, str]) -> None:
    (source / "sub/copy.jpg").write_bytes((source / "0.jpg").read_bytes())
    (source / "text.jpg").write_text("no photo\n" * 50)
    library = tmp_path / "library"
    half = sum((source / name).stat().st_size for name in PHOTOS) // 2
    ingest(source, library, "--pack", "--set", f"pack.shard_bytes={half}")
    files = rows(library, "files")
    assert files["sub/copy.jpg"]["photo_id"] == files["0.jpg"]["photo_id"]
    assert len(files) == 7
    assert all(row["packed"].startswith("shards/") for row in files.values())
    assert len(list((library / "shards").iterdir())) >= 2

    os.utime(source / "0.jpg", (1, 1))
    assert ingest(source, library)["photos_new"] == 1
    assert {name: row["packed"] for name, row in rows(library, "files").items()} == {
        name: row["packed"] for name, row in files.items()
    }

    moved = tmp_path / "moved"
    library.rename(moved)
    (moved / "shards/left-by-a-kill.parquet").touch()
    shutil.move(source, tmp_path / "elsewhere")
    outcome = facepipe("extract", "--library", moved, "--engine", "local", "--json", "--limit", "2")
    assert (outcome.json["stages"]["extract"]["rows"], outcome.json["photos_failed"]) == (2, 0)
    assert not (moved / "shards/left-by-a-kill.parquet").exists()
    outcome = facepipe("extract", "--library", moved, "--engine", "local", "--json")
    assert (outcome.json["stages"]["extract"]["rows"], outcome.json["photos_failed"]) == (4, 0)
    photos = Library.open(moved).read("photos", ["photo_id", "width"]).to_pylist()
    assert {row["photo_id"] for row in photos} == {row["photo_id"] for row in files.values()}
    assert {row["width"] for row in photos} == {64}
    assert sound(moved)
    shutil.rmtree(moved / "shards")
    outcome = facepipe("check", "--library", moved)
    assert (outcome.code, "shards/" in outcome.out + outcome.err) == (1, True)


def test_packing_on_ray(source: Path, tmp_path: Path) -> None:
    write_tar(source / "x.tar", {"a.jpg": (source / "1.jpg").read_bytes()})
    outcome = facepipe(
        "ingest", source, "--library", tmp_path / "library", "--pack", "--json", "--set", "pack.shard_bytes=5000"
    )
    assert outcome.code == 0, outcome.err
    assert counts(outcome.json) == (7, 7, 0, 0)
    files = rows(tmp_path / "library", "files")
    assert all(row["packed"] for row in files.values())
    assert sound(tmp_path / "library")
