"""What `train`'s help calls usual is what the recipes do."""

import re

import pytest
from click.testing import CliRunner

from facepipe.cli.train_recognisers import facenet, vggface
from facepipe.training.facenet.train import SCRATCH_BATCH, FaceNetOptions
from facepipe.training.vggface.train import VggFaceOptions


@pytest.mark.parametrize("name", ["people", "faces", "others"])
def test_usual_batches(name: str) -> None:
    usual = {}
    for command in (facenet, vggface):
        said = re.sub(r"\s+", " ", CliRunner().invoke(command, ["--help"]).output)
        found = re.search(rf"--{name} [A-Z] .*?\[default: \(([^)]*)\)", said)
        assert found is not None
        usual[command.name] = found[1]
    adapting, scratch = getattr(FaceNetOptions(), name), SCRATCH_BATCH[name]
    assert usual["facenet"] == (f"{adapting}, from scratch {scratch}" if adapting != scratch else str(scratch))
    assert usual["vggface"] == str(getattr(VggFaceOptions(), name))
