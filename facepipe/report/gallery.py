"""The report: people, their faces, what is left over, and the run's figures, as one folder of static pages."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from facepipe.report import findings
from facepipe.report.crops import write_crops
from facepipe.report.pages import Site, page_file, paged
from facepipe.report.portraits import (
    Face,
    FaceRows,
    Person,
    Picture,
    hidden_faces,
    join_faces,
    order_people,
    to_faces,
    with_covers,
)
from facepipe.report.replace import replaced_folder
from facepipe.report.run_figures import run_figures
from facepipe.schemas import TABLES

SHOWN_TABLES = ("people", "assignments", "faces", "photos", "files", "errors", "duplicates")


def write_report(
    tables: Mapping[str, pa.Table],
    run: Mapping[str, Any],
    folder: Path,
    page_rows: int = 500,
    crops: Iterable[pa.RecordBatch] | None = None,
) -> Path:
    """Write the gallery and return its first page, `folder/index.html`.

    The folder is replaced as a whole: pages of an earlier report vanish, and an interruption leaves the earlier one.
    Equal tables and an equal `run` give the same bytes. Hidden people get no page, and no crop of theirs is written.

    Args:
        tables: the library's, by name (`SHOWN_TABLES`; one that is absent counts as empty); of `faces` only the rows
            whose batch reached `photos`, and no more columns than face_id, photo_id and score are read.
        run: what `run --json` prints, plus run_id, started_at, finished_at, command, versions and config; each key
            may be absent.
        folder: the report's; may not exist yet.
        page_rows: people, faces, errors or copies on one page.
        crops: face_id and crop of all faces, of which there may be more than fit into memory; none: as in `faces`.

    Raises:
        WrongUsageError: `folder` holds something else than a report.
        FacepipeError: a file could not be written.
    """
    library = {name: tables.get(name, TABLES[name].empty_table()) for name in SHOWN_TABLES}
    with replaced_folder(folder) as building:
        hidden_face_ids = hidden_faces(library["people"], library["assignments"])
        pictures = library["faces"].to_batches() if crops is None else crops
        written = write_crops(pictures, hidden_face_ids, building)
        people = order_people(library["people"])
        rows = join_faces(library, people, written, hidden_face_ids)
        site = Site(building, _shared_values(library, people, rows, run))
        site.write_static()
        people = with_covers(people, written, rows)
        _write_people(site, people, page_rows)
        for index in range(len(people)):
            _write_person(site, people, index, rows, page_rows)
        _write_unassigned(site, rows.unassigned, page_rows)
        _write_errors(site, library["errors"], page_rows)
        _write_copies(site, library["duplicates"], library["faces"], written, page_rows)
        site.write("run.html.j2", "run.html", here="run")
    return folder / "index.html"


def _shared_values(
    library: dict[str, pa.Table], people: list[Person], rows: FaceRows, run: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "run": run_figures(run),
        "totals": {
            "people": len(people),
            "hidden": library["people"].num_rows - len(people),
            "photos": library["photos"].num_rows,
            "faces": library["faces"].num_rows,
            "unassigned": rows.unassigned.num_rows,
            "errors": library["errors"].num_rows,
            "copy_groups": pc.count_distinct(library["duplicates"]["group_id"]).as_py(),
        },
    }


def _write_people(site: Site, people: list[Person], page_rows: int) -> None:
    for pager in paged("index", len(people), page_rows):
        shown = people[pager.start : pager.start + pager.rows]
        site.write("index.html.j2", pager.file(pager.number), here="people", people=shown, pager=pager)


def _write_person(site: Site, people: list[Person], index: int, rows: FaceRows, page_rows: int) -> None:
    own = rows.of_person(index)
    for pager in paged(people[index].stem, own.num_rows, page_rows):
        faces = to_faces(own.slice(pager.start, pager.rows))
        site.write(
            "person.html.j2",
            f"people/{pager.file(pager.number)}",
            here="people",
            person=people[index],
            years=[(year, list(of_year)) for year, of_year in groupby(faces, key=_year)],
            pager=pager,
            index_page=page_file("index", index // page_rows + 1),
            before=people[index - 1] if index > 0 else None,
            after=people[index + 1] if index + 1 < len(people) else None,
        )


def _year(face: Face) -> str:
    return str(face.taken_at.year) if face.taken_at else "Undated"


def _write_unassigned(site: Site, rows: pa.Table, page_rows: int) -> None:
    for pager in paged("unassigned", rows.num_rows, page_rows):
        faces = to_faces(rows.slice(pager.start, pager.rows))
        site.write("unassigned.html.j2", pager.file(pager.number), here="unassigned", faces=faces, pager=pager)


def _write_errors(site: Site, errors: pa.Table, page_rows: int) -> None:
    rows = findings.sort_failures(errors)
    totals = findings.count_values(rows["code"])
    for pager in paged("errors", rows.num_rows, page_rows):
        sections = findings.failure_sections(rows.slice(pager.start, pager.rows), totals)
        site.write("errors.html.j2", pager.file(pager.number), here="errors", sections=sections, pager=pager)


def _write_copies(site: Site, duplicates: pa.Table, faces: pa.Table, crops: pa.Table, page_rows: int) -> None:
    rows = findings.sort_copies(duplicates)
    sizes = findings.count_values(rows["group_id"])
    pictures = _a_face_each(rows["photo_id"], faces, crops)
    for pager in paged("copies", rows.num_rows, page_rows):
        groups = findings.copy_groups(rows.slice(pager.start, pager.rows), sizes, pictures)
        site.write("copies.html.j2", pager.file(pager.number), here="copies", groups=groups, pager=pager)


def _a_face_each(photo_ids: pa.ChunkedArray, faces: pa.Table, crops: pa.Table) -> dict[str, Picture]:
    """Return by photo_id the first face that may be shown of each of these photos."""
    found = faces.select(["face_id", "photo_id"]).filter(pc.is_in(faces["photo_id"], value_set=photo_ids))
    found = found.join(crops, "face_id", join_type="inner").sort_by([("face_id", "descending")])
    return {row["photo_id"]: Picture(row["image"], row["width"], row["height"]) for row in found.to_pylist()}
