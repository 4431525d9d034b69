"""The comparison of methods on planted faces, and what is printed and drawn of it."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from facepipe.cli.grouping_table import print_grouping_table
from facepipe.config import Config, load_config
from facepipe.errors import FacepipeError, WrongUsageError
from facepipe.evaluation.clustering import compare_groups
from facepipe.evaluation.grouping_peers import PEERS
from facepipe.evaluation.tuning import half_of
from facepipe.labelled_photos import LabelledFaces
from facepipe.studies.grouping import GroupingStudy, compare_methods, our_method

FEW_SETTINGS = {name: replace(peer, settings=peer.settings[::10]) for name, peer in PEERS.items()}
FIGURES = {"bcubed", "pairwise", "groups", "unassigned", "largest_impure"}


def planted(people: int = 8, each: int = 4) -> LabelledFaces:
    rng = np.random.default_rng(20)
    names = np.repeat([f"person {number}" for number in range(people)], each)
    faces = np.repeat(rng.normal(size=(people, 512)), each, axis=0) + 0.7 * rng.normal(size=(people * each, 512))
    embeddings = (faces / np.linalg.norm(faces, axis=1, keepdims=True)).astype(np.float32)
    votes = np.ones(len(names), np.bool_)
    votes[0] = False
    return LabelledFaces(names, embeddings, votes, rng.normal(size=len(names)) / 20, undetected=0)


@pytest.fixture(scope="module")
def study() -> GroupingStudy:
    return compare_methods(planted(), Config(), with_all=True, peers=FEW_SETTINGS)


def test_every_method_is_judged_on_both_halves(study: GroupingStudy) -> None:
    faces, figures = planted(), study.figures
    assert set(figures["peers"]) == set(PEERS)
    for name, method in {"ours": figures["ours_tuned"], **figures["peers"]}.items():
        assert [(half["tuned_on"], half["judged_on"]) for half in method["halves"]] == [
            ("even", "odd"),
            ("odd", "even"),
        ], name
        for half in method["halves"]:
            assert set(half) == FIGURES | {"tuned_on", "judged_on", "setting", "faces"}
            assert half["faces"] == (half_of(faces.names) == half["judged_on"]).sum()
        assert set(method["mean"]) == FIGURES
        assert method["mean"]["bcubed"]["f"] == pytest.approx(
            np.mean([half["bcubed"]["f"] for half in method["halves"]])
        )
    for name, peer in FEW_SETTINGS.items():
        assert [tried["setting"] for tried in figures["peers"][name]["all"]] == list(peer.settings)


def test_ours_is_judged_as_it_groups(study: GroupingStudy) -> None:
    faces, figures = planted(), study.figures
    expected = compare_groups(faces.names, study.groups)
    assert figures["bcubed"]["f"] == expected.bcubed.f
    assert study.groups[0] == -1  # it does not vote
    half = figures["ours_tuned"]["halves"][0]
    rows = np.flatnonzero(half_of(faces.names) == "odd")
    settings = [f"group.{name}={value}" for name, value in half["setting"].items()]
    alone = compare_groups(faces.names[rows], faces.group(rows, load_config(None, settings)))
    assert half["bcubed"]["f"] == pytest.approx(alone.bcubed.f)


def test_our_settings_lie_around_those_of_the_configuration() -> None:
    faces = planted()
    settings = our_method(faces, load_config(None, ["group.link_distance=0.5", "group.crowding_weight=0.1"])).settings
    assert len(settings) == 5 * 7 * 2
    assert {setting["link_distance"] for setting in settings} == {0.46, 0.48, 0.5, 0.52, 0.54}
    assert {setting["crowding_weight"] for setting in settings} == {0.1, 0.4}
    without_cohort = our_method(faces._replace(crowding=np.zeros(len(faces.names))), Config()).settings
    assert {setting["crowding_weight"] for setting in without_cohort} == {Config().group.crowding_weight}


def test_one_half_is_not_enough() -> None:
    faces = planted()
    one = faces._replace(names=np.repeat(faces.names[:1], len(faces.names)))
    with pytest.raises(WrongUsageError, match="too few people"):
        compare_methods(one, Config())


def test_the_table_names_every_method(study: GroupingStudy, capsys: pytest.CaptureFixture[str]) -> None:
    print_grouping_table(study.figures)
    printed = capsys.readouterr().out.splitlines()
    for name in ("facepipe", *PEERS):
        assert [line.split()[1] for line in printed if line.startswith(f"{name} ")] == ["odd", "even", "mean"]
    assert any("link_distance" in line for line in printed)


def test_the_picture_shows_every_method_and_repeats(study: GroupingStudy, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from facepipe.cli.grouping_picture import TITLES, draw_picture

    group = Config().group.model_dump()
    for name in ("one.svg", "two.svg"):
        draw_picture(tmp_path / name, study, group)
    drawn = (tmp_path / "one.svg").read_bytes()
    assert drawn == (tmp_path / "two.svg").read_bytes()
    text = " ".join(ElementTree.fromstring(drawn).itertext())
    assert set(TITLES) == set(PEERS)
    for title in (*TITLES.values(), "facepipe, as set", "people: 8"):
        assert title in text
    with pytest.raises(FacepipeError, match="can't be written"):
        draw_picture(tmp_path / "gone" / "three.png", study, group)
