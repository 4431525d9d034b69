import hashlib
from pathlib import Path

import pyarrow as pa

from facepipe.report.crops import CROPS, file_stem, jpeg_size, write_crops
from facepipe.schemas import FACES
from tests.report_album import draw_face

NOBODY = pa.array([], pa.string())


def faces(*rows: tuple[str, bytes | None]) -> pa.Table:
    return pa.Table.from_pylist([{"face_id": face_id, "crop": crop} for face_id, crop in rows], schema=FACES)


def test_crops_are_written_as_they_are_in_folders_of_two_digits(tmp_path: Path) -> None:
    first, second = "ab" * 32 + "-0001", "cd" * 32 + "-0002"
    crops = {first: draw_face("a", 120), second: draw_face("b", 60)}
    table = write_crops(faces(*crops.items()).to_batches(), NOBODY, tmp_path)
    assert table.schema == CROPS
    assert table.to_pylist() == [
        {"face_id": first, "image": f"faces/ab/{first}.jpg", "width": 120, "height": 120},
        {"face_id": second, "image": f"faces/cd/{second}.jpg", "width": 60, "height": 60},
    ]
    for row in table.to_pylist():
        assert (tmp_path / row["image"]).read_bytes() == crops[row["face_id"]]


def test_hidden_empty_and_damaged_crops_get_no_file(tmp_path: Path) -> None:
    names = [f"{digit * 64}-0001" for digit in "abcd"]
    table = faces((names[0], draw_face("a")), (names[1], None), (names[2], b"GIF89a"), (names[3], b""))
    written = write_crops(table.to_batches(), pa.array([names[0]]), tmp_path)
    assert written.num_rows == 0
    assert written.schema == CROPS
    assert not list(tmp_path.rglob("*.jpg"))


def test_an_id_that_is_no_plain_name_is_digested() -> None:
    for identifier in ("../../etc/passwd", "A" * 64, "<b>", "", "-" * 20, "CON", "a" * 300):
        assert file_stem(identifier) == hashlib.sha256(identifier.encode()).hexdigest()
    for identifier in ("0123abcd" * 8 + "-0001", "f2636745-3486-5db6-b397-cef9894ddff1"):
        assert file_stem(identifier) == identifier


def test_only_jpegs_have_a_size() -> None:
    assert jpeg_size(draw_face("a", 90)) == (90, 90)
    assert jpeg_size(draw_face("a")[:20]) is None
    assert jpeg_size(b"\x89PNG\r\n\x1a\n" + bytes(64)) is None
