"""A sound library for each test, copied rather than made anew."""

import shutil
from pathlib import Path

import pytest

from facepipe.library.library import Library
from tests.library_rows import make_sound_library


@pytest.fixture(scope="session")
def sound_library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return make_sound_library(tmp_path_factory.mktemp("sound") / "library")


@pytest.fixture
def library(sound_library: Library, tmp_path: Path) -> Library:
    return Library.open(shutil.copytree(sound_library.location, tmp_path / "library"))


@pytest.fixture
def undisturbed(sound_library: Library, tmp_path: Path) -> Library:
    """A second one, to compare with."""
    return Library.open(shutil.copytree(sound_library.location, tmp_path / "undisturbed"))
