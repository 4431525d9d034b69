"""Contestants that sleep, allocate, fail or die, each in a real process."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from facepipe.benchmarks.contest import Round, hold_contest, memory_of_tree, timed
from facepipe.errors import FacepipeError, WrongUsageError

MEGABYTE = 1 << 20


@dataclass(frozen=True)
class Writer:
    """Appends its name to a file, holding some memory meanwhile."""

    name: str
    file: Path
    megabytes: int = 0

    def open(self) -> Round:
        def work() -> float:
            held = bytearray(os.urandom(MEGABYTE)) * self.megabytes
            time.sleep(0.5)
            with self.file.open("a") as file:
                file.write(self.name)
            return float(len(held) / MEGABYTE) + 1

        return work


@dataclass(frozen=True)
class Failing:
    name: str
    how: str

    def open(self) -> Round:
        if self.how == "sentence":
            raise WrongUsageError("there are no photos")
        if self.how == "bug":
            raise KeyError("pixels")
        return lambda: os._exit(9)


def test_everyone_works_in_turn_and_memory_is_each_ones_own(tmp_path: Path) -> None:
    order = tmp_path / "order"
    results = hold_contest([Writer("a", order, 150), Writer("b", order)], 3, 1)
    assert order.read_text() == "ababab"
    assert results["a"].seconds == [151.0] * 3
    assert results["b"].median == 1
    assert results["a"].peak_memory > results["b"].peak_memory + 140 * MEGABYTE
    assert results["b"].peak_memory > MEGABYTE


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("sentence", "there are no photos"),
        ("bug", "loser failed: KeyError: 'pixels'"),
        ("death", "loser ended before its work was done"),
    ],
)
def test_one_failure_ends_the_contest_with_a_sentence(how: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(FacepipeError, match=sentence) as raised:
        hold_contest([Writer("a", tmp_path / "order"), Failing("loser", how)], 1, 1)
    assert isinstance(raised.value, WrongUsageError) == (how == "sentence")


def test_the_memory_of_a_process_that_is_gone_is_nothing() -> None:
    process = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(process, 0)
    assert memory_of_tree(process) == 0


def test_a_timed_round_says_how_long_the_work_took() -> None:
    assert timed(lambda: time.sleep(0.05))() >= 0.05
