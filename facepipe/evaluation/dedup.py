"""How well groups of copies match what the files were made from, pair by pair."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

ORIGINAL = "original"


class EvaluatedFile(NamedTuple):
    """A file whose origin is known.

    Attributes:
        source: the photo that it is or was made from.
        edit: `original`, or what was done to it.
        same_pixels: whether it decodes to the source's pixels.
        group: of copies, as found; None where it is in none.
        exact: whether it was found to be an exact copy of its group's keeper, or is the keeper.
    """

    source: str
    edit: str
    same_pixels: bool
    group: str | None
    exact: bool


@dataclass
class PairFigures:
    """Pairs of files of one kind.

    Attributes:
        pairs: pairs that are copies of one another.
        found: those among them that are in one group.
        false: pairs that are in one group and no copies of one another.
    """

    pairs: int = 0
    found: int = 0
    false: int = 0

    @property
    def precision(self) -> float:
        """Share of copies among the pairs in one group; 1 where there are none."""
        return self.found / (self.found + self.false) if self.found + self.false else 1.0

    @property
    def recall(self) -> float:
        """Share of the copies that are in one group; 1 where there are none."""
        return self.found / self.pairs if self.pairs else 1.0


def evaluate_groups(files: Sequence[EvaluatedFile]) -> dict[str, PairFigures]:
    """Return figures for `exact` and `near` copies, for each edit, and for `all` pairs.

    `exact` counts pairs of the same pixels; a pair is false there if it was found to be exact and isn't. `near` counts
    all other pairs of one source. An edit counts pairs of a copy made by it with its original; a pair is false there if
    one of the two was made by it and they are of different sources.

    Args:
        files: originals and copies.
    """
    figures: defaultdict[str, PairFigures] = defaultdict(PairFigures)
    for first, second in _pairs(files, [file.source for file in files]):
        found = first.group is not None and first.group == second.group
        for kind in _kinds_of_copies(first, second):
            figures[kind].pairs += 1
            figures[kind].found += found
    for first, second in _pairs(files, [file.group for file in files]):
        if first.source != second.source:
            for kind in {"near", "all", first.edit, second.edit} - {ORIGINAL}:
                figures[kind].false += 1
        if first.exact and second.exact and not _same_pixels(first, second):
            figures["exact"].false += 1
    return dict(sorted(figures.items()))


def false_pairs(files: Sequence[EvaluatedFile]) -> list[tuple[int, int]]:
    """Return the positions of files that are in one group though they are of different sources."""
    places = {id(file): place for place, file in enumerate(files)}
    pairs = _pairs(files, [file.group for file in files])
    return [(places[id(first)], places[id(second)]) for first, second in pairs if first.source != second.source]


def _kinds_of_copies(first: EvaluatedFile, second: EvaluatedFile) -> Iterator[str]:
    yield "all"
    yield "exact" if _same_pixels(first, second) else "near"
    if ORIGINAL in {first.edit, second.edit}:
        yield second.edit if first.edit == ORIGINAL else first.edit


def _same_pixels(first: EvaluatedFile, second: EvaluatedFile) -> bool:
    return first.source == second.source and first.same_pixels and second.same_pixels


def _pairs(files: Sequence[EvaluatedFile], keys: Sequence[str | None]) -> Iterator[tuple[EvaluatedFile, EvaluatedFile]]:
    """Yield the pairs of files that share a key."""
    by_key: defaultdict[str, list[EvaluatedFile]] = defaultdict(list)
    for file, key in zip(files, keys, strict=True):
        if key is not None:
            by_key[key].append(file)
    for members in by_key.values():
        yield from combinations(members, 2)
