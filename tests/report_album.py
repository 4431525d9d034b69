"""A library's tables with drawn faces, for the report's tests: small, made in memory, the same each time."""

import hashlib
import io
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from PIL import Image, ImageDraw

from facepipe.schemas import TABLES

RUN: dict[str, Any] = {
    "run_id": "20240612T081500-1f0c",
    "command": "facepipe run ~/Pictures --library ~/people",
    "started_at": "2024-06-12T08:15:00+00:00",
    "finished_at": "2024-06-12T08:15:19+00:00",
    "versions": {"facepipe": "0.1.0", "torch": "2.6.0"},
    "config": {"decode": {"max_side": 2048}, "detect": {"thresholds": [0.6, 0.7, 0.7]}},
    "photos_seen": 1234,
    "photos_new": 30,
    "photos_skipped": 1201,
    "photos_failed": 3,
    "faces": 47,
    "people": 5,
    "unassigned": 9,
    "duplicate_groups": 1,
    "seconds": 18.62,
    "photos_per_second": 66.27,
    "stages": {
        "ingest": {"seconds": 0.61, "rows": 1234, "rows_per_second": 2022.95},
        "extract": {
            "seconds": 15.2,
            "rows": 30,
            "rows_per_second": 1.97,
            "inner": {"detect_faces": {"seconds": 9.1, "rows": 30, "rows_per_second": 3.3}},
        },
        "group": {"seconds": 0.4, "rows": 47, "rows_per_second": 117.5},
    },
}


