"""`facepipe bench` measures this project alone where no peers are installed, and says what is missing otherwise."""

import dataclasses
from pathlib import Path

import pytest

from facepipe.benchmarks.grouping import bench_grouping
from facepipe.config import Config
from facepipe.evaluation.grouping_peers import PEERS
from facepipe.evaluation.made_library import LibraryPlan
from tests.program import facepipe


@pytest.fixture(scope="module")
def album(data: Path) -> Path:
    return data / "album"


@pytest.mark.parametrize("what", [pytest.param("embed", marks=pytest.mark.long), "detect"])
def test_alone(what: str, album: Path, weights: tuple[str, str]) -> None:
    figures = facepipe("bench", what, "--images", album, "--limit", "2", "--rounds", "3", "--no-peers", "--json").json
    assert (figures["items"], figures["rounds"], figures["peers"], figures["ratio"]) == (2, 3, {}, {})
    seconds = figures["seconds"]["facepipe"]
    assert figures["ours"] == pytest.approx(2 / sorted(seconds)[1])
    assert figures["peak_memory_bytes"] > 100e6
    assert figures["thresholds"] == ([0.6, 0.7, 0.7] if what == "detect" else [0.6, 0.7, 0.2])


@pytest.mark.long
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


def test_grouping_of_a_made_library() -> None:
    outcome = facepipe("bench", "grouping", "--faces", "600", "--peer", "dbscan", "--seed", "3", "--json")
    assert outcome.code == 0, outcome.err
    figures = outcome.json
    assert list(figures["seconds"]) == ["knn", "forest", "tree", "people", "total"]
    *parts, total = figures["seconds"].values()
    assert sum(parts) == pytest.approx(total, rel=0.05)
    assert (figures["faces"], figures["recall"], figures["seed"]) == (600, 1, 3)
    assert figures["bcubed"]["f"] > 0.9
    assert 50e6 < figures["peak_memory_bytes"] < 2e9
    peer = figures["peers"]["dbscan"]
    assert peer["ratio"] == pytest.approx(peer["seconds"] / total)
    assert 0.7 <= peer["setting"] <= 1
    assert peer["bcubed"]["f"] > 0.8


def test_a_peer_that_cannot_take_so_many_faces_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    few = dataclasses.replace(PEERS["hac_average"], most_faces=100)
    monkeypatch.setitem(PEERS, "hac_average", few)
    figures = bench_grouping(LibraryPlan(faces=200), 0, ["hac_average"], Config())
    assert figures["peers"] == {"hac_average": {"reason": "196 faces are too many for it: 100 at most"}}


def test_libraries_are_made_only_for_known_embedders() -> None:
    outcome = facepipe("bench", "grouping", "--faces", "200", "--set", "embed.model=facenet-vggface2")
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "no libraries can be made for 'facenet-vggface2'" in outcome.err
    unknown = facepipe("bench", "grouping", "--faces", "200", "--peer", "magic")
    assert (unknown.code, unknown.err.count("\n")) == (2, 1)
    assert "no peer 'magic'" in unknown.err


def test_other_embedders_are_measured_alone(album: Path) -> None:
    bench = ("bench", "embed", "--images", album, "--limit", "2", "--set", "embed.embedder=vggface")
    assert facepipe(*bench, "--rounds", "1", "--no-peers", "--json").json["ours"] > 0
    outcome = facepipe(*bench)
    assert (outcome.code, outcome.err.count("\n")) == (2, 1)
    assert "has nothing but FaceNet" in outcome.err
