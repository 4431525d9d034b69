import hashlib
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
from PIL import Image

from facepipe import schemas
from facepipe.config import DecodeConfig
from facepipe.runtime.stage_group import StageGroup
from facepipe.sources.uris import path_to_uri
from facepipe.stage import check_chain
from facepipe.stages.find_duplicates import compare_stages
from tests.drawn_photos import draw_scene

ROWS = pa.schema([*schemas.PENDING_PHOTO, *schemas.TO_COMPARE])


def compared(
    paths: list[Path], against: dict[str, list[str]], max_side: int = 2048
) -> dict[str, dict[str, str | None]]:
    """What each photo, by its file's name, was found to be to the photos it was compared with."""
    id_of = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    rows = [
        {
            "photo_id": id_of[path.name],
            "uri": path_to_uri(path),
            "read_from": path_to_uri(path),
            "status": "",
            "message": "",
            "compare_with": [id_of[name] for name in against.get(path.name, [])],
        }
        for path in paths
    ]
    stages = compare_stages(DecodeConfig(max_side=max_side))[0]
    check_chain(stages, ROWS)
    finished = StageGroup(stages, 1)(pa.Table.from_pylist(rows, ROWS))
    assert "pixels" not in finished.column_names
    return {
        path.name: dict(zip(against.get(path.name, []), kinds, strict=True))
        for path, kinds in zip(paths, finished["kinds"].to_pylist(), strict=True)
    }


def test_turned_pixels_with_a_tag_that_turns_them_back_are_the_same(tmp_path: Path) -> None:
    scene = Image.fromarray(draw_scene(1))
    scene.save(tmp_path / "upright.png")
    tag = Image.Exif()
    tag[0x0112] = 6  # to be shown turned clockwise
    scene.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=tag)
    scene.save(tmp_path / "again.jpg", quality=80)
    Image.fromarray(draw_scene(2)).save(tmp_path / "other.png")
    names = ["upright.png", "turned.png", "again.jpg", "other.png"]
    found = compared([tmp_path / name for name in names], {"upright.png": names[1:], "turned.png": ["again.jpg"]})
    assert found["upright.png"] == {"turned.png": "exact", "again.jpg": "near", "other.png": "different"}
    assert found["turned.png"] == {"again.jpg": "near"}


def test_what_looks_the_same_at_the_decoded_scale_alone_is_near(tmp_path: Path) -> None:
    large = draw_scene(3, width=400, height=300)
    Image.fromarray(large).save(tmp_path / "large.png")
    small = np.asarray(cv2.resize(large, (200, 150), interpolation=cv2.INTER_AREA))
    Image.fromarray(small).save(tmp_path / "small.png")
    paths = [tmp_path / "large.png", tmp_path / "small.png"]
    assert compared(paths, {"large.png": ["small.png"]}, max_side=200)["large.png"] == {"small.png": "near"}


def test_a_photo_that_fails_leaves_its_pairs_open(tmp_path: Path) -> None:
    Image.fromarray(draw_scene(4)).save(tmp_path / "good.png")
    Image.fromarray(draw_scene(4)).save(tmp_path / "same.jpg")
    (tmp_path / "cut.png").write_bytes((tmp_path / "good.png").read_bytes()[:-5000])
    paths = [tmp_path / name for name in ("good.png", "same.jpg", "cut.png")]
    found = compared(paths, {"good.png": ["same.jpg", "cut.png"], "cut.png": ["same.jpg"]})
    assert found == {"good.png": {"same.jpg": "near", "cut.png": None}, "same.jpg": {}, "cut.png": {"same.jpg": None}}
