"""Delta tables: created empty, opened, and their committed files listed from the log."""

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from facepipe.errors import LibraryError
from facepipe.library.data_files import FOLDER, DataFile
from facepipe.library.storage import Storage
from facepipe.schemas import TABLES


def create_table(storage: Storage, name: str) -> None:
    """Create one empty table unless it is there; a kill leaves it there or not.

    Column statistics are off for good: Delta would copy names and ids into its log.
    """
    DeltaTable.create(
        storage.address(FOLDER, name),
        schema=TABLES[name],
        mode="ignore",
        configuration={"delta.dataSkippingNumIndexedCols": "0"},
    )


def open_table(storage: Storage, name: str) -> DeltaTable:
    """Return a handle at the table's newest version.

    Raises:
        LibraryError: the table is missing or its log can't be read.
    """
    try:
        return DeltaTable(storage.address(FOLDER, name))
    except TableNotFoundError as error:
        raise LibraryError(f"the library {storage.location} has lost its table {name!r}: restore it") from error
    except (DeltaError, OSError) as error:
        raise LibraryError(f"the log of the table {name!r} in {storage.location} can't be read: {error}") from error


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
