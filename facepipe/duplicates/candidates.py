"""Pairs of photos that may be copies of one another: those whose perceptual hashes are near."""

import faiss
import numpy as np
import numpy.typing as npt

from facepipe.duplicates.hashing import BITS

Hashes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

RADIUS = 31  # bits; copies differ in a dozen at most (docs/duplicates.md), unrelated photos in about 128
MOST_CANDIDATES = 64
QUERIES_AT_ONCE = 1024
EXHAUSTIVE_COMPARISONS = 2_000_000_000  # about 4 s of one core; beyond that a hash index is faster
_TABLES, _BITS_A_TABLE = 12, 21


def candidate_pairs(hashes: Hashes, is_new: Bools, radius: int = RADIUS) -> Ints:
    """Return pairs of photos within a Hamming distance of one another, at least one of each pair being new.

    Equal hashes are searched as one, so a folder full of black photos costs no more than one of them. A photo has at
    most MOST_CANDIDATES candidates of its own, the nearest ones: memory grows with the number of photos, not with its
    square. Few photos are searched exhaustively. Many are searched through a hash index that finds every pair within
    23 bits: of two hashes that differ so little, one of 12 pieces differs in a single bit at most. Of the pairs beyond,
    up to the radius, it misses one in some thousands.

    Args:
        hashes: (N, 32) uint8, by rank: where a photo has too many candidates, its equals of lowest rank come first.
        is_new: (N,) bool, which photos haven't been searched before.
        radius: greatest distance, in bits.

    Returns:
        (P, 2) int64 rows of the hashes, the lower one first, in order, each pair once.
    """
    if not is_new.any():
        return np.zeros((0, 2), np.int64)
    distinct, of_photo = np.unique(hashes, axis=0, return_inverse=True)  # (U, 32), (N,)
    of_photo = of_photo.reshape(-1)
    by_hash = np.argsort(of_photo, kind="stable")  # photos, hash by hash
    starts = np.searchsorted(of_photo[by_hash], np.arange(len(distinct) + 1))
    index = _index(distinct, int(is_new.sum()))
    photos = np.flatnonzero(is_new)
    pairs = []
    for start in range(0, len(photos), QUERIES_AT_ONCE):
        block = photos[start : start + QUERIES_AT_ONCE]
        queries, of_query = np.unique(of_photo[block], return_inverse=True)
        limits, distances, found = index.range_search(distinct[queries], radius + 1)  # FAISS: less than
        for photo, query in zip(block.tolist(), of_query.reshape(-1).tolist(), strict=True):
            near = slice(int(limits[query]), int(limits[query + 1]))
            only = found[near.start]
            if near.stop - near.start == 1 and starts[only + 1] - starts[only] == 1:
                continue  # it has found itself
            nearest = found[near][np.lexsort((found[near], distances[near]))]
            pairs.append(_pairs_of(photo, nearest, by_hash, starts))
    return np.unique(np.concatenate([np.zeros((0, 2), np.int64), *pairs]), axis=0)


def _index(distinct: Hashes, queries: int) -> faiss.IndexBinary:
    index: faiss.IndexBinary = faiss.IndexBinaryFlat(BITS)
    if queries * len(distinct) > EXHAUSTIVE_COMPARISONS:
        index = faiss.IndexBinaryMultiHash(BITS, _TABLES, _BITS_A_TABLE)
        index.nflip = 1
    index.add(distinct)
    return index


def _pairs_of(photo: int, nearest: Ints, by_hash: Ints, starts: Ints) -> Ints:
    """Return a photo's pairs (p, 2) with the photos that have the nearest hashes, MOST_CANDIDATES at most."""
    others: list[int] = []
    for hash_id in nearest.tolist():
        same = by_hash[starts[hash_id] : starts[hash_id + 1]]
        place = int(np.searchsorted(same, photo))
        # Of very many equal hashes those around the photo's own rank: so each is still compared with its neighbours.
        around = same[max(0, place - MOST_CANDIDATES) : place + MOST_CANDIDATES + 1]
        others += [other for other in around.tolist() if other != photo]
        if len(others) >= MOST_CANDIDATES:
            break
    nearby = np.array(others[:MOST_CANDIDATES], np.int64)
    return np.stack([np.minimum(nearby, photo), np.maximum(nearby, photo)], axis=1)
