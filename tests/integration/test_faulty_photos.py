"""One bad photo never costs another photo."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facepipe.library.library import Library
from facepipe.library.uris import uri_to_path
from tests.program import facepipe

FAULTS = {"bomb.png": "too_large", "empty.jpg": "empty", "text.jpg": "not_an_image", "truncated.jpg": "truncated"}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(3)
    for name in ("a.jpg", "b.png", "c.webp", "d.bmp", "e.tif"):
        Image.fromarray(rng.integers(0, 255, (90, 120, 3), dtype=np.uint8)).save(folder / name)
    whole = (folder / "a.jpg").read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.jpg").touch()
    (folder / "text.jpg").write_text("not a photo at all\n" * 40)
    Image.new("1", (30_000, 30_000)).save(folder / "bomb.png")
    return folder


def errors_of(library: Path) -> dict[str, str]:
    return {uri_to_path(row["uri"]).name: row["code"] for row in Library.open(library).read("errors").to_pylist()}


def test_each_fault_is_one_row_and_the_others_come_through(
    photos: Path, tmp_path: Path, weights: tuple[str, str]
) -> None:
    library = tmp_path / "library"

    def run(*options: str) -> tuple[int, dict[str, int]]:
        outcome = facepipe("run", photos, "--library", library, "--engine", "local", "--json", *options)
        return outcome.code, outcome.json

    code, figures = run()
    assert code == 3
    assert (figures["photos_seen"], figures["photos_new"], figures["photos_failed"]) == (9, 9, 4)
    assert errors_of(library) == FAULTS
    assert len(Library.open(library).read("photos")) == 5
    assert facepipe("check", "--library", library).code == 0

    code, figures = run()  # nothing has changed: nothing is tried
    assert (code, figures["photos_new"], figures["photos_failed"]) == (0, 0, 0)
    assert errors_of(library) == FAULTS

    code, figures = run("--retry-failed", "--max-failed", "50%")
    assert (code, figures["photos_failed"]) == (3, 4)
    code, figures = run("--retry-failed", "--max-failed", "4")
    assert (code, figures["photos_failed"]) == (0, 4)

    (photos / "truncated.jpg").write_bytes((photos / "a.jpg").read_bytes())  # mended, now a copy
    (photos / "bomb.png").unlink()
    code, figures = run()
    assert (code, figures["photos_failed"], figures["duplicate_groups"]) == (0, 0, 1)
    assert errors_of(library) == {"empty.jpg": "empty", "text.jpg": "not_an_image"}
    assert facepipe("check", "--library", library).code == 0
