"""Train a detector or a recogniser, on a cluster.

`ray job submit --working-dir . -- python jobs/train.py NAME --address auto …`, with the options of `facepipe train`;
`--out` is a folder that all nodes see.
"""

from facepipe.cli.main import main
from facepipe.cli.train import train

if __name__ == "__main__":
    main(train)
