"""Do all that is new, from the sources to the report, on a cluster.

`ray job submit --working-dir . -- python jobs/run.py --address auto …`, with the options of `facepipe run`.
"""

from facepipe.cli.main import main
from facepipe.cli.steps import run

if __name__ == "__main__":
    main(run)