def draw_face(seed: str, size: int = 160) -> bytes:
    """Return a JPEG of a drawn face, its colours and proportions taken from the seed."""
    digest = hashlib.sha256(seed.encode()).digest()
    image = Image.new("RGB", (size, size), (60 + digest[0] // 2, 80 + digest[1] // 2, 90 + digest[2] // 2))
    draw = ImageDraw.Draw(image)
    skin = tuple(int(channel * (0.45 + digest[3] / 465)) for channel in (255, 214, 184))
    hair = (digest[4] // 3, digest[4] // 4, digest[4] // 6)
    middle, width = size / 2, size * (0.26 + digest[5] / 2550)
    draw.ellipse((middle - width * 1.7, size * 0.86, middle + width * 1.7, size * 1.6), fill=tuple(digest[6:9]))
    draw.ellipse((middle - width * 1.15, size * 0.12, middle + width * 1.15, size * 0.75), fill=hair)
    draw.ellipse((middle - width, size * 0.2, middle + width, size * 0.92), fill=skin)
    for side in (-1, 1):
        eye = middle + side * width * 0.42
        draw.ellipse((eye - 5, size * 0.48, eye + 5, size * 0.48 + 10), fill=(30, 25, 20))
    mouth = (middle - width * 0.5, size * 0.55, middle + width * 0.5, size * 0.8)
    draw.arc(mouth, 20, 160, fill=(120, 40, 40), width=4)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


class Album:
    """Collects rows of a library; `tables()` returns them with the library's schemas."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}

    def photo(
        self,
        uri: str | Sequence[str],
        *,
        faces: int = 0,
        taken_at: datetime | None = None,
        missing: bool = False,
        crops: Sequence[bytes | None] | None = None,
        scores: Sequence[float] | None = None,
    ) -> list[str]:
        """Add a photo at one or several places, with so many faces; return their face_ids."""
        uris = [uri] if isinstance(uri, str) else list(uri)
        photo_id = hashlib.sha256(uris[0].encode()).hexdigest()
        gone = datetime(2024, 6, 1, tzinfo=UTC) if missing else None
        file = {"photo_id": photo_id, "bytes": 1000, "missing_since": gone}
        self.rows["files"] += [file | {"uri": place} for place in uris]
        self.rows["photos"].append({"photo_id": photo_id, "taken_at": taken_at, "faces": faces})
        face_ids = [f"{photo_id}-{number:04d}" for number in range(1, faces + 1)]
        for number, face_id in enumerate(face_ids):
            self.rows["faces"].append(
                {
                    "face_id": face_id,
                    "photo_id": photo_id,
                    "score": scores[number] if scores else 0.99,
                    "crop": crops[number] if crops else draw_face(face_id),
                    "embedding": [1.0, 0.0],
                }
            )
            self.rows["assignments"].append({"face_id": face_id, "probability": 1.0, "origin": "auto"})
        return face_ids

    def person(
        self, face_ids: Sequence[str], *, name: str | None = None, hidden: bool = False, person_id: str | None = None
    ) -> str:
        """Give these faces to a new person and return the person_id."""
        person_id = person_id or str(uuid.uuid5(uuid.NAMESPACE_OID, min(face_ids)))
        for row in self.rows["assignments"]:
            if row["face_id"] in face_ids:
                row["person_id"] = person_id
        photo_ids = {face_id[:64] for face_id in face_ids}
        dates = [row["taken_at"] for row in self.rows["photos"] if row["photo_id"] in photo_ids and row["taken_at"]]
        self.rows["people"].append(
            {
                "person_id": person_id,
                "name": name,
                "faces": len(face_ids),
                "photos": len(photo_ids),
                "cover_face_id": face_ids[0] if face_ids else None,
                "first_taken_at": min(dates, default=None),
                "last_taken_at": max(dates, default=None),
                "hidden": hidden,
            }
        )
        return person_id

    def failure(self, uri: str, code: str, message: str) -> None:
        """Add a file that failed."""
        self.rows["errors"].append({"uri": uri, "stage": "read_photos", "code": code, "message": message})

    def copies(self, uris: Sequence[str], group_id: str = "g1") -> None:
        """Add a group of copies, the first one to be kept."""
        for number, uri in enumerate(uris):
            photo_id = next((row["photo_id"] for row in self.rows["files"] if row["uri"] == uri), None)
            reason = "the largest" if number == 0 else ""
            row = {"group_id": group_id, "uri": uri, "photo_id": photo_id, "kind": "exact", "reason": reason}
            self.rows["duplicates"].append(row | {"distance": 0.0, "keeper": number == 0})

    def tables(self) -> dict[str, pa.Table]:
        """Return the tables; columns that no row mentions are null."""
        return {name: pa.Table.from_pylist(rows, schema=TABLES[name]) for name, rows in self.rows.items()}


def family_album() -> Album:
    """Return a small library with every kind of page in use, names and places that try to break out included."""
    album = Album()
    start = datetime(2022, 11, 3, 14, 30)
    photos = [
        album.photo(
            f"file:///photos/2022%20and%20later/IMG_{number:04d}.jpg",
            faces=2 + (number % 3 == 0),
            taken_at=None if number > 26 else start + timedelta(days=23 * number),
        )
        for number in range(1, 29)
    ]
    album.person([faces[0] for faces in photos], name="Maria Sørensen")
    album.person([faces[1] for faces in photos[:12]])
    album.person([faces[1] for faces in photos[12:20]], name="<script>alert('x')</script> & \"Bobby\"\nTables")
    album.person([faces[1] for faces in photos[20:24]], name="Maximiliane-Wilhelmine von Hohenstaufen-Wittelsbach " * 3)
    album.person([faces[1] for faces in photos[24:26]], name="دانیال")
    album.person([faces[2] for faces in photos[2:12] if len(faces) > 2], name="Not to be seen", hidden=True)
    hostile = [
        album.photo("javascript:alert(1)", faces=1),
        album.photo("file:///photos/%3Cimg%20src=x%20onerror=alert(1)%3E.jpg", faces=1),
        album.photo("file:///photos/broken%FFbytes%0Anewline%E2%80%AEgpj.exe", faces=1),
        album.photo("file:///photos/gone.jpg", faces=1, missing=True),
        album.photo("s3://bucket/shard-0001.tar#trips/Rome%202019.jpg", faces=1),
        album.photo("file:///photos/no-crop.jpg", faces=1, crops=[b"not a JPEG"]),
    ]
    album.person([faces[0] for faces in hostile], name="\u202edrawkcab")
    album.failure("file:///photos/cut%20off.jpg", "truncated", "the file ends after 12,288 of 48,213 bytes")
    album.failure("file:///photos/notes.jpg", "not_an_image", "starts with <html>, which is no picture's beginning")
    album.failure("file:///photos/bomb.png", "too_large", "30000 x 30000 pixels are more than 300,000,000")
    album.photo(["file:///photos/a/party.jpg", "file:///photos/b/party%20(1).jpg"], faces=1, scores=[0.71])
    album.copies(["file:///photos/a/party.jpg", "file:///photos/b/party%20(1).jpg"])
    return album
