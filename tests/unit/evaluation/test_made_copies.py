import io
import random

import numpy as np
import pytest
from PIL import Image

from facepipe.evaluation.copies import make_copies
from facepipe.evaluation.dedup import EvaluatedFile, evaluate_groups, false_pairs
from facepipe.imaging.decode import decode_photo
from tests.drawn_photos import draw_scene


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_copies_are_what_they_are_called(image_format: str) -> None:
    sink = io.BytesIO()
    Image.fromarray(draw_scene(1)).save(sink, image_format)
    original = decode_photo(sink.getvalue(), 4096, 10**8).pixels
    formats, sizes = set(), set()
    for seed in range(8):
        copies = list(make_copies(sink.getvalue(), random.Random(seed)))
        assert [copy.edit for copy in copies] == ["resized", "recompressed", "reformatted", "metadata", "combined"]
        for copy in copies:
            pixels = decode_photo(copy.data, 4096, 10**8).pixels
            assert (pixels.shape == original.shape and np.array_equal(pixels, original)) == copy.same_pixels
        assert copies[3].data != sink.getvalue()
        formats.add(copies[2].suffix)
        sizes.add(decode_photo(copies[0].data, 4096, 10**8).width)
    assert len(formats) >= 3
    assert len(sizes) >= 4


def test_the_same_seed_makes_the_same_copies() -> None:
    sink = io.BytesIO()
    Image.fromarray(draw_scene(2)).save(sink, "JPEG")
    first, again = (list(make_copies(sink.getvalue(), random.Random(5))) for _ in range(2))
    assert first == again


def test_pairs_are_counted_by_kind() -> None:
    files = [
        EvaluatedFile("x", "original", True, "g", True),
        EvaluatedFile("x", "metadata", True, "g", True),
        EvaluatedFile("x", "resized", False, "g", False),
        EvaluatedFile("x", "combined", False, None, False),
        EvaluatedFile("y", "original", True, "g", False),
        EvaluatedFile("z", "original", True, None, False),
    ]
    figures = {kind: (figure.pairs, figure.found, figure.false) for kind, figure in evaluate_groups(files).items()}
    assert figures == {
        "all": (6, 3, 3),
        "combined": (1, 0, 0),
        "exact": (1, 1, 0),
        "metadata": (1, 1, 1),
        "near": (5, 2, 3),
        "resized": (1, 1, 1),
    }
    assert false_pairs(files) == [(0, 4), (1, 4), (2, 4)]


def test_a_resized_copy_taken_for_an_exact_one_is_false() -> None:
    files = [EvaluatedFile("x", "original", True, "g", True), EvaluatedFile("x", "resized", False, "g", True)]
    figures = evaluate_groups(files)
    assert (figures["exact"].false, figures["near"].recall, figures["near"].precision) == (1, 1.0, 1.0)
