import numpy as np
import numpy.typing as npt
import pytest

from facepipe.duplicates import candidates
from facepipe.duplicates.candidates import MOST_CANDIDATES, candidate_pairs

Hashes = npt.NDArray[np.uint8]
SEED = 20


def flipped(row: Hashes, bits: int, rng: np.random.Generator) -> Hashes:
    unpacked = np.unpackbits(row)
    unpacked[rng.choice(256, bits, replace=False)] ^= 1
    return np.packbits(unpacked)


def some_hashes(count: int, rng: np.random.Generator) -> Hashes:
    """Random hashes, a third of them some bits from another one, a few of them equal to another one."""
    hashes = rng.integers(0, 256, (count, 32), dtype=np.uint8)
    for row in range(0, count - 1, 3):
        hashes[row + 1] = flipped(hashes[row], int(rng.integers(0, 60)), rng)
    hashes[5] = hashes[70]
    return hashes


def all_pairs(hashes: Hashes, is_new: npt.NDArray[np.bool_], radius: int) -> list[tuple[int, int]]:
    """Every pair looked at, one after the other."""
    found = []
    for second in range(len(hashes)):
        for first in range(second):
            bits = int(np.unpackbits(hashes[first] ^ hashes[second]).sum())
            if bits <= radius and (is_new[first] or is_new[second]):
                found.append((first, second))
    return sorted(found)


def as_list(pairs: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    return [(first, second) for first, second in pairs.tolist()]


@pytest.mark.parametrize("radius", [0, 10, 31])
@pytest.mark.parametrize("share", [1.0, 0.2])
def test_the_pairs_are_those_of_a_slow_search(radius: int, share: float) -> None:
    print("seed", SEED)
    rng = np.random.default_rng(SEED)
    hashes = some_hashes(150, rng)
    is_new = rng.random(150) < share
    assert as_list(candidate_pairs(hashes, is_new, radius)) == all_pairs(hashes, is_new, radius)


def test_the_hash_index_finds_every_pair_up_to_23_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(candidates, "EXHAUSTIVE_COMPARISONS", 0)
    rng = np.random.default_rng(SEED)
    hashes = some_hashes(400, rng)
    found = set(as_list(candidate_pairs(hashes, np.ones(400, bool), 31)))
    exact = set(all_pairs(hashes, np.ones(400, bool), 31))
    assert found <= exact
    assert set(all_pairs(hashes, np.ones(400, bool), 23)) <= found


def test_nothing_new_is_nothing_to_search() -> None:
    assert candidate_pairs(np.zeros((5, 32), np.uint8), np.zeros(5, bool)).shape == (0, 2)
    assert candidate_pairs(np.zeros((0, 32), np.uint8), np.zeros(0, bool)).shape == (0, 2)


def test_very_many_equal_hashes_do_not_make_a_pair_each() -> None:
    count = 3000
    pairs = candidate_pairs(np.zeros((count, 32), np.uint8), np.ones(count, bool))
    assert count - 1 <= len(pairs) <= count * MOST_CANDIDATES
    assert {(row, row + 1) for row in range(count - 1)} <= set(as_list(pairs))
