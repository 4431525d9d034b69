"""Errors that end a command, brought home from workers as rows.

Ray hands the driver an exception's text inside a traceback, never the exception itself, and starts an actor whose
constructor raised again and again. So a worker returns such an error as its answer, and the driver raises it.
"""

import pyarrow as pa

from facepipe import errors
from facepipe.errors import FacepipeError

CLASS = "error_class"
MESSAGE = "error_message"


def error_row(error: FacepipeError) -> pa.Table:
    """Return the one-row table that stands for an error."""
    return pa.table({CLASS: [type(error).__name__], MESSAGE: [str(error)]})


def is_error(table: pa.Table) -> bool:
    """Return whether a table stands for an error."""
    return bool(table.column_names == [CLASS, MESSAGE])


def raise_error(table: pa.Table) -> None:
    """Raise the error that a table stands for; other tables pass."""
    if is_error(table):
        raise getattr(errors, table[CLASS][0].as_py(), FacepipeError)(table[MESSAGE][0].as_py())
