"""Faces that were found before are looked up by their photo."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from facepipe.stages.recall_faces import RecallFaces
from facepipe.stages.rows import arrays_of, flat_lists


def test_each_photo_gets_the_faces_that_were_found_on_it(tmp_path: Path) -> None:
    boxes = [np.array([1.0, 2, 3, 4]), None, np.array([5.0, 6, 7, 8, 9, 10, 11, 12])]
    found = pa.table(
        {
            "uri": ["a", "b", "c"],
            "boxes": flat_lists(boxes),
            "scores": flat_lists([np.array([0.9]), None, np.array([0.8, 0.7])]),
            "landmarks": flat_lists([np.arange(10.0), None, np.arange(20.0)]),
        }
    )
    pq.write_table(found, tmp_path / "found.parquet")
    photos = pa.table({"uri": ["c", "unknown", "a"], "status": ["", "", ""]})
    recalled = RecallFaces(tmp_path / "found.parquet").open()(photos)
    assert [len(boxes) for boxes in arrays_of(recalled["boxes"], 4)] == [2, 0, 1]
    assert arrays_of(recalled["landmarks"], 10)[2].tolist() == [list(range(10))]
    assert recalled["scores"].to_pylist()[2] == [np.float32(0.9)]
    assert recalled["uri"].to_pylist() == ["c", "unknown", "a"]
