"""Rows that failed become rows of `errors`."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.errors import ErrorCode

# The content may well be read from another file: this one is closed, gone, or on a mount that doesn't answer.
OF_THE_FILE = [code.value for code in (ErrorCode.UNREADABLE, ErrorCode.VANISHED, ErrorCode.TIMEOUT)]


def failures(rows: pa.Table, stage: str, files: pa.Table | None = None) -> pa.Table:
    """Return a row of `errors` for each file of each failed row.

    Args:
        rows: finished rows with uri (or photo_id), status and message.
        stage: the step in which they failed: ingest or extract.
        files: where rows are contents rather than files: the library's `files`. Every file that holds a content which
            can't be decoded gets its row; of one that could not be read, only the file that was tried does, so that
            another file with the same content is tried next time.
    """
    failed = rows.filter(pc.not_equal(rows["status"], ""))
    if files is not None:
        there = pc.or_(pc.is_null(files["missing_since"]), pc.is_valid(files["packed"]))
        present = files.filter(there).select(["uri", "photo_id", "bytes", "modified_at"])
        tried = failed.select(["photo_id", "status", "message", "uri"]).rename_columns({"uri": "tried"})
        failed = tried.join(present, "photo_id", join_type="inner")
        of_content = pc.invert(pc.is_in(failed["status"], value_set=pa.array(OF_THE_FILE)))
        failed = failed.filter(pc.or_(of_content, pc.equal(failed["uri"], failed["tried"])))
    columns = {
        "uri": failed["uri"],
        "photo_id": failed["photo_id"],
        "stage": pa.array([stage] * len(failed), pa.string()),
        "code": failed["status"],
        "message": failed["message"],
        "at": pa.array([datetime.now(UTC)] * len(failed), schemas.TIME),
        "bytes": failed["bytes"],
        "modified_at": failed["modified_at"],
    }
    return pa.table(columns).cast(schemas.ERRORS)
