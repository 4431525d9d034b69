"""Find copies, on a cluster.

`ray job submit --working-dir . -- python jobs/dedup.py --address auto …`, with the options of `facepipe dedup`.
"""

from facepipe.cli.main import main
from facepipe.cli.steps import dedup

if __name__ == "__main__":
    main(dedup)
