"""Other programs read the tables as they are."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from facepipe.library.library import Library
from facepipe.schemas import TABLES
from tests.library_rows import make_sound_library, table_of

NAIVE = datetime(2020, 1, 2, 3, 4, 5, 678901)


def value_of(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return [value_of(kind.value_type)] * 2
    if pa.types.is_timestamp(kind):
        return NAIVE.replace(tzinfo=UTC) if kind.tz else NAIVE
    values = {pa.string(): "é", pa.binary(): b"\xff\x00", pa.bool_(): True, pa.float32(): 0.5}
    return values.get(kind, 7)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Each table: one file with a full row and a row of nulls."""
    library = Library.create_or_open(tmp_path_factory.mktemp("library"))
    with library.writer("test") as writer:
        for name, schema in TABLES.items():
            writer.replace(name, table_of(name, [{field.name: value_of(field.type) for field in schema}, {}]))
    return library


@pytest.mark.parametrize("name", TABLES)
def test_polars_and_duckdb_read_every_table(library: Library, name: str) -> None:
    location = str(Path(library.location, "tables", name))
    expected = table_of(name, [{field.name: value_of(field.type) for field in TABLES[name]}, {}])
    for found in (pl.scan_delta(location).collect(), pl.read_delta(location)):
        assert found.to_arrow().cast(TABLES[name]).equals(expected)
    files = DeltaTable(location).file_uris()
    relation = duckdb.read_parquet(files)
    assert relation.to_arrow_table().cast(TABLES[name]).equals(expected)


@pytest.mark.parametrize("name", TABLES)
def test_they_read_empty_tables_too(tmp_path: Path, name: str) -> None:
    library = Library.create_or_open(tmp_path)
    assert pl.scan_delta(str(Path(library.location, "tables", name))).collect().height == 0


def test_a_process_that_has_read_ends_in_peace(tmp_path: Path) -> None:
    library = make_sound_library(tmp_path / "library")
    program = (
        "import sys\n"
        "from facepipe.library.check import check\n"
        "from facepipe.library.library import Library\n"
        "sys.exit(len(check(Library.open(sys.argv[1]))))"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", program, library.location], check=True)
