from pathlib import Path

import pytest

from facepipe.errors import FacepipeError, WrongUsageError
from facepipe.report.replace import MARKER, replaced_folder


def write(folder: Path, text: str = "") -> None:
    (folder / "index.html").write_text(MARKER + text)


def interrupted(folder: Path) -> None:
    write(folder, "half")
    raise KeyboardInterrupt


def full_disk() -> None:
    raise OSError(28, "No space left on device")


def test_the_new_folder_replaces_the_old_one_whole(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "report"
    with replaced_folder(target) as folder:
        write(folder, "first")
        (folder / "stale.html").touch()
        assert not target.exists()
    with replaced_folder(target) as folder:
        write(folder, "second")
        assert (target / "stale.html").exists()
    assert (target / "index.html").read_text() == MARKER + "second"
    assert [path.name for path in target.iterdir()] == ["index.html"]
    assert [path.name for path in target.parent.iterdir()] == ["report"]


def test_an_interruption_leaves_the_old_folder_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "report"
    with replaced_folder(target) as folder:
        write(folder, "old")
    with pytest.raises(KeyboardInterrupt), replaced_folder(target) as folder:
        interrupted(folder)
    assert (target / "index.html").read_text() == MARKER + "old"
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


@pytest.mark.parametrize("between_renames", [False, True])
def test_what_a_killed_process_left_is_cleared_or_brought_back(tmp_path: Path, between_renames: bool) -> None:
    target = tmp_path / "report"
    for name in (".report.old" if between_renames else "report", ".report.new"):
        (tmp_path / name).mkdir()
        write(tmp_path / name, name)
    with pytest.raises(KeyboardInterrupt), replaced_folder(target):
        raise KeyboardInterrupt
    assert (target / "index.html").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["report"]


def test_a_folder_that_is_no_report_is_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "holiday"
    target.mkdir()
    (target / "index.html").write_text("my own page")
    with pytest.raises(WrongUsageError, match="holds files that are not a report"), replaced_folder(target):
        pytest.fail("must not start")
    assert (target / "index.html").read_text() == "my own page"
    (tmp_path / "file").touch()
    with pytest.raises(WrongUsageError, match="is a file"), replaced_folder(tmp_path / "file"):
        pytest.fail("must not start")


def test_an_empty_folder_and_a_link_to_one_are_used(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "report").symlink_to(tmp_path / "elsewhere")
    with replaced_folder(tmp_path / "report") as folder:
        write(folder)
    assert (tmp_path / "report").is_symlink()
    assert (tmp_path / "elsewhere" / "index.html").exists()


def test_a_file_that_cannot_be_written_ends_in_one_sentence(tmp_path: Path) -> None:
    target = tmp_path / "report"
    with replaced_folder(target) as folder:
        write(folder)
    with pytest.raises(FacepipeError, match=r"cannot write the report .*: No space"), replaced_folder(target):
        full_disk()
    assert (target / "index.html").exists()
    (tmp_path / "file").touch()
    with pytest.raises(FacepipeError, match="cannot write the report"), replaced_folder(tmp_path / "file" / "report"):
        pytest.fail("must not start")
