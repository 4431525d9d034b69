"""Every invariant of a library, proved one by one."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facepipe.errors import LibraryError
from facepipe.library.commits import LEDGER, noted_version
from facepipe.library.data_files import BATCH_ROWS, DAMAGE, FOLDER, read_data_files
from facepipe.library.delta_tables import open_table
from facepipe.library.library import Library
from facepipe.library.lost_files import find_lost_files
from facepipe.library.shards import find_broken_places
from facepipe.library.storage import first_line
from facepipe.schemas import TABLES

EXAMPLES = 3
UNIT_LENGTH_TOLERANCE = 1e-3

Problems = Iterator[str]


def check(library: Library) -> list[str]:
    """Return a sentence for each broken invariant; none: the library is sound.

    Where files are missing or damaged the list says so and no more: what they held can't be compared.
    """
    damaged = [problem for table in TABLES for problem in check_data_files(library, table)]
    return damaged or [problem for find in INVARIANTS for problem in find(library)]


def check_data_files(library: Library, table: str) -> Problems:
    """Every file named by a table's log exists, whole, with the table's columns and as many rows as the log says.

    All of it is read, and each page's checksum compared.
    """
    try:
        files = library.data_files(table)
    except LibraryError as error:
        yield str(error)
        return
    lost = list(find_lost_files(library.storage, table, files))
    yield from lost
    for file in files:
        name = f"{FOLDER}/{table}/{file.path}"
        if any(name in problem for problem in lost):
            continue
        try:
            rows, schema = _read_through(library, name)
        except DAMAGE as error:
            yield f"the file {name} can't be read: {first_line(error)}"
            continue
        if rows != file.num_records:
            yield f"the file {name} has {rows:,} rows, but {max(file.num_records, 0):,} by the log"
        yield from (f"the file {name} {difference}" for difference in _differences(schema, TABLES[table]))


def _read_through(library: Library, name: str) -> tuple[int, pa.Schema]:
    """Return a data file's number of rows and its schema, once every page of it has been read."""
    filesystem, root = library.storage.open_filesystem()
    rows = 0
    with pq.ParquetFile(f"{root}/{name}", filesystem=filesystem, page_checksum_verification=True) as parquet:
        for batch in parquet.iter_batches(batch_size=BATCH_ROWS):
            rows += batch.num_rows
        if rows != parquet.metadata.num_rows:
            raise pa.ArrowInvalid(f"it holds {rows:,} rows, but {parquet.metadata.num_rows:,} by its own count")
        return rows, parquet.schema_arrow


def check_logs_are_whole(library: Library) -> Problems:
    """Each table's log is at least as long as it was when the last run ended: nobody has taken its newest entries."""
    ledger = open_table(library.storage, LEDGER)
    for table in TABLES:
        version, noted = open_table(library.storage, table).version(), noted_version(ledger, table)
        if version < noted:
            yield (
                f"the log of the table {table!r} ends with entry {version}, but had reached {noted} when the last run "
                "ended: its newest entries and the rows they named are lost, restore its folder from a backup"
            )


def check_photos_are_unique(library: Library) -> Problems:
    """Each photo_id has one row in `photos`."""
    repeated = _repeated(library.read("photos", ["photo_id"])["photo_id"])
    yield from _name(repeated, "photo_id", "more than one row in photos")


def check_faces_are_unique(library: Library) -> Problems:
    """Each face_id has one row in `faces`; it is a photo_id and an ordinal, which count from 1 without a gap."""
    faces = library.read("faces", ["face_id", "photo_id"])
    yield from _name(_repeated(faces["face_id"]), "face_id", "more than one row in faces")
    parts = pc.extract_regex(faces["face_id"], r"^(?P<photo_id>.+)-(?P<ordinal>\d{4,9})$")
    wrong = pc.invert(pc.fill_null(pc.equal(pc.struct_field(parts, "photo_id"), faces["photo_id"]), False))
    yield from _name(pc.unique(faces["face_id"].filter(wrong)), "face_id", "no photo_id and ordinal for a name")
    ordinals = pa.table(
        [faces["photo_id"], pc.struct_field(parts, "ordinal").cast(pa.int32())], names=["photo_id", "ordinal"]
    )
    by_photo = ordinals.group_by("photo_id").aggregate([("ordinal", "min"), ("ordinal", "max"), ("ordinal", "count")])
    gap = pc.or_(
        pc.not_equal(by_photo["ordinal_min"], 1),
        pc.not_equal(by_photo["ordinal_max"].cast(pa.int64()), by_photo["ordinal_count"]),
    )
    yield from _name(by_photo["photo_id"].filter(gap), "photo_id", "faces whose ordinals aren't 1, 2, 3, …")


