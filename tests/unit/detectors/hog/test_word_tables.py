import numpy as np
import pytest

from facepipe.detectors.hog.word_tables import count_map, score_map, sum_entries, words_of_windows

SIDE, WORDS = 4, 7


@pytest.fixture
def words() -> np.ndarray:
    return np.random.default_rng(2).integers(0, WORDS, (9, 11))


@pytest.fixture
def tables() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(SIDE, SIDE, WORDS)).astype(np.float32)


def histogram(words: np.ndarray) -> np.ndarray:
    return np.bincount(words.ravel(), minlength=WORDS)


def test_scores_are_those_of_histograms_window_by_window(words: np.ndarray, tables: np.ndarray) -> None:
    scores = score_map(words, tables)
    assert scores.shape == (6, 8)
    for row, column in np.ndindex(*scores.shape):
        window = words[row : row + SIDE, column : column + SIDE]
        bins = [histogram(window[y : y + 1, x : x + 1]) @ tables[y, x] for y in range(SIDE) for x in range(SIDE)]
        assert scores[row, column] == pytest.approx(sum(bins), abs=1e-5)


def test_equal_weights_at_all_places_are_one_histogram_of_the_window(words: np.ndarray, tables: np.ndarray) -> None:
    one = tables[0, 0]
    scores = score_map(words, np.broadcast_to(one, tables.shape).copy())
    # Histograms of all windows from integral images, one for each word.
    counts = np.zeros((words.shape[0] + 1, words.shape[1] + 1, WORDS))
    counts[1:, 1:] = np.eye(WORDS)[words].cumsum(axis=0).cumsum(axis=1)
    windows = counts[SIDE:, SIDE:] - counts[:-SIDE, SIDE:] - counts[SIDE:, :-SIDE] + counts[:-SIDE, :-SIDE]
    assert np.allclose(scores, windows @ one, atol=1e-4)


def test_marked_blocks_window_by_window(words: np.ndarray) -> None:
    counts = count_map(words == 2, SIDE)
    assert counts.shape == (6, 8)
    for row, column in np.ndindex(*counts.shape):
        assert counts[row, column] == (words[row : row + SIDE, column : column + SIDE] == 2).sum()


def test_pictures_smaller_than_a_window_have_no_scores(words: np.ndarray, tables: np.ndarray) -> None:
    assert score_map(words[:3], tables).shape == (0, 8)
    assert score_map(words[:, :2], tables).shape == (6, 0)
    assert score_map(words[:0, :0], tables).shape == (0, 0)
    assert score_map(words[:SIDE, :SIDE], tables).shape == (1, 1)


def test_words_and_entries_of_windows(words: np.ndarray) -> None:
    rows, columns = np.array([0, 5, 2]), np.array([7, 0, 3])
    found = words_of_windows(words, rows, columns, SIDE)
    assert found.shape == (3, SIDE * SIDE)
    entries = np.random.default_rng(4).normal(size=(SIDE, SIDE, WORDS, 2)).astype(np.float32)
    sums = sum_entries(found, entries)
    for window, (row, column) in enumerate(zip(rows, columns, strict=True)):
        part = words[row : row + SIDE, column : column + SIDE]
        assert (found[window] == part.ravel()).all()
        slow = sum(entries[y, x, part[y, x]] for y in range(SIDE) for x in range(SIDE))
        assert np.allclose(sums[window], slow, atol=1e-5)
    assert words_of_windows(words, rows[:0], columns[:0], SIDE).shape == (0, SIDE * SIDE)
    assert sum_entries(found[:0], entries).shape == (0, 2)
