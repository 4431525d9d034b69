"""Faces that were found before are looked up rather than found again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from facepipe import schemas
from facepipe.stage import Resources
from facepipe.stages.rows import with_columns


@dataclass(frozen=True)
class RecallFaces:
    """Writes each photo's faces from a Parquet file with their columns and `uri`; of a photo that it lacks, none.

    Attributes:
        file: on this machine.
    """

    file: Path
    name: ClassVar[str] = "recall_faces"
    reads: ClassVar[pa.Schema] = pa.schema([("uri", pa.string())])
    writes: ClassVar[pa.Schema] = schemas.DETECTED_FACES
    drops: ClassVar[Sequence[str]] = ()
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Read the file and return the function for batches."""
        known = pq.read_table(self.file, columns=["uri", *self.writes.names]).combine_chunks()
        return lambda table: self._recall(table, known)

    def _recall(self, table: pa.Table, known: pa.Table) -> pa.Table:
        rows = pc.index_in(table["uri"].combine_chunks(), known["uri"].combine_chunks())
        nothing = pa.array([[]], schemas.VECTOR)[0]
        found = {name: pc.fill_null(known[name].take(rows).combine_chunks(), nothing) for name in self.writes.names}
        return with_columns(table, self.writes, found)