def check_faces_belong_to_photos(library: Library) -> Problems:
    """Each face's photo_id is in `photos`, and `photos.faces` counts the faces."""
    photos, faces = library.read("photos", ["photo_id", "faces"]), library.read("faces", ["photo_id"])
    yield from _name(_lacking(faces["photo_id"], photos["photo_id"]), "photo_id", "faces but no row in photos")
    yield from _name(
        _miscounted(photos, "photo_id", "faces", faces["photo_id"]),
        "photo_id",
        "a count in photos that faces contradict",
    )


def check_batches_are_finished(library: Library) -> Problems:
    """Each batch_id of `faces` is in `photos`: no interrupted run has left faces behind."""
    raw = read_data_files(library.storage, "faces", library.data_files("faces"), ["batch_id"])
    photos = library.read("photos", ["batch_id"])
    unfinished = _lacking(raw["batch_id"], photos["batch_id"])
    yield from _name(
        unfinished, "batch_id", "faces but no photos: an interrupted run left them, and the next run drops them"
    )


def check_assignments(library: Library) -> Problems:
    """Each face has one assignment, apart from faces that were committed after the last grouping.

    The log knows which those are: the writer that commits files gives them ever later times, and files that are
    rewritten or merged keep theirs.
    """
    files = library.data_files("assignments")
    if not files:
        return
    grouped_at = max(file.modification_time for file in files)
    assigned = library.read("assignments", ["face_id"])["face_id"]
    yield from _name(_repeated(assigned), "face_id", "more than one assignment")
    faces = library.read("faces", ["face_id"])["face_id"]
    yield from _name(_lacking(assigned, faces), "face_id", "an assignment but no row in faces")
    older = [file for file in library.data_files("faces") if file.modification_time < grouped_at]
    grouped = read_data_files(library.storage, "faces", older, ["face_id"])["face_id"]
    grouped = grouped.filter(pc.is_in(grouped, value_set=faces.combine_chunks()))
    yield from _name(_lacking(grouped, assigned), "face_id", "no assignment, though all faces were grouped since")


def check_people(library: Library) -> Problems:
    """Each person has one row in `people`, which counts the person's faces and photos."""
    people = library.read("people", ["person_id", "faces", "photos"])
    yield from _name(_repeated(people["person_id"]), "person_id", "more than one row in people")
    assigned = library.read("assignments", ["face_id", "person_id"])
    assigned = assigned.filter(pc.is_valid(assigned["person_id"]))
    yield from _name(
        _lacking(assigned["person_id"], people["person_id"]), "person_id", "faces assigned but no row in people"
    )
    yield from _name(
        _miscounted(people, "person_id", "faces", assigned["person_id"]),
        "person_id",
        "a count of faces in people that assignments contradict",
    )
    faces = library.read("faces", ["face_id", "photo_id"])
    photos_of = assigned.join(faces, "face_id", join_type="inner").group_by(["person_id", "photo_id"]).aggregate([])
    yield from _name(
        _miscounted(people, "person_id", "photos", photos_of["person_id"]),
        "person_id",
        "a count of photos in people that assignments contradict",
    )


def check_files_succeed_or_fail(library: Library) -> Problems:
    """No file has both a row in `errors` and a content that is in `photos`, and each has one row in `files`."""
    files, photos = library.read("files", ["uri", "photo_id"]), library.read("photos", ["photo_id"])
    yield from _name(_repeated(files["uri"]), "uri", "more than one row in files")
    done = files["uri"].filter(pc.is_in(files["photo_id"], value_set=photos["photo_id"].combine_chunks()))
    errors = library.read("errors", ["uri", "photo_id"])
    both = pc.or_(
        pc.is_in(errors["uri"], value_set=done.combine_chunks()),
        pc.is_in(errors["photo_id"], value_set=photos["photo_id"].combine_chunks().drop_null()),
    )
    yield from _name(pc.unique(errors["uri"].filter(both)), "uri", "a row in errors though its photo is in photos")


