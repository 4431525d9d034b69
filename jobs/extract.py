"""Find, align and embed the faces of all pending photos, on a cluster.

`ray job submit --working-dir . -- python jobs/extract.py --address auto …`, with the options of `facepipe extract`.
"""

from facepipe.cli.main import main
from facepipe.cli.steps import extract

if __name__ == "__main__":
    main(extract)
