"""Delta tables: created empty, opened, and their committed files listed from the log."""

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from facepipe.errors import LibraryError
from facepipe.library.data_files import FOLDER, DataFile
from facepipe.library.storage import Storage, first_line
from facepipe.schemas import TABLES

RETENTION_HOURS = 1  # how long what is no longer named stays, for readers that have opened a table before

# Column statistics are off for good: Delta would copy names and ids into its log. A checkpoint sums the log up every
# few commits and lets its expired entries go, so that neither their number nor the time to open a table grows forever.
CONFIGURATION = {
    "delta.dataSkippingNumIndexedCols": "0",
    "delta.checkpointInterval": "20",
    "delta.enableExpiredLogCleanup": "true",
    "delta.logRetentionDuration": f"interval {RETENTION_HOURS} hours",
}


def create_table(storage: Storage, name: str) -> None:
    """Create one empty table unless it is there; a kill leaves it there or not."""
    address = storage.address(FOLDER, name)
    DeltaTable.create(address, schema=TABLES[name], mode="ignore", configuration=CONFIGURATION)


def open_table(storage: Storage, name: str) -> DeltaTable:
    """Return a handle at the table's newest version.

    Raises:
        LibraryError: the table is missing or its log can't be read.
    """
    try:
        return DeltaTable(storage.address(FOLDER, name))
    except TableNotFoundError as error:
        raise LibraryError(
            f"the library {storage.location} has lost its table {name!r}: restore its folder from a backup"
        ) from error
    except (DeltaError, OSError) as error:
        raise damaged_log(storage, name, error) from error


def damaged_log(storage: Storage, name: str, error: BaseException) -> LibraryError:
    """Return what to raise where a table's log can't be read."""
    return LibraryError(
        f"the log of the table {name!r} in {storage.location} can't be read ({first_line(error)}): "
        "restore the table's folder from a backup"
    )


def unnamed_files(table: DeltaTable) -> list[str]:
    """Return the files in a table's folder that no log entry has named for `RETENTION_HOURS`, relative to the folder.

    Those are files that were removed or never committed. Nothing is deleted and nothing committed.
    """
    paths: list[str] = table.vacuum(
        retention_hours=RETENTION_HOURS, dry_run=True, enforce_retention_duration=False, full=True
    )
    return paths


def list_data_files(table: DeltaTable) -> list[DataFile]:
    """Return the committed files, oldest first. A file without a row count in the log has -1 `num_records`."""
    actions = pa.table(table.get_add_actions(flatten=True))
    if "num_records" not in actions.column_names:  # a table that never held a file
        return []
    columns = (actions[name].to_pylist() for name in ("path", "size_bytes", "num_records", "modification_time"))
    files = [
        DataFile(path, size, -1 if count is None else count, time)
        for path, size, count, time in zip(*columns, strict=True)
    ]
    return sorted(files, key=lambda file: (file.modification_time, file.path))
