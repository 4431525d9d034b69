"""What holds after decisions, and which contradict each other."""

from datetime import timedelta

import pytest

from facepipe.errors import WrongUsageError
from facepipe.library.decisions import (
    SHOWN,
    Decided,
    Decision,
    Kind,
    Recorded,
    carry_out,
    check_consistent,
    decide,
    from_rows,
    new_decision,
    to_rows,
)

Said = tuple[Kind, list[str], list[str], str]


def decisions(*said: Said) -> list[Decision]:
    """Decisions a second apart."""
    first = new_decision("name")
    return [new_decision(*words)._replace(at=first.at + timedelta(seconds=place)) for place, words in enumerate(said)]


def no_run(run_id: str) -> Recorded:
    raise AssertionError(run_id)


def holds(*said: Said) -> Decided:
    return decide(decisions(*said), no_run)


def test_rows_are_read_as_they_were_written() -> None:
    decision = new_decision("split", ["f", "g"], ["P", "Q"], "")
    assert from_rows(to_rows(decision)) == [decision]


def test_later_names_hold() -> None:
    decided = holds(("name", [], ["P"], "Ann"), ("name", [], ["Q"], "Bob"), ("name", [], ["P"], "Anna"))
    assert decided.names == {"P": "Anna", "Q": "Bob"}
    assert holds(("name", [], ["P"], "Ann"), ("name", [], ["P"], "")).names == {}


def test_hiding_is_taken_back() -> None:
    assert holds(("hide", [], ["P"], "")).hidden == {"P"}
    assert holds(("hide", [], ["P"], ""), ("hide", [], ["P"], SHOWN)).hidden == set()


def test_a_merger_takes_along_faces_names_and_what_was_said_of_the_others() -> None:
    decided = holds(
        ("name", [], ["Q"], "Bob"),
        ("confirm", ["q"], ["Q"], ""),
        ("reject", ["x"], ["Q"], ""),
        ("merge", ["p", "q", "q2", "x"], ["P", "Q"], ""),
    )
    assert decided.owners == dict.fromkeys(["p", "q", "q2"], "P")
    assert decided.names == {"P": "Bob"}
    assert set(decided.barred) == {("x", "P")}
    assert decided.people == {"P"}


def test_single_faces_may_leave_a_merger_again() -> None:
    decided = holds(("merge", ["p", "q"], ["P", "Q"], ""), ("confirm", ["q"], ["R"], ""), ("reject", ["p"], ["P"], ""))
    assert decided.owners == {"q": "R"}


def test_a_split_keeps_faces_with_the_new_and_from_the_old() -> None:
    decided = holds(("split", ["f"], ["P", "Q"], ""))
    assert decided.owners == {"f": "Q"}
    assert set(decided.barred) == {("f", "P")}


def test_a_rollback_undoes_what_came_after_the_run_and_holds_what_was() -> None:
    rows = decisions(
        ("name", [], ["P"], "Ann"),
        ("reject", ["x"], ["P"], ""),
        ("name", [], ["P"], "Wrong"),
        ("merge", ["p", "q"], ["Q", "P"], ""),
        ("rollback", [], [], "run"),
        ("confirm", ["q"], ["R"], ""),
    )
    then = Recorded(rows[1].at, {"p": "P", "q": "Q"})
    decided = decide(rows, lambda run_id: {"run": then}[run_id])
    assert decided.names == {"P": "Ann"}
    assert decided.owners == {"p": "P", "q": "R"}
    assert set(decided.barred) == {("x", "P")}
    assert decided.people == {"P", "Q", "R"}


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (("reject", ["f"], ["P"], ""), ("confirm", ["f"], ["P"], "")),
        (("confirm", ["f"], ["P"], ""), ("confirm", ["f"], ["Q"], "")),
        (("confirm", ["f"], ["P"], ""), ("reject", ["f"], ["P"], "")),
        (("confirm", ["f"], ["P"], ""), ("split", ["f"], ["P", "Q"], "")),
        (("confirm", ["f"], ["P"], ""), ("not_a_face", ["f"], [], "")),
        (("not_a_face", ["f"], [], ""), ("confirm", ["f"], ["P"], "")),
        (("split", ["f"], ["P", "Q"], ""), ("merge", ["e", "f"], ["P", "Q"], "")),
        (("split", ["f"], ["P", "Q"], ""), ("confirm", ["f"], ["P"], "")),
    ],
)
def test_contradictions_name_both(held: Said, said: Said) -> None:
    (first,) = decisions(held)
    decided = decide([first], no_run)
    with pytest.raises(WrongUsageError) as error:
        check_consistent(decided, new_decision(*said))
    message = str(error.value)
    assert message.startswith(f"this {said[0].replace('_', '-')} contradicts the `{held[0].replace('_', '-')}` of ")
    assert first.decision_id[:8] in message


@pytest.mark.parametrize(
    ("held", "said"),
    [
        (("confirm", ["f"], ["P"], ""), ("confirm", ["f"], ["P"], "")),
        (("reject", ["f"], ["P"], ""), ("reject", ["f"], ["P"], "")),
        (("reject", ["f"], ["P"], ""), ("confirm", ["f"], ["Q"], "")),
        (("merge", ["f", "g"], ["P", "Q"], ""), ("reject", ["f"], ["P"], "")),
        (("merge", ["f", "g"], ["P", "Q"], ""), ("split", ["f"], ["P", "R"], "")),
        (("confirm", ["f"], ["Q"], ""), ("merge", ["f", "g"], ["P", "Q"], "")),
        (("reject", ["f"], ["P"], ""), ("merge", ["f", "g"], ["P", "Q"], "")),
        (("not_a_face", ["f"], [], ""), ("not_a_face", ["f"], [], "")),
    ],
)
def test_what_goes_together_is_accepted(held: Said, said: Said) -> None:
    check_consistent(holds(held), new_decision(*said))


def test_what_is_decided_is_carried_out_and_all_else_stays() -> None:
    decided = holds(("confirm", ["a"], ["P"], ""), ("reject", ["b"], ["P"], ""), ("not_a_face", ["c"], [], ""))
    owners = {"a": None, "b": "P", "c": "Q", "d": "P", "e": None}
    assert carry_out(decided, owners) == {"a": "P", "b": None, "c": None, "d": "P", "e": None}
