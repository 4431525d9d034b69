"""What Ray has to say about itself never reaches the standard output, which belongs to the command."""

import subprocess
import sys

REPORT_AN_ERROR = """
import time
from facepipe.runtime.ray_data import RayEngine

engine = RayEngine(None)
ray = engine._start()
gcs = ray._private.worker.global_worker.gcs_client
gcs.publish_error(ray.JobID.nil().hex().encode(), "task", "a node has trouble", None, 10)
time.sleep(1)
engine.close()
print("ours")
"""


def test_what_a_node_reports_is_not_printed() -> None:
    done = subprocess.run([sys.executable, "-c", REPORT_AN_ERROR], capture_output=True, text=True, check=True)
    assert done.stdout == "ours\n"
