import numpy as np
import pytest

from facepipe.detectors.hog import codebook as module
from facepipe.detectors.hog.codebook import DESCRIPTOR_LENGTH, Codebook, picture_blocks, picture_words


@pytest.fixture
def book() -> Codebook:
    rng = np.random.default_rng(5)
    return Codebook(rng.random((30, DESCRIPTOR_LENGTH)).astype(np.float32) / np.float32(5))


def noisy(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width), dtype=np.uint8)


def test_the_nearest_word_one_by_one(book: Codebook) -> None:
    blocks = picture_blocks(noisy(40, 50), 5)
    words = book.assign(blocks)
    assert words.shape == blocks.shape[:2] == (7, 9)
    for row, column in np.ndindex(*words.shape):
        distance = ((book.words - blocks[row, column]) ** 2).sum(axis=1)
        assert distance[words[row, column]] <= distance.min() + 1e-5


@pytest.mark.parametrize("size", [(61, 47), (60, 45), (64, 49)], ids=str)
def test_few_rows_at_a_time_see_what_the_whole_picture_shows(
    size: tuple[int, int], book: Codebook, monkeypatch: pytest.MonkeyPatch
) -> None:
    grey = noisy(*size)
    monkeypatch.setattr(module, "_BAND_ROWS", 3)
    monkeypatch.setattr(module, "_BLOCKS_AT_ONCE", 20)
    assert (picture_words(grey, 5, book) == book.assign(picture_blocks(grey, 5))).all()


@pytest.mark.parametrize("size", [(1, 1000), (9, 40), (40, 9), (4, 4)], ids=str)
def test_pictures_without_a_block_have_no_words(size: tuple[int, int], book: Codebook) -> None:
    words = picture_words(noisy(*size), 5, book)
    assert words.size == 0
    assert words.shape == (max(size[0] // 5 - 1, 0), max(size[1] // 5 - 1, 0))


def test_a_plain_word_is_one_without_gradients(book: Codebook) -> None:
    words = book.words / np.linalg.norm(book.words, axis=1, keepdims=True)
    assert not Codebook(words).plain.any()
    words[[3, 8]] *= [[0.0], [0.3]]
    assert np.flatnonzero(Codebook(words).plain).tolist() == [3, 8]
