"""CelebA's list of attributes, in miniature."""

from pathlib import Path

import pytest

from facepipe.errors import WrongUsageError
from facepipe.training.faceness.celeba import ATTRIBUTES, PART_ATTRIBUTES, read_attributes

NAMES = ("Young", *reversed(ATTRIBUTES), "Male")  # another order, and attributes of no part


def miniature(path: Path, *lines: str, count: int | None = None, names: tuple[str, ...] = NAMES) -> Path:
    path.write_text("\n".join([str(len(lines) if count is None else count), " ".join(names), *lines]) + "\n")
    return path


def line(photo: str, *has: str) -> str:
    return f"{photo}  " + " ".join("1" if name in has else "-1" for name in NAMES)


def test_attributes_come_in_the_order_of_the_parts(tmp_path: Path) -> None:
    file = miniature(tmp_path / "list.txt", line("000001.jpg", "Smiling", "Male"), line("000002.jpg", "Bald", "Goatee"))
    found = read_attributes(file)
    has = {
        photo: [name for name, value in zip(ATTRIBUTES, values, strict=True) if value == 1]
        for photo, values in found.items()
    }
    assert has == {"000001.jpg": ["Smiling"], "000002.jpg": ["Bald", "Goatee"]}
    assert all(set(values.tolist()) == {-1, 1} for values in found.values())
    assert list(PART_ATTRIBUTES) == ["hair", "eyes", "nose", "mouth", "beard"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "number of photos"),
        ("000001.jpg 1 1\n", "number of photos"),
        ("1\nMale Young\n000001.jpg 1 1\n", "'Black_Hair'"),
    ],
)
def test_what_is_no_such_list_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "list.txt"
    file.write_text(text)
    with pytest.raises(WrongUsageError, match=says):
        read_attributes(file)


def test_broken_lines_are_named(tmp_path: Path) -> None:
    good = line("1.jpg")
    for lines, count, says in (
        ([good, "2.jpg 1 -1"], 2, "line 4: 2 values for 27"),
        ([good.replace("-1", "0", 1)], 1, "line 3: '0' is neither"),
        ([good], 2, "announces 2 photos and holds 1"),
    ):
        with pytest.raises(WrongUsageError, match=says):
            read_attributes(miniature(tmp_path / "list.txt", *lines, count=count))
    with pytest.raises(WrongUsageError, match="not readable"):
        read_attributes(tmp_path / "absent.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(WrongUsageError, match="not readable"):
        read_attributes(tmp_path / "bytes.txt")
