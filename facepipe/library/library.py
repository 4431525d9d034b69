"""A library as the other parts see it: created, opened, read by anyone, written by one."""

import json
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads
from deltalake.exceptions import DeltaError

from facepipe.errors import LibraryError, WrongUsageError
from facepipe.library import lock
from facepipe.library.commits import ATTEMPTS, FIRST_PAUSE_S, Committer
from facepipe.library.data_files import FOLDER, DataFile, iterate_data_files, read_data_files
from facepipe.library.delta_tables import create_table, list_data_files, open_table
from facepipe.library.recovery import recover
from facepipe.library.storage import Storage, first_line
from facepipe.library.switching import switched_files
from facepipe.library.writer import Writer
from facepipe.schemas import TABLES

FORMAT = 3
_RECORD = "library.json"
_UNFINISHED = re.compile(rf"{FOLDER}|{lock.NAME}|{re.escape(_RECORD)}\.[0-9a-f]+\.tmp")


@dataclass(frozen=True)
class Library:
    """A folder or bucket of Delta tables that holds everything known about some photos.

    Attributes:
        storage: its place.
        library_id: drawn when it was created.
    """

    storage: Storage
    library_id: str

    @property
    def location(self) -> str:
        """Its absolute path or URI, as `write_data_file` takes it on any worker."""
        return self.storage.location

    @classmethod
    def open(cls, location: str | Path) -> "Library":
        """Return the library at a folder or URI.

        Raises:
            WrongUsageError: there is none.
            LibraryError: its format is another version's, or its record is damaged.
        """
        storage = Storage.at(location)
        record = _read_record(storage)
        if record is None:
            raise WrongUsageError(f"there is no library at {location}: `facepipe run SOURCE --library DIR` makes one")
        return cls(storage, record)

    @classmethod
    def exists(cls, location: str | Path) -> bool:
        """Return whether there is a library at a folder or URI; raises as `open` where it can't be read."""
        return _read_record(Storage.at(location)) is not None

    @classmethod
    def create_or_open(cls, location: str | Path) -> "Library":
        """Return the library at a folder or URI, created with empty tables where there is none.

        Its record is written last: a creation that was killed is no library yet and is carried on by the next.

        Raises:
            WrongUsageError: the place holds something else.
            LibraryError: as `open`, or it can't be written, or another process creates it at this moment.
        """
        storage = Storage.at(location)
        if _read_record(storage) is None:
            _check_vacant(storage)
            with _locked(storage, "create"):
                if _read_record(storage) is None:  # else another process was faster
                    _create(storage)
        return cls.open(location)

    def read(self, table: str, columns: Sequence[str] | None = None, where: pads.Expression | None = None) -> pa.Table:
        """Return a table's rows as of its last commit; of `faces`, those whose batch has reached `photos`.

        Args:
            table: its name, such as `people`.
            columns: in the order wanted; None means all.
            where: which rows; None means all.

        Raises:
            LibraryError: the table is damaged.
        """
        files, visible = self._visible(table, where)
        return read_data_files(self.storage, table, files, columns, visible)

    def iterate(self, table: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows that `read` returns in batches, for columns that may not fit into memory."""
        files, visible = self._visible(table, None)
        return iterate_data_files(self.storage, table, files, columns, visible)

    def data_files(self, table: str) -> list[DataFile]:
        """Return a table's committed files, oldest first; while tables change together, what they have become."""
        switched = switched_files(self.storage)
        return switched[table] if table in switched else list_data_files(open_table(self.storage, table))

    @contextmanager
    def writer(self, command: str) -> Iterator[Writer]:
        """Give the right to change the library to one run, after what a killed run left has been put right.

        Args:
            command: what is running, said to whoever finds the library locked.

        Raises:
            LibraryError: another run holds a local library, or it can't be written.
        """
        with _locked(self.storage, command):
            writer = Writer(Committer.take_over(self.storage))
            recover(writer)
            yield writer

    def _visible(self, table: str, where: pads.Expression | None) -> tuple[list[DataFile], pads.Expression | None]:
        """Return a table's files and the filter of rows in them, which hides faces of unfinished batches.

        `photos` is read before `faces` is listed: a batch committed in between is then hidden, never half shown. Where
        photos have been replaced in between, with all their faces, both are looked at again.
        """
        if table != "faces":
            return self.data_files(table), where
        photos = self.data_files("photos")
        while True:
            faces, later = self.data_files("faces"), self.data_files("photos")
            if set(photos) <= set(later):
                break
            photos = later
        batches = read_data_files(self.storage, "photos", photos, ["batch_id"])["batch_id"]
        committed = pads.field("batch_id").isin(pc.unique(batches))
        return faces, committed if where is None else committed & where


def _create(storage: Storage) -> None:
    for name in TABLES:
        for attempt in range(ATTEMPTS):
            try:
                create_table(storage, name)
                break
            except (DeltaError, OSError) as error:  # another process may have created it between look and commit
                if attempt + 1 == ATTEMPTS:
                    raise LibraryError(f"cannot create the library {storage.location}: {first_line(error)}") from error
                time.sleep(FIRST_PAUSE_S)
    record = {"format": FORMAT, "library_id": uuid.uuid4().hex}
    with storage.open_new(_RECORD) as sink:
        sink.write(json.dumps(record, indent=2).encode() + b"\n")


def _read_record(storage: Storage) -> str | None:
    """Return the library's id; None where there is no library."""
    try:
        content = storage.read_bytes(_RECORD)
    except OSError as error:
        raise LibraryError(f"the library {storage.location} can't be read: {error.strerror or error}") from error
    if content is None:
        return None
    with suppress(ValueError, KeyError, TypeError):
        record = json.loads(content)
        found, library_id = int(record["format"]), str(record["library_id"])
        if found != FORMAT:
            age = "a newer" if found > FORMAT else "an older"
            raise LibraryError(
                f"the library {storage.location} has format {found} of {age} facepipe, this one reads {FORMAT}: "
                "use the facepipe that made it, or make a new library"
            )
        return library_id
    raise LibraryError(f"{storage.address(_RECORD)} is damaged: restore it, or make a new library")


def _check_vacant(storage: Storage) -> None:
    """Raise WrongUsageError unless a library may be made here: nothing there, or a creation that was cut off."""
    if storage.is_local:
        path = Path(storage.location)
        if path.exists() and not path.is_dir():
            raise WrongUsageError(f"{path} is a file: --library needs a folder")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LibraryError(f"cannot create the library {path}: {error.strerror}") from error
    try:
        foreign = [name for name in storage.list_names() if not _UNFINISHED.fullmatch(name)]
    except OSError as error:
        raise LibraryError(f"cannot create the library {storage.location}: {error.strerror or error}") from error
    if foreign and FOLDER in storage.list_names():
        raise LibraryError(
            f"the library {storage.location} has lost its {_RECORD}: restore it, or choose a new or empty folder"
        )
    if foreign:
        raise WrongUsageError(f"{storage.location} holds other files and no library: choose a new or empty folder")


def _locked(storage: Storage, command: str) -> AbstractContextManager[None]:
    return lock.hold_lock(Path(storage.location), command) if storage.is_local else nullcontext()
