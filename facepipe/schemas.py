"""The columns of every table in a library and of the rows that travel between stages.

Only types that every reader of Delta tables agrees on: no unsigned integers, no float16, no fixed-size lists, no
nanoseconds. Boxes and landmarks are pixels of the upright photo, x to the right, y down, x1 and y1 exclusive.
"""

import pyarrow as pa

TIME = pa.timestamp("us", tz="UTC")
LOCAL_TIME = pa.timestamp("us")
VECTOR = pa.list_(pa.float32())

FILES = pa.schema(
    [
        ("uri", pa.string()),  # percent-encoded
        ("photo_id", pa.string()),
        ("bytes", pa.int64()),
        ("modified_at", TIME),
        ("media_type", pa.string()),
        ("missing_since", TIME),
        ("packed", pa.string()),  # where in the library a copy of the bytes lies: shards/NAME.parquet#row
    ]
)
PHOTOS = pa.schema(
    [
        ("photo_id", pa.string()),  # SHA-256 of the bytes, hexadecimal
        ("width", pa.int32()),  # of the upright photo
        ("height", pa.int32()),
        ("taken_at", LOCAL_TIME),
        ("camera", pa.string()),
        ("latitude", pa.float32()),
        ("longitude", pa.float32()),
        ("perceptual_hash", pa.binary()),
        ("faces", pa.int32()),
        ("extracted_with", pa.string()),  # detector and embedder by name
        ("batch_id", pa.string()),
    ]
)
FACES = pa.schema(
    [
        ("face_id", pa.string()),  # PHOTO_ID-0001: ordinal by y0, x0
        ("photo_id", pa.string()),
        ("x0", pa.float32()),
        ("y0", pa.float32()),
        ("x1", pa.float32()),
        ("y1", pa.float32()),
        ("score", pa.float32()),
        ("landmarks", VECTOR),  # x, y of image-left eye, image-right eye, nose, image-left and image-right mouth corner
        ("yaw", pa.float32()),  # degrees; positive: turned to the image's right
        ("pitch", pa.float32()),  # positive: looks up
        ("roll", pa.float32()),  # positive: clockwise, as seen
        ("sharpness", pa.float32()),  # 0 to 1, of the face at a fixed size
        ("quality", pa.float32()),  # 0 to 1: how likely it is that the face matches another photo of the person
        ("crop", pa.binary()),  # JPEG for display
        ("embedding", VECTOR),  # unit length
        ("batch_id", pa.string()),
    ]
)
NEIGHBORS = pa.schema(
    [
        ("face_id", pa.string()),
        ("neighbor_ids", pa.list_(pa.string())),  # nearest first, itself left out
        ("similarities", VECTOR),  # cosine
        ("search_id", pa.string()),  # digest of what was searched, and how
    ]
)
ASSIGNMENTS = pa.schema(
    [
        ("face_id", pa.string()),
        ("person_id", pa.string()),  # null: unassigned
        ("probability", pa.float32()),
        ("origin", pa.string()),  # auto, user
        ("joined_face_id", pa.string()),  # the face whose likeness brought it to others; null: none did
    ]
)
PEOPLE = pa.schema(
    [
        ("person_id", pa.string()),  # UUIDv5 of the smallest face_id at birth
        ("name", pa.string()),
        ("faces", pa.int32()),
        ("photos", pa.int32()),
        ("cover_face_id", pa.string()),
        ("first_taken_at", LOCAL_TIME),
        ("last_taken_at", LOCAL_TIME),
        ("hidden", pa.bool_()),
    ]
)
LINEAGE = pa.schema(
    [
        ("run_id", pa.string()),
        ("old_person_id", pa.string()),
        ("new_person_id", pa.string()),
        ("faces", pa.int32()),
        ("kind", pa.string()),  # kept, split, merged, new, gone
    ]
)
CHANGES = pa.schema(  # each change of a face's person: what the past was follows from the present
    [
        ("run_id", pa.string()),
        ("at", TIME),
        ("face_id", pa.string()),
        ("old_person_id", pa.string()),  # null: unassigned
        ("new_person_id", pa.string()),
    ]
)
DECISIONS = pa.schema(
    [
        ("decision_id", pa.string()),
        ("at", TIME),
        ("kind", pa.string()),  # name, merge, split, confirm, reject, hide, not_a_face, forget, rollback
        ("face_ids", pa.list_(pa.string())),
        ("person_ids", pa.list_(pa.string())),
        ("name", pa.string()),
    ]
)
DUPLICATES = pa.schema(
    [
        ("group_id", pa.string()),
        ("uri", pa.string()),
        ("photo_id", pa.string()),
        ("kind", pa.string()),  # exact, near, burst
        ("distance", pa.float32()),
        ("keeper", pa.bool_()),
        ("reason", pa.string()),
    ]
)
COMPARISONS = pa.schema(  # what dedup has looked at already
    [
        ("photo_id", pa.string()),  # the smaller of the two
        ("other_id", pa.string()),  # null: the first photo has been searched for copies among all that were there
        ("kind", pa.string()),  # exact, near, or different; null: near hashes, to be compared
        ("difference", pa.float32()),  # 0 to 1 for copies, above for other photos; null: they could not be alike
        ("method", pa.string()),  # rows of another method count for nothing
    ]
)
ERRORS = pa.schema(
    [
        ("uri", pa.string()),
        ("photo_id", pa.string()),  # null where the bytes could not be read
        ("stage", pa.string()),
        ("code", pa.string()),  # errors.ErrorCode
        ("message", pa.string()),
        ("at", TIME),
        ("bytes", pa.int64()),  # size and time of the file that failed: it is tried again when they change
        ("modified_at", TIME),
    ]
)
RUNS = pa.schema(
    [
        ("run_id", pa.string()),
        ("command", pa.string()),
        ("config", pa.string()),  # JSON
        ("versions", pa.string()),  # JSON
        ("started_at", TIME),
        ("finished_at", TIME),
        ("counts", pa.string()),  # JSON
        ("stages", pa.string()),  # JSON
    ]
)
TOMBSTONES = pa.schema([("digest", pa.string()), ("at", TIME)])
REDONE = pa.schema(  # a batch extracted anew that waits until all are; alone, what the last redo came to
    [
        ("redo_id", pa.string()),  # digest of models and settings
        ("at", TIME),
        ("data_files", pa.string()),  # JSON: of a batch as in WRITTEN_BATCH; null: all are in their tables
        ("outcome", pa.string()),  # JSON: counts and lists; null: it isn't complete
    ]
)
SWITCH = REDONE  # a row while tables change together: `data_files` is what each of them consists of from now on

