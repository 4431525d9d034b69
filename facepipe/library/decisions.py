"""What users have decided, told as one state: who a face is, who it isn't, and what people are called.

A decision is a row of `decisions` and is never changed. What holds follows from all of them in their order, so it
survives every regrouping; `stages.group_people` binds the grouping to it.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import pyarrow as pa

from facepipe.errors import WrongUsageError
from facepipe.schemas import DECISIONS

Kind = Literal["name", "merge", "split", "confirm", "reject", "hide", "not_a_face", "rollback"]

SHOWN = "shown"  # what a decision to hide says in `name` where it takes hiding back


class Decision(NamedTuple):
    """A row of `decisions`.

    Attributes:
        decision_id: a random UUID.
        at: when, UTC.
        kind: what was decided.
        face_ids: confirm, reject, split and not_a_face: the faces meant; merge: all faces the people had.
        person_ids: whom it is about, the one that goes on first; split: the old one, then the new one.
        name: name: the new name, "" for none; hide: "" or SHOWN; rollback: the run_id.
    """

    decision_id: str
    at: datetime
    kind: Kind
    face_ids: tuple[str, ...] = ()
    person_ids: tuple[str, ...] = ()
    name: str = ""

    def __str__(self) -> str:
        """Return it as messages tell it."""
        return f"`{self.kind.replace('_', '-')}` of {self.at:%Y-%m-%d %H:%M:%S} UTC ({self.decision_id[:8]})"


def new_decision(kind: Kind, face_ids: Sequence[str] = (), person_ids: Sequence[str] = (), name: str = "") -> Decision:
    """Return a decision taken now."""
    return Decision(str(uuid.uuid4()), datetime.now(UTC), kind, tuple(face_ids), tuple(person_ids), name)


def to_rows(decision: Decision) -> pa.Table:
    """Return a decision as a row of `decisions`."""
    return pa.Table.from_pylist([decision._asdict()], schema=DECISIONS)


def from_rows(rows: pa.Table) -> list[Decision]:
    """Return the decisions of a table, oldest first."""
    found = [
        Decision(**{**row, "face_ids": tuple(row["face_ids"] or ()), "person_ids": tuple(row["person_ids"] or ())})
        for row in rows.to_pylist()
    ]
    return sorted(found, key=lambda decision: (decision.at, decision.decision_id))


@dataclass
class Decided:
    """What holds after some decisions.

    Attributes:
        owners: who a face is, by face_id: whatever else happens, it is that person.
        named_faces: the decision that named the face itself (confirm, split), by face_id; who is in `owners` and not
            here came along with a whole person (merge, rollback).
        barred: the decision by which a face is not a person (reject, split), by face_id and person_id.
        not_faces: the decision that said so, by face_id.
        names: what people are called, by person_id.
        hidden: person_ids.
        people: person_ids that anything was decided about.
    """

    owners: dict[str, str] = field(default_factory=dict)
    named_faces: dict[str, Decision] = field(default_factory=dict)
    barred: dict[tuple[str, str], Decision] = field(default_factory=dict)
    not_faces: dict[str, Decision] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    people: set[str] = field(default_factory=set)

    def take(self, decision: Decision) -> None:
        """Let one more decision hold, any but a rollback."""
        _TAKE[decision.kind](self, decision)

    def _name(self, decision: Decision) -> None:
        (person,) = decision.person_ids
        self.names.pop(person, None)
        if decision.name:
            self.names[person] = decision.name
        self.people.add(person)

    def _hide(self, decision: Decision) -> None:
        (person,) = decision.person_ids
        if decision.name == SHOWN:
            self.hidden.discard(person)
        else:
            self.hidden.add(person)
        self.people.add(person)

    def _confirm(self, decision: Decision) -> None:
        person = decision.person_ids[-1]
        self.owners |= dict.fromkeys(decision.face_ids, person)
        self.named_faces |= dict.fromkeys(decision.face_ids, decision)
        self.people.update(decision.person_ids)

    def _reject(self, decision: Decision) -> None:
        person = decision.person_ids[0]
        for face in decision.face_ids:
            self.barred[face, person] = decision
            if self.owners.get(face) == person:
                del self.owners[face]
        self.people.update(decision.person_ids)

    def _split(self, decision: Decision) -> None:
        self._reject(decision)
        self._confirm(decision)

    def _not_a_face(self, decision: Decision) -> None:
        for face in decision.face_ids:
            self.not_faces[face] = decision
            self.owners.pop(face, None)

    def _merge(self, decision: Decision) -> None:
        person, *others = decision.person_ids
        for other in others:
            self.owners = {face: person if owner == other else owner for face, owner in self.owners.items()}
            self.barred = {(face, person if of == other else of): by for (face, of), by in self.barred.items()}
            name = self.names.pop(other, None)
            if name and person not in self.names:
                self.names[person] = name
            self.hidden.discard(other)
            self.people.discard(other)
        for face in decision.face_ids:
            if face not in self.not_faces and (face, person) not in self.barred:
                self.owners[face] = person
        self.people.add(person)


_TAKE: dict[Kind, Callable[[Decided, Decision], None]] = {
    "name": Decided._name,
    "hide": Decided._hide,
    "confirm": Decided._confirm,
    "reject": Decided._reject,
    "split": Decided._split,
    "not_a_face": Decided._not_a_face,
    "merge": Decided._merge,
}


class Recorded(NamedTuple):
    """What the library knows of a past run.

    Attributes:
        at: when it ended, UTC.
        owners: the person_id of each face that had one then, by face_id.
    """

    at: datetime
    owners: Mapping[str, str]


def decide(decisions: Sequence[Decision], recorded: Callable[[str], Recorded]) -> Decided:
    """Return what holds after all decisions.

    Args:
        decisions: oldest first.
        recorded: what is known of a run, by run_id, for rollbacks to it.
    """
    decided = Decided()
    for place, decision in enumerate(decisions):
        if decision.kind != "rollback":
            decided.take(decision)
            continue
        then = recorded(decision.name)
        decided = decide([earlier for earlier in decisions[:place] if earlier.at <= then.at], recorded)
        decided.people |= set(then.owners.values())
        decided.owners = {**then.owners, **decided.owners}
    return decided


def check_consistent(decided: Decided, decision: Decision) -> None:
    """Check a new decision against those that hold.

    A decision about single faces is contradicted by another about the same faces. One about whole people (merge) is
    contradicted where it would unite a face with a person that it was said not to be; a face that only came along
    with a whole person contradicts nothing.

    Raises:
        WrongUsageError: it names both decisions.
    """
    kind, people, faces = decision.kind, decision.person_ids, decision.face_ids
    against: Decision | None = None
    if kind in ("confirm", "split", "reject"):
        denied = people[0] if kind != "confirm" else None
        wanted = people[-1] if kind != "reject" else None
        for face in faces:
            said = decided.named_faces.get(face)
            owner = decided.owners.get(face)
            against = against or decided.not_faces.get(face)
            if wanted:
                against = against or decided.barred.get((face, wanted))
                against = against or (said if owner not in (None, wanted) else None)
            if denied:
                against = against or (said if owner == denied else None)
    elif kind == "not_a_face":
        against = next((decided.named_faces[face] for face in faces if face in decided.named_faces), None)
    elif kind == "merge":
        united = set(people)
        for (face, person), barring in decided.barred.items():
            if person in united and decided.owners.get(face) in united - {person}:
                against = against or barring
    if against is not None:
        raise WrongUsageError(
            f"this {kind.replace('_', '-')} contradicts the {against}: nothing was changed; `facepipe people history` "
            "lists decisions, `facepipe people rollback RUN` returns to the state before one"
        )


def carry_out(decided: Decided, owners: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return whose faces they are once what is decided holds; who is bound to nobody stays where they are.

    Args:
        decided: what holds.
        owners: the person_id of every face, None for unassigned.
    """
    carried: dict[str, str | None] = {}
    for face, owner in owners.items():
        if face in decided.owners:
            carried[face] = decided.owners[face]
        elif face in decided.not_faces or (owner is not None and (face, owner) in decided.barred):
            carried[face] = None
        else:
            carried[face] = owner
    return carried
