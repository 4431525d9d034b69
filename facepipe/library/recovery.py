"""What a killed run leaves behind, put right before the next one starts. All of it may be repeated."""

import pyarrow.compute as pc
import pyarrow.dataset as pads

from facepipe.library import shards
from facepipe.library.switching import finish_switch
from facepipe.library.writer import Writer


def recover(writer: Writer) -> None:
    """Bring the tables into agreement.

    The writer's epoch is in every table by now. Else an older run that is still alive could add to `photos` the batches
    whose faces are dropped here.
    """
    finish_switch(writer)  # first: until then readers see more than the logs say
    drop_orphan_faces(writer)
    drop_resolved_errors(writer)
    drop_unfinished_history(writer)
    drop_unnamed_shards(writer)


def drop_orphan_faces(writer: Writer) -> None:
    """Drop the faces of batches that never reached `photos`."""
    committed = pc.unique(writer.read("photos", ["batch_id"])["batch_id"])
    orphaned = ~pads.field("batch_id").isin(committed.drop_null())
    writer.rewrite("faces", lambda rows: rows.filter(~orphaned), where=orphaned)


def drop_resolved_errors(writer: Writer) -> None:
    """Drop the errors of photos that have since succeeded: the run died between the two commits."""
    failed = pc.unique(writer.read("errors", ["photo_id"])["photo_id"]).drop_null()
    if len(failed):
        done = pc.unique(writer.read("photos", ["photo_id"])["photo_id"])
        writer.delete("errors", "photo_id", failed.filter(pc.is_in(failed, value_set=done)))


def drop_unfinished_history(writer: Writer) -> None:
    """Drop what a grouping said became of people and faces, where it died before it committed `assignments`."""
    grouped_at = writer.grouped_at()
    for table in ("lineage", "changes"):
        late = {file for file in writer.data_files(table) if file.modification_time > grouped_at}
        writer.remove_files(table, late)


def drop_unnamed_shards(writer: Writer) -> None:
    """Drop packed photos that no row of `files` came to name: the run died before its commit."""
    if writer.storage.list_sizes(shards.FOLDER):
        shards.remove_unnamed_shards(writer.storage, writer.read("files", ["packed"])["packed"])
