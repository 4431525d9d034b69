"""From photos to people, top to bottom: each job's stages in their order.

source  ─► ingest  ─► files
files   ─► extract ─► photos, faces
files   ─► dedup   ─► duplicates
faces   ─► group   ─► neighbors, assignments, people, lineage
library ─► report
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from facepipe.config import Config
from facepipe.library.library import Library
from facepipe.library.pending import compare_listing, pending_photos
from facepipe.library.run_record import RunRecord, Step, last_inputs
from facepipe.library.scan_sources import list_sources
from facepipe.library.writer import Writer
from facepipe.models.cache import home
from facepipe.report.gallery import SHOWN_TABLES, write_report
from facepipe.runtime.batches import cut, gather, handed_at, stage_seconds
from facepipe.runtime.engine import Engine
from facepipe.runtime.interruption import held_back
from facepipe.runtime.progress import show_progress
from facepipe.stage import Stage, check_chain
from facepipe.stages.align_faces import AlignFaces
from facepipe.stages.detect_faces import DetectFaces
from facepipe.stages.embed_faces import EmbedFaces
from facepipe.stages.failures import failures
from facepipe.stages.find_duplicates import find_duplicates
from facepipe.stages.group_people import FACE_COLUMNS, group_people, grouping_inputs
from facepipe.stages.identify_files import IdentifyFiles, file_rows
from facepipe.stages.read_photos import ReadPhotos
from facepipe.stages.write_faces import WriteFaces, data_files_of

REPORT_FACE_COLUMNS = ("face_id", "photo_id", "score")  # embeddings stay on disk, crops are streamed


def ingest_stages(config: Config) -> list[list[Stage]]:
    """Return the stages from a listed file to its identity."""
    return [[IdentifyFiles(config.decode)]]


def extract_stages(config: Config, library: str) -> list[list[Stage]]:
    """Return the stages from a photo to its faces' vectors: pixels stay in the first group, crops reach the second."""
    return [
        [ReadPhotos(config.decode), DetectFaces(config.detect), AlignFaces()],
        [EmbedFaces(config.embed), WriteFaces(library, f"{config.detect.detector}+{config.embed.model}")],
    ]


@dataclass(frozen=True)
class Job:
    """One invocation: what it works on and with.

    Attributes:
        library: whose tables it reads.
        writer: the library's only writer while the job lasts.
        engine: carries stages out.
        config: settings.
        record: what the job has counted so far, in the end a row of `runs`.
        retry_failed: also try files that failed before and have not changed.
    """

    library: Library
    writer: Writer
    engine: Engine
    config: Config
    record: RunRecord
    retry_failed: bool = False


@contextmanager
def open_job(
    library: Library, engine: Engine, config: Config, command: str, *, retry_failed: bool = False
) -> Iterator[Job]:
    """Take the library for writing, and record the run once the block has ended without an error."""
    record = RunRecord(command, config.model_dump_json())
    with library.writer(command) as writer:
        yield Job(library, writer, engine, config, record, retry_failed)
        writer.append("runs", record.rows())


def run(job: Job, sources: Sequence[str]) -> None:
    """Do all that is new, from the sources to the report."""
    ingest(job, sources)
    extract(job)
    dedup(job)
    group(job)
    report(job)


def ingest(job: Job, sources: Sequence[str]) -> None:
    """Write `files`: what lies in the sources, what is new or changed, what has gone."""
    library, writer = job.library, job.writer
    with job.record.step("ingest") as step:
        listed = list_sources(sources, library.location)
        found = compare_listing(listed, library.read("files"), library.read("errors"), sources, job.retry_failed)
        writer.forget_files(found.changed, found.cleared)
        writer.mark_missing(found.missing, found.returned)
        step.rows = len(found.new)
        job.record.count(photos_seen=found.seen, photos_new=step.rows, photos_skipped=found.seen - step.rows)
        for identified in _carry_out(job, step, found.new, ingest_stages(job.config), "files"):
            failed = failures(identified, "ingest")
            writer.commit_files(file_rows(identified), failed)
            step.failed += len(failed)


def extract(job: Job) -> None:
    """Write `photos` and `faces` for every content that is pending."""
    library, writer = job.library, job.writer
    with job.record.step("extract") as step:
        files = library.read("files")
        pending = pending_photos(files, library.read("photos", ["photo_id"]), library.read("errors"), job.retry_failed)
        if job.retry_failed:
            writer.delete("errors", "photo_id", pending["photo_id"])
        step.rows = len(pending)
        for written in _carry_out(job, step, pending, extract_stages(job.config, library.location)):
            failed = failures(written, "extract", files)
            writer.commit_batches(**data_files_of(written), errors=failed)
            step.failed += len(failed)


def dedup(job: Job) -> None:
    """Write `duplicates`: which files hold the same photo."""
    with job.record.step("dedup") as step:
        files = job.library.read("files")
        step.rows = len(files)
        duplicates = find_duplicates(files)
        if not duplicates.equals(job.library.read("duplicates")):
            job.writer.replace("duplicates", duplicates)
        job.record.count(duplicate_groups=len(duplicates["group_id"].unique()))


def group(job: Job) -> None:
    """Write `neighbors`, `people`, `lineage` and `assignments`: whose faces they are.

    `assignments` comes last: until then a repeated grouping starts from the old ones and ends as this one would have.
    """
    library, writer = job.library, job.writer
    with job.record.step("group") as step:
        faces = library.read("faces", FACE_COLUMNS)
        step.rows = len(faces)
        step.inputs = grouping_inputs(faces, job.config.group)
        if step.inputs != last_inputs(library.read("runs"), "group"):
            photos = library.read("photos", ["photo_id", "taken_at"])
            before = library.read("people"), library.read("assignments")
            grouped = group_people(faces, photos, *before, job.config.group, job.record.run_id)
            finished = library.read("runs", ["run_id"])["run_id"]
            writer.rewrite("lineage", lambda rows: rows.filter(pc.is_in(rows["run_id"], value_set=finished)))
            writer.append("lineage", grouped.lineage)
            writer.replace("neighbors", grouped.neighbors)
            writer.replace("people", grouped.people)
            writer.replace("assignments", grouped.assignments)
        assigned = library.read("assignments", ["person_id"])["person_id"]
        people = len(library.read("people", ["person_id"]))
        job.record.count(faces=len(faces), people=people, unassigned=assigned.null_count)


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


def _carry_out(
    job: Job, step: Step, rows: pa.Table, stages: list[list[Stage]], noun: str = "photos"
) -> Iterator[pa.Table]:
    """Yield finished rows, gathered for a commit every few seconds.

    The step's seconds run from the first row handed to an opened stage until the last commit. Ctrl-C waits while the
    caller commits what was yielded.
    """
    check_chain([stage for stages_of_group in stages for stage in stages_of_group], rows.schema)
    started = None
    with show_progress(step.name, noun, len(rows)) as progress:
        batches = job.engine.run(cut(rows, job.config.runtime.batch_rows), stages)
        for finished in gather(batches, job.config.runtime.commit_seconds):
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
