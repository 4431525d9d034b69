"""What a killed run leaves behind, put right before the next one starts. All of it may be repeated."""

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from facepipe.library.commits import Writer
from facepipe.library.delta_tables import list_data_files, open_table, read_data_files


def recover(writer: Writer) -> None:
    """Bring the tables into agreement. The writer's epoch must be in every table already: else an older run that is
    still alive could add to `photos` what is dropped from `faces` here.
    """
    drop_orphan_faces(writer)
    drop_resolved_errors(writer)


def drop_orphan_faces(writer: Writer) -> None:
    """Drop the faces of batches that never reached `photos`."""
    committed = pc.unique(_read_column(writer, "photos", "batch_id"))
    orphaned = ~pads.field("batch_id").isin(committed.drop_null())
    writer.rewrite("faces", lambda rows: rows.filter(~orphaned), where=orphaned)


def drop_resolved_errors(writer: Writer) -> None:
    """Drop the errors of photos that have since succeeded: the run died between the two commits."""
    failed = pc.unique(_read_column(writer, "errors", "photo_id")).drop_null()
    if len(failed):
        photos = _read_column(writer, "photos", "photo_id")
        writer.delete("errors", "photo_id", failed.filter(pc.is_in(failed, value_set=pc.unique(photos))))


def _read_column(writer: Writer, table: str, column: str) -> pa.ChunkedArray:
    files = list_data_files(open_table(writer.storage, table))
    return read_data_files(writer.storage, table, files, [column])[column]
