from pathlib import Path

import pytest

from facepipe.config import load_config, setting_names
from facepipe.errors import WrongUsageError


def test_defaults_file_and_overrides_in_that_order(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("[detect]\nmin_face = 40\nfactor = 0.8\n[decode]\nmax_side = 1000\n")
    config = load_config(file, ["detect.min_face=60", "detect.thresholds=0.5,0.6,0.2"])
    assert config.decode.max_side == 1000
    assert config.detect.min_face == 60
    assert config.detect.factor == 0.8
    assert config.detect.thresholds == (0.5, 0.6, 0.2)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("detect.min_face", "section.key=value"),
        ("min_face=4", "section.key=value"),
        ("detect.minface=4", "no setting 'detect.minface'"),
        ("detekt.min_face=4", "no setting 'detekt'"),
        ("detect.min_face=tall", "'detect.min_face' can't be 'tall'"),
        ("detect.thresholds=0.5,0.6", "detect.thresholds"),
        ("detect.thresholds=0.5,0.6,1.5", "detect.thresholds"),
        ("decode.max_side=0", "decode.max_side"),
    ],
)
def test_wrong_settings_are_named(override: str, says: str) -> None:
    with pytest.raises(WrongUsageError) as caught:
        load_config(None, [override])
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(WrongUsageError, match="cannot read"):
        load_config(tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("[detect\n")
    with pytest.raises(WrongUsageError, match="not valid TOML"):
        load_config(tmp_path / "broken.toml")
    (tmp_path / "flat.toml").write_text("detect = 3\n")
    with pytest.raises(WrongUsageError, match="should be a table"):
        load_config(tmp_path / "flat.toml", ["detect.factor=0.7"])


def test_fixed_keys_exist() -> None:
    assert {"decode.max_side", "detect.min_face", "detect.thresholds", "detect.factor"} <= set(setting_names())
