import pyarrow as pa
import pytest

from facepipe.errors import FacepipeError, LibraryError, WrongUsageError
from facepipe.runtime.worker_errors import error_row, is_error, raise_error


@pytest.mark.parametrize(
    "error", [LibraryError("the disk is full"), WrongUsageError("no such key"), FacepipeError("x")]
)
def test_an_error_comes_back_as_it_was(error: FacepipeError) -> None:
    row = error_row(error)
    assert is_error(row)
    with pytest.raises(type(error), match=f"^{error}$") as raised:
        raise_error(row)
    assert raised.value.exit_code == error.exit_code


def test_other_tables_pass() -> None:
    finished = pa.table({"uri": ["a"], "status": [""]})
    assert not is_error(finished)
    raise_error(finished)
