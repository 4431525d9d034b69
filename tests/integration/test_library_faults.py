"""Libraries that were damaged, can't be written or belong to another version: one sentence, and nothing is lost."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from facepipe.library.check import check as find_problems
from facepipe.library.data_files import DataFile
from facepipe.library.delta_tables import open_table
from facepipe.library.library import FORMAT, Library
from tests.equal_tables import assert_equal_libraries
from tests.program import Outcome, facepipe

PHOTOS = ("rose_1.jpg", "kit_1.jpg", "obama_1_small.jpg")
CHANGING = {"writer.lock", "_last_checkpoint"}


@pytest.fixture(scope="module")
def photos(data: Path, weights: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name in PHOTOS:
        shutil.copy(data / "album" / name, folder)
    return folder


@pytest.fixture(scope="module")
def sound(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    library = tmp_path_factory.mktemp("sound") / "library"
    assert run(photos, library).code == 0
    return library


@pytest.fixture
def library(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "library"))


def run(photos: Path, library: Path, *options: str, engine: str = "local") -> Outcome:
    return facepipe("run", photos, "--library", library, "--engine", engine, *options)


def check(library: Path) -> Outcome:
    return facepipe("check", "--library", library)


def assert_one_sentence(outcome: Outcome) -> None:
    """Beside lines of progress."""
    assert outcome.code == 1, outcome.err
    *progress, sentence = outcome.err.splitlines()
    assert sentence.startswith("facepipe: "), outcome.err
    assert all(re.match("(ingest|extract): .* photos", line) for line in progress), outcome.err


def files_in(library: Path) -> dict[Path, bytes]:
    """Return every file's content, but for those that any run changes."""
    found = (path for path in sorted(library.rglob("*")) if path.is_file() and path.name not in CHANGING)
    return {path.relative_to(library): path.read_bytes() for path in found}


def data_file(library: Path, table: str) -> Path:
    file: DataFile = Library.open(library).data_files(table)[0]
    return library / "tables" / table / file.path


def log_entries(library: Path, table: str) -> list[Path]:
    return sorted((library / "tables" / table / "_delta_log").glob("*.json"))


def remove_data_file(library: Path) -> None:
    data_file(library, "faces").unlink()


def cut_data_file(library: Path) -> None:
    path = data_file(library, "neighbors")
    path.write_bytes(path.read_bytes()[:-100])


def flip_bit(library: Path) -> None:
    path = data_file(library, "photos")
    content = bytearray(path.read_bytes())
    content[60] ^= 4  # in the first column's first page
    path.write_bytes(content)


def remove_log_entry(library: Path) -> None:
    log_entries(library, "photos")[1].unlink()


def garble_log_entry(library: Path) -> None:
    log_entries(library, "assignments")[-1].write_bytes(b'\0{"commitInfo": nonsense\n')


def empty_log_entry(library: Path) -> None:
    log_entries(library, "people")[-1].write_bytes(b"")


def garble_checkpoint(library: Path) -> None:
    open_table(Library.open(library).storage, "files").create_checkpoint()
    (path,) = (library / "tables" / "files" / "_delta_log").glob("*.checkpoint.parquet")
    path.write_bytes(b"x" * path.stat().st_size)


def remove_table(library: Path) -> None:
    shutil.rmtree(library / "tables" / "lineage")


def garble_record(library: Path) -> None:
    (library / "library.json").write_text('{"format": ')


def remove_record(library: Path) -> None:
    (library / "library.json").unlink()


def set_format(number: int) -> Callable[[Path], None]:
    def change(library: Path) -> None:
        record = json.loads((library / "library.json").read_text())
        (library / "library.json").write_text(json.dumps({**record, "format": number}))

    return change


DAMAGES: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "a data file is gone": (remove_data_file, ("tables/faces/", "is missing", "restore")),
    "a data file is cut short": (cut_data_file, ("tables/neighbors/", "bytes by the log", "restore")),
    "a bit of a data file is flipped": (flip_bit, ("photos", "can't be read")),
    "a log entry is gone": (remove_log_entry, ("the log of the table 'photos'", "gap", "restore")),
    "a log entry is garbled": (garble_log_entry, ("the log of the table 'assignments'", "restore")),
    "a log entry is empty": (empty_log_entry, ("tables/people/_delta_log/", "is empty")),
    "a checkpoint is garbled": (garble_checkpoint, ("the log of the table 'files'", "restore")),
    "a table's folder is gone": (remove_table, ("has lost its table 'lineage'", "restore")),
    "the record is garbled": (garble_record, ("library.json is damaged", "restore")),
    "the library is of an older format": (set_format(FORMAT - 1), (f"format {FORMAT - 1} of an older facepipe",)),
    "the library is of a newer format": (set_format(FORMAT + 1), (f"format {FORMAT + 1} of a newer facepipe",)),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_ends_a_run_in_one_sentence_is_named_and_costs_nothing_else(
    name: str, photos: Path, sound: Path, library: Path
) -> None:
    damage, words = DAMAGES[name]
    before = files_in(library)
    damage(library)
    damaged = files_in(library)

    outcome = run(photos, library)
    assert_one_sentence(outcome)
    named = check(library)
    assert named.code == 1
    assert named.err == ""
    wanted = [word for word in words if word not in {"restore", "bytes by the log"}]
    assert all(word in outcome.err for word in wanted), outcome.err
    assert any(all(word in line for word in wanted) for line in named.out.splitlines()), named.out

    after = files_in(library)
    assert {path: content for path, content in after.items() if path in damaged} == damaged, "a file was changed"
    for path, content in before.items():
        if after.get(path) != content:  # as from a backup
            (library / path).parent.mkdir(parents=True, exist_ok=True)
            (library / path).write_bytes(content)
    for path in set(damaged) - set(before):
        (library / path).unlink()
        (library / path).with_name("_last_checkpoint").unlink()
    assert find_problems(Library.open(library)) == []
    assert_equal_libraries(Library.open(sound), Library.open(library))


