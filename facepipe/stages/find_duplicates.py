"""Files become groups of copies."""

import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.duplicates.grouping import group_exact_copies


def find_duplicates(files: pa.Table) -> pa.Table:
    """Return the rows of `duplicates`: each present file that shares its bytes with another one.

    Args:
        files: rows of `files`.
    """
    present = files.filter(pc.is_null(files["missing_since"]))
    copies = group_exact_copies(
        present["uri"].to_pylist(), present["photo_id"].to_pylist(), present["modified_at"].to_pylist()
    )
    return pa.Table.from_pylist([copy._asdict() for copy in copies], schema=schemas.DUPLICATES)
