"""Packing a batch: each content once, failures left alone, several shards where one is full."""

import hashlib
from pathlib import Path

import pyarrow as pa

from facepipe.sources.read_source import read_source
from facepipe.stages.pack_photos import PackPhotos


def batch(folder: Path, contents: dict[str, bytes]) -> pa.Table:
    rows = []
    for name, data in contents.items():
        (folder / name).write_bytes(data)
        rows.append(
            {
                "uri": (folder / name).as_uri(),
                "photo_id": hashlib.sha256(data).hexdigest(),
                "bytes": len(data),
                "status": "",
                "message": "",
            }
        )
    return pa.Table.from_pylist(rows)


def test_each_content_once_and_failures_not_at_all(tmp_path: Path) -> None:
    table = batch(tmp_path, {"a": b"aaa", "b": b"bbb", "c": b"aaa", "failed": b"x", "changed": b"old", "gone": b"y"})
    status = table["status"].to_pylist()
    status[3] = "truncated"
    table = table.set_column(table.schema.get_field_index("status"), "status", pa.array(status))
    (tmp_path / "changed").write_bytes(b"new")
    (tmp_path / "gone").unlink()
    packed = PackPhotos(str(tmp_path / "library"), 1 << 20, 100).open()(table).to_pylist()
    assert [row["status"] for row in packed] == ["", "", "", "truncated", "vanished", "vanished"]
    assert packed[0]["packed"] == packed[2]["packed"] != packed[1]["packed"]
    assert [row["packed"] for row in packed[3:]] == [None] * 3
    root = (tmp_path / "library").as_uri()
    assert [read_source(f"{root}/{row['packed']}", 100) for row in packed[:3]] == [b"aaa", b"bbb", b"aaa"]
    assert len(list((tmp_path / "library/shards").iterdir())) == 1


def test_a_full_shard_is_followed_by_another(tmp_path: Path) -> None:
    table = batch(tmp_path, {str(number): bytes([number]) * 40 for number in range(5)})
    packed = PackPhotos(str(tmp_path / "library"), 100, 1000).open()(table)["packed"].to_pylist()
    assert [place.partition("#")[2] for place in packed] == ["0", "1", "0", "1", "0"]
    assert len({place.partition("#")[0] for place in packed}) == 3
