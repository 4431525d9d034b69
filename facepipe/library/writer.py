"""What a run does to a library: whole operations, each safe against a kill in its middle.

Rows never go by a predicate, which Delta would keep in its log, but by replacing the files that hold them. Where two
tables change, the order is such that what lies between is merely not known yet, and is done again.
"""

from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from facepipe.library.commits import Change, Committer
from facepipe.library.data_files import (
    FOLDER,
    DataFile,
    check_files,
    conform,
    files_with,
    merge_data_files,
    read_data_files,
    write_data_file,
)
from facepipe.library.storage import Storage
from facepipe.schemas import TIME

Values: TypeAlias = "pa.Array | pa.ChunkedArray"


class Writer:
    """Changes a library's tables for as long as no newer run has taken over.

    Every method has committed when it returns, or raises LibraryError; what was committed before stays.
    """

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self._storage = committer.storage

    @property
    def storage(self) -> Storage:
        """Where the library lies."""
        return self._storage

    @property
    def epoch(self) -> int:
        """The number of this run, higher than that of any before it."""
        return self._committer.epoch

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """Return all committed rows of a table, those of unfinished batches too."""
        return read_data_files(self._storage, table, self._committer.data_files(table), columns)

    def append(self, table: str, rows: pa.Table, time: int | None = None) -> None:
        """Add rows to a table; no rows, no commit.

        Args:
            table: the table.
            rows: to be added.
            time: the log's time of the new file, in milliseconds; None: now.
        """
        if rows.num_rows:
            file = write_data_file(self._storage.location, table, rows)
            self._committer.commit(table, lambda _: _change(file, time, []))

    def commit_data_files(self, table: str, files: Sequence[DataFile]) -> None:
        """Add files that workers wrote with `write_data_file`; no files, no commit."""
        if files:
            self._committer.commit(table, lambda _: Change(add=files))

    def replace(self, table: str, rows: pa.Table, time: int | None = None) -> None:
        """Replace a whole table in one commit; `time` as for `append`."""
        file = write_data_file(self._storage.location, table, rows)
        self._committer.commit(table, lambda present: _change(file, time, present))

    def replace_in_pieces(self, table: str, pieces: Iterable[pa.Table]) -> None:
        """Replace a whole table by pieces that need not be in memory together, in one commit."""
        files = [write_data_file(self._storage.location, table, rows) for rows in pieces]
        self._committer.commit(table, lambda present: Change(add=files, remove=present))

    def rewrite(
        self, table: str, transform: Callable[[pa.Table], pa.Table], where: pads.Expression | None = None
    ) -> None:
        """Replace those data files whose rows a function changes, in one commit; no change, no commit.

        Args:
            table: the table.
            transform: from one file's rows to the rows wanted instead; called again when a commit is refused.
            where: only files that hold such a row are looked at; None means all.
        """

        def plan(present: list[DataFile]) -> Change | None:
            change = self._plan_rewrite(table, transform, where, present)
            return change if change.remove else None

        self._committer.commit(table, plan)

    def delete(self, table: str, column: str, values: Values) -> None:
        """Drop the rows whose column holds one of some values, in one commit; none there, no commit."""
        if len(values):
            going = _is_one_of(column, values)
            self.rewrite(table, lambda rows: rows.filter(~going), where=going)

    def upsert(self, table: str, key: str, rows: pa.Table) -> None:
        """Add rows in place of those with the same key, in one commit; no rows, no commit."""
        if not rows.num_rows:
            return
        replaced = _is_one_of(key, rows[key])
        file = write_data_file(self._storage.location, table, rows)

        def plan(present: list[DataFile]) -> Change:
            change = self._plan_rewrite(table, lambda found: found.filter(~replaced), replaced, present)
            return replace(change, add=[file])

        self._committer.commit(table, plan)

    def data_files(self, table: str) -> list[DataFile]:
        """Return a table's committed files, oldest first."""
        return self._committer.data_files(table)

    def grouped_at(self) -> int:
        """Return when people were last grouped, in the log's milliseconds; 0: never.

        The log alone tells which rows came before and which after: commits have ever later times.
        """
        return max((file.modification_time for file in self.data_files("assignments")), default=0)

    def remove_files(self, table: str, files: Set[DataFile]) -> None:
        """Drop files with all their rows, in one commit; none of them there, no commit."""

        def plan(present: list[DataFile]) -> Change | None:
            going = [file for file in present if file in files]
            return Change(remove=going) if going else None

        if files:
            self._committer.commit(table, plan)

    def set_files(self, table: str, files: Sequence[DataFile]) -> None:
        """Let a table consist of just these files, which keep their modification_time; it does already, no commit."""
        wanted = {file.path for file in files}

        def plan(present: list[DataFile]) -> Change | None:
            there = {file.path for file in present}
            going = [file for file in present if file.path not in wanted]
            coming = [file for file in files if file.path not in there]
            return Change(remove=going, rewritten=coming) if going or coming else None

        self._committer.commit(table, plan)

    def next_time(self) -> int:
        """Return a time for the log in milliseconds, later than any before it."""
        return self._committer.next_time()

    def merge_files(self, table: str, files: Sequence[DataFile]) -> None:
        """Put some of a table's files into one, in one commit; where one of them has gone meanwhile, none."""
        merged = merge_data_files(self._storage, table, files)

        def plan(present: list[DataFile]) -> Change | None:
            return Change(remove=files, rewritten=[merged]) if set(files) <= set(present) else None

        self._committer.commit(table, plan)

    def remove_unnamed_files(self, table: str, waiting: Set[DataFile] = frozenset()) -> int:
        """Remove files that no log entry has named for an hour, and return how many; no commit.

        Args:
            table: the table.
            waiting: files that stay, since their time is yet to come.
        """
        kept = {file.path for file in waiting}
        paths = [path for path in self._committer.unnamed_files(table) if path not in kept]
        for path in paths:
            self._storage.remove(f"{FOLDER}/{table}/{path}")
        return len(paths)

    def commit_files(self, files: pa.Table, errors: pa.Table) -> None:
        """Record files that were read for the first time, and files that could not be read.

        Changed files and failures to be tried again are cleared with `forget_files` before they are read.

        Args:
            files: rows for `files`; none of these uris may be there.
            errors: rows for `errors`, which replace those of the same uris.
        """
        self.append("files", files)
        self.upsert("errors", "uri", errors)

    def forget_files(self, changed: Values, cleared: Values) -> None:
        """Clear what is going to be done again: a kill afterwards leaves files that are simply new.

        Args:
            changed: uris whose rows in `files` no longer hold.
            cleared: uris whose rows in `errors` no longer hold.
        """
        self.delete("files", "uri", changed)
        self.delete("errors", "uri", cleared)

    def mark_missing(self, missing: Values, returned: Values, at: datetime | None = None) -> None:
        """Note which files are no longer where they were, and which are back.

        Args:
            missing: uris that get `missing_since`, unless they have it already.
            returned: uris that lose it.
            at: since when; None means now.
        """
        since = pa.scalar(at or datetime.now(UTC), TIME)
        gone, back = _as_set(missing), _as_set(returned)

        def mark(rows: pa.Table) -> pa.Table:
            marked = pc.if_else(pc.is_in(rows["uri"], value_set=gone), since, pa.scalar(None, TIME))
            kept = pc.if_else(pc.is_in(rows["uri"], value_set=back), pa.scalar(None, TIME), rows["missing_since"])
            position = rows.schema.get_field_index("missing_since")
            return rows.set_column(position, "missing_since", pc.coalesce(kept, marked))

        if len(gone) or len(back):
            self.rewrite("files", mark, where=_is_one_of("uri", pa.chunked_array([gone, back])))

    def commit_batches(
        self, faces: Sequence[DataFile], photos: Sequence[DataFile], errors: pa.Table | None = None
    ) -> None:
        """Commit finished batches: their faces, then their photos, then what failed in them.

        A photo is done when its row in `photos` is there. A kill after the first commit leaves faces that no reader
        sees and that the next run drops. Errors of photos that have succeeded now, from another copy, are cleared.

        Args:
            faces: files of `faces`; every batch_id in them must be in `photos`' files.
            photos: files of `photos`.
            errors: rows for `errors`, which replace those of the same uris.

        Raises:
            LibraryError: a file has vanished before its commit, or another run has taken over.
        """
        check_files(self._storage, "photos", photos)
        self.commit_data_files("faces", faces)
        self.commit_data_files("photos", photos)
        if errors is not None:
            self.upsert("errors", "uri", errors)
        if photos and self._committer.data_files("errors"):
            done = read_data_files(self._storage, "photos", photos, ["photo_id"])["photo_id"]
            self.delete("errors", "photo_id", done)

    def _plan_rewrite(
        self,
        table: str,
        transform: Callable[[pa.Table], pa.Table],
        where: pads.Expression | None,
        present: list[DataFile],
    ) -> Change:
        files = present if where is None else files_with(self._storage, table, present, where)
        rewritten, removed = [], []
        for file in files:
            rows = read_data_files(self._storage, table, [file])
            wanted = conform(table, transform(rows))
            if wanted.equals(rows):
                continue
            removed.append(file)
            if wanted.num_rows:
                written = write_data_file(self._storage.location, table, wanted)
                rewritten.append(replace(written, modification_time=file.modification_time))
        return Change(remove=removed, rewritten=rewritten)


def _change(file: DataFile, time: int | None, removed: Sequence[DataFile]) -> Change:
    if time is None:
        return Change(add=[file], remove=removed)
    return Change(rewritten=[replace(file, modification_time=time)], remove=removed)


def _as_set(values: Values) -> pa.Array:
    """Return the values without nulls as one array."""
    array = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    return array.drop_null()


def _is_one_of(column: str, values: Values) -> pads.Expression:
    """Return what is true for rows that hold one of some values, and false (not null) for those that hold null."""
    return pads.field(column).isin(_as_set(values))
