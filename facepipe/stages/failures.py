"""Rows that failed become rows of `errors`."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas


def failures(rows: pa.Table, stage: str, files: pa.Table | None = None) -> pa.Table:
    """Return a row of `errors` for each file of each failed row.

    Args:
        rows: finished rows with uri (or photo_id), status and message.
        stage: the step in which they failed: ingest or extract.
        files: where rows are contents rather than files: the library's `files`, so that every file that holds a failed
            content gets its row, with the size and time it was seen with.
    """
    failed = rows.filter(pc.not_equal(rows["status"], ""))
    if files is not None:
        present = files.filter(pc.is_null(files["missing_since"])).select(["uri", "photo_id", "bytes", "modified_at"])
        failed = failed.select(["photo_id", "status", "message"]).join(present, "photo_id", join_type="inner")
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
