"""What many tests share: labelled photos, pretrained weights, drawn photos."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facepipe.errors import FacepipeError

LONG_SECONDS = 3600


def pytest_configure() -> None:
    """Let Ctrl-C reach the programs that tests start: a shell's background job would have them ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give long tests more time than the others have, unless they say how much they need."""
    for item in items:
        if item.get_closest_marker("long") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONG_SECONDS))


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of labelled photos; a test that needs it is skipped where it is absent."""
    folder = os.environ.get("FACEPIPE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("FACEPIPE_DATA names no folder of labelled photos")
    return Path(folder)


def pulled(name: str) -> str:
    """Return the model's name once its weights lie in the cache."""
    from facepipe.models.pull import pull

    try:
        pull(name)
    except FacepipeError as error:
        pytest.skip(f"the weights of {name} can't be had: {error}")
    return name


@pytest.fixture(scope="session")
def mtcnn_weights() -> str:
    return pulled("mtcnn")


@pytest.fixture(scope="session")
def facenet_weights() -> str:
    return pulled("facenet-casia-webface")


@pytest.fixture(scope="session")
def weights(mtcnn_weights: str, facenet_weights: str) -> tuple[str, str]:
    return mtcnn_weights, facenet_weights


@pytest.fixture
def noise_photo(tmp_path: Path) -> Path:
    """A JPEG without a face."""
    path = tmp_path / "noise.jpg"
    rng = np.random.default_rng(7)
    Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8)).save(path)
    return path
