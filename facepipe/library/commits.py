"""The one writer of a library: every change is one commit that carries the writer's epoch.

Delta refuses two concurrent commits of one application id, so a commit made by a handle that has seen no newer epoch
either lands on the state it saw or not at all. Predicates never reach the log: rows go by replacing their files.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as pads
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction

from facepipe.errors import LibraryError
from facepipe.library import delta_tables
from facepipe.library.delta_tables import DataFile, list_data_files, read_data_files, write_data_file
from facepipe.library.storage import Storage, sync_file, sync_folder
from facepipe.schemas import TABLES

APPLICATION = "writer"
ATTEMPTS = 8
FIRST_PAUSE_S = 0.05


@dataclass(frozen=True)
class Change:
    """What one commit does to a table: files that join and files that go."""

    add: Sequence[DataFile] = ()
    remove: Sequence[DataFile] = ()


class Writer:
    """Changes a library's tables for as long as no newer writer has taken over.

    Every method either has committed when it returns, or raises LibraryError; what was committed before stays.

    Attributes:
        epoch: this writer's number, higher than that of any writer before it.
    """

    def __init__(self, storage: Storage, epoch: int, tables: dict[str, DeltaTable]) -> None:
        self.storage = storage
        self.epoch = epoch
        self._tables = tables
        self._last_time = 0

    @classmethod
    def take_over(cls, storage: Storage) -> "Writer":
        """Return a writer with a new epoch, committed to every table: from then on all older writers are refused.

        The first table decides between two that start at once: both can't commit there, and who was refused counts anew.

        Raises:
            LibraryError: a table is damaged, can't be written, or yet another run has taken over meanwhile.
        """
        first = next(iter(TABLES))
        for attempt in range(ATTEMPTS):
            tables = {name: delta_tables.open_table(storage, name) for name in TABLES}
            writer = cls(storage, 1 + max(_epoch_of(table) for table in tables.values()), tables)
            try:
                writer._write(first, Change())
            except (DeltaError, OSError) as error:
                refusal = error
                time.sleep(FIRST_PAUSE_S * 2**attempt)
                continue
            writer._sync_log(first)
            for name in TABLES:
                if name != first:
                    writer._commit(name, lambda _: Change())
            return writer
        raise LibraryError(f"cannot write to the library {storage.location}: {_reason(refusal)}") from refusal

    def append(self, table: str, rows: pa.Table) -> None:
        """Add rows to a table; no rows, no commit."""
        if rows.num_rows:
            self.commit_files(table, [write_data_file(self.storage.location, table, rows)])

    def commit_files(self, table: str, files: Sequence[DataFile]) -> None:
        """Add files that workers wrote with `write_data_file`; no files, no commit."""
        if files:
            self._check_files(table, files)
            self._commit(table, lambda _: Change(add=files))

    def commit_batches(
        self, faces: Sequence[DataFile], photos: Sequence[DataFile], errors: pa.Table | None = None
    ) -> None:
        """Commit finished batches: their faces, then their photos, then what failed in them.

        A photo is done when its row in `photos` is there. A kill after the first commit leaves faces that no reader
        sees and that the next writer drops. Errors of photos that have succeeded now, from another copy, are cleared.

        Args:
            faces: files of `faces`; every batch_id in them must be in the files of `photos`.
            photos: files of `photos`.
            errors: rows for `errors`.

        Raises:
            LibraryError: a file has vanished before its commit, or another run has taken over.
        """
        self._check_files("photos", photos)
        self.commit_files("faces", faces)
        self.commit_files("photos", photos)
        if errors is not None:
            self.append("errors", errors)
        if photos and list_data_files(self._tables["errors"]):
            done = read_data_files(self.storage, "photos", photos, ["photo_id"])["photo_id"]
            self.delete("errors", "photo_id", done)

    def replace(self, table: str, rows: pa.Table) -> None:
        """Replace a whole table in one commit."""
        files = [write_data_file(self.storage.location, table, rows)]
        self._commit(table, lambda handle: Change(add=files, remove=list_data_files(handle)))

    def delete(self, table: str, column: str, values: pa.Array | pa.ChunkedArray) -> None:
        """Drop the rows whose column holds one of some values, in one commit; none there, no commit."""
        wanted = pads.field(column).isin(_as_array(values).drop_null())
        # A null compares as null, which a filter takes for false: only rows that are found go.
        self.rewrite(table, lambda rows: rows.filter(~wanted), where=wanted)

    def rewrite(
        self, table: str, transform: Callable[[pa.Table], pa.Table], where: pads.Expression | None = None
    ) -> None:
        """Replace those data files whose rows a function changes, in one commit; no change, no commit.

        Args:
            table: the table.
            transform: from a data file's rows to the rows wanted instead. It is called again when a commit is refused.
            where: only files that hold such a row are looked at; None means all.
        """

        def plan(handle: DeltaTable) -> Change | None:
            files = list_data_files(handle)
            if where is not None:
                files = delta_tables.files_with(self.storage, table, files, where)
            added, removed = [], []
            for file in files:
                rows = read_data_files(self.storage, table, [file])
                wanted = delta_tables.conform(table, transform(rows))
                if wanted.equals(rows):
                    continue
                removed.append(file)
                if wanted.num_rows:
                    added.append(write_data_file(self.storage.location, table, wanted))
            return Change(added, removed) if removed else None

        self._commit(table, plan)

    def _check_files(self, table: str, files: Sequence[DataFile]) -> None:
        """Raise LibraryError unless all files are there whole: Delta itself commits names of missing files."""
        sizes = self.storage.sizes([f"{delta_tables.FOLDER}/{table}/{file.path}" for file in files])
        for file, size in zip(files, sizes, strict=True):
            if size != file.size:
                address = self.storage.address(delta_tables.FOLDER, table, file.path)
                raise LibraryError(f"{address} vanished or changed before it was committed: repeat the command")

    def _commit(self, table: str, plan: Callable[[DeltaTable], Change | None]) -> None:
        """Commit what a plan makes of the newest version, planning again when the commit is refused.

        After a failure it is looked up first whether the commit has arrived after all.
        """
        self._reload(table)
        for attempt in range(ATTEMPTS):
            change = plan(self._tables[table])
            if change is None:
                return
            try:
                self._write(table, change)
            except (DeltaError, OSError) as error:
                failure = error
                self._reload(table)
                if not self._has_arrived(table, change):
                    time.sleep(FIRST_PAUSE_S * 2**attempt)
                    continue
            self._sync_log(table)
            return
        raise LibraryError(
            f"cannot write to the table {table!r} of {self.storage.location}: {_reason(failure)}"
        ) from failure

    def _reload(self, table: str) -> None:
        """Bring a handle up to date; raise LibraryError when a newer writer shows."""
        handle = self._tables[table]
        try:
            handle.update_incremental()
        except (DeltaError, OSError) as error:
            raise LibraryError(
                f"the log of the table {table!r} in {self.storage.location} can't be read: {_reason(error)}"
            ) from error
        if _epoch_of(handle) > self.epoch:
            raise LibraryError(
                f"another run took over the library {self.storage.location}, so this one stops: "
                "wait until that one has ended, then repeat the command"
            )

    def _write(self, table: str, change: Change) -> None:
        handle = self._tables[table]
        now = self._next_time()
        actions: list[AddAction | RemoveAction] = [
            RemoveAction(file.path, data_change=True, deletion_timestamp=now, size=file.size, partition_values={})
            for file in change.remove
        ]
        actions += [
            AddAction(
                path=file.path,
                size=file.size,
                partition_values={},
                modification_time=now,
                data_change=True,
                stats=json.dumps({"numRecords": file.num_records}),
            )
            for file in change.add
        ]
        handle.create_write_transaction(
            actions,
            mode="append",
            schema=handle.schema(),
            commit_properties=CommitProperties(app_transactions=[Transaction(APPLICATION, self.epoch)]),
        )

    def _next_time(self) -> int:
        """Return the time in milliseconds since 1970, later than any this writer gave before.

        The log's times thereby tell which faces were there when the people were grouped, whatever workers' clocks say.
        """
        self._last_time = max(time.time_ns() // 1_000_000, self._last_time + 1)
        return self._last_time

    def _has_arrived(self, table: str, change: Change) -> bool:
        handle = self._tables[table]
        present = {file.path for file in list_data_files(handle)}
        return (
            _epoch_of(handle) == self.epoch
            and all(file.path in present for file in change.add)
            and not any(file.path in present for file in change.remove)
        )

    def _sync_log(self, table: str) -> None:
        """Make the newest entry of a local log survive a loss of power; Delta itself doesn't."""
        self._reload(table)
        if self.storage.is_local:
            folder = Path(self.storage.address(delta_tables.FOLDER, table, "_delta_log"))
            for path in [*folder.glob(f"{self._tables[table].version():020}.*"), folder / "_last_checkpoint"]:
                if path.exists():
                    sync_file(path)
            sync_folder(folder)


def _epoch_of(table: DeltaTable) -> int:
    return table.transaction_version(APPLICATION) or 0


def _as_array(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _reason(error: BaseException) -> str:
    return str(error).partition("\n")[0]
