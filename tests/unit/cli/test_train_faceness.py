"""The command as a user gives it, with a miniature of CelebA's attributes, for a few steps."""

from pathlib import Path

import pytest
import safetensors.torch
import torch

from facepipe.models.architectures import check_shapes
from tests.drawn_faces import draw_photos
from tests.program import facepipe
from tests.unit.training.test_celeba import line, miniature


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    drawn = draw_photos(tmp_path / "drawn", 3, 1, faces=1)
    miniature(tmp_path / "list.txt", *(line(f"00{number}.png", "Smiling") for number in range(3)))
    return [
        *("train", "faceness", "--engine", "local", "--json", "--effort", "0.001"),
        *("--images", str(drawn.images), "--boxes", str(drawn.boxes), "--landmarks", str(drawn.landmarks)),
        *("--attributes", str(tmp_path / "list.txt"), "--out", str(tmp_path / "out")),
    ]


def test_it_trains_parts_with_their_attributes(arguments: list[str], tmp_path: Path) -> None:
    done = facepipe(*arguments)
    assert done.code == 0, done.err
    assert (done.json["photos"], done.json["faces"]) == (3, 3)
    state = safetensors.torch.load_file(done.json["weights"])
    check_shapes(state, "faceness", "what was trained")
    assert state["parts.mouth.head.weight"].shape[0] == 1 + 4
    assert state["parts.mouth.head.weight"].dtype == torch.float16
    (tmp_path / "list.txt").write_text("nothing")
    refused = facepipe(*arguments[:-1], str(tmp_path / "again"))
    assert refused.code == 2
    assert "number of photos" in refused.err