def check_embeddings(library: Library) -> Problems:
    """All embeddings have unit length and one dimension, and come from one embedder."""
    lengths: set[int] = set()
    for batch in library.iterate("faces", ["face_id", "embedding"]):
        vectors = batch.column("embedding")
        missing = pc.equal(pc.fill_null(pc.list_value_length(vectors), 0), 0)
        yield from _name(batch.column("face_id").filter(missing), "face_id", "no embedding")
        present = batch.filter(pc.invert(missing))
        vectors = present.column("embedding")
        counts = pc.list_value_length(vectors)
        lengths.update(pc.unique(counts).to_pylist())
        if not present.num_rows:
            continue
        starts = np.concatenate([[0], np.cumsum(counts.to_numpy())[:-1]])  # (N,)
        squares = np.square(vectors.flatten().to_numpy(zero_copy_only=False).astype(np.float64))
        norms = np.sqrt(np.add.reduceat(squares, starts))  # (N,)
        wrong = pa.array(~(np.abs(norms - 1) <= UNIT_LENGTH_TOLERANCE))  # a NaN is wrong too
        yield from _name(present.column("face_id").filter(wrong), "face_id", "an embedding that isn't of unit length")
    if len(lengths) > 1:
        yield f"embeddings have different dimensions: {', '.join(map(str, sorted(lengths)))}"
    extracted_with = pc.unique(library.read("photos", ["extracted_with"])["extracted_with"]).to_pylist()
    embedders = sorted({str(name).rpartition("+")[2] for name in extracted_with})
    if len(embedders) > 1:
        yield f"photos were extracted with different embedders: {', '.join(embedders)}"


def check_duplicates(library: Library) -> Problems:
    """Each file is in one group of copies at most; a group has two files or more, of which one is the keeper."""
    copies = library.read("duplicates", ["uri", "group_id", "keeper"])
    yield from _name(_repeated(copies["uri"]), "uri", "more than one row in duplicates")
    known = library.read("files", ["uri"])["uri"]
    yield from _name(_lacking(copies["uri"], known), "uri", "a row in duplicates but none in files")
    kept = copies.append_column("kept", copies["keeper"].cast(pa.int64()))
    groups = kept.group_by("group_id").aggregate([("kept", "sum"), ("kept", "count")])
    alone = pc.less(groups["kept_count"], 2)
    yield from _name(groups["group_id"].filter(alone), "group_id", "fewer than two files")
    yield from _name(groups["group_id"].filter(pc.not_equal(groups["kept_sum"], 1)), "group_id", "not one keeper")


def check_packed(library: Library) -> Problems:
    """Every packed photo that `files` names is there."""
    yield from find_broken_places(library.storage, library.read("files", ["packed"])["packed"])


INVARIANTS: Sequence[Callable[[Library], Problems]] = (
    check_logs_are_whole,
    check_photos_are_unique,
    check_faces_are_unique,
    check_faces_belong_to_photos,
    check_batches_are_finished,
    check_assignments,
    check_people,
    check_files_succeed_or_fail,
    check_embeddings,
    check_duplicates,
    check_packed,
)


def _differences(found: pa.Schema, wanted: pa.Schema) -> Problems:
    for field in wanted:
        position = found.get_field_index(field.name)
        if position < 0:
            yield f"lacks the column {field.name!r}"
        elif found.field(position).type != field.type:
            yield f"holds the column {field.name!r} as {found.field(position).type}, not {field.type}"


def _repeated(keys: pa.ChunkedArray) -> pa.Array:
    counted = keys.value_counts()
    return counted.field("values").filter(pc.greater(counted.field("counts"), 1))


def _lacking(keys: pa.ChunkedArray, known: pa.ChunkedArray) -> pa.Array:
    """Return the distinct keys that aren't known."""
    distinct = pc.unique(keys)
    return distinct.filter(pc.invert(pc.is_in(distinct, value_set=known.combine_chunks())))


def _miscounted(counts: pa.Table, key: str, column: str, members: pa.ChunkedArray) -> pa.Array:
    """Return the keys whose count isn't the number of times they occur among the members."""
    occurring = members.value_counts()
    position = pc.index_in(counts[key], value_set=occurring.field("values"))
    actual = pc.fill_null(pc.take(occurring.field("counts"), position), 0)
    stated = pc.fill_null(counts[column].cast(pa.int64()), -1)
    return counts[key].filter(pc.not_equal(stated, actual)).combine_chunks()


def _name(keys: pa.Array | pa.ChunkedArray, key: str, what: str) -> Problems:
    """Yield one sentence that names the first few keys, if there are any."""
    if len(keys):
        shown = ", ".join(str(value) for value in keys.slice(0, EXAMPLES).to_pylist())
        more = f" and {len(keys) - EXAMPLES:,} more" if len(keys) > EXAMPLES else ""
        yield f"{key} {shown}{more}: {what}"
