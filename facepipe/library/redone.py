"""What has been extracted anew and waits in `redone` until all of it can take the place of the old rows.

The files lie in the folders of `photos` and `faces`, where no log names them yet: to readers they aren't there.
"""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from facepipe.library.data_files import FOLDER, DataFile, check_files
from facepipe.library.writer import Writer
from facepipe.schemas import REDONE

TABLE = "redone"
TABLES_REDONE = ("photos", "faces")


def note_batches(writer: Writer, redo_id: str, batches: Sequence[str]) -> None:
    """Note finished batches of a redo; a kill before leaves files that no log names.

    Args:
        writer: the library's writer.
        redo_id: what the redo is made with.
        batches: each one's files by table, JSON as in `WRITTEN_BATCH`.

    Raises:
        LibraryError: a file has vanished, or another run has taken over.
    """
    for table, files in _by_table(batches).items():
        check_files(writer.storage, table, files)
    at, filled = datetime.now(UTC), [batch for batch in batches if json.loads(batch)]
    rows = [{"redo_id": redo_id, "at": at, "data_files": batch} for batch in filled]
    writer.append(TABLE, pa.Table.from_pylist(rows, schema=REDONE))


def waiting_files(writer: Writer) -> dict[str, list[DataFile]]:
    """Return the files that wait, by table."""
    return _by_table(writer.read(TABLE, ["data_files"])["data_files"].to_pylist())


def resume(writer: Writer, redo_id: str) -> None:
    """Drop what waits from a redo made with something else, and batches whose files somebody has taken away."""
    there = {table: writer.storage.list_sizes(f"{FOLDER}/{table}") for table in TABLES_REDONE}

    def is_whole(batch: str | None) -> bool:
        files = _by_table([batch]).items()
        return all(there[table].get(file.path) == file.size for table, of_table in files for file in of_table)

    def keep(rows: pa.Table) -> pa.Table:
        whole = pa.array([is_whole(batch) for batch in rows["data_files"].to_pylist()], pa.bool_())
        return rows.filter(pc.and_(pc.and_(pc.equal(rows["redo_id"], redo_id), pc.is_null(rows["outcome"])), whole))

    writer.rewrite(TABLE, keep)


def completed(writer: Writer, redo_id: str) -> dict[str, Any] | None:
    """Return the outcome of a redo that was killed between its switch and its end; None where there is none.

    It counts for as long as no run has ended since: then the same redo has nothing left to do.
    """
    switched_at, ended_at = (
        max((file.modification_time for file in writer.data_files(table)), default=0) for table in (TABLE, "runs")
    )
    rows = writer.read(TABLE, ["redo_id", "outcome"])
    rows = rows.filter(pc.and_(pc.equal(rows["redo_id"], redo_id), pc.is_valid(rows["outcome"])))
    if not len(rows) or ended_at > switched_at:
        return None
    outcome: dict[str, Any] = json.loads(rows["outcome"][0].as_py())
    return outcome


def _by_table(batches: Sequence[str | None]) -> dict[str, list[DataFile]]:
    files: dict[str, list[DataFile]] = {table: [] for table in TABLES_REDONE}
    for batch in batches:
        for table, file in json.loads(batch or "{}").items():
            files[table].append(DataFile(**file))
    return files