TABLES: dict[str, pa.Schema] = {
    "files": FILES,
    "photos": PHOTOS,
    "faces": FACES,
    "neighbors": NEIGHBORS,
    "assignments": ASSIGNMENTS,
    "people": PEOPLE,
    "lineage": LINEAGE,
    "changes": CHANGES,
    "decisions": DECISIONS,
    "duplicates": DUPLICATES,
    "comparisons": COMPARISONS,
    "errors": ERRORS,
    "runs": RUNS,
    "tombstones": TOMBSTONES,
    "redone": REDONE,
    "switch": SWITCH,
}

# Rows between stages: one row is one file or photo. Lists of faces lie flat, in order of (y0, x0).
STATUS = pa.schema(
    [
        ("status", pa.string()),  # "" or an ErrorCode
        ("message", pa.string()),
    ]
)
LISTED_FILE = pa.schema(
    [
        ("uri", pa.string()),
        ("bytes", pa.int64()),  # null: not known before it is read, as of a row in a Parquet file
        ("modified_at", TIME),
        *STATUS,
    ]
)
IDENTIFIED_FILE = pa.schema([("photo_id", pa.string()), ("media_type", pa.string())])
PENDING_PHOTO = pa.schema(
    [
        ("photo_id", pa.string()),
        ("uri", pa.string()),  # of a file that holds it, for people
        ("read_from", pa.string()),  # that file, or a packed copy in the library
        *STATUS,
    ]
)
DECODED_PHOTO = pa.schema(
    [
        ("width", pa.int32()),  # of the upright photo
        ("height", pa.int32()),
        ("taken_at", LOCAL_TIME),
        ("camera", pa.string()),
        ("latitude", pa.float32()),
        ("longitude", pa.float32()),
        ("perceptual_hash", pa.binary()),
        (
            "pixels",
            pa.large_binary(),
        ),  # (pixel_height, pixel_width, 3) uint8 RGB, upright, perhaps smaller than the photo
        ("pixel_width", pa.int32()),
        ("pixel_height", pa.int32()),
    ]
)
PIXELS = ("pixels", "pixel_width", "pixel_height")
TO_COMPARE = pa.schema([("compare_with", pa.list_(pa.string()))])  # photo_ids of rows in the same batch
COMPARED_PHOTO = pa.schema(  # one value for each photo in `compare_with`
    [
        ("kinds", pa.list_(pa.string())),  # exact, near or different; null where either photo has failed
        ("differences", VECTOR),  # null there too, and for photos that could not be alike
    ]
)
DETECTED_FACES = pa.schema(
    [
        ("boxes", VECTOR),  # 4 a face: x0, y0, x1, y1
        ("scores", VECTOR),
        ("landmarks", VECTOR),  # 10 a face; empty where the detector gives none
    ]
)
MEASURED_FACES = pa.schema(  # one number a face each
    [
        ("yaws", VECTOR),  # degrees, as in alignment.pose; all three empty where the detector gives no landmarks
        ("pitches", VECTOR),
        ("rolls", VECTOR),
        ("sharpnesses", VECTOR),
        ("qualities", VECTOR),  # 0 to 1
    ]
)
ALIGNED_FACES = pa.schema(
    [
        ("aligned", pa.large_binary()),  # (faces, S, S, 3) uint8 RGB, S as the embedder wants it
        ("crops", pa.list_(pa.binary())),  # JPEG for display
    ]
)
FIDUCIAL_POINTS = pa.schema(
    [("points", VECTOR)]
)  # 136 a face: x, y of iBUG's 68 points, in pixels of the upright photo
EMBEDDED_FACES = pa.schema([("embeddings", VECTOR)])  # D a face, unit length
WRITTEN_BATCH = pa.schema(
    [
        ("batch_id", pa.string()),
        ("faces", pa.int32()),
        ("data_files", pa.string()),  # JSON, on a batch's first row: the files that hold it, uncommitted
    ]
)
