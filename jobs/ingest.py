"""List photos and identify their contents, on a cluster.

`ray job submit --working-dir . -- python jobs/ingest.py --address auto …`, with the options of `facepipe ingest`.
"""

from facepipe.cli.main import main
from facepipe.cli.steps import ingest

if __name__ == "__main__":
    main(ingest)
