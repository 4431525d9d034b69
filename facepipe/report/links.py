"""A photo's URI as people read it, and as a link where that is safe."""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import unquote

# Only these ever become links: anything else (javascript:, data:, a bare word) is shown as text.
_LINKABLE = re.compile(r"(?:file|https?|s3)://[^\x00-\x20\x7f]+", re.IGNORECASE)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UNSHOWABLE_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}  # controls, lone surrogates, line and paragraph separators
_BIDI_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True)
class Place:
    """Where a photo lies.

    Attributes:
        name: the file's own name, decoded; for an archive's member the member's name.
        folder: what holds it: a path for local files, otherwise the URI without its last part.
        link: the URI, or None where it must not become a link.
    """

    name: str
    folder: str
    link: str | None


def showable(text: str) -> str:
    """Return the text on one line: characters that would break, hide or reorder it become U+FFFD, ends are trimmed."""
    return "".join(
        _REPLACEMENT if char in _BIDI_OVERRIDES or unicodedata.category(char) in _UNSHOWABLE_CATEGORIES else char
        for char in text.strip()
    )


def place_of(uri: str) -> Place:
    """Return the parts of a photo's percent-encoded URI; bytes that aren't UTF-8 are shown as U+FFFD."""
    container, _, member = uri.partition("#")
    parent, _, last = container.rpartition("/")
    if member.isdecimal():  # a row of a Parquet shard has no name of its own
        name, folder = f"{last} (row {member})", parent
    elif member:
        inner, _, name = member.rpartition("/")
        folder = f"{container}/{inner}" if inner else container
    else:
        name, folder = last, parent
    if folder.lower().startswith("file://"):
        folder = folder[len("file://") :] or "/"
    return Place(
        name=showable(unquote(name)) or "(no name)",
        folder=showable(unquote(folder)),
        link=uri if _LINKABLE.fullmatch(uri) else None,
    )
