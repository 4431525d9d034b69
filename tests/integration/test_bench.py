"""`facepipe bench` measures this project alone where no peers are installed, and says what is missing otherwise."""

from pathlib import Path

import pytest

from tests.program import facepipe


@pytest.fixture(scope="module")
def album(data: Path) -> Path:
    return data / "album"


@pytest.mark.parametrize("what", ["embed", "detect"])
def test_alone(what: str, album: Path, weights: tuple[str, str]) -> None:
    figures = facepipe("bench", what, "--images", album, "--limit", "2", "--rounds", "3", "--no-peers", "--json").json
    assert (figures["items"], figures["rounds"], figures["peers"], figures["ratio"]) == (2, 3, {}, {})
    seconds = figures["seconds"]["facepipe"]
    assert figures["ours"] == pytest.approx(2 / sorted(seconds)[1])
    assert figures["peak_memory_bytes"] > 100e6
    assert figures["thresholds"] == ([0.6, 0.7, 0.7] if what == "detect" else [0.6, 0.7, 0.2])


def test_extract_beside_its_bare_stages(album: Path, weights: tuple[str, str]) -> None:
    outcome = facepipe(
        "bench", "extract", "--images", album, "--limit", "3", "--rounds", "1", "--no-peers", "--engine", "local",
        "--set", "detect.min_face=40", "--json",
    )  # fmt: skip
    figures = outcome.json
    assert figures["peers"].keys() == figures["ratio"].keys() == {"bare stages"}
    assert figures["ratio"]["bare stages"] == pytest.approx(figures["ours"] / figures["peers"]["bare stages"])


def test_decode_beside_libjpeg_turbo(album: Path) -> None:
    figures = facepipe(
        "bench", "decode", "--images", album, "--limit", "1", "--rounds", "1", "--megapixels", "2", "--json"
    ).json
    assert figures["ratio"].keys() == {"libjpeg-turbo", "libjpeg-turbo, shrunk"}


def test_without_peers_it_says_how_to_get_them(album: Path) -> None:
    outcome = facepipe("bench", "detect", "--images", album, "--limit", "1")
    assert outcome.code == 2
    assert "run `make bench`" in outcome.err
    assert outcome.err.count("\n") == 1
