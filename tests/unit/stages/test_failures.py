from datetime import UTC, datetime

import pyarrow as pa

from facepipe import schemas
from facepipe.stages.failures import failures

AT = datetime(2024, 5, 1, tzinfo=UTC)


def test_a_failed_file_is_one_row() -> None:
    rows = pa.table(
        {
            "uri": ["file:///a", "file:///b"],
            "photo_id": pa.array([None, "b" * 64], pa.string()),
            "bytes": pa.array([0, 5], pa.int64()),
            "modified_at": pa.array([AT, AT], schemas.TIME),
            "status": ["empty", ""],
            "message": ["the file is empty", ""],
        }
    )
    failed = failures(rows, "ingest")
    assert failed.schema == schemas.ERRORS
    assert [(row["uri"], row["code"], row["stage"]) for row in failed.to_pylist()] == [("file:///a", "empty", "ingest")]


def test_a_failed_content_is_a_row_for_each_file_that_is_there() -> None:
    files = pa.table(
        {
            "uri": ["file:///a", "file:///copy", "file:///gone", "file:///packed", "file:///other"],
            "photo_id": ["x", "x", "x", "x", "y"],
            "bytes": pa.array([7, 7, 7, 7, 9], pa.int64()),
            "modified_at": pa.array([AT] * 5, schemas.TIME),
            "media_type": ["image/jpeg"] * 5,
            "missing_since": pa.array([None, None, AT, AT, None], schemas.TIME),
            "packed": pa.array([None, None, None, "shards/a.parquet#0", None], pa.string()),
        }
    )
    rows = pa.table(
        {
            "photo_id": ["x", "y"],
            "uri": ["file:///a", "file:///other"],
            "status": ["truncated", ""],
            "message": ["cut", ""],
        }
    )
    failed = failures(rows, "extract", files)
    assert sorted(failed["uri"].to_pylist()) == ["file:///a", "file:///copy", "file:///packed"]
    assert set(failed["bytes"].to_pylist()) == {7}
    for code in ("unreadable", "vanished", "timeout"):  # the copy is tried next time
        rows = rows.set_column(2, "status", pa.array([code, ""]))
        assert failures(rows, "extract", files)["uri"].to_pylist() == ["file:///a"]