def test_a_lost_record_is_not_taken_for_an_empty_folder(photos: Path, sound: Path, library: Path) -> None:
    remove_record(library)
    before = files_in(library)
    outcome = run(photos, library)
    assert_one_sentence(outcome)
    assert "has lost its library.json" in outcome.err
    assert files_in(library) == before
    assert check(library).code == 2


@pytest.mark.parametrize("table", ["photos", "files"])
def test_a_log_that_lost_its_end_is_named_and_what_it_held_is_done_again(
    table: str, photos: Path, sound: Path, library: Path
) -> None:
    log_entries(library, table)[-1].unlink()
    named = check(library)
    assert named.code == 1
    assert f"the log of the table '{table}' ends with entry" in named.out
    assert run(photos, library).code == 0
    assert check(library).code == 0
    assert_equal_libraries(Library.open(sound), Library.open(library))


@contextmanager
def disk(folder: Path, size: int) -> Iterator[Callable[[str], None]]:
    """Mount a disk of some bytes on a folder, and yield what remounts it with other options."""
    folder.mkdir(exist_ok=True)
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root may mount a small disk")

    def remount(options: str) -> None:
        subprocess.run([mount, "-o", f"remount,{options}", folder], check=True)

    made = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"a small disk can't be mounted here: {made.stderr.strip()}")
    try:
        yield remount
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def used(folder: Path) -> int:
    """Return the bytes in use on the disk of a folder."""
    figures = os.statvfs(folder)
    return (figures.f_blocks - figures.f_bfree) * figures.f_frsize


@pytest.mark.parametrize(
    "share",
    [
        pytest.param(0.1, marks=pytest.mark.long),
        0.4,
        *(pytest.param(share, marks=pytest.mark.long) for share in (0.6, 0.9)),
    ],
)
def test_a_disk_that_fills_up_ends_a_run_in_one_sentence_and_the_next_goes_on(
    share: float, photos: Path, sound: Path, tmp_path: Path
) -> None:
    with disk(tmp_path / "disk", 64 << 20) as remount:
        shutil.copytree(sound, tmp_path / "disk" / "measured")
        wanted = used(tmp_path / "disk")
        shutil.rmtree(tmp_path / "disk" / "measured")
        remount(f"size={int(share * wanted)}")
        library = tmp_path / "disk" / "library"
        outcome = run(photos, library, "--set", "runtime.batch_rows=1", "--set", "runtime.commit_seconds=0")
        assert_one_sentence(outcome)
        assert "No space left on device" in outcome.err
        remount("size=64m")
        assert run(photos, library).code == 0
        assert check(library).code == 0, check(library).out
        assert_equal_libraries(Library.open(sound), Library.open(library))


@pytest.mark.long
def test_a_full_disk_in_a_worker_ends_a_run_in_one_sentence(photos: Path, sound: Path, tmp_path: Path) -> None:
    library = tmp_path / "library"
    assert facepipe("ingest", photos, "--library", library, "--engine", "local").code == 0
    faces = library / "tables" / "faces"
    shutil.copytree(faces, tmp_path / "faces")
    with disk(faces, 1 << 20) as remount:
        shutil.copytree(tmp_path / "faces", faces, dirs_exist_ok=True)
        remount(f"size={used(faces) + 2 * os.sysconf('SC_PAGE_SIZE')}")  # room for the epoch, none for a photo's faces
        outcome = run(photos, library, "--set", "runtime.batch_rows=1", engine="ray")
        assert_one_sentence(outcome)
        assert f"cannot write {faces}" in outcome.err
        assert "No space left on device" in outcome.err
        remount("size=64m")
        assert run(photos, library).code == 0
        assert check(library).code == 0
        assert_equal_libraries(Library.open(sound), Library.open(library))


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Put a folder's content where nobody can write; root can everywhere but on such a disk."""
    if os.geteuid() != 0:
        folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        for path in folders:
            path.chmod(0o555)
        try:
            yield
        finally:
            for path in folders:
                path.chmod(0o755)
        return
    kept = folder.with_name("kept")
    folder.rename(kept)
    with disk(folder, 64 << 20) as remount:
        shutil.copytree(kept, folder, dirs_exist_ok=True)
        remount("ro")
        yield


def test_a_read_only_library_can_be_checked_but_not_written(photos: Path, sound: Path, library: Path) -> None:
    before = files_in(library)
    with read_only(library):
        for command in (["run", photos], ["group"], ["report"]):
            outcome = facepipe(*command, "--library", library, "--engine", "local")
            assert_one_sentence(outcome)
            assert f"cannot write to the library {library}" in outcome.err
        assert check(library).code == 0
        assert files_in(library) == before


def test_no_library_can_be_made_where_nothing_can_be_written(photos: Path, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    with read_only(tmp_path / "closed"):
        outcome = run(photos, tmp_path / "closed" / "library")
        assert_one_sentence(outcome)
        assert "cannot create the library" in outcome.err
