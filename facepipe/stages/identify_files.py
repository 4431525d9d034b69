"""Files become contents: SHA-256, media type, and an early end for what is no photo."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.config import DecodeConfig
from facepipe.isolation.calls import IsolatedCalls
from facepipe.stage import Resources
from facepipe.stages.photo_files import open_identifier
from facepipe.stages.rows import healthy, with_columns


@dataclass(frozen=True)
class IdentifyFiles:
    """Writes the SHA-256 and the media type of each listed file's bytes, from one read, and the size where unknown."""

    decode: DecodeConfig
    name: ClassVar[str] = "identify_files"
    reads: ClassVar[pa.Schema] = schemas.LISTED_FILE
    writes: ClassVar[pa.Schema] = pa.schema([*schemas.IDENTIFIED_FILE, schemas.LISTED_FILE.field("bytes")])
    drops: ClassVar[Sequence[str]] = ()
    resources: ClassVar[Resources] = Resources()

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Start the process that reads, and return the function for batches."""
        settings = self.decode.model_dump(include={"max_bytes", "max_pixels"})
        calls = IsolatedCalls(open_identifier, settings, self.decode.timeout_seconds, self.decode.max_memory)
        return partial(_identify, calls)


def _identify(calls: IsolatedCalls, table: pa.Table) -> pa.Table:
    rows = healthy(table)
    uris = table["uri"].to_pylist()
    answers, _ = calls([(uris[row],) for row in rows])
    columns: dict[str, list[Any]] = {name: [None] * len(table) for name in schemas.IDENTIFIED_FILE.names}
    columns |= {name: table[name].to_pylist() for name in ("bytes", *schemas.STATUS.names)}
    for row, answer in zip(rows, answers, strict=True):
        facts = answer.facts
        if answer.error is not None:
            facts = {"status": answer.error.code.value, "message": str(answer.error)}
        elif columns["bytes"][row] is not None:  # as listed: should it differ by now, the next scan will see that
            facts.pop("bytes")
        for name, fact in facts.items():
            columns[name][row] = fact
    return with_columns(table, pa.schema([*IdentifyFiles.writes, *schemas.STATUS]), columns)


def file_rows(identified: pa.Table) -> pa.Table:
    """Return the rows of `files` for identified files, failed ones left out."""
    found = identified.filter(pc.equal(identified["status"], ""))
    for name in ("missing_since", "packed"):
        if name not in found.column_names:
            found = found.append_column(schemas.FILES.field(name), pa.nulls(len(found), schemas.FILES.field(name).type))
    return found.select(schemas.FILES.names)
