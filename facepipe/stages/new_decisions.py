"""Decisions as users word them on the command line, made into rows: people and faces found, impossible ones refused."""

from collections.abc import Sequence

from facepipe.clustering.identities import birth_id
from facepipe.errors import WrongUsageError
from facepipe.library.decisions import SHOWN, Decision, new_decision
from facepipe.library.library import Library
from facepipe.library.lookup import SHORT_ID, find_faces, find_person, short_face_id
from facepipe.library.people_history import known_owners
from facepipe.library.run_history import find_run, past_runs

LONGEST_NAME = 200


def name_person(library: Library, person: str, name: str) -> Decision:
    """Return that a person is called so; an empty name takes the name away.

    Raises:
        WrongUsageError: nobody or more than one is meant, or the name can't be one.
    """
    name = name.strip()
    if len(name) > LONGEST_NAME or not name.isprintable():
        raise WrongUsageError(f"a name has at most {LONGEST_NAME} printable characters on one line")
    return new_decision("name", person_ids=[_person(library, person)], name=name)


def hide_person(library: Library, person: str, undo: bool) -> Decision:
    """Return that a person is hidden, or is not any more.

    Raises:
        WrongUsageError: nobody or more than one is meant.
    """
    return new_decision("hide", person_ids=[_person(library, person)], name=SHOWN if undo else "")


def merge_people(library: Library, persons: Sequence[str]) -> Decision:
    """Return that people are one, the first of them, with all faces that they have now.

    Raises:
        WrongUsageError: one of them is nobody or more than one, or fewer than two are meant.
    """
    ids = list(dict.fromkeys(_person(library, person) for person in persons))
    if len(ids) < 2:
        raise WrongUsageError("merging takes two different people: the first goes on with the faces of all")
    owners = known_owners(library.read("assignments"))
    return new_decision("merge", sorted(face for face, owner in owners.items() if owner in ids), ids)


def split_person(library: Library, person: str, faces: Sequence[str]) -> Decision:
    """Return that some of a person's faces are a person of their own.

    Raises:
        WrongUsageError: person or faces aren't found, a face isn't the person's, or none would be left.
    """
    old, chosen = _person(library, person), _faces(library, faces)
    owners = known_owners(library.read("assignments"))
    for face in chosen:
        if owners.get(face) != old:
            raise WrongUsageError(f"the face {short_face_id(face)} is not one of {old[:SHORT_ID]}: nothing was changed")
    if set(chosen) >= {face for face, owner in owners.items() if owner == old}:
        raise WrongUsageError(f"these are all faces of {old[:SHORT_ID]}: a split leaves some and takes some")
    taken = {
        *owners.values(),
        *(person for row in library.read("decisions")["person_ids"].to_pylist() for person in row),
    }
    return new_decision("split", chosen, [old, birth_id(chosen, taken)])


def confirm_faces(library: Library, person: str, faces: Sequence[str]) -> Decision:
    """Return that faces are a person; without faces, all that the person has now.

    Raises:
        WrongUsageError: person or faces aren't found.
    """
    owner_id = _person(library, person)
    chosen = _faces(library, faces)
    if not chosen:
        owners = known_owners(library.read("assignments"))
        chosen = sorted(face for face, owner in owners.items() if owner == owner_id)
    return new_decision("confirm", chosen, [owner_id])


def reject_faces(library: Library, person: str, faces: Sequence[str]) -> Decision:
    """Return that faces are not a person.

    Raises:
        WrongUsageError: person or faces aren't found.
    """
    return new_decision("reject", _faces(library, faces), [_person(library, person)])


def deny_faces(library: Library, faces: Sequence[str]) -> Decision:
    """Return that what was taken for faces is none.

    Raises:
        WrongUsageError: they aren't found.
    """
    return new_decision("not_a_face", _faces(library, faces))


def roll_back(library: Library, run: str) -> Decision:
    """Return that people are as they were at the end of a run.

    Raises:
        WrongUsageError: there is no such run, or more than one.
    """
    return new_decision("rollback", name=find_run(past_runs(library), run).run_id)


def _person(library: Library, text: str) -> str:
    return find_person(library.read("people", ["person_id", "name"]), text)


def _faces(library: Library, texts: Sequence[str]) -> list[str]:
    return find_faces(library.read("faces", ["face_id"])["face_id"].to_pylist(), texts) if texts else []
