import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from facepipe.errors import WrongUsageError
from facepipe.library.library import Library
from facepipe.library.run_history import Difference, PastRun, compare, find_run, past_runs
from tests.library_rows import table_of

START = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def past_run(run_id: str, hour: int = 0, **fields: Any) -> PastRun:
    started = START + timedelta(hours=hour)
    given: dict[str, Any] = {"config": {}, "versions": {}, "counts": {}, "stages": {}} | fields
    return PastRun(run_id, "run", started, started + timedelta(seconds=12.5), **given)


def figures(rate: float, **inner: float) -> dict[str, Any]:
    made: dict[str, Any] = {"seconds": 2.0, "rows": 10, "rows_per_second": rate}
    return made | ({"inner": {name: figures(value) for name, value in inner.items()}} if inner else {})


def test_past_runs_are_read_oldest_first(library: Library) -> None:
    later = past_run("later", 1, counts={"photos_seen": 7}, stages={"extract": figures(5.0)})
    earlier = past_run("earlier", config={"detect": {"min_face": 20.0}}, versions={"torch": "2"})
    texts = ("config", "versions", "counts", "stages")
    with library.writer("test") as writer:
        for run in (later, earlier):
            row = {key: json.dumps(value) if key in texts else value for key, value in vars(run).items()}
            writer.append("runs", table_of("runs", [row]))
    found = past_runs(library)
    assert found == [earlier, later]
    assert found[0].seconds == 12.5


def test_a_library_without_runs(library: Library) -> None:
    assert past_runs(library) == []


@pytest.mark.parametrize(
    ("counts", "stages", "photos"),
    [({"photos_seen": 7}, {"extract": figures(1.0)}, 7), ({}, {"extract": figures(1.0)}, 10), ({}, {}, None)],
)
def test_photos_are_those_seen_or_worked_on(counts: dict[str, int], stages: dict[str, Any], photos: int | None) -> None:
    assert past_run("a", counts=counts, stages=stages).photos == photos


def test_a_run_is_found_by_its_id_or_a_prefix_of_its_own() -> None:
    runs = [past_run("abc1"), past_run("abd2"), past_run("ab")]
    assert find_run(runs, "abc").run_id == "abc1"
    assert find_run(runs, "abd2").run_id == "abd2"
    assert find_run(runs, "ab").run_id == "ab"  # a whole id, though others begin with it
    for text, says in (("abx", "no run 'abx'"), ("", "no run ''"), ("a", "3 runs begin with 'a'")):
        with pytest.raises(WrongUsageError, match=says):
            find_run(runs, text)


def test_compare_names_what_differs_alone() -> None:
    first = past_run(
        "a",
        config={"detect": {"min_face": 20.0, "factor": 0.7}, "embed": {"model": "m"}},
        versions={"torch": "2.1", "ray": "2.60.0"},
        counts={"faces": 5, "people": 2},
        stages={"extract": figures(4.0, detect_faces=9.0), "group": figures(100.0)},
    )
    second = past_run(
        "b",
        config={"detect": {"min_face": 40.0, "factor": 0.7, "new": True}},
        versions={"torch": "2.2", "ray": "2.60.0"},
        counts={"faces": 5, "people": 3, "unassigned": 0},
        stages={"extract": figures(8.0, detect_faces=9.0, read_photos=3.0)},
    )
    assert compare(first, second) == Difference(
        config={"detect.min_face": (20.0, 40.0), "embed.model": ("m", None), "detect.new": (None, True)},
        versions={"torch": ("2.1", "2.2")},
        counts={"people": (2, 3), "unassigned": (None, 0)},
        rows_per_second={
            "extract": (4.0, 8.0),
            "extract/detect_faces": (9.0, 9.0),
            "group": (100.0, None),
            "extract/read_photos": (None, 3.0),
        },
    )
    assert compare(first, first).config == compare(first, first).counts == {}
