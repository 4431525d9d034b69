"""Rows of Parquet files: which column, every row, little memory, damage."""

import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facepipe.errors import ErrorCode, PhotoError
from facepipe.sources import parquet_rows
from facepipe.sources.parquet_rows import image_column, open_parquet, read_row
from tests.archives import write_hugging_face_parquet, write_parquet

STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({"image": pa.binary(), "label": pa.int64()}, "image"),
        ({"other": pa.large_binary(), "label": pa.string()}, "other"),
        ({"image": STRUCT}, "image.bytes"),
        ({"photo": STRUCT, "size": pa.struct([("bytes", pa.int64())])}, "photo.bytes"),
        ({"mask": pa.binary(), "content": pa.binary(), "JPG": pa.binary()}, "JPG"),
        ({"bytes": pa.binary(), "Image": STRUCT, "thumbnail": pa.binary()}, "Image.bytes"),
    ],
)
def test_the_column_of_photos(columns: dict[str, pa.DataType], expected: str) -> None:
    assert image_column(pa.schema(list(columns.items()))) == expected


@pytest.mark.parametrize(
    ("columns", "message"),
    [({"a": pa.int64(), "b": pa.string()}, "no column of photos"), ({"a": pa.binary(), "b": STRUCT}, r"\(a, b\)")],
)
def test_no_column_of_photos_or_too_many(columns: dict[str, pa.DataType], message: str) -> None:
    with pytest.raises(PhotoError, match=message) as caught:
        image_column(pa.schema(list(columns.items())))
    assert caught.value.code is ErrorCode.UNSUPPORTED


@pytest.mark.parametrize("batch_bytes", [1, 5_000, 1 << 24])
def test_every_row_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_bytes: int) -> None:
    monkeypatch.setattr(parquet_rows, "BATCH_BYTES", batch_bytes)
    seed = 4
    print("seed", seed)
    rng = random.Random(seed)
    photos = [rng.randbytes(rng.randrange(1, 900)) for _ in range(250)]
    found = open_parquet(write_parquet(tmp_path / "x.parquet", photos, rows_a_group=70))
    assert found.num_rows == len(photos)
    assert [found.read(row, 1000) for row in range(250)] == photos
    for row in rng.choices(range(250), k=60):
        assert found.read(row, 1000) == photos[row]


def test_neighbours_are_decoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = open_parquet(write_parquet(tmp_path / "x.parquet", [b"x" * 100] * 200, rows_a_group=50))
    opened = []
    real = found._open_group

    def note(group: int) -> None:
        opened.append(group)
        real(group)

    monkeypatch.setattr(found, "_open_group", note)
    for row in range(200):
        found.read(row, 1000)
    assert opened == [0, 1, 2, 3]


def test_a_large_row_group_is_not_decoded_at_once(tmp_path: Path) -> None:
    photos = [bytes([number]) * (1 << 20) for number in range(120)]
    table = pa.table({"image": pa.array(photos, pa.binary())})
    pq.write_table(table, tmp_path / "x.parquet", write_batch_size=1)  # a page a photo
    del table
    found = open_parquet(tmp_path / "x.parquet")
    before = pa.total_allocated_bytes()
    most = 0
    for row in range(0, 120, 3):
        assert found.read(row, 1 << 21)[:1] == bytes([row])
        most = max(most, pa.total_allocated_bytes() - before)
    assert most < 3 * parquet_rows.BATCH_BYTES


def test_structs_of_bytes_and_path_with_nulls(tmp_path: Path) -> None:
    path = write_hugging_face_parquet(tmp_path / "x.parquet", [b"a", None, b"c"])
    found = open_parquet(path)
    assert (found.read(0, 10), found.read(2, 10)) == (b"a", b"c")
    with pytest.raises(PhotoError, match="holds no photo") as caught:
        found.read(1, 10)
    assert caught.value.code is ErrorCode.EMPTY


def test_what_reading_a_row_can_fail_with(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", [b"abc"])
    uri = path.as_uri()
    assert read_row(uri, b"0", 3) == b"abc"
    for row, most, code in [
        (b"0", 2, ErrorCode.TOO_LARGE),
        (b"1", 9, ErrorCode.VANISHED),
        (b"-1", 9, ErrorCode.VANISHED),
        (b"\xff", 9, ErrorCode.VANISHED),
    ]:
        with pytest.raises(PhotoError) as caught:
            read_row(uri, row, most)
        assert caught.value.code is code
    path.unlink()
    with pytest.raises(PhotoError, match="no longer there"):
        read_row(uri, b"0", 9)


def test_a_file_that_was_replaced_is_opened_again(tmp_path: Path) -> None:
    path = write_parquet(tmp_path / "x.parquet", [b"old"])
    assert read_row(path.as_uri(), b"0", 10) == b"old"
    write_parquet(tmp_path / "y.parquet", [b"newer"]).replace(path)
    assert read_row(path.as_uri(), b"0", 10) == b"newer"


@pytest.mark.parametrize("content", [b"", b"PAR1", b"text " * 1000, b"PAR1" + b"\xff" * 500 + b"PAR1"])
def test_what_is_no_parquet_file(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.parquet").write_bytes(content)
    with pytest.raises(PhotoError, match="can't be read") as caught:
        open_parquet(tmp_path / "x.parquet")
    assert caught.value.code is ErrorCode.UNREADABLE


def test_random_damage_is_an_error_or_bytes(tmp_path: Path) -> None:
    seed = 12
    print("seed", seed)
    rng = random.Random(seed)
    whole = write_parquet(tmp_path / "x.parquet", [rng.randbytes(300) for _ in range(40)]).read_bytes()
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(rng.randint(1, 10)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        (tmp_path / "y.parquet").write_bytes(damaged)
        try:
            found = open_parquet(tmp_path / "y.parquet")
            for row in range(min(found.num_rows, 40)):
                found.read(row, 1000)
        except PhotoError:
            continue


def test_names_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "\udcff\n.parquet"
    pq.write_table(pa.table({"image": pa.array([b"abc"], pa.binary())}), tmp_path / "x.parquet")
    (tmp_path / "x.parquet").rename(path)
    assert open_parquet(path).read(0, 10) == b"abc"
