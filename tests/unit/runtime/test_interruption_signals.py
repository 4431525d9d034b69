import os
import signal
from collections.abc import Iterator

import pyarrow as pa
import pytest

from facepipe.errors import InterruptedRunError
from facepipe.runtime.batches import gather
from facepipe.runtime.interruption import ending_cleanly, held_back, kept_handlers


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_both_signals_end_with_one_error(sent: signal.Signals) -> None:
    before = signal.getsignal(sent)
    with pytest.raises(InterruptedRunError, match="goes on from there") as raised, ending_cleanly():
        os.kill(os.getpid(), sent)
    assert raised.value.exit_code == 130
    assert signal.getsignal(sent) is before


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_commit_is_finished_first(sent: signal.Signals) -> None:
    steps = []

    def commit() -> None:
        with held_back():
            os.kill(os.getpid(), sent)
            steps.append("committed")

    with pytest.raises(KeyboardInterrupt):
        commit()
    assert steps == ["committed"]


def test_handlers_that_a_library_installs_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with kept_handlers():
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is before


def test_batches_that_wait_for_a_commit_are_handed_over_before_the_end() -> None:
    def batches() -> Iterator[pa.Table]:
        yield pa.table({"row": [1, 2]})
        yield pa.table({"row": [3]})
        raise KeyboardInterrupt

    gathered = gather(batches(), seconds=1000)
    assert next(gathered)["row"].to_pylist() == [1, 2, 3]
    with pytest.raises(KeyboardInterrupt):
        next(gathered)
