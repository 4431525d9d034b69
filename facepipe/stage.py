"""What a stage is: the one contract between algorithms and whatever runs them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from facepipe.errors import FacepipeError


@dataclass(frozen=True)
class Resources:
    """What a stage computes with.

    Attributes:
        gpus: the share of the machine's GPUs that all copies of the stage take together, where there are any; 0: none.
    """

    gpus: float = 0.0


class Stage(Protocol):
    """One step of a pipeline: a frozen dataclass of picklable settings.

    Constructing it does no I/O and probes no device. `reads` and `writes` list the columns it needs and the columns
    it adds (or replaces); all other columns pass through, those named in `drops` excepted. A row whose `status` is not
    empty has failed already and passes through untouched.
    """

    @property
    def name(self) -> str:
        """The stage's name, `verb_nouns`, as Ray and the progress display show it."""

    @property
    def reads(self) -> pa.Schema:
        """Columns it needs."""

    @property
    def writes(self) -> pa.Schema:
        """Columns it adds."""

    @property
    def drops(self) -> Sequence[str]:
        """Columns that end here, such as pixels once faces are cropped."""

    @property
    def resources(self) -> Resources:
        """What one copy needs."""

    def open(self) -> Callable[[pa.Table], pa.Table]:
        """Load what is needed once (weights, caches) and return the function for batches; it may be repeated safely."""


def check_chain(stages: Sequence[Stage], source: pa.Schema) -> pa.Schema:
    """Return the schema after the last stage, having followed every column from the source.

    Args:
        stages: in the order in which they run.
        source: schema of the rows handed to the first stage.

    Raises:
        FacepipeError: a stage needs a column that nothing before it writes, or in another type.
    """
    columns = {field.name: field for field in source}
    for stage in stages:
        check_columns(stage.name, "reads", pa.schema(list(columns.values())), stage.reads)
        columns.update({field.name: field for field in stage.writes})
        for name in stage.drops:
            columns.pop(name, None)
    return pa.schema(list(columns.values()))


def check_columns(stage: str, verb: str, have: pa.Schema, need: pa.Schema) -> None:
    """Raise FacepipeError when a table at a stage's boundary lacks a column or holds it in another type."""
    for field in need:
        index = have.get_field_index(field.name)
        if index < 0:
            raise FacepipeError(
                f"stage {stage} {verb} the column {field.name!r}, which is not there: a bug, please report it"
            )
        if have.field(index).type != field.type:
            have_type = have.field(index).type
            raise FacepipeError(
                f"stage {stage} {verb} {field.name!r} as {field.type}, not {have_type}: a bug, please report it"
            )
