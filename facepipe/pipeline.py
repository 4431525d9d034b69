"""From photos to people, top to bottom: each job's stages in their order.

source  ─► ingest  ─► files
files   ─► extract ─► photos, faces
photos  ─► dedup   ─► comparisons, duplicates
faces   ─► group   ─► neighbors, people, lineage, changes, assignments
library ─► report

`facepipe/redo.py` does `extract` again for all photos.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from facepipe.clustering.neighbor_search import Searched
from facepipe.config import Config, GroupConfig
from facepipe.errors import NONE_MAY_FAIL, FacepipeError, MaxFailed, WrongUsageError
from facepipe.library.compaction import compact
from facepipe.library.decisions import Decided, Decision, check_consistent, from_rows, to_rows
from facepipe.library.library import Library
from facepipe.library.lookup import find_faces
from facepipe.library.pending import Comparison, compare_listing, pending_photos
from facepipe.library.people_history import known_owners, owners_at, what_is_decided
from facepipe.library.run_history import find_run, past_runs
from facepipe.library.run_record import RunRecord, Step, last_inputs
from facepipe.library.shards import cut_by_bytes, packed_root, with_known_places
from facepipe.library.writer import Writer
from facepipe.models.cache import home
from facepipe.models.cohort import cohort_of
from facepipe.report.gallery import SHOWN_TABLES, write_report
from facepipe.runtime.batches import cut, gather, handed_at, stage_seconds
from facepipe.runtime.engine import Engine
from facepipe.runtime.interruption import held_back
from facepipe.runtime.progress import show_progress
from facepipe.schemas import NEIGHBORS, TABLES
from facepipe.sources.listed_files import listed_table
from facepipe.sources.scan_sources import list_files, scan_sources
from facepipe.sources.selection import EVERYTHING, Selection
from facepipe.stage import Stage, check_chain
from facepipe.stages.align_faces import AlignFaces
from facepipe.stages.detect_faces import DetectFaces
from facepipe.stages.embed_faces import EmbedFaces, embedder_name, embedders_of, settings_of_embedder
from facepipe.stages.explain_face import explain_face
from facepipe.stages.failures import failures
from facepipe.stages.find_duplicates import (
    PHOTO_COLUMNS,
    compare_stages,
    comparison_rows,
    find_duplicates,
    find_keepers,
    photos_to_compare,
    search_copies,
)
from facepipe.stages.group_people import (
    FACE_COLUMNS,
    ToGroup,
    faces_to_group,
    for_model,
    group_people,
    grouping_inputs,
    neighbors_to_write,
    search_id_of,
    search_people,
)
from facepipe.stages.group_people import PHOTO_COLUMNS as GROUPED_PHOTO_COLUMNS
from facepipe.stages.identify_files import IdentifyFiles, file_rows
from facepipe.stages.measure_faces import MeasureFaces
from facepipe.stages.pack_photos import PackPhotos
from facepipe.stages.people_tables import (
    DATE_COLUMNS,
    PERSON_COLUMNS,
    follow_decision,
    neighbors_found_before,
    neighbors_tables,
    people_tables,
)
from facepipe.stages.person_distances import COLUMNS as COMPARED_COLUMNS
from facepipe.stages.person_distances import people_on_photo
from facepipe.stages.read_photos import ReadPhotos
from facepipe.stages.write_faces import WriteFaces, data_files_of

REPORT_FACE_COLUMNS = ("face_id", "photo_id", "score")  # embeddings stay on disk, crops are streamed


def ingest_stages(config: Config, library: str, pack: bool = False) -> list[list[Stage]]:
    """Return the stages from a listed file to its identity, and to a packed copy where one is wanted."""
    identify = IdentifyFiles(config.decode)
    return [[identify, PackPhotos(library, config.pack.shard_bytes, config.decode.max_bytes)] if pack else [identify]]


def extract_stages(config: Config, library: str) -> list[list[Stage]]:
    """Return the stages from a photo to its faces' vectors: pixels stay in the first group, crops reach the second."""
    return [
        [ReadPhotos(config.decode), DetectFaces(config.detect), MeasureFaces(), AlignFaces(config.embed)],
        [EmbedFaces(config.embed), WriteFaces(library, f"{config.detect.weights}+{embedder_name(config.embed)}")],
    ]


