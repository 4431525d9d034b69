"""The bytes of one photo, wherever it lies: a file, a member of a tar archive, a row of a Parquet file.

Nothing heavy is imported here: the process that decodes photos starts with this module.
"""

import os

from facepipe.sources.hostile_files import check_size, opened
from facepipe.sources.photo_names import is_parquet_name, is_tar_name
from facepipe.sources.uris import split_uri, uri_to_path


def read_source(uri: str, max_bytes: int) -> bytes:
    """Return the bytes of the photo at an address.

    Files and members are refused by their size before anything of them is read. Archives' indexes and open Parquet
    files are kept, a few at a time, so that neighbours are found at once; call it from one thread.

    Args:
        uri: `file:///photos/a.jpg`, `file:///photos/x.tar#member`, `file:///photos/x.parquet#row`; of Parquet files
            also an address in an object store, as packed photos have.
        max_bytes: the most a photo may hold.

    Raises:
        PhotoError: it is gone (vanished), can't be read (unreadable), holds more than max_bytes (too_large), is a row
            without a photo (empty) or stored in a way that isn't read (unsupported).
        WrongUsageError: the address is none of these.
    """
    shard, entry = split_uri(uri)
    if entry is not None and is_parquet_name(shard):
        from facepipe.sources.parquet_rows import read_row

        return read_row(shard, entry, max_bytes)
    path = uri_to_path(shard)
    if entry is not None and is_tar_name(path.name):
        from facepipe.sources.tar_members import read_member

        return read_member(path, entry, max_bytes)
    with opened(path) as descriptor:
        check_size(os.fstat(descriptor).st_size, max_bytes)
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            data = file.readall()
    check_size(len(data), max_bytes)  # it may have grown since
    return data
