from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facepipe.training.labels import LabelledPhoto, Labels
from facepipe.training.photos import Variation
from facepipe.training.sources import fold_of, hold_out, passes_over


@pytest.fixture
def sources(tmp_path: Path) -> list[Labels]:
    made = []
    for source, count in enumerate((2, 6)):
        photos = []
        for number in range(count):
            path = tmp_path / f"{source}-{number}.png"
            Image.new("RGB", (20 + number, 20), (source * 100,) * 3).save(path)
            one = np.array([[2, 2, 12, 14]], np.float32)
            photos.append(LabelledPhoto(path, one, np.full((1, 5, 2), np.nan, np.float32), one[:0]))
        made.append(Labels(photos, {}))
    return made


def test_small_sources_are_shown_more_often(sources: list[Labels]) -> None:
    shown = [int(one.photo.image[0, 0, 0]) for one in passes_over(sources, Variation(0, 0, 0, 0), 0, faces=12)]
    assert (shown.count(0), shown.count(100)) == (12, 12)
    shown = [int(one.photo.image[0, 0, 0]) for one in passes_over(sources, Variation(0, 0, 0, 0), 0, faces=1)]
    assert (shown.count(0), shown.count(100)) == (2, 6)  # each once at least


def test_each_pass_varies_photos_anew_and_repeatably(sources: list[Labels]) -> None:
    def sizes(seed: int) -> list[tuple[int, ...]]:
        return [one.photo.image.shape for one in passes_over(sources, Variation(turn=180), seed, faces=12)]

    assert sizes(1) == sizes(1)
    assert len(set(sizes(1))) > 10
    assert sizes(1) != sizes(2)


def test_a_photo_that_vanished_costs_no_other(sources: list[Labels]) -> None:
    sources[1].photos[3].path.unlink()
    assert len(list(passes_over(sources, Variation(), 0, faces=1))) == 7


def test_folds_depend_on_names_alone(sources: list[Labels]) -> None:
    photos = [photo for labels in sources for photo in labels.photos]
    assert {fold_of(photo) for photo in photos} == {0, 1}


def test_one_photo_in_eight_is_held_out_unless_too_few_would_be_left() -> None:
    box = np.array([[2, 2, 12, 14]], np.float32)
    points = np.full((1, 5, 2), np.nan, np.float32)
    photos = [LabelledPhoto(Path(f"{number}.png"), box, points, box[:0]) for number in range(24)]
    kept, held = hold_out([Labels(photos, {}), Labels(photos[:3], {})])
    assert ([len(source.photos) for source in kept], [len(photos) for photos in held]) == ([21, 3], [3, 0])
    assert not {photo.path for photo in kept[0].photos} & {photo.path for photo in held[0]}
    assert hold_out([Labels(photos[4:5], {})])[1] == [[]]