def search_stages(config: Config) -> list[list[Stage]]:
    """Return the stages from a listed file to its faces' vectors."""
    look: list[Stage] = [IdentifyFiles(config.decode), ReadPhotos(config.decode), DetectFaces(config.detect)]
    return [[*look, MeasureFaces(), AlignFaces(config.embed)], [EmbedFaces(config.embed)]]


@dataclass(frozen=True)
class Choice:
    """What of the sources and of the library a run works on.

    Attributes:
        selection: which files are taken.
        limit: the most new files to ingest, and the most photos to extract; None: all.
        retry_failed: also try files that failed before and have not changed.
        pack: copy the bytes of new photos into the library.
        incremental: group only faces that are new: whoever has a person keeps it.
        max_failed: how many photos may fail; with more, an extraction of all photos anew is not put in place.
    """

    selection: Selection = EVERYTHING
    limit: int | None = None
    retry_failed: bool = False
    pack: bool = False
    incremental: bool = False
    max_failed: MaxFailed = NONE_MAY_FAIL


@dataclass(frozen=True)
class Job:
    """One invocation: what it works on and with.

    Attributes:
        library: whose tables it reads.
        writer: the library's only writer while the job lasts.
        engine: carries stages out.
        config: settings.
        record: what the job has counted so far, in the end a row of `runs`.
        choice: what it works on.
    """

    library: Library
    writer: Writer
    engine: Engine
    config: Config
    record: RunRecord
    choice: Choice = Choice()


@contextmanager
def open_job(
    library: Library, engine: Engine, config: Config, command: str, choice: Choice = Choice()
) -> Iterator[Job]:
    """Take the library for writing; once the block has ended without an error, record the run and tidy the tables."""
    record = RunRecord(command, config.model_dump_json())
    with library.writer(command) as writer:
        yield Job(library, writer, engine, config, record, choice)
        writer.append("runs", record.rows())
        compact(writer)


def run(job: Job, sources: Sequence[str]) -> None:
    """Do all that is new, from the sources to the report."""
    check_embedder(job.library, job.config)
    ingest(job, sources)
    extract(job)
    dedup(job)
    group(job)
    report(job)


def ingest(job: Job, sources: Sequence[str]) -> None:
    """Write `files`: what lies in the sources, what is new or changed, what has gone."""
    library, writer = job.library, job.writer
    with job.record.step("ingest") as step:
        found, counts = _look_through(library.read, library.location, sources, job.choice)
        packed = library.read("files", ["photo_id", "packed"], pc.field("packed").is_valid())
        writer.forget_files(found.changed, found.cleared)
        writer.mark_missing(found.missing, found.returned)
        step.rows = len(found.new)
        job.record.count(**counts)
        stages = ingest_stages(job.config, library.location, job.choice.pack)
        batches = _shard_batches(found.new, job.config) if job.choice.pack else None
        for identified in carry_out(job, step, found.new, stages, "files", batches):
            failed = failures(identified, "ingest")
            writer.commit_files(with_known_places(file_rows(identified), packed), failed)
            step.failed += len(failed)


def extract(job: Job) -> None:
    """Write `photos` and `faces` for every content that is pending.

    Raises:
        FacepipeError: the library's faces come from another embedder, with which these could not be compared.
    """
    library, writer = job.library, job.writer
    check_embedder(library, job.config)
    with job.record.step("extract") as step:
        files = library.read("files")
        pending = _pending(library, files, job.choice).slice(0, job.choice.limit)
        if job.choice.retry_failed:
            writer.delete("errors", "photo_id", pending["photo_id"])
        step.rows = len(pending)
        for written in carry_out(job, step, pending, extract_stages(job.config, library.location)):
            failed = failures(written, "extract", files)
            writer.commit_batches(**data_files_of(written), errors=failed)
            step.failed += len(failed)


def embedder_of(library: Library) -> str | None:
    """Return the name of what a library's faces were embedded with; None where there are no photos.

    Raises:
        FacepipeError: there is more than one, and their vectors can't be compared.
    """
    names = sorted(set(embedders_of(library.read("photos", ["extracted_with"]))))
    if len(names) > 1:
        raise FacepipeError(
            f"the library's faces come from {' and '.join(names)}, which can't be compared: make them all anew with "
            "`facepipe extract --redo`"
        )
    return names[0] if names else None


