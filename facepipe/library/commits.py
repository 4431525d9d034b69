"""How a commit is made safe: every one carries its writer's epoch, and lands on the state it saw or not at all.

Delta refuses two concurrent commits of one application id, so a handle that shows no newer epoch can't commit after
one has appeared. A failed commit is first looked up in the log: it may have arrived all the same.
"""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction, RemoveAction

from facepipe.errors import LibraryError
from facepipe.library.data_files import FOLDER, DataFile, check_files
from facepipe.library.delta_tables import list_data_files, open_table
from facepipe.library.storage import Storage, first_line, sync_file, sync_folder
from facepipe.schemas import TABLES

APPLICATION = "writer"
ATTEMPTS = 8
FIRST_PAUSE_S = 0.02


@dataclass(frozen=True)
class Change:
    """What one commit does to a table: files that join it and files that leave it."""

    add: Sequence[DataFile] = ()
    remove: Sequence[DataFile] = ()


class Committer:
    """Commits to a library's tables for as long as no newer epoch shows in them.

    Attributes:
        storage: the library's place.
        epoch: its number, higher than any before it.
    """

    def __init__(self, storage: Storage, epoch: int, tables: dict[str, DeltaTable]) -> None:
        self.storage = storage
        self.epoch = epoch
        self._tables = tables
        self._last_time = 0

    @classmethod
    def take_over(cls, storage: Storage) -> "Committer":
        """Return a committer whose new epoch is in every table: from then on all older ones are refused.

        The first table decides between two that start at once: one of them is refused there and counts anew.

        Raises:
            LibraryError: a table is damaged or can't be written, or yet another run has taken over meanwhile.
        """
        first = next(iter(TABLES))
        for attempt in range(ATTEMPTS):
            tables = {name: open_table(storage, name) for name in TABLES}
            epoch = 1 + max(epoch_of(table) for table in tables.values())
            committer = cls(storage, epoch, tables)
            try:
                committer._write(first, Change())
            except (DeltaError, OSError) as error:
                refusal = error
                time.sleep(FIRST_PAUSE_S * 2**attempt)
                continue
            committer._sync_log(first)
            for name in TABLES:
                if name != first:
                    committer.commit(name, lambda _: Change())
            return committer
        raise LibraryError(f"cannot write to the library {storage.location}: {first_line(refusal)}") from refusal

    def data_files(self, table: str) -> list[DataFile]:
        """Return a table's committed files, oldest first, as of this committer's last look."""
        return list_data_files(self._tables[table])

    def commit(self, table: str, plan: Callable[[list[DataFile]], Change | None]) -> None:
        """Commit what a plan makes of a table's newest files; a refused commit is planned again, a few times.

        Args:
            table: the table.
            plan: from its committed files to the change wanted (None: there is nothing to do).

        Raises:
            LibraryError: a newer epoch shows, a file to be added has vanished, or the table can't be written.
        """
        self._reload(table)
        for attempt in range(ATTEMPTS):
            change = plan(self.data_files(table))
            if change is None:
                return
            check_files(self.storage, table, change.add)
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
            f"cannot write to the table {table!r} of {self.storage.location}: {first_line(failure)}"
        ) from failure

    def _reload(self, table: str) -> None:
        """Bring a handle up to date; raise LibraryError when a newer epoch shows."""
        handle = self._tables[table]
        try:
            handle.update_incremental()
        except (DeltaError, OSError) as error:
            raise LibraryError(
                f"the log of the table {table!r} in {self.storage.location} can't be read: {first_line(error)}"
            ) from error
        if epoch_of(handle) > self.epoch:
            raise LibraryError(
                f"another run took over the library {self.storage.location}, so this one stops: "
                "wait until that one has ended, then repeat the command"
            )

    def _write(self, table: str, change: Change) -> None:
        now = self._next_time()
        removed = [RemoveAction(file.path, True, now, file.size, {}) for file in change.remove]
        # The row count alone: other statistics would copy names and ids into the log, none would make counts wrong.
        added = [
            AddAction(file.path, file.size, {}, now, True, json.dumps({"numRecords": file.num_records}))
            for file in change.add
        ]
        handle = self._tables[table]
        handle.create_write_transaction(
            [*removed, *added],
            mode="append",
            schema=handle.schema(),
            # No retries inside Delta: it would let a removal pass beside another program's compaction and double rows.
            commit_properties=CommitProperties(
                max_commit_retries=0, app_transactions=[Transaction(APPLICATION, self.epoch)]
            ),
        )

    def _next_time(self) -> int:
        """Return the time in milliseconds since 1970, later than any given before.

        So the log alone tells which faces were there when people were grouped, whatever the workers' clocks say.
        """
        self._last_time = max(time.time_ns() // 1_000_000, self._last_time + 1)
        return self._last_time

    def _has_arrived(self, table: str, change: Change) -> bool:
        present = {file.path for file in self.data_files(table)}
        return (
            epoch_of(self._tables[table]) == self.epoch
            and all(file.path in present for file in change.add)
            and not any(file.path in present for file in change.remove)
        )

    def _sync_log(self, table: str) -> None:
        """Make the newest entry of a local log survive a loss of power; Delta itself doesn't."""
        self._reload(table)
        if self.storage.is_local:
            folder = Path(self.storage.address(FOLDER, table, "_delta_log"))
            for path in [*folder.glob(f"{self._tables[table].version():020}.*"), folder / "_last_checkpoint"]:
                if path.exists():
                    sync_file(path)
            sync_folder(folder)


def epoch_of(table: DeltaTable) -> int:
    """Return the highest epoch that a table has seen; 0 where it has seen none."""
    return table.transaction_version(APPLICATION) or 0
