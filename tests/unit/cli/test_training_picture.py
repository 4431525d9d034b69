"""The curves of trainings, drawn from what trainings leave."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from facepipe.cli.training_picture import DISTANCE, JUDGED, LOSS, SHARE, draw_curves, read_progress
from facepipe.errors import FacepipeError
from tests.program import facepipe

SVG = "{http://www.w3.org/2000/svg}"
Row = Mapping[str, float | None]


def leave_progress(folder: Path, rows: Sequence[Row], ended: int) -> None:
    folder.mkdir(parents=True)
    common = {"seconds": 1.0, "samples_per_second": 9.0, "gradient": 7.0}
    pq.write_table(pa.Table.from_pylist([{**common, **row} for row in rows]), folder / "progress.parquet")
    os.utime(folder / "progress.parquet", (ended, ended))


@pytest.fixture
def training(tmp_path: Path) -> Path:
    """Two networks, the second of which ended first by name and last by time."""
    folder = tmp_path / "training"
    judged = [(2, 0.9, None), (4, 0.5, 0.7), (6, 0.2, None), (8, 0.1, 0.6)]
    first = [{"step": step, "loss": loss, "wrong": loss, "score": auc, "auc": auc} for step, loss, auc in judged]
    second = [{"step": step, "loss": 0.2, "active": 1.0, "positive": 0.1, "negative": step / 4} for step in (1, 2)]
    leave_progress(folder / "zeta", first, 1_000)
    leave_progress(folder / "beta", second, 2_000)
    return folder


def test_figures_are_put_into_panels(training: Path) -> None:
    zeta, beta = read_progress(training)
    assert (zeta.name, beta.name) == ("zeta", "beta")
    assert list(zeta.panels) == [LOSS, JUDGED, SHARE]
    assert list(beta.panels) == [LOSS, SHARE, DISTANCE]
    assert zeta.panels[JUDGED] == {"auc": ([4, 8], [0.7, 0.6])}
    assert zeta.panels[LOSS]["loss"] == ([2, 4, 6, 8], [0.9, 0.5, 0.2, 0.1])
    assert (zeta.kept, beta.kept) == (4, None)


def test_a_loss_that_is_the_whole_loss_is_one_curve(tmp_path: Path) -> None:
    rows = [{"step": step, "loss": 1 / step, "part": 1 / step, "box": 0.5} for step in (1, 2)]
    leave_progress(tmp_path / "nose", rows, 1_000)
    (nose,) = read_progress(tmp_path)
    assert list(nose.panels[LOSS]) == ["loss", "box"]


def test_the_picture_names_networks_axes_and_curves_and_repeats(training: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for name in ("one.svg", "two.svg", "curves.png"):
        draw_curves(tmp_path / name, training, "a recogniser, from 3 faces")
    drawn = (tmp_path / "one.svg").read_bytes()
    assert drawn == (tmp_path / "two.svg").read_bytes()
    text = ["".join(words.itertext()).strip() for words in ElementTree.fromstring(drawn).iter(f"{SVG}text")]
    for words in ("a recogniser, from 3 faces", LOSS, JUDGED, SHARE, DISTANCE, "step", "chance", "kept: step 4"):
        assert words in text, words
    assert {"auc", "wrong", "active", "positive", "negative"} <= set(text)
    assert (text.count("zeta"), text.count("beta")) == (3, 3)  # a title a panel
    assert {"0.1", "0.2", "0.5"} <= set(text)  # losses from 0.9 to 0.1 have a logarithmic scale
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_networks_with_losses_alone_share_rows(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for number in range(4):
        leave_progress(tmp_path / f"part{number}", [{"step": 1, "loss": 0.0}], number)
    draw_curves(tmp_path / "curves.svg", tmp_path, "parts")
    width, height = (
        float(ElementTree.parse(tmp_path / "curves.svg").getroot().attrib[side].removesuffix("pt"))
        for side in ("width", "height")
    )
    assert width == pytest.approx(3 * 4.6 * 72)
    assert height == pytest.approx((2 * 3.0 + 0.4) * 72)


def test_what_cannot_be_drawn_is_one_sentence(training: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(FacepipeError, match="can't be written"):
        draw_curves(tmp_path / "gone" / "curves.png", training, "")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FacepipeError, match=r"holds no progress\.parquet"):
        draw_curves(tmp_path / "curves.png", tmp_path / "empty", "")


@pytest.mark.parametrize(
    ("plot", "says"), [("curves.gif", ".png and .svg files, not 'curves.gif'"), ("gone/curves.png", "isn't there")]
)
def test_a_picture_that_cannot_be_drawn_is_named_before_any_work(tmp_path: Path, plot: str, says: str) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    done = facepipe("train", "vggface", "--images", tmp_path, "--out", out, "--plot", tmp_path / plot)
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert says in done.err
    assert not out.exists()