def check_embedder(library: Library, config: Config) -> None:
    """Check that new faces can be compared with a library's.

    Raises:
        FacepipeError: the library's faces come from another embedder than the settings name, or from several.
    """
    there, wanted = embedder_of(library), embedder_name(config.embed)
    if there not in (None, wanted):
        raise WrongUsageError(
            f"the library's faces come from {there}, not {wanted}: say {settings_of_embedder(there)}, or make them all "
            "anew with `facepipe extract --redo`"
        )


def preview(location: str, sources: Sequence[str], choice: Choice) -> dict[str, int | bool]:
    """Return what a run would find to do: the counts of `ingest`, and the photos that already await extraction.

    Nothing is written, made or locked; where there is no library yet, everything is new.
    """
    library = Library.open(location) if Library.exists(location) else None
    read = library.read if library else lambda table: TABLES[table].empty_table()
    _, counts = _look_through(read, location, sources, choice)
    pending = len(_pending(library, library.read("files"), choice)) if library else 0
    return {**counts, "photos_pending": pending, "dry_run": True}


def _look_through(
    read: Callable[[str], pa.Table], location: str, sources: Sequence[str], choice: Choice
) -> tuple[Comparison, dict[str, int]]:
    """Return what the sources hold beside what a library knows, and its counts."""
    scan = scan_sources(sources, location, choice.selection)
    listed = listed_table(scan)
    known = read("files"), read("errors")
    found = compare_listing(listed, *known, sources, choice.retry_failed, choice.selection, choice.limit)
    new = len(found.new)
    counts = {"photos_seen": found.seen, "photos_new": new, "photos_skipped": found.seen - new}
    return found, counts | {"videos_skipped": scan.videos_skipped}


def _pending(library: Library, files: pa.Table, choice: Choice) -> pa.Table:
    photos, errors = library.read("photos", ["photo_id"]), library.read("errors")
    return pending_photos(files, photos, errors, choice.retry_failed, packed_root(library.storage))


def _shard_batches(rows: pa.Table, config: Config) -> list[pa.Table]:
    """Return listed files in batches of a shard each."""
    runs = cut_by_bytes(rows["bytes"].to_pylist(), config.pack.shard_bytes)
    return [rows.slice(run.start, run.stop - run.start) for run in runs]


def dedup(job: Job) -> None:
    """Write `comparisons` and `duplicates`: which files hold the same photo.

    Pairs of photos with near hashes are written first, then what a look at their pixels says: a pair is compared once.
    """
    library, writer = job.library, job.writer
    with job.record.step("dedup") as step:
        files, photos = library.read("files"), library.read("photos", PHOTO_COLUMNS)
        step.rows = len(files)
        search = search_copies(photos, library.read("comparisons"))
        if search.stale:
            writer.replace("comparisons", search.rows)
        else:
            writer.append("comparisons", search.rows)
        batches = photos_to_compare(files, library.read("comparisons"), packed_root(library.storage))
        if batches:
            stages = compare_stages(job.config.decode)
            for compared in carry_out(job, step, pa.concat_tables(batches), stages, batches=batches):
                writer.append("comparisons", comparison_rows(compared))
        step.seconds = 0.0  # the whole step counts, the search too
        duplicates = find_duplicates(files, photos, library.read("comparisons"))
        if not duplicates.equals(library.read("duplicates")):
            writer.replace("duplicates", duplicates)
        job.record.count(duplicate_groups=len(duplicates["group_id"].unique()))


