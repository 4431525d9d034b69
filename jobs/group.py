"""Group faces into people, on a cluster.

`ray job submit --working-dir . -- python jobs/group.py --address auto …`, with the options of `facepipe group`.
"""

from facepipe.cli.main import main
from facepipe.cli.steps import group

if __name__ == "__main__":
    main(group)
