"""The command as a user gives it, on noise, for a few steps."""

from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from facepipe.models.architectures import check_shapes
from tests.program import facepipe


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    images = tmp_path / "images"
    images.mkdir()
    lines = ["image,x0,y0,x1,y1"]
    rng = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3)).astype(np.uint8)).save(images / f"{number}.png")
        lines.append(f"{number}.png,20,10,44,40")
    (tmp_path / "boxes.csv").write_text("\n".join(lines))
    return [
        *("train", "ddfd", "--engine", "local", "--json", "--effort", "0.002", "--width", "0.05"),
        *("--images", str(images), "--boxes", str(tmp_path / "boxes.csv"), "--out", str(tmp_path / "out")),
    ]


def test_it_trains_a_network_of_the_chosen_width(arguments: list[str]) -> None:
    done = facepipe(*arguments)
    assert done.code == 0, done.err
    assert (done.json["photos"], done.json["faces"]) == (3, 3)
    state = safetensors.torch.load_file(done.json["weights"])
    check_shapes(state, "ddfd", "what was trained")
    assert state["features.3.weight"].dtype == torch.float16
    assert state["features.3.weight"].shape == (10, 3, 5, 5)
