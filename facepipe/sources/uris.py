"""Paths as URIs that hold every byte of a name, and back."""

import os
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlsplit

from facepipe.errors import WrongUsageError


def path_to_uri(path: bytes | str | os.PathLike[str]) -> str:
    """Return `file://` and the absolute path, percent-encoded byte by byte.

    Names that are not UTF-8 or hold newlines, `#` or `%` come back unchanged through `uri_to_path`.

    Args:
        path: absolute; as bytes, or as text with surrogate escapes (as Python lists names that are not UTF-8).
    """
    raw = os.fsencode(path)
    if not raw.startswith(b"/"):
        raise ValueError(f"only absolute paths have a URI, not {path!r}")
    return "file://" + quote_from_bytes(raw)


def uri_to_path(uri: str) -> Path:
    """Return the local path of a `file://` URI.

    Raises:
        WrongUsageError: the URI names no local file.
    """
    parts = urlsplit(uri)
    if parts.scheme != "file" or parts.netloc not in {"", "localhost"} or not parts.path.startswith("/"):
        raise WrongUsageError(f"{uri!r} is not the address of a local file; those look like file:///photos/a.jpg")
    return Path(os.fsdecode(unquote_to_bytes(parts.path)))


def entry_uri(shard: str, entry: bytes) -> str:
    """Return the URI of what lies in an archive: `….tar#member` or `….parquet#row`, percent-encoded byte by byte."""
    return f"{shard}#{quote_from_bytes(entry)}"


def split_uri(uri: str) -> tuple[str, bytes | None]:
    """Return the URI of the file, and the name of the member or the row in it; None for a file of its own."""
    shard, mark, entry = uri.partition("#")
    return shard, unquote_to_bytes(entry) if mark else None
