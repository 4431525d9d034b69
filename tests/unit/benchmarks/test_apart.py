import os

import numpy as np
import pytest

from facepipe.benchmarks.apart import peak_memory, run_apart
from facepipe.errors import FacepipeError


def fill(megabytes: int) -> int:
    return len(np.ones(megabytes << 17))  # 8 bytes each


def end() -> None:
    os._exit(9)


def fail(kind: str) -> None:
    raise FacepipeError("in plain words") if kind == "known" else MemoryError if kind == "memory" else KeyError(kind)


def test_memory_is_that_of_the_work_alone() -> None:
    ours = np.ones(300 << 17)
    small, large = run_apart(fill, 1), run_apart(fill, 200)
    assert (small[0], large[0]) == (1 << 17, 200 << 17)
    assert 190e6 < large[1] - small[1] < 230e6
    assert small[1] < 250e6 < len(ours) * 8 < peak_memory()


@pytest.mark.parametrize(
    ("kind", "says"), [("known", "in plain words"), ("memory", "more memory"), ("bug", "KeyError: 'bug'")]
)
def test_failures_are_one_sentence(kind: str, says: str) -> None:
    with pytest.raises(FacepipeError, match=says):
        run_apart(fail, kind)


def test_a_process_that_dies_is_an_error() -> None:
    with pytest.raises(FacepipeError, match="killed for memory"):
        run_apart(end)
