"""Which old face is which new one, and every table that names faces told so."""

from datetime import UTC, datetime
from itertools import permutations

import numpy as np
import pyarrow as pa
import pytest

from facepipe.imaging.boxes import iou
from facepipe.library.decisions import Decided
from facepipe.schemas import TABLES
from facepipe.stages.carry_over import BOX, NAMING_FACES, carry_over, is_lost, new_names, rename_faces
from tests.library_rows import table_of

SEED = 20261126
NOW = datetime(2026, 11, 26, tzinfo=UTC)
NOT_CARRIED = {"faces", "neighbors", "people"}  # written anew, emptied, counted anew


def faces(**photos: list[tuple[float, float, float, float]]) -> pa.Table:
    """Return rows of `faces`: boxes by photo, numbered in their order."""
    rows = [
        {"face_id": f"{photo}-{ordinal:04d}", "photo_id": photo, **dict(zip(BOX, box, strict=True))}
        for photo, boxes in photos.items()
        for ordinal, box in enumerate(boxes, 1)
    ]
    return table_of("faces", rows)


def test_numbers_shift_and_faces_come_and_go() -> None:
    old = faces(p=[(0, 0, 10, 10), (50, 0, 60, 10), (0, 50, 10, 60)], q=[(0, 0, 10, 10)], r=[(1, 2.25, 11, 12)])
    new = faces(p=[(90, 0, 99, 9), (1, 1, 11, 11), (51, 0, 61, 10), (30, 50, 40, 60)], q=[(0, 0, 10, 10)])
    assert new_names(old, new) == {
        "p-0001": "p-0002",
        "p-0002": "p-0003",
        "p-0003": "p@0.0,50.0,10.0,60.0",
        "q-0001": "q-0001",
        "r-0001": "r@1.0,2.2,11.0,12.0",
    }
    assert new_names(faces(), new) == {}
    assert all(is_lost(name) for name in new_names(old, faces()).values())


def test_half_of_the_union_is_enough_and_less_is_not() -> None:
    old = faces(p=[(0, 0, 10, 10)])
    assert new_names(old, faces(p=[(0, 0, 10, 20)])) == {"p-0001": "p-0001"}
    assert is_lost(new_names(old, faces(p=[(0, 0, 10, 20.1)]))["p-0001"])


def test_matching_agrees_with_all_ways_tried() -> None:
    print(f"seed {SEED}")
    draw = np.random.default_rng(SEED)
    several = 0
    for _ in range(200):
        corners = [draw.uniform(0, 8, (count, 2)) for count in draw.integers(1, 5, 2)]
        old, new = (np.concatenate([corner, corner + draw.uniform(9, 12, corner.shape)], axis=1) for corner in corners)
        names = new_names(faces(p=old.tolist()), faces(p=new.tolist()))
        overlaps = iou(old.astype(np.float32), new.astype(np.float32))
        overlaps[overlaps < 0.5] = 0
        padded = np.zeros((len(old), len(new) + len(old)))
        padded[:, : len(new)] = overlaps
        best = max(
            sum(padded[row, column] for row, column in enumerate(way))
            for way in permutations(range(padded.shape[1]), len(old))
        )
        pairs = [(int(a[-4:]) - 1, int(b[-4:]) - 1) for a, b in names.items() if not is_lost(b)]
        assert len({column for _, column in pairs}) == len(pairs)
        assert all(overlaps[pair] >= 0.5 for pair in pairs)
        assert sum(overlaps[pair] for pair in pairs) == pytest.approx(best)
        several += len(pairs) > 1
    assert several > 20


def test_every_column_that_names_faces_is_declared() -> None:
    naming = {
        (table, field.name)
        for table, schema in TABLES.items()
        for field in schema
        if "face_id" in field.name and table not in NOT_CARRIED
    }
    assert naming == set(NAMING_FACES)


def test_lists_nulls_and_names_of_the_lost() -> None:
    names = {"p-0001": "p-0002", "p-0002": "p@0.0,0.0,1.0,1.0"}
    decisions = table_of(
        "decisions",
        [
            {"decision_id": "1", "face_ids": ["p-0001", "p-0002", "p@5.0,5.0,9.0,9.0", "p-0003"]},
            {"decision_id": "2", "face_ids": []},
            {"decision_id": "3"},
        ],
    )
    renamed = rename_faces("decisions", decisions, names)
    assert renamed["face_ids"].to_pylist() == [
        ["p-0002", "p@0.0,0.0,1.0,1.0", "p@5.0,5.0,9.0,9.0", "p-0003@"],
        [],
        None,
    ]
    assert renamed.drop_columns("face_ids").equals(decisions.drop_columns("face_ids"))
    assert renamed.schema.equals(decisions.schema)
    runs = table_of("runs", [{"run_id": "1"}])
    assert rename_faces("runs", runs, names).equals(runs)


def test_people_keep_who_they_are_and_the_lost_leave_a_trace() -> None:
    names = {"p-0001": "p-0002", "q-0001": "q-0001", "r-0001": "r@0.0,0.0,1.0,1.0", "s-0001": "s@0.0,0.0,1.0,1.0"}
    assigned = [
        ("p-0001", "ann", "q-0001"),
        ("q-0001", "ann", "r-0001"),
        ("r-0001", "bob", None),
        ("s-0001", None, None),
    ]
    tables = {
        "assignments": table_of(
            "assignments",
            [
                {"face_id": face, "person_id": person, "probability": 0.5, "origin": "user", "joined_face_id": joined}
                for face, person, joined in assigned
            ],
        ),
        "changes": table_of("changes", [{"run_id": "0", "at": NOW, "face_id": "p-0001", "new_person_id": "ann"}]),
        "decisions": table_of("decisions", [{"decision_id": "1", "face_ids": ["r-0001", "q-0001"]}]),
        "lineage": table_of("lineage", [{"run_id": "0", "new_person_id": "ann", "faces": 2, "kind": "new"}]),
    }
    rows = table_of("faces", [{"face_id": face, "photo_id": face[0]} for face in ("p-0001", "p-0002", "q-0001")])
    photos = table_of("photos", [{"photo_id": "p"}, {"photo_id": "q"}])
    carried = carry_over(names, tables, rows, photos, Decided(names={"ann": "Ann", "bob": "Bob"}), "run", NOW)

    assert carried["neighbors"].num_rows == 0
    assert carried["assignments"].select(["face_id", "person_id", "joined_face_id"]).to_pylist() == [
        {"face_id": "p-0002", "person_id": "ann", "joined_face_id": "q-0001"},
        {"face_id": "q-0001", "person_id": "ann", "joined_face_id": None},
    ]
    assert set(carried["assignments"]["origin"].to_pylist()) == {"user"}
    (ann,) = carried["people"].to_pylist()
    assert (ann["person_id"], ann["name"], ann["faces"], ann["cover_face_id"]) == ("ann", "Ann", 2, "p-0002")
    assert carried["decisions"]["face_ids"].to_pylist() == [["r@0.0,0.0,1.0,1.0", "q-0001"]]
    assert [tuple(row.values())[2:] for row in carried["changes"].to_pylist()] == [
        ("p-0002", None, "ann"),
        ("r@0.0,0.0,1.0,1.0", "bob", None),
    ]
    kinds = {(row["old_person_id"], row["kind"]) for row in carried["lineage"].to_pylist()}
    assert {(None, "new"), ("bob", "gone")} <= kinds
    for table, told in carried.items():
        assert told.schema.equals(TABLES[table]), table