def group(job: Job) -> None:
    """Write `neighbors`, `people`, `lineage`, `changes` and `assignments`: whose faces they are.

    It is left out where nothing that it depends on has changed since it last ran.

    Raises:
        FacepipeError: faces come from different embedders.
    """
    library = job.library
    with job.record.step("group") as step:
        embedder = embedder_of(library)
        faces = library.read("faces", (*FACE_COLUMNS, "batch_id"))
        step.rows = len(faces)
        known = library.read("files"), library.read("photos", PHOTO_COLUMNS), library.read("comparisons")
        keepers = find_keepers(*known)
        decisions = library.read("decisions", ["decision_id"])["decision_id"].to_pylist()
        batches = pc.unique(faces["batch_id"]).to_pylist()
        settings = for_model(job.config.group, embedder)
        inputs = grouping_inputs(faces, keepers, settings, decisions, batches)
        if job.choice.incremental or inputs != last_inputs(library.read("runs"), "group"):
            decided, assignments = what_is_decided(library), library.read("assignments")
            photos = library.read("photos", GROUPED_PHOTO_COLUMNS)
            to_group = faces_to_group(faces, photos, keepers, assignments, decided, settings, job.choice.incremental)
            searched = _find_neighbors(job, step, to_group, settings)
            cohort = cohort_of(embedder) if embedder else None
            _write_people(job, group_people(to_group, searched, assignments, decided, settings, cohort), decided)
            job.record.count(faces_unusable=int(to_group.unusable.sum()))
        step.inputs = None if job.choice.incremental else inputs
        assigned = library.read("assignments", ["person_id"])["person_id"]
        persons = len(library.read("people", ["person_id"]))
        job.record.count(faces=len(faces), people=persons, unassigned=assigned.null_count)


def _find_neighbors(job: Job, step: Step, to_group: ToGroup, settings: GroupConfig) -> Searched:
    """Return each face's nearest faces, written to `neighbors`; a search that was written already is not repeated."""
    library, writer = job.library, job.writer
    if job.choice.incremental:
        searched = search_people(to_group, settings)
        rows, neighbors = neighbors_to_write(to_group, searched)
        for piece in neighbors_tables(rows, to_group.face_ids, neighbors, ""):
            writer.upsert("neighbors", "face_id", piece)
        return searched
    search_id = search_id_of(to_group, settings)
    batches = library.iterate("neighbors", NEIGHBORS.names)
    found = neighbors_found_before(batches, to_group.face_ids, to_group.counted, search_id)
    if found is not None:
        return Searched(found, 1.0, 0)
    searched = search_people(to_group, settings, job.engine.open_search)
    step.measured = {"recall": round(searched.recall, 4), "probes": searched.probes}
    rows, neighbors = neighbors_to_write(to_group, searched)
    writer.replace_in_pieces("neighbors", neighbors_tables(rows, to_group.face_ids, neighbors, search_id))
    return searched


def explain(library: Library, face: str, config: Config) -> dict[str, Any]:
    """Return why a face is whose it is (`stages.explain_face`).

    Args:
        library: only read.
        face: its id, or a short one.
        config: settings.

    Raises:
        WrongUsageError: there is no such face, or more than one.
    """
    faces = library.read("faces", ("face_id", "photo_id", "score", "quality", "embedding"))
    (face_id,) = find_faces(faces["face_id"].to_pylist(), [face])
    known = library.read("files"), library.read("photos", PHOTO_COLUMNS), library.read("comparisons")
    return explain_face(
        face_id,
        faces,
        library.read("assignments"),
        library.read("people"),
        find_keepers(*known),
        what_is_decided(library),
        from_rows(library.read("decisions")),
        for_model(config.group, embedder_of(library)),
    )


def search(library: Library, photo: Path, engine: Engine, config: Config) -> list[dict[str, Any]]:
    """Return the faces on a photo, by (y0, x0), and who they may be; nothing is written.

    Args:
        library: whose people are looked for.
        photo: need not be in the library.
        engine: carries the stages out.
        config: settings.

    Returns:
        For each face its `box` (x0, y0, x1, y1 in pixels of the upright photo), `score`, `quality` and `people`: those
        nearest to it, nearest first (`stages.person_distances.Nearness`, with their names).

    Raises:
        WrongUsageError: the photo can't be read, or the library's faces come from another model.
    """
    check_embedder(library, config)
    rows = list_files([photo])
    rows = rows.append_column("read_from", rows["uri"])
    stages = search_stages(config)
    check_chain([stage for group in stages for stage in group], rows.schema)
    found = pa.concat_tables(engine.run([rows], stages))
    (status,), (message,) = found["status"].to_pylist(), found["message"].to_pylist()
    if status:
        raise WrongUsageError(f"{photo} can't be used: {message}")
    owners = known_owners(library.read("assignments"))
    return people_on_photo(found, library.iterate("faces", COMPARED_COLUMNS), owners, library.read("people"))


