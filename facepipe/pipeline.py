"""From photos to people, top to bottom: each job's stages in their order.

source ─► ingest  ─► files
files  ─► extract ─► photos, faces
files  ─► dedup   ─► duplicates
faces  ─► group   ─► neighbors, assignments, people, lineage
library ─► report
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from facepipe import schemas
from facepipe.config import Config
from facepipe.library.grouped import grouping_rows
from facepipe.library.library import Library
from facepipe.library.pending import compare_listing, pending_photos
from facepipe.library.run_record import RunRecord, Step
from facepipe.library.scan_sources import scan_sources
from facepipe.library.writer import Writer
from facepipe.report.gallery import write_report
from facepipe.runtime.batches import gather, timings
from facepipe.runtime.engine import Engine
from facepipe.runtime.progress import show_progress
from facepipe.stage import Stage, check_chain
from facepipe.stages.align_faces import AlignFaces
from facepipe.stages.detect_faces import DetectFaces
from facepipe.stages.embed_faces import EmbedFaces
from facepipe.stages.failures import failures
from facepipe.stages.find_duplicates import find_duplicates
from facepipe.stages.group_people import group_people
from facepipe.stages.identify_files import IdentifyFiles
from facepipe.stages.read_photos import ReadPhotos
from facepipe.stages.write_faces import WriteFaces, data_files_of


def ingest_stages(config: Config) -> list[list[Stage]]:
    """Return the stages from a listed file to its identity."""
    return [[IdentifyFiles(config.decode)]]


def extract_stages(config: Config, library: str) -> list[list[Stage]]:
    """Return the stages from a photo to its faces' embeddings: pixels stay in the first group, crops pass to the second."""
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
        record: what the job has counted so far, a row of `runs` in the end.
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
    record = RunRecord.start(command, config.model_dump_json())
    with library.writer(command) as writer:
        job = Job(library, writer, engine, config, record, retry_failed)
        yield job
        writer.append("runs", record.finish())


def run(job: Job, sources: Sequence[str]) -> Path:
    """Do all that is new, from the sources to the report, and return the report's first page."""
    ingest(job, sources)
    extract(job)
    dedup(job)
    group(job)
    return report(job)


def ingest(job: Job, sources: Sequence[str]) -> None:
    """Write `files`: what lies in the sources, what is new or changed, what has gone."""
    with job.record.step("ingest") as step:
        files, errors = job.library.read("files"), job.library.read("errors")
        found = compare_listing(scan_sources(sources, job.library.location), files, errors, job.retry_failed)
        job.writer.forget_files(found.changed, found.retried)
        job.writer.mark_missing(found.missing, found.returned)
        step.rows = len(found.new)
        job.record.count(photos_seen=found.seen, photos_new=len(found.new), photos_skipped=found.seen - len(found.new))
        batches = job.engine.run(found.new, ingest_stages(job.config), job.config.runtime.block_rows)
        for identified in _watched(job, step, len(found.new), batches):
            failed = failures(identified, "ingest")
            job.writer.commit_files(identified, failed)
            job.record.count(photos_failed=len(failed))


def extract(job: Job) -> None:
    """Write `photos` and `faces` for every content that is pending."""
    files = job.library.read("files")
    pending = pending_photos(files, job.library.read("photos", ["photo_id"]), job.library.read("errors"))
    groups = extract_stages(job.config, job.library.location)
    check_chain([stage for group in groups for stage in group], schemas.PENDING_PHOTO)
    with job.record.step("extract") as step:
        step.rows = len(pending)
        batches = job.engine.run(pending, groups, job.config.runtime.block_rows)
        for written in _watched(job, step, len(pending), batches):
            failed = failures(written, "extract", files)
            job.writer.commit_batches(data_files_of(written), failed)
            job.record.count(photos_failed=len(failed))


def dedup(job: Job) -> None:
    """Write `duplicates`: which files hold the same photo."""
    with job.record.step("dedup") as step:
        files = job.library.read("files")
        step.rows = len(files)
        duplicates = find_duplicates(files)
        job.writer.replace("duplicates", duplicates)
        job.record.count(duplicate_groups=len(duplicates["group_id"].unique()))


def group(job: Job) -> None:
    """Write `neighbors`, `assignments`, `people` and `lineage`: whose faces they are."""
    with job.record.step("group") as step:
        ...


def report(job: Job) -> Path:
    """Write the HTML gallery and return its first page."""
    with job.record.step("report") as step:
        ...


def _watched(job: Job, step: Step, total: int, batches: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield batches gathered for a commit every few seconds, showing progress and taking the step's time."""
    with show_progress(step.name, total) as progress:
        for rows in gather(batches, job.config.runtime.commit_seconds):
            ...
