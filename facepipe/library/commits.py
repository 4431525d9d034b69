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
from facepipe.library.delta_tables import damaged_log, list_data_files, open_table, unnamed_files
from facepipe.library.lost_files import refuse_lost_files
from facepipe.library.storage import Storage, first_line, sync_file, sync_folder
from facepipe.schemas import TABLES

APPLICATION = "writer"
LEDGER = "runs"  # its commits note how long every table's log is, so that a log cut short shows
NOTED = "log of "
ATTEMPTS = 8
FIRST_PAUSE_S = 0.02


@dataclass(frozen=True)
class Change:
    """What one commit does to a table.

    Attributes:
        add: files of new rows; the log gives them the commit's time.
        remove: files that leave the table.
        rewritten: files that hold rows of the removed ones and keep their own modification_time, so that the log still
            tells when those rows came.
    """

    add: Sequence[DataFile] = ()
    remove: Sequence[DataFile] = ()
    rewritten: Sequence[DataFile] = ()

    @property
    def joining(self) -> list[DataFile]:
        """All files that join the table."""
        return [*self.rewritten, *self.add]


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
            times = []
            for name, table in tables.items():
                files = list_data_files(table)
                refuse_lost_files(storage, name, files)
                times += [file.modification_time for file in files]
            epoch = 1 + max(epoch_of(table) for table in tables.values())
            committer = cls(storage, epoch, tables)
            committer._last_time = max(times, default=0)
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

    def unnamed_files(self, table: str) -> list[str]:
        """Return what `delta_tables.unnamed_files` does, as of now.

        Raises:
            LibraryError: a newer epoch shows, or the table can't be read.
        """
        self._reload(table)
        try:
            return unnamed_files(self._tables[table])
        except (DeltaError, OSError) as error:
            raise damaged_log(self.storage, table, error) from error

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
            check_files(self.storage, table, change.joining)
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
            raise damaged_log(self.storage, table, error) from error
        if epoch_of(handle) > self.epoch:
            raise LibraryError(
                f"another run took over the library {self.storage.location}, so this one stops: "
                "wait until that one has ended, then repeat the command"
            )

    def _write(self, table: str, change: Change) -> None:
        now = self.next_time()
        removed = [RemoveAction(file.path, True, now, file.size, {}) for file in change.remove]
        # The row count alone: other statistics would copy names and ids into the log, none would make counts wrong.
        times = {file.path: file.modification_time for file in change.rewritten}
        added = [
            AddAction(
                file.path,
                file.size,
                {},
                times.get(file.path, now),
                True,
                json.dumps({"numRecords": file.num_records}),
            )
            for file in change.joining
        ]
        transactions = [Transaction(APPLICATION, self.epoch)]
        if table == LEDGER:
            transactions += [Transaction(f"{NOTED}{name}", other.version()) for name, other in self._tables.items()]
        handle = self._tables[table]
        handle.create_write_transaction(
            [*removed, *added],
            mode="append",
            schema=handle.schema(),
            # No retries inside Delta: it would let a removal pass beside another program's compaction and double rows.
            commit_properties=CommitProperties(max_commit_retries=0, app_transactions=transactions),
        )

    def next_time(self) -> int:
        """Return the time in milliseconds since 1970, later than any given before.

        So the log alone tells which faces were there when people were grouped, whatever the workers' clocks say and
        whichever machine ran before.
        """
        self._last_time = max(time.time_ns() // 1_000_000, self._last_time + 1)
        return self._last_time

    def _has_arrived(self, table: str, change: Change) -> bool:
        present = {file.path for file in self.data_files(table)}
        return (
            epoch_of(self._tables[table]) == self.epoch
            and all(file.path in present for file in change.joining)
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


def noted_version(ledger: DeltaTable, table: str) -> int:
    """Return the version that a table's log had reached when `LEDGER` was last committed to; 0 where it never was."""
    return ledger.transaction_version(f"{NOTED}{table}") or 0


def epoch_of(table: DeltaTable) -> int:
    """Return the highest epoch that a table has seen; 0 where it has seen none."""
    return table.transaction_version(APPLICATION) or 0
