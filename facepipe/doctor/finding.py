"""What one look has found."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]

GIB = 1 << 30


@dataclass(frozen=True)
class Finding:
    """One line of `facepipe doctor`.

    Attributes:
        name: what was looked at.
        state: ok; warn where something is worse than it could be; fail where a run could not be done.
        found: what is there.
        advice: what to do; empty where all is well.
    """

    name: str
    state: State
    found: str
    advice: str = ""


def judge(name: str, found: str, state: State, advice: str) -> Finding:
    """Return a finding whose advice is only given where something is to be done."""
    return Finding(name, state, found, "" if state == "ok" else advice)


def gib(size: float) -> str:
    """Return a number of bytes for people."""
    return f"{size / GIB:.1f} GiB"
