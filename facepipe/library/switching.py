"""Several tables that change together, at one moment, whatever is killed.

Delta commits one table at a time. So the files that each table is to consist of are written down first, in a row of
`switch`: its commit is the moment. Readers take the tables' files from that row for as long as it is there, while the
logs follow one by one; the next run ends what a killed one began.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import lru_cache

import pyarrow as pa

from facepipe.library.data_files import FOLDER, DataFile, check_files, read_data_files
from facepipe.library.delta_tables import list_data_files, open_table
from facepipe.library.storage import Storage
from facepipe.library.writer import Writer
from facepipe.schemas import REDONE, SWITCH

TABLE = "switch"


def switched_files(storage: Storage) -> dict[str, list[DataFile]]:
    """Return what each table that is just being changed consists of; empty at all other times.

    Raises:
        LibraryError: the table `switch` is damaged.
    """
    log = storage.list_sizes(f"{FOLDER}/{TABLE}/_delta_log")
    return _files_by_log(storage, frozenset(log.items()))


def switch(writer: Writer, redo_id: str, tables: Mapping[str, Sequence[DataFile]], outcome: str) -> None:
    """Let several tables consist of other files, all of them at once; a kill leaves them as they were or as wanted.

    Faces count as newer than the assignments written with them: those without one await the next grouping.

    Args:
        writer: the library's writer.
        redo_id: of the redo that this ends.
        tables: by table all of its files, those it has already and those that workers or the caller have written.
        outcome: JSON, kept in `redone`.

    Raises:
        LibraryError: a file has vanished, or another run has taken over; nothing has changed then.
    """
    others, faces = writer.next_time(), writer.next_time()
    files_of: dict[str, list[DataFile]] = {}
    for table, files in tables.items():
        there = {file.path for file in writer.data_files(table)}
        time = faces if table == "faces" else others
        files_of[table] = [file if file.path in there else replace(file, modification_time=time) for file in files]
        check_files(writer.storage, table, files_of[table])
    row = {
        "redo_id": redo_id,
        "at": datetime.now(UTC),
        "data_files": json.dumps({table: [asdict(file) for file in files] for table, files in files_of.items()}),
        "outcome": outcome,
    }
    writer.append(TABLE, pa.Table.from_pylist([row], schema=SWITCH))
    finish_switch(writer)


def finish_switch(writer: Writer) -> None:
    """Bring the logs up to what the row of `switch` says, if there is one; may be repeated."""
    rows = writer.read(TABLE, SWITCH.names)
    if rows.num_rows:
        for table, files in _files_of(rows).items():
            writer.set_files(table, files)
        position = REDONE.get_field_index("data_files")
        writer.replace("redone", rows.set_column(position, REDONE.field(position), pa.nulls(len(rows), pa.string())))
        writer.remove_files(TABLE, set(writer.data_files(TABLE)))


# Entries of a log never change, and listing them takes a hundredth of the time that opening the table takes.
@lru_cache(maxsize=4)
def _files_by_log(storage: Storage, _log: frozenset[tuple[str, int]]) -> dict[str, list[DataFile]]:
    return _files_of(read_data_files(storage, TABLE, list_data_files(open_table(storage, TABLE))))


def _files_of(rows: pa.Table) -> dict[str, list[DataFile]]:
    return {
        table: [DataFile(**file) for file in files]
        for text in rows["data_files"].to_pylist()
        for table, files in json.loads(text).items()
    }
