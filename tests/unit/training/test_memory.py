"""What a training frees, it is given again without a fault a page."""

import platform
import subprocess
import sys

import pytest

SCRIPT = """
import resource
import numpy as np
from facepipe.training.memory import keep_freed_memory
keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(16_000_000, np.float32)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
first = faults()
print(first, max(faults() for _ in range(5)))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's malloc can be told to keep memory")
def test_large_arrays_are_given_from_what_was_freed() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    first, later = (int(word) for word in done.stdout.split())
    assert first > 100
    assert later < first / 10
