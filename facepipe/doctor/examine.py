"""Everything that `facepipe doctor` looks at, in its order."""

from facepipe.config import Config
from facepipe.doctor.finding import Finding
from facepipe.doctor.machine import examine_machine
from facepipe.doctor.programs import Probes, examine_programs
from facepipe.doctor.stores import examine_library, examine_weights


def examine(config: Config, library: str | None) -> list[Finding]:
    """Return what was found; a run can be done where none of it says fail.

    Args:
        config: whose weights are looked for.
        library: to be looked at, too.
    """
    probes = Probes()  # first, since imports take longest
    machine, weights = list(examine_machine()), list(examine_weights(config))
    found = [] if library is None else list(examine_library(library))
    return [*machine, *examine_programs(probes), *weights, *found]
