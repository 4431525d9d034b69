"""Contestants do the same work in turns, each in a process of its own."""

import gc
import multiprocessing
import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Protocol

import psutil

from facepipe.benchmarks.apart import as_sentence
from facepipe.errors import FacepipeError
from facepipe.runtime.progress import show_progress

SAMPLE_SECONDS = 0.2

Round = Callable[[], float]


class Contestant(Protocol):
    """Somebody who can do the work: picklable settings."""

    @property
    def name(self) -> str:
        """Who it is, as the figures call it."""

    def open(self) -> Round:
        """Load models and what the work is done on, warm up, and return a function: the work done once, in seconds."""


@dataclass
class Result:
    """What a contestant needed.

    Attributes:
        seconds: of each round.
        peak_memory: most bytes of memory that its processes held during its rounds: the sum of their proportional set
            sizes, in which what several processes share counts once.
    """

    seconds: list[float] = field(default_factory=list)
    peak_memory: int = 0

    @property
    def median(self) -> float:
        """The middle one of the rounds' seconds."""
        return statistics.median(self.seconds)


def hold_contest(contestants: Sequence[Contestant], rounds: int, threads: int) -> dict[str, Result]:
    """Return what each contestant needed, by name.

    All open first; then each does the work once, then each again, so that whatever slows the machine for a while slows
    everyone. While one works the others' processes wait.

    Args:
        contestants: of different names.
        rounds: how often each does the work, at least 1.
        threads: that each computes with, where it computes with several.

    Raises:
        FacepipeError: a contestant failed.
    """
    results = {contestant.name: Result() for contestant in contestants}
    with ExitStack() as stack:
        lanes = [stack.enter_context(_lane(contestant, threads)) for contestant in contestants]
        progress = stack.enter_context(show_progress("bench", "turns", len(lanes) * (rounds + 1)))
        for lane in lanes:
            _answer(lane)
            progress.advance(1)
        for _ in range(rounds):
            for lane in lanes:
                lane.pipe.send("go")
                seconds, memory = _answer(lane)
                progress.advance(1)
                result = results[lane.name]
                result.seconds.append(seconds)
                result.peak_memory = max(result.peak_memory, memory)
    return results


def memory_of_tree(pid: int) -> int:
    """Return the proportional set size, in bytes, of a process and all that it started; 0 once it is gone."""
    total = 0
    try:
        processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in processes:
        try:
            total += int(process.memory_full_info().pss)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):  # it ended meanwhile
            continue
    return total


@dataclass(frozen=True)
class _Lane:
    name: str
    process: Any
    pipe: Connection


@contextmanager
def _lane(contestant: Contestant, threads: int) -> Any:
    """Run a contestant's process while the block lasts."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_compete, args=(contestant, threads, theirs), name=contestant.name)
    process.start()
    theirs.close()
    try:
        yield _Lane(contestant.name, process, ours)
    finally:
        ours.close()  # ends the loop in _compete
        process.join()


def _compete(contestant: Contestant, threads: int, pipe: Connection) -> None:
    """Do the work whenever the pipe says so, until it closes."""
    os.environ["OMP_NUM_THREADS"] = str(threads)  # for what reads it when it is imported
    try:
        do_round = contestant.open()
        pipe.send(0.0)
        while True:
            pipe.recv()
            gc.collect()
            pipe.send(do_round())
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # it crosses to the parent's process as a sentence  # noqa: BLE001
        pipe.send(as_sentence(error, contestant.name))


def _answer(lane: _Lane) -> tuple[float, int]:
    """Return the seconds that a contestant answers with, and the most memory seen while it worked."""
    memory = memory_of_tree(lane.process.pid)
    while not lane.pipe.poll(SAMPLE_SECONDS):
        memory = max(memory, memory_of_tree(lane.process.pid))
    try:
        answer = lane.pipe.recv()
    except EOFError as error:
        raise FacepipeError(f"{lane.name} ended before its work was done: was it killed for memory?") from error
    if isinstance(answer, FacepipeError):
        raise answer
    return float(answer), max(memory, memory_of_tree(lane.process.pid))


def timed(work: Callable[[], object]) -> Round:
    """Return a round that does the work and says how long it took."""

    def do_round() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return do_round
