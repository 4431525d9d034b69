"""`runs` through the real program, on two runs of `ingest`."""

from pathlib import Path

import pytest
from PIL import Image

from tests.program import facepipe


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    photos = folder / "photos"
    photos.mkdir()
    for count, settings in ((2, []), (3, ["--set", "decode.max_side=512"])):
        for index in range(count):
            Image.new("RGB", (40, 40), (index, 0, 0)).save(photos / f"{index}.png")
        outcome = facepipe("ingest", photos, "--library", folder / "library", "--engine", "local", *settings)
        assert outcome.code == 0, outcome.err
    return folder / "library"


def test_list_show_and_diff(library: Path) -> None:
    first, second = facepipe("runs", "list", "--library", library, "--json").json["runs"]
    assert (first["command"], first["photos"], second["photos"]) == ("ingest", 2, 3)
    assert first["faces"] is first["people"] is None

    shown = facepipe("runs", "show", first["run_id"][:8], "--library", library, "--json").json
    assert first.items() <= shown.items()
    assert shown["config"]["decode"]["max_side"] == 2048
    assert shown["stages"]["ingest"]["rows"] == 2
    assert "torch" in shown["versions"]

    ids = [first["run_id"], second["run_id"]]
    difference = facepipe("runs", "diff", *ids, "--library", library, "--json").json
    assert difference["runs"] == ids
    assert difference["config"] == {"decode.max_side": [2048, 512]}
    assert difference["versions"] == {}
    assert difference["counts"]["photos_seen"] == [2, 3]
    assert set(difference["rows_per_second"]) >= {"ingest", "ingest/identify_files"}


def test_what_people_read(library: Path) -> None:
    listed = facepipe("runs", "list", "--library", library)
    assert listed.code == 0
    first, second = (line.split()[0] for line in listed.out.splitlines() if " ingest " in line)
    shown = facepipe("runs", "show", second, "--library", library)
    assert "decode: max_side=512" in shown.out
    assert "  identify_files" in shown.out
    difference = facepipe("runs", "diff", first, second, "--library", library)
    assert "decode.max_side" in difference.out
    assert "No version differs." in difference.out


def test_an_unknown_run_is_wrong_usage(library: Path) -> None:
    outcome = facepipe("runs", "show", "zzz", "--library", library)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "`facepipe runs list`" in outcome.err
