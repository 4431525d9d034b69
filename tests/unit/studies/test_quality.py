from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facepipe.config import Config
from facepipe.errors import WrongUsageError
from facepipe.runtime.local import LocalEngine
from facepipe.studies.quality import study_quality


@pytest.mark.parametrize("photos", [["a/a_1.png", "b/b_1.png"], ["a/a_1.png", "a/a_2.png", "b/b_1.png"]])
def test_too_few_people_are_one_sentence(photos: list[str], tmp_path: Path) -> None:
    for name in photos:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    with pytest.raises(WrongUsageError, match="too small: at least two people need two photos each"):
        study_quality(tmp_path, Config(), LocalEngine(), seed=0)
