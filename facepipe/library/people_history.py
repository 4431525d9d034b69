"""Who faces were at the end of a past run: the present, with every later change taken back."""

from collections.abc import Mapping
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.library.decisions import Decided, Recorded, decide, from_rows
from facepipe.library.library import Library
from facepipe.library.run_history import find_run, past_runs

Owners = Mapping[str, str | None]


def owners_of(assignments: pa.Table) -> dict[str, str | None]:
    """Return the person_id of each face of `assignments`, None for unassigned."""
    return dict(zip(assignments["face_id"].to_pylist(), assignments["person_id"].to_pylist(), strict=True))


def known_owners(assignments: pa.Table) -> dict[str, str]:
    """Return the person_id of each face of `assignments` that has one."""
    return {face: owner for face, owner in owners_of(assignments).items() if owner is not None}


def changes_between(old: Owners, new: Owners, run_id: str, at: datetime) -> pa.Table:
    """Return a row of `changes` for each face whose person differs, in order of face_id; None is nobody.

    Args:
        old: the person_id of faces before.
        new: the person_id of faces now.
        run_id: of the run that changes them.
        at: when, UTC.
    """
    changed = sorted(face for face in {*old, *new} if old.get(face) != new.get(face))
    columns = [
        pa.repeat(run_id, len(changed)),
        pa.repeat(pa.scalar(at, schemas.TIME), len(changed)),
        pa.array(changed, pa.string()),
        pa.array([old.get(face) for face in changed], pa.string()),
        pa.array([new.get(face) for face in changed], pa.string()),
    ]
    return pa.Table.from_arrays(columns, schema=schemas.CHANGES)


def owners_at(assignments: pa.Table, changes: pa.Table, at: datetime) -> dict[str, str]:
    """Return the person_id of each face that had one at a time.

    Args:
        assignments: as they are.
        changes: all of them.
        at: UTC.
    """
    owners = owners_of(assignments)
    later = changes.filter(pc.greater(changes["at"], pa.scalar(at, schemas.TIME))).sort_by([("at", "descending")])
    owners |= dict(zip(later["face_id"].to_pylist(), later["old_person_id"].to_pylist(), strict=True))
    return {face: owner for face, owner in owners.items() if owner is not None}


def what_is_decided(library: Library) -> Decided:
    """Return what holds after all decisions in a library."""

    def recorded(run_id: str) -> Recorded:
        at = find_run(past_runs(library), run_id).finished_at
        return Recorded(at, owners_at(library.read("assignments"), library.read("changes"), at))

    return decide(from_rows(library.read("decisions")), recorded)
