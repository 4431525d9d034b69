"""Memory and time a photo stay what they are as collections grow.

`FACEPIPE_GROWTH_PHOTOS=20000 pytest -m long tests/integration/test_growth.py -s` measures at that size.
"""

import json
import os
import time
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest

from facepipe.benchmarks.contest import memory_of_tree
from facepipe.library.library import Library
from tests.program import start

FEW, MANY = 1_000, int(os.environ.get("FACEPIPE_GROWTH_PHOTOS", "4000"))
MOST_MEMORY = 4e9


class Growth(NamedTuple):
    peak_bytes: int
    seconds: float
    extract_rate: float


def write_photos(originals: list[Path], folder: Path, count: int) -> None:
    """Write so many photos that differ in their bytes: each turn through the originals adds another JPEG comment."""
    folder.mkdir()
    for number in range(count):
        data = originals[number % len(originals)].read_bytes()
        comment = f"{number:08d}".encode()
        marker = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
        (folder / f"{number:08d}.jpg").write_bytes(data[:2] + marker + data[2:])


def measure(photos: Path, library: Path) -> Growth:
    """Carry `ingest` and `extract` out on Ray and watch the memory of all their processes."""
    peak, began = 0, time.monotonic()
    for command in (["ingest", photos], ["extract"]):
        process = start(*command, "--library", library)
        while process.poll() is None:
            peak = max(peak, memory_of_tree(process.pid))
            time.sleep(0.5)
        _, err = process.communicate()
        assert process.returncode == 0, err
    seconds = time.monotonic() - began
    rates = [row["stages"] for row in Library.open(library).read("runs").to_pylist() if row["command"] == "extract"]
    return Growth(peak, seconds, json.loads(rates[0])["extract"]["rows_per_second"])


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_memory_and_speed_do_not_depend_on_how_many_photos_there_are(
    data: Path, weights: tuple[str, str], tmp_path: Path
) -> None:
    originals = list(islice(sorted((data / "lfw-dev" / "images").glob("*/*.jpg")), 0, None, 4))
    found = []
    for count in (FEW, MANY):
        write_photos(originals, tmp_path / f"photos-{count}", count)
        found.append(measure(tmp_path / f"photos-{count}", tmp_path / f"library-{count}"))
        print(f"{count} photos: {found[-1]}")
    few, many = found
    assert many.peak_bytes < MOST_MEMORY
    assert many.peak_bytes < 1.15 * few.peak_bytes
    assert many.extract_rate > 0.85 * few.extract_rate
