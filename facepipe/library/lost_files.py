"""What a table's log names and its folder no longer holds: seen from listings alone, before anything is read."""

from collections.abc import Iterator, Sequence

from facepipe.errors import LibraryError
from facepipe.library.data_files import FOLDER, DataFile
from facepipe.library.storage import Storage


def find_lost_files(storage: Storage, table: str, files: Sequence[DataFile]) -> Iterator[str]:
    """Yield a sentence for each committed file that is missing or has another size, and for each empty log entry.

    Args:
        storage: the library's place.
        table: the table's name.
        files: its committed files.
    """
    folder = f"{FOLDER}/{table}"
    sizes = storage.list_sizes(folder)
    for file in files:
        name = f"{folder}/{file.path}"
        if file.path not in sizes:
            yield f"the file {name}, which the log names, is missing"
        elif sizes[file.path] != file.size:
            yield f"the file {name} has {sizes[file.path]:,} bytes, but {file.size:,} by the log"
    # Delta takes an emptied entry for a commit that did nothing: rows would silently be gone, or be back.
    for name, size in sorted(storage.list_sizes(f"{folder}/_delta_log").items()):
        if size == 0 and name.endswith((".json", ".parquet")):
            yield f"the log entry {folder}/_delta_log/{name} is empty"


def refuse_lost_files(storage: Storage, table: str, files: Sequence[DataFile]) -> None:
    """Raise LibraryError where a committed file or log entry is lost: a run stops before it changes anything."""
    for problem in find_lost_files(storage, table, files):
        raise LibraryError(
            f"the library {storage.location} is damaged, {problem}: restore it from a backup; "
            "`facepipe check` lists all damage"
        )
