"""One bad photo never costs another photo."""

import ctypes
import os
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from facepipe.library.library import Library
from facepipe.sources.uris import uri_to_path
from tests.program import PROGRAM, environment, facepipe

SABOTAGE = Path(__file__).parent.parent / "sabotage"
CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, PR_CAPBSET_DROP = 1, 2, 24  # capabilities(7), prctl(2)
FAULTS = {
    ("bomb.png", "ingest", "too_large"),
    ("broken-link.jpg", "ingest", "vanished"),
    ("deflate-bomb.png", "ingest", "truncated"),
    ("empty.jpg", "ingest", "empty"),
    ("film.jpg", "ingest", "too_large"),
    ("kills.jpg", "extract", "internal"),
    ("kills-early.jpg", "ingest", "internal"),
    ("hangs.jpg", "extract", "timeout"),
    ("pipe.jpg", "extract", "unreadable"),
    ("text.jpg", "ingest", "not_an_image"),
    ("truncated.jpg", "extract", "truncated"),
    ("vanishes.jpg", "extract", "vanished"),
}
SOUND = [b"a.jpg", b"b.png", b"c.webp", b"d.bmp", b"e.tif", b"jpeg.png", b"two\nlines.jpg", b"not-utf8-\xff\xfe.jpg"]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Eight sound photos, one of them in a folder that a link leads around in a circle, and one of each fault."""
    folder = tmp_path / "photos"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "circle").symlink_to(folder, target_is_directory=True)
    rng = np.random.default_rng(3)
    for name in SOUND:
        path = folder / os.fsdecode(b"inner/" + name if name == b"e.tif" else name)
        kind = {".png": "JPEG" if name == b"jpeg.png" else "PNG", ".tif": "TIFF"}.get(path.suffix)
        with path.open("wb") as file:
            noise(rng).save(file, kind or Image.registered_extensions()[path.suffix])
    whole = (folder / "a.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("not a photo at all\n" * 40)
    Image.new("1", (30_000, 30_000)).save(folder / "bomb.png")
    bomb = PngImagePlugin.PngInfo()
    bomb.add(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(64 << 20), 9))
    Image.new("RGB", (8, 8)).save(folder / "deflate-bomb.png", pnginfo=bomb)
    (folder / "broken-link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    with (folder / "film.jpg").open("wb") as film:
        film.truncate(2 << 30)  # sparse
    return folder


def noise(rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(rng.integers(0, 255, (90, 120, 3), dtype=np.uint8))


@pytest.fixture
def sabotaged(photos: Path) -> Path:
    """The photos, and some that harm whoever decodes them; `photos` come in the order of their names."""
    rng = np.random.default_rng(4)
    for name in ("pipe.jpg", "vanishes.jpg"):
        noise(rng).save(photos / name)
    for name, comment in {
        "aa.jpg": f"extract: remove {photos / 'vanishes.jpg'}",
        "ab.jpg": f"extract: pipe {photos / 'pipe.jpg'}",
        "hangs.jpg": "extract: hang 600",
        "kills.jpg": "extract: kill 9",
        "kills-early.jpg": "ingest: kill 11",
    }.items():
        noise(rng).save(photos / name, comment=comment.encode())
    return photos


def rows_of(library: Path, table: str) -> list[dict[str, Any]]:
    return list(Library.open(library).read(table).to_pylist())


def errors_of(library: Path) -> dict[str, str]:
    return {uri_to_path(row["uri"]).name: row["code"] for row in rows_of(library, "errors")}


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_each_fault_is_one_row_and_the_others_come_through(
    sabotaged: Path, engine: str, tmp_path: Path, weights: tuple[str, str]
) -> None:
    library = tmp_path / "library"
    settings = ["--set", "decode.timeout_seconds=5", "--set", "runtime.batch_rows=64"]
    arguments: list[str | Path] = ["run", sabotaged, "--library", library, "--engine", engine, "--json", *settings]
    path = os.pathsep.join(filter(None, [str(SABOTAGE), os.environ.get("PYTHONPATH")]))
    outcome = facepipe(*arguments, PYTHONPATH=path)
    assert outcome.code == 3, outcome.err
    errors = rows_of(library, "errors")
    assert {(uri_to_path(row["uri"]).name, row["stage"], row["code"]) for row in errors} == FAULTS
    assert len(errors) == len(FAULTS)
    messages = {uri_to_path(row["uri"]).name: row["message"] for row in errors}
    assert "signal 9" in messages["kills.jpg"]
    assert "signal 11" in messages["kills-early.jpg"]
    assert "decode.timeout_seconds" in messages["hangs.jpg"]
    done = {row["photo_id"] for row in rows_of(library, "photos")}
    names = {os.fsencode(uri_to_path(row["uri"]).name) for row in rows_of(library, "files") if row["photo_id"] in done}
    assert names == {*SOUND, b"aa.jpg", b"ab.jpg"}
    assert len(done) == len(names)
    seen, failed = len(names) + len(FAULTS), len(FAULTS)
    assert (outcome.json["photos_seen"], outcome.json["photos_failed"]) == (seen, failed)
    assert facepipe("check", "--library", library).code == 0


def test_failed_photos_are_tried_again_when_they_change_or_on_demand(
    photos: Path, tmp_path: Path, weights: tuple[str, str]
) -> None:
    library = tmp_path / "library"
    faults = {"bomb.png", "broken-link.jpg", "deflate-bomb.png", "empty.jpg", "film.jpg", "text.jpg", "truncated.jpg"}

    def run(*options: str) -> tuple[int, dict[str, int]]:
        outcome = facepipe("run", photos, "--library", library, "--engine", "local", "--json", *options)
        return outcome.code, outcome.json

    code, figures = run()
    assert code == 3
    assert (figures["photos_seen"], figures["photos_new"], figures["photos_failed"]) == (15, 15, 7)
    assert set(errors_of(library)) == faults

    code, figures = run()  # nothing has changed: nothing is tried
    assert (code, figures["photos_new"], figures["photos_failed"]) == (0, 0, 0)
    assert set(errors_of(library)) == faults

    code, figures = run("--retry-failed", "--max-failed", "49%")
    assert (code, figures["photos_failed"]) == (3, 7)
    code, figures = run("--retry-failed", "--max-failed", "7")
    assert (code, figures["photos_failed"]) == (0, 7)

    (photos / "truncated.jpg").write_bytes((photos / "a.jpg").read_bytes())  # mended, now a copy
    (photos / "bomb.png").unlink()
    code, figures = run()
    assert (code, figures["photos_failed"], figures["duplicate_groups"]) == (0, 0, 1)
    assert set(errors_of(library)) == faults - {"truncated.jpg", "bomb.png"}
    assert facepipe("check", "--library", library).code == 0


def give_up_reading_everything() -> None:
    """Let root, for whom permissions don't count, be stopped by them as anybody is."""
    if os.geteuid() == 0:
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise PermissionError("the capability can't be dropped")


def test_what_may_not_be_read_is_an_error(tmp_path: Path, noise_photo: Path) -> None:
    photos, library = tmp_path / "photos", tmp_path / "library"
    (photos / "folder").mkdir(parents=True)
    for name in ("a.jpg", "b.jpg", "folder/c.jpg"):
        (photos / name).write_bytes(noise_photo.read_bytes() + name.encode())
    (photos / "a.jpg").chmod(0)
    (photos / "folder").chmod(0)
    arguments = ["ingest", str(photos), "--library", str(library), "--engine", "local"]
    done = subprocess.run(
        [*PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        preexec_fn=give_up_reading_everything,
    )
    (photos / "folder").chmod(0o755)
    assert done.returncode == 3, done.stderr
    assert errors_of(library) == {"a.jpg": "unreadable", "folder": "unreadable"}
    assert [uri_to_path(row["uri"]).name for row in rows_of(library, "files")] == ["b.jpg"]
