import numpy as np
import numpy.typing as npt

from facepipe.duplicates.same_faces import match_faces


def to_the_right(box: npt.NDArray[np.float32], share: float) -> npt.NDArray[np.float32]:
    return box + np.array([share, 0, share, 0], np.float32)


def test_each_face_is_the_one_that_it_overlaps_most() -> None:
    in_copy = np.array([[0.5, 0.1, 0.7, 0.4], [0.1, 0.1, 0.3, 0.4], [0.8, 0.8, 0.9, 0.9]], np.float32)
    in_keeper = np.array([[0.11, 0.1, 0.31, 0.41], [0.5, 0.12, 0.7, 0.4]], np.float32)
    assert match_faces(in_copy, in_keeper).tolist() == [[0, 1], [1, 0]]


def test_less_than_half_in_common_is_another_face() -> None:
    face = np.array([[0, 0, 0.2, 0.2]], np.float32)
    assert match_faces(face, to_the_right(face, 0.06)).tolist() == [[0, 0]]
    assert match_faces(face, to_the_right(face, 0.08)).tolist() == []


def test_two_faces_are_never_one() -> None:
    face = np.array([[0, 0, 0.2, 0.2]], np.float32)
    assert match_faces(np.concatenate([face + 0.01, face]), face).tolist() == [[1, 0]]


def test_no_faces() -> None:
    none = np.zeros((0, 4), np.float32)
    assert match_faces(none, none).shape == (0, 2)
    assert match_faces(np.zeros((2, 4), np.float32), none).shape == (0, 2)
