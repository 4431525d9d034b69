"""Every photo extracted anew, and then the new rows in the place of the old ones; everybody stays who they are.

files ─► new rows, which wait ─► photos, faces, assignments, people, …: all at once

Until that moment the old rows serve, and a redo that was stopped goes on with the photos that are left.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.config import Config
from facepipe.library.data_files import DataFile, copy_rows, read_data_files, write_data_file
from facepipe.library.library import Library
from facepipe.library.pending import pending_photos
from facepipe.library.people_history import known_owners, what_is_decided
from facepipe.library.redone import completed, note_batches, resume, waiting_files
from facepipe.library.run_record import Step
from facepipe.library.shards import packed_root
from facepipe.library.switching import switch
from facepipe.models.cache import find_record
from facepipe.pipeline import Job, carry_out, extract_stages
from facepipe.runtime.interruption import held_back
from facepipe.stages.carry_over import BOX_COLUMNS, carry_over, is_lost, new_names
from facepipe.stages.embed_faces import embedder_name, embedders_of
from facepipe.stages.failures import failures
from facepipe.stages.people_tables import DATE_COLUMNS, PERSON_COLUMNS

NO_FILE = "no file that holds it is there"
NAMING_PEOPLE = ("assignments", "changes", "decisions", "lineage")


def redo(job: Job) -> None:
    """Extract all photos anew and put the new rows in the place of the old ones once all are there.

    A photo that can't be extracted anew keeps its old rows where they come from the same embedder. Otherwise it would
    lose its faces: where more photos would than may fail, the old rows go on to serve.
    """
    with job.record.step("extract") as step:
        redo_id = redo_id_of(job.config)
        outcome = completed(job.writer, redo_id)
        if outcome is None:
            resume(job.writer, redo_id)
            failed, left = _extract_anew(job, step, redo_id)
            outcome = _put_in_place(job, redo_id, failed, left)
        job.record.count(**outcome["counts"])
        job.record.details |= outcome["details"]


def redo_id_of(config: Config) -> str:
    """Return a digest of what decides the outcome of an extraction: rows of different ones don't belong together."""
    weights = [find_record(name) for name in (config.detect.weights, config.embed.weights)]
    made_with = {
        "max_side": config.decode.max_side,
        "detect": config.detect.model_dump(mode="json"),
        "embed": config.embed.model_dump(mode="json"),
        "weights": [record and (record.sha256, record.mean) for record in weights],
    }
    return hashlib.sha256(json.dumps(made_with, sort_keys=True).encode()).hexdigest()


def _extract_anew(job: Job, step: Step, redo_id: str) -> tuple[pa.Table, int]:
    """Extract what isn't waiting yet. Return rows of `errors` for photos that failed, and how many the limit left."""
    library, writer = job.library, job.writer
    files, errors, known = library.read("files"), library.read("errors"), library.read("photos", ["photo_id"])
    root = packed_root(library.storage)
    pending = pending_photos(files, _waiting(job, "photos", ["photo_id"]), errors, job.choice.retry_failed, root)
    chosen = pending.slice(0, job.choice.limit)
    if job.choice.retry_failed:
        writer.delete("errors", "photo_id", chosen["photo_id"])
    step.rows = len(chosen)
    failed = [schemas.ERRORS.empty_table()]
    for written in carry_out(job, step, chosen, extract_stages(job.config, library.location)):
        note_batches(writer, redo_id, written["data_files"].drop_null().to_pylist())
        failed.append(failures(written, "extract", files))
        writer.upsert("errors", "uri", _without(failed[-1], known))
        step.failed += len(failed[-1])
    return pa.concat_tables(failed), len(pending) - len(chosen)


def _put_in_place(job: Job, redo_id: str, failed: pa.Table, left: int) -> dict[str, Any]:
    """Put what waits in the place of the old rows, if all is there; return counts and lists for the run's record."""
    library, new_embedder = job.library, embedder_name(job.config.embed)
    old, anew = library.read("photos", ["photo_id", "extracted_with", "faces"]), _waiting(job, "photos", ["photo_id"])
    unread = _without(old, anew)
    stays = pa.array([embedder == new_embedder for embedder in embedders_of(unread)], pa.bool_())
    kept, given_up = unread.filter(stays), unread.filter(pc.invert(stays))
    outcome: dict[str, Any] = {
        "counts": {"photos_redone": len(anew), "photos_left": left, "photos_unread": len(unread)},
        "details": {"switched": False, "unread_photos": _unread_photos(library, unread, failed), "lost_faces": []},
    }
    if left or not len(anew):
        return outcome
    if job.choice.max_failed.exceeded(len(given_up), len(old)):
        faces = pc.sum(given_up["faces"]).as_py()
        job.record.refusal = (
            f"{len(given_up):,} of {len(old):,} photos can't be extracted anew and would lose their {faces:,} faces, "
            f"which come from another embedder than {new_embedder}: nothing has been replaced; bring their files back "
            f"and repeat the command, or let them go with --max-failed {len(given_up)}"
        )
        return outcome
    tables = {name: _files_from_now_on(job, name, kept) for name in ("photos", "faces")}
    names = new_names(library.read("faces", BOX_COLUMNS), _read(library, "faces", tables["faces"], BOX_COLUMNS))
    lost = [face_id for face_id, name in names.items() if is_lost(name)]
    faces = sum(file.num_records for file in tables["faces"])
    outcome["counts"] |= {
        "faces_carried": len(names) - len(lost),
        "faces_lost": len(lost),
        "faces_new": faces - (len(names) - len(lost)),
    }
    outcome["details"] |= {"switched": True, "lost_faces": _lost_faces(library, lost)}
    tables |= _written(job, _carried_over(job, names, tables))
    tables |= _written(job, {"errors": _errors_from_now_on(library, anew, given_up, failed)})
    with held_back():
        switch(job.writer, redo_id, tables, json.dumps(outcome))
    return outcome


