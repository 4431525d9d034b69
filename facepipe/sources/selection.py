"""Which of the files in a source a run takes: `--include` and `--exclude`."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Selection:
    """Patterns over paths below a source. Upper and lower case are alike, as cameras write both .JPG and .jpg.

    A pattern without a slash (`*.png`, `thumbs`) is for the name of a file or folder at any depth; one with a slash
    (`2019/**/raw`, `/thumbs`) for the path below the source, with `**` for any number of folders. What matches a folder
    matches all that is in it. An archive of photos counts as a folder.

    Attributes:
        include: only what matches one of these is taken; none: everything.
        exclude: what matches one of these is left out, even where it is included.
    """

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()

    @property
    def takes_all(self) -> bool:
        """Whether there is nothing to compare."""
        return not (self.include or self.exclude)

    def enters(self, path: str) -> bool:
        """Return whether a folder is looked into. Its path below the source has no slash at its ends."""
        return not _any_matches(self.exclude, path)

    def takes(self, path: str) -> bool:
        """Return whether a file is taken."""
        return self.enters(path) and (not self.include or _any_matches(self.include, path))


EVERYTHING = Selection()


def _any_matches(patterns: Sequence[str], path: str) -> bool:
    if not patterns:
        return False
    segments = path.lower().split("/")
    return any(_matches(pattern.lower(), segments) for pattern in patterns)


def _matches(pattern: str, segments: Sequence[str]) -> bool:
    """Return whether a pattern matches a path or a folder above it."""
    wanted = pattern.strip("/")
    if "/" not in pattern.removesuffix("/"):
        return any(fnmatchcase(segment, wanted) for segment in segments)
    return _matches_beginning(wanted.split("/"), segments)


def _matches_beginning(wanted: Sequence[str], segments: Sequence[str]) -> bool:
    if not wanted:
        return True
    if wanted == ["**"]:
        return bool(segments)  # what is in the folder, not the folder itself
    if wanted[0] == "**":
        return any(_matches_beginning(wanted[1:], segments[start:]) for start in range(len(segments) + 1))
    return bool(segments) and fnmatchcase(segments[0], wanted[0]) and _matches_beginning(wanted[1:], segments[1:])
