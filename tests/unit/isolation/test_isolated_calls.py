"""Whatever happens in the isolated process, every request has its answer."""

import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from facepipe.errors import FacepipeError
from facepipe.isolation.calls import Answer, IsolatedCalls
from tests.isolated_faults import open_badly, open_dying, open_faults

MEMORY = 1 << 28


@pytest.fixture
def calls(tmp_path: Path) -> IsolatedCalls:
    return IsolatedCalls(open_faults, {"folder": str(tmp_path)}, 60.0, MEMORY)


def codes(answers: list[Answer]) -> list[str]:
    return [answer.error.code.value if answer.error else "" for answer in answers]


def processes(answers: list[Answer]) -> list[int]:
    return [answer.facts["process"] for answer in answers if not answer.error]


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not happened():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def is_alive(process: int) -> bool:
    """Return whether a process lives; one that nobody has collected yet has died all the same."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_answers_and_payloads_come_in_the_order_of_the_requests(calls: IsolatedCalls) -> None:
    sizes = [3, 0, 200_000, 1]
    answers, payloads = calls([("none", size) for size in sizes])
    assert [answer.facts["value"] for answer in answers] == sizes
    assert [answer.size for answer in answers] == sizes
    assert bytes(payloads) == b"".join(bytes([size % 256]) * size for size in sizes)
    assert payloads.readonly
    again, _ = calls([("none", 7)] * 40)
    assert set(processes(again)) == set(processes(answers)) != {os.getpid()}
    assert answers[0].facts["core"] == 0
    answers, payloads = calls([])
    assert (answers, bytes(payloads)) == ([], b"")


def test_payloads_outlive_what_comes_later(calls: IsolatedCalls) -> None:
    _, first = calls([("none", 100_000)])
    calls([("none", 255)] * 3)
    calls([("die", signal.SIGKILL), ("none", 250_000)])
    del calls
    gc.collect()
    assert bytes(first) == bytes([100_000 % 256]) * 100_000


@pytest.mark.parametrize(
    ("fault", "value", "said"),
    [
        ("die", signal.SIGKILL, "was ended by signal 9 (SIGKILL)"),
        ("die", signal.SIGSEGV, "was ended by signal 11 (SIGSEGV)"),
        ("exit", 7, "ended with exit status 7"),
    ],
)
def test_a_request_that_kills_costs_no_other(calls: IsolatedCalls, fault: str, value: int, said: str) -> None:
    answers, payloads = calls([("none", 5), (fault, int(value)), ("none", 6), (fault, int(value)), ("none", 7)])
    assert codes(answers) == ["", "internal", "", "internal", ""]
    assert said in str(answers[1].error)
    assert bytes(payloads) == b"\5" * 5 + b"\6" * 6 + b"\7" * 7
    assert len(set(processes(answers))) == 3


def test_what_kills_once_is_answered_the_second_time(calls: IsolatedCalls) -> None:
    answers, payloads = calls([("none", 5), ("die once", 6), ("none", 7)])
    assert codes(answers) == ["", "", ""]
    assert bytes(payloads) == b"\5" * 5 + b"\6" * 6 + b"\7" * 7


def test_a_child_that_died_between_two_calls_is_replaced(calls: IsolatedCalls) -> None:
    answers, _ = calls([("none", 1)])
    os.kill(answers[0].facts["process"], signal.SIGKILL)
    answers, _ = calls([("none", 2), ("none", 3)])
    assert codes(answers) == ["", ""]


def test_a_request_that_hangs_is_given_up(tmp_path: Path) -> None:
    calls = IsolatedCalls(open_faults, {"folder": str(tmp_path)}, 1.0, MEMORY)
    answers, payloads = calls([("none", 5), ("hang",), ("none", 6)])
    assert codes(answers) == ["", "timeout", ""]
    assert "decode.timeout_seconds = 1" in str(answers[1].error)
    assert bytes(payloads) == b"\5" * 5 + b"\6" * 6
    assert not is_alive(int((tmp_path / "hanging").read_text()))


def test_more_memory_than_allowed_is_too_large(calls: IsolatedCalls) -> None:
    answers, _ = calls([("bloat", MEMORY // 4), ("bloat", 2 * MEMORY), ("none", 1)])
    assert codes(answers) == ["", "too_large", ""]
    assert len(set(processes(answers))) == 1


def test_leaks_end_with_the_child_before_they_cost_a_photo(calls: IsolatedCalls) -> None:
    children = []
    for _ in range(9):
        answers, _ = calls([("leak", MEMORY // 5), ("bloat", MEMORY // 8)])
        assert codes(answers) == ["", ""]
        children.append(processes(answers)[0])
    assert len(set(children)) == 3


def test_a_refusal_keeps_its_code_and_a_message_that_tables_can_hold(calls: IsolatedCalls) -> None:
    answers, _ = calls([("refuse", 10_000), ("none", 1)])
    assert codes(answers) == ["truncated", ""]
    message = str(answers[0].error)
    assert message.startswith("cut short ?.")
    assert len(message.encode()) <= 500


def test_a_bug_raises_here(calls: IsolatedCalls) -> None:
    with pytest.raises(RuntimeError, match="nobody thought of this"):
        calls([("none", 1), ("bug",), ("none", 1)])
    assert codes(calls([("none", 1)])[0]) == [""]
    with pytest.raises(RuntimeError, match="not installed"):
        IsolatedCalls(open_badly, {}, 60.0, MEMORY)([()])


def test_a_child_that_does_not_start_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(FacepipeError, match="does not start: it ended with exit status 1"):
        IsolatedCalls(open_faults, {"folder": str(tmp_path)}, 60.0, MEMORY)([("none", 1)])


def test_a_child_that_is_killed_while_it_starts_is_replaced(tmp_path: Path) -> None:
    calls = IsolatedCalls(open_dying, {"folder": str(tmp_path), "times": 2}, 60.0, MEMORY)
    assert codes(calls([("none", 1), ("none", 2)])[0]) == ["", ""]
    never = tmp_path / "never"
    never.mkdir()
    with pytest.raises(FacepipeError, match=r"does not start: it was ended by signal 9 \(SIGKILL\)"):
        IsolatedCalls(open_dying, {"folder": str(never), "times": 99}, 60.0, MEMORY)([("none", 1)])
    assert (never / "deaths").read_text() == "xxx"


def test_the_child_ends_with_the_object(tmp_path: Path) -> None:
    calls = IsolatedCalls(open_faults, {"folder": str(tmp_path)}, 60.0, MEMORY)
    (process,) = processes(calls([("none", 1)])[0])
    assert is_alive(process)
    del calls
    gc.collect()
    assert not is_alive(process)


@pytest.mark.parametrize("hanging", [True, False])
def test_the_child_ends_with_a_parent_that_is_killed(tmp_path: Path, hanging: bool) -> None:
    script = f"""
import os, time
from facepipe.isolation.calls import IsolatedCalls
from tests.isolated_faults import open_faults
calls = IsolatedCalls(open_faults, {{"folder": {str(tmp_path)!r}}}, 2.0, {MEMORY})
answers, _ = calls([("none", 1)])
print(answers[0].facts["process"], flush=True)
calls([("hang",)]) if {hanging} else time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent:
        child = int(parent.stdout.readline())
        if hanging:
            wait_until((tmp_path / "hanging").exists)
        assert is_alive(child)
        parent.kill()
    wait_until(lambda: not is_alive(child))


def test_interrupting_a_call_leaves_no_answer_for_the_next(calls: IsolatedCalls) -> None:
    former = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        calls([("none", 1)])
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(KeyboardInterrupt):
            calls([("none", 1), ("hang",), ("none", 2)])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, former)
    answers, _ = calls([("none", 9)])
    assert answers[0].facts["value"] == 9
