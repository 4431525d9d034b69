"""`train hog` through the program, on drawn photos."""

from pathlib import Path

import pytest
from safetensors.torch import load_file

from facepipe.models.architectures import check_shapes
from tests.drawn_faces import Drawn, draw_photos
from tests.program import facepipe


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    return draw_photos(tmp_path_factory.mktemp("drawn"), 10, seed=3)


def command(drawn: Drawn, out: Path, *more: str) -> list[str]:
    return ["train", "hog", "--images", str(drawn.images), "--boxes", str(drawn.boxes), "--out", str(out), *more]


def test_a_training_leaves_weights_of_the_chosen_sizes(drawn: Drawn, tmp_path: Path) -> None:
    options = ("--json", "--effort", "0.01", "--words", "20", "--cell", "4", "--rounds", "1")
    done = facepipe(*command(drawn, tmp_path / "out", *options))
    assert done.code == 0, done.err
    figures = done.json
    assert (figures["photos"], figures["faces"]) == (10, 20)
    state = load_file(figures["weights"])
    check_shapes(state, "hog", "what was trained")
    assert state["cell"].tolist() == [4]
    assert tuple(state["tables"].shape) == (9, 9, 20)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--workers", "2"), "leave out --workers"),
        (("--learning-rate", "0.1"), "leave out --learning-rate"),
        (("--rounds", "6"), "--rounds"),
        (("--plot", "curves.png"), "leave out --plot"),
    ],
)
def test_options_without_a_meaning_are_one_sentence(
    options: tuple[str, ...], says: str, drawn: Drawn, tmp_path: Path
) -> None:
    done = facepipe(*command(drawn, tmp_path / "out", *options))
    assert done.code == 2
    assert says in done.err
