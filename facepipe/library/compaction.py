"""Small files become large ones, and what no log names any more goes: a library that grows each night stays quick.

Delta's own `optimize` would commit without the writer's epoch, and at other times than `check` needs to know.
"""

from collections.abc import Iterator, Sequence

from facepipe.library.data_files import DataFile
from facepipe.library.redone import waiting_files
from facepipe.library.writer import Writer
from facepipe.schemas import TABLES

FILE_BYTES = 128 << 20
SMALL_BYTES = FILE_BYTES // 2
FEWEST_FILES = 16  # so that a night's few files aren't rewritten every night


def compact(writer: Writer) -> None:
    """Merge each table's small files into files of about `FILE_BYTES`, and remove what no reader can want any more.

    Rows, their order and their batches stay as they are. Each merge is one commit, so a kill leaves files that no log
    names; those go when they are an hour old, as do files that were merged or replaced (readers may hold their names).
    What has been extracted anew and waits for the rest stays. Nothing to merge, no commit.

    Raises:
        LibraryError: a table is damaged, the disk is full, or another run has taken over; all rows are as they were.
    """
    grouped_at = writer.grouped_at()
    waiting = waiting_files(writer)
    for table in TABLES:
        files = writer.data_files(table)
        # `check` asks which faces were there when people were last grouped: older and newer ones don't mix.
        older = [file for file in files if file.modification_time < grouped_at]
        for part in (older, files[len(older) :]):
            for merging in files_to_merge(part):
                writer.merge_files(table, merging)
        writer.remove_unnamed_files(table, set(waiting.get(table, ())))


def files_to_merge(files: Sequence[DataFile]) -> Iterator[list[DataFile]]:
    """Yield lists of small files that make about one large file each; nothing where there are only a few.

    Args:
        files: of one table, oldest first; their order is kept.
    """
    small = [file for file in files if file.size < SMALL_BYTES]
    if len(small) < FEWEST_FILES:
        return
    merging: list[DataFile] = []
    size = 0
    for file in small:
        if merging and size + file.size > FILE_BYTES:
            yield merging
            merging, size = [], 0
        merging.append(file)
        size += file.size
    if len(merging) > 1:
        yield merging
