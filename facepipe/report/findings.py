"""Copies and failures, sorted and cut into the sections of their pages."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from facepipe.report.links import Place, place_of, showable
from facepipe.report.portraits import Picture
from facepipe.report.wording import Advice, advice, counted


@dataclass(frozen=True)
class Failure:
    """One file that failed."""

    place: Place
    stage: str
    message: str


@dataclass(frozen=True)
class FailureSection:
    """Files on one page that failed for the same reason; `total` counts those of all pages."""

    advice: Advice
    total: int
    failures: list[Failure]


@dataclass(frozen=True)
class Copy:
    """One file of a group of copies; `note` says how it relates to the one to keep."""

    place: Place
    keeper: bool
    note: str


@dataclass(frozen=True)
class CopyGroup:
    """Files that show the same photo; on page breaks a group goes on with the same `title`."""

    title: str
    picture: Picture | None
    copies: list[Copy]


def sort_failures(errors: pa.Table) -> pa.Table:
    """Return the errors with those of one code together, then by file."""
    return errors.sort_by([("code", "ascending"), ("uri", "ascending"), ("stage", "ascending")])


def failure_sections(rows: pa.Table, totals: dict[str, int]) -> list[FailureSection]:
    """Return one page's errors, a section a code.

    Args:
        rows: a slice of `sort_failures`.
        totals: files of each code on all pages.
    """
    return [
        FailureSection(advice(code), totals[code], [_failure(row) for row in section])
        for code, section in groupby(rows.to_pylist(), key=lambda row: str(row["code"] or ""))
    ]


def _failure(row: dict[str, Any]) -> Failure:
    return Failure(place_of(row["uri"] or ""), row["stage"] or "", showable(row["message"] or ""))


def count_values(column: pa.ChunkedArray) -> dict[str, int]:
    """Return how often each string occurs; nulls count as the empty string."""
    return {str(item["values"] or ""): item["counts"] for item in pc.value_counts(column).to_pylist()}


def sort_copies(duplicates: pa.Table) -> pa.Table:
    """Return the copies with those of one group together, the one to keep first."""
    keys = [("group_id", "ascending"), ("keeper", "descending"), ("uri", "ascending")]
    keeper = pc.fill_null(duplicates["keeper"], fill_value=False).cast(pa.int8())  # booleans don't sort
    at = duplicates.schema.get_field_index("keeper")
    return duplicates.set_column(at, "keeper", keeper).sort_by(keys)


def copy_groups(rows: pa.Table, sizes: dict[str, int], pictures: dict[str, Picture]) -> list[CopyGroup]:
    """Return one page's groups of copies.

    Args:
        rows: a slice of `sort_copies`.
        sizes: files of each group on all pages.
        pictures: by photo_id, a face on the photo.
    """
    groups = []
    for group_id, members in groupby(rows.to_pylist(), key=lambda row: str(row["group_id"] or "")):
        copies = list(members)
        picture = next((pictures[row["photo_id"]] for row in copies if row["photo_id"] in pictures), None)
        groups.append(CopyGroup(counted(sizes[group_id], "file"), picture, [_copy(row) for row in copies]))
    return groups


def _copy(row: dict[str, Any]) -> Copy:
    kinds = {"exact": "the same bytes", "near": "looks the same", "burst": "taken in the same burst"}
    kind = kinds.get(row["kind"] or "", row["kind"] or "")
    reason = showable(row["reason"] or "")
    keeper = bool(row["keeper"])
    return Copy(place_of(row["uri"] or ""), keeper, reason if keeper else ", ".join(filter(None, (kind, reason))))
