import json
import multiprocessing
from pathlib import Path

import pytest
import safetensors.torch
import torch

from facepipe.errors import WeightsError, WrongUsageError
from facepipe.models import home, load_weights
from facepipe.models.cache import (
    Record,
    file_sha256,
    find_record,
    find_status,
    known_names,
    locked,
    publish,
    publish_record,
    weights_path,
)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def store(name: str = "mine", sha256: str | None = None) -> dict[str, torch.Tensor]:
    """Put a small imported model into the cache."""
    tensors = {"a": torch.arange(6.0).reshape(2, 3)}
    with locked(name):
        publish(weights_path(name), safetensors.torch.save(tensors))
        actual = file_sha256(weights_path(name))
        publish_record(Record(name, "mtcnn", "none", "file.safetensors", "0" * 64, sha256 or actual, (0.5, -0.25)))
    return tensors


def test_home_follows_the_variable_and_else_the_platform(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home() == cache
    monkeypatch.setenv("FACEPIPE_HOME", "")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere/cache")
    assert home() == Path("/somewhere/cache/facepipe")


@pytest.mark.parametrize("name", ["", "../escape", "a/b", "Upper", ".hidden", "a.b", "a" * 101])
def test_names_that_are_no_file_names_are_refused(name: str) -> None:
    with pytest.raises(WrongUsageError, match="can't name a model"):
        weights_path(name)


def test_what_is_stored_is_loaded() -> None:
    tensors = store()
    assert torch.equal(load_weights("mine")["a"], tensors["a"])
    assert find_status("mine") == "ready"
    record = find_record("mine")
    assert record is not None
    assert record.mean == (0.5, -0.25)
    assert known_names() == [
        "facenet-casia-webface",
        "mtcnn",
        "mtcnn-scratch",
        "hog",
        "ddfd",
        "faceness",
        "vggface",
        "deepface",
        "dlib-68",
        "facenet-vggface2",
        "mine",
    ]


def test_absent_weights_say_what_to_run() -> None:
    with pytest.raises(WeightsError, match="run `facepipe models pull mtcnn`"):
        load_weights("mtcnn")
    with pytest.raises(WeightsError, match=r"run `facepipe models import 20180402-114759-vggface2\.pt"):
        load_weights("facenet-vggface2")
    with pytest.raises(WrongUsageError, match="no model 'unheard-of'"):
        load_weights("unheard-of")
    assert find_status("mtcnn") == "absent"


def test_one_changed_bit_is_noticed() -> None:
    store()
    data = bytearray(weights_path("mine").read_bytes())
    data[-1] ^= 1
    weights_path("mine").write_bytes(data)
    assert find_status("mine") == "corrupt"
    with pytest.raises(WeightsError, match=r"corrupt.*facepipe models import"):
        load_weights("mine")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"name": "mine"}', "\udcff"])
def test_an_unreadable_record_is_one_sentence(text: str) -> None:
    store()
    weights_path("mine").with_suffix(".json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(WeightsError, match="import the model 'mine' again"):
        load_weights("mine")
    assert find_status("mine") == "corrupt"


def test_a_record_can_not_replace_the_hash_of_a_pulled_model() -> None:
    store("mtcnn")
    assert find_status("mtcnn") == "corrupt"


def test_a_failed_write_leaves_nothing_behind(cache: Path) -> None:
    store()
    before = sorted(cache.rglob("*"))
    (cache / "weights" / "taken.safetensors").mkdir()  # a folder can't be replaced by a file
    with pytest.raises(WeightsError, match="can't be written"):
        publish(cache / "weights" / "taken.safetensors", b"x")
    (cache / "weights" / "taken.safetensors").rmdir()
    assert sorted(cache.rglob("*")) == before
    with pytest.raises(WeightsError, match="can't be written"):
        publish(cache / "nowhere" / "x.safetensors", b"x")


def test_a_home_that_is_a_file_is_one_sentence(cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(WeightsError, match="set FACEPIPE_HOME"), locked("mine"):
        pass


def test_what_a_killed_process_left_is_removed(cache: Path) -> None:
    (cache / "weights").mkdir(parents=True)
    left, foreign = cache / "weights" / ".mine.abc.tmp", cache / "weights" / ".mine-too.abc.tmp"
    left.touch()
    foreign.touch()
    with locked("mine"):
        assert not left.exists()
        assert foreign.exists()


def count_up(path: str, times: int) -> None:
    for _ in range(times):
        with locked("mine"):
            file = Path(path)
            file.write_text(str(int(file.read_text()) + 1))


def test_the_lock_holds_between_processes(cache: Path) -> None:
    counter = cache / "counter"
    cache.mkdir()
    counter.write_text("0")
    processes = [
        multiprocessing.get_context("fork").Process(target=count_up, args=(str(counter), 200)) for _ in range(3)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert counter.read_text() == "600"


def test_records_are_plain_json(cache: Path) -> None:
    store()
    fields = json.loads((cache / "weights" / "mine.json").read_text())
    assert fields["mean"] == [0.5, -0.25]
    assert fields["architecture"] == "mtcnn"
