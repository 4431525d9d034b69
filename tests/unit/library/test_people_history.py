from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from facepipe.library.people_history import changes_between, owners_at
from facepipe.schemas import CHANGES
from tests.library_rows import table_of

Owners = dict[str, str | None]
START = datetime(2026, 1, 1, tzinfo=UTC)
OWNERS = st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(["P", "Q", None]))


@given(st.lists(OWNERS, min_size=1, max_size=6))
def test_every_past_state_follows_from_the_present(states: list[Owners]) -> None:
    """States a minute apart, the changes between them, and each state found again."""
    before: Owners = {}
    tables = [CHANGES.empty_table()]
    for number, state in enumerate(states):
        tables.append(changes_between(before, state, f"run {number}", START + timedelta(minutes=number)))
        before = state
    rows = [{"face_id": face, "person_id": owner} for face, owner in states[-1].items()]
    assignments = table_of("assignments", rows)
    for number, state in enumerate(states):
        found = owners_at(assignments, pa.concat_tables(tables), START + timedelta(minutes=number, seconds=30))
        assert found == {face: owner for face, owner in state.items() if owner}


def test_only_what_differs_is_a_change() -> None:
    rows = changes_between({"a": "P", "b": "P", "c": None}, {"a": "P", "b": "Q", "c": None, "d": "Q"}, "run", START)
    assert [(row["face_id"], row["old_person_id"], row["new_person_id"]) for row in rows.to_pylist()] == [
        ("b", "P", "Q"),
        ("d", None, "Q"),
    ]