def _files_from_now_on(job: Job, table: str, kept: pa.Table) -> list[DataFile]:
    """Return the files that `photos` or `faces` is to consist of: what waits, and the old rows of photos that stay."""
    files = waiting_files(job.writer)[table]
    if len(kept):
        of_kept = pc.field("photo_id").isin(kept["photo_id"].combine_chunks())
        files.append(copy_rows(job.library.storage, table, job.library.data_files(table), of_kept))
    return files


def _carried_over(job: Job, names: Mapping[str, str], tables: Mapping[str, list[DataFile]]) -> dict[str, pa.Table]:
    """Return the tables that name faces or people, of the faces from now on."""
    library = job.library
    return carry_over(
        names,
        {table: library.read(table) for table in NAMING_PEOPLE},
        _read(library, "faces", tables["faces"], PERSON_COLUMNS),
        _read(library, "photos", tables["photos"], DATE_COLUMNS),
        what_is_decided(library),
        job.record.run_id,
        datetime.now(UTC),
    )


def _errors_from_now_on(library: Library, anew: pa.Table, given_up: pa.Table, failed: pa.Table) -> pa.Table:
    """Return `errors` without the photos that have succeeded, and with those that lose their rows in `photos`."""
    gone = failed.filter(pc.is_in(failed["photo_id"], value_set=given_up["photo_id"].combine_chunks()))
    return pa.concat_tables([_without(library.read("errors"), anew), gone])


def _written(job: Job, tables: Mapping[str, pa.Table]) -> dict[str, list[DataFile]]:
    """Write rows to files that no log names yet, of those tables that differ from what they are.

    Wherever there are any, `assignments` is written: what `changes` and `lineage` say counts once it is there.
    """
    location = job.library.location
    return {
        name: [write_data_file(location, name, rows)]
        for name, rows in tables.items()
        if not rows.equals(job.library.read(name)) or (name == "assignments" and len(rows))
    }


def _unread_photos(library: Library, unread: pa.Table, failed: pa.Table) -> list[dict[str, Any]]:
    """Return each photo that can't be extracted anew with a file that holds or held it, and why."""
    messages = dict(zip(failed["photo_id"].to_pylist(), failed["message"].to_pylist(), strict=True))
    uris = _uris(library, unread["photo_id"])
    return [
        {"photo_id": photo_id, "uri": uris.get(photo_id), "message": messages.get(photo_id, NO_FILE)}
        for photo_id in sorted(unread["photo_id"].to_pylist())
    ]


def _lost_faces(library: Library, lost: list[str]) -> list[dict[str, Any]]:
    """Return each face that is found no more with whose it was and a file that shows it; those with a person first."""
    owners = known_owners(library.read("assignments"))
    people = library.read("people", ["person_id", "name"])
    names = dict(zip(people["person_id"].to_pylist(), people["name"].to_pylist(), strict=True))
    uris = _uris(library, pa.chunked_array([[face_id.rpartition("-")[0] for face_id in lost]], pa.string()))
    rows = [
        {
            "face_id": face_id,
            "person_id": owners.get(face_id),
            "name": names.get(owners.get(face_id)),
            "uri": uris.get(face_id.rpartition("-")[0]),
        }
        for face_id in lost
    ]
    return sorted(rows, key=lambda row: (row["person_id"] is None, row["name"] is None, row["face_id"]))


def _uris(library: Library, photo_ids: pa.ChunkedArray) -> dict[str, str]:
    """Return for each photo the smallest uri of a file that holds or held it."""
    files = library.read("files", ["photo_id", "uri"], pc.field("photo_id").isin(pc.unique(photo_ids)))
    first = files.group_by("photo_id").aggregate([("uri", "min")])
    return dict(zip(first["photo_id"].to_pylist(), first["uri_min"].to_pylist(), strict=True))


def _waiting(job: Job, table: str, columns: Sequence[str]) -> pa.Table:
    return _read(job.library, table, waiting_files(job.writer)[table], columns)


def _read(library: Library, table: str, files: Sequence[DataFile], columns: Sequence[str]) -> pa.Table:
    return read_data_files(library.storage, table, files, columns)


def _without(rows: pa.Table, others: pa.Table) -> pa.Table:
    """Return the rows whose photo_id isn't among others'."""
    return rows.filter(pc.invert(pc.is_in(rows["photo_id"], value_set=others["photo_id"].combine_chunks())))