def decide(job: Job, decision: Decision) -> None:
    """Write a user's decision to `decisions`, and what follows from it at once; regroupings are bound to it.

    Raises:
        WrongUsageError: it contradicts one that holds; nothing is changed.
    """
    library = job.library
    with job.record.step("people") as step:
        check_consistent(what_is_decided(library), decision)
        step.rows = len(decision.face_ids)
        job.writer.append("decisions", to_rows(decision))
        decided = what_is_decided(library)
        assignments = library.read("assignments")
        then = None
        if decision.kind == "rollback":
            at = find_run(past_runs(library), decision.name).finished_at
            then = owners_at(assignments, library.read("changes"), at)
        # As old as the last grouping: faces that have come since are still to be grouped.
        _write_people(job, follow_decision(assignments, decided, then), decided, job.writer.grouped_at())


def _write_people(job: Job, assignments: pa.Table, decided: Decided, time: int | None = None) -> None:
    """Write who is who and what became of people; what stays as it is is not written.

    Args:
        job: the job.
        assignments: as they are to be.
        decided: what users have decided.
        time: the log's time of what is written; None: now.

    `assignments` comes last: until then a repeated grouping starts from the old ones and ends as this one would have,
    and recovery drops `lineage` and `changes`. One that is repeated, since the run died afterwards, adds none.
    """
    library, writer = job.library, job.writer
    faces, photos = library.read("faces", PERSON_COLUMNS), library.read("photos", DATE_COLUMNS)
    old = library.read("assignments")
    tables = people_tables(assignments, faces, photos, decided, old, job.record.run_id, datetime.now(UTC))
    writer.append("lineage", tables.lineage, time)
    writer.append("changes", tables.changes, time)
    for name, rows in (("people", tables.people), ("assignments", tables.assignments)):
        if not rows.equals(library.read(name)):
            writer.replace(name, rows, time)
    moved = pc.is_in(tables.changes["face_id"], value_set=old["face_id"].combine_chunks())
    job.record.count(changed_company=pc.sum(moved).as_py() or 0, faces_before=len(old))


def report(job: Job) -> None:
    """Write the HTML gallery."""
    with job.record.step("report") as step:
        columns = {"faces": REPORT_FACE_COLUMNS}
        tables = {name: job.library.read(name, columns.get(name)) for name in SHOWN_TABLES}
        step.rows = len(tables["people"])
        crops = job.library.iterate("faces", ["face_id", "crop"])
        page = write_report(tables, job.record.facts(), report_folder(job.library), crops=crops)
        job.record.report = str(page)


def report_folder(library: Library) -> Path:
    """Return where a library's report lies: inside it, or on this machine where the library is in an object store."""
    if library.storage.is_local:
        return Path(library.location) / "report"
    return home() / "reports" / library.library_id


def carry_out(
    job: Job,
    step: Step,
    rows: pa.Table,
    stages: list[list[Stage]],
    noun: str = "photos",
    batches: list[pa.Table] | None = None,
) -> Iterator[pa.Table]:
    """Yield finished rows, gathered for a commit every few seconds; they travel in batches of `runtime.batch_rows`.

    The step's seconds run from the first row handed to an opened stage until the last commit. Ctrl-C waits while the
    caller commits what was yielded.
    """
    check_chain([stage for stages_of_group in stages for stage in stages_of_group], rows.schema)
    started = None
    with show_progress(step.name, noun, len(rows)) as progress:
        if batches is None:
            batches = cut(rows, job.config.runtime.batch_rows)
        for finished in gather(job.engine.run(batches, stages), job.config.runtime.commit_seconds):
            started = min(started or time.time(), handed_at(finished))
            for name, seconds in stage_seconds(finished).items():
                step.add_inner(name, len(finished), seconds)
            with held_back():
                yield finished
            step.seconds = time.time() - started
            errors = pc.sum(pc.not_equal(finished["status"], "")).as_py()
            progress.advance(len(finished), _faces(finished), errors, seconds=step.seconds)


def _faces(finished: pa.Table) -> int:
    return int(pc.sum(finished["faces"]).as_py()) if "faces" in finished.column_names else 0
