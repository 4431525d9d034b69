"""What can go wrong, said once: errors that end a command, and codes for photos that fail on their own."""

from dataclasses import dataclass
from enum import StrEnum


class FacepipeError(Exception):
    """Ends a command with one sentence: what is wrong and what to do.

    Attributes:
        exit_code: the process's exit status (1: the work could not be done).
    """

    exit_code = 1


class WrongUsageError(FacepipeError):
    """A wrong option, argument or configuration (exit status 2)."""

    exit_code = 2


class LibraryError(FacepipeError):
    """The library is locked, fenced off by a newer run, damaged, or not a library."""


class WeightsError(FacepipeError):
    """Pretrained weights are missing, corrupt, or not what was promised."""


class TrainingError(FacepipeError):
    """A training can't go on."""


class InterruptedRunError(FacepipeError):
    """The run was asked to stop (exit status 130, as shells give for Ctrl-C)."""

    exit_code = 130


class ErrorCode(StrEnum):
    """Why one photo failed: the values of `errors.code`."""

    UNREADABLE = "unreadable"
    EMPTY = "empty"
    TRUNCATED = "truncated"
    NOT_AN_IMAGE = "not_an_image"
    TOO_LARGE = "too_large"
    TIMEOUT = "timeout"
    VANISHED = "vanished"
    UNSUPPORTED = "unsupported"
    INTERNAL = "internal"


class PhotoError(Exception):
    """One photo failed; it becomes a row of `errors` and costs no other photo.

    Attributes:
        code: the row's code.
    """

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class MaxFailed:
    """How many of a run's photos may fail: a number, or a share of those tried.

    Attributes:
        number: photos, or percent.
        percent: which of the two.
    """

    number: float
    percent: bool

    def exceeded(self, failed: int, tried: int) -> bool:
        """Return whether more photos failed than allowed."""
        return failed > (self.number / 100 * tried if self.percent else self.number)


NONE_MAY_FAIL = MaxFailed(0, percent=False)
