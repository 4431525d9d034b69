import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from facepipe.training.batches import MixedBatches, as_input
from facepipe.training.samples import Samples, SampleWriter, with_array


def rows(first: int, count: int) -> dict[str, np.ndarray]:
    numbers = np.arange(first, first + count)
    return {"kind": (numbers % 3).astype(np.int8), "place": numbers[:, None] * np.ones(2, np.float32)}


def test_rows_come_back_as_they_were_written(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path / "samples")
    writer.append(rows(0, 5))
    assert not Samples(tmp_path / "samples").exists()  # none of them, before all of them
    writer.append(rows(5, 2))
    assert len(writer) == 7
    arrays = writer.finish().arrays()
    assert arrays["kind"].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert arrays["place"].dtype == np.float64
    assert arrays["place"][6].tolist() == [6, 6]


def test_an_interrupted_writer_leaves_nothing_behind(tmp_path: Path) -> None:
    SampleWriter(tmp_path / "samples").append(rows(0, 5))
    writer = SampleWriter(tmp_path / "samples")
    writer.append(rows(10, 1))
    assert writer.finish().arrays()["place"][:, 0].tolist() == [10]


def test_rows_of_other_kinds_are_refused(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path / "samples")
    writer.append(rows(0, 5))
    with pytest.raises(ValueError, match="don't follow"):
        writer.append({"kind": np.zeros(3, np.int16), "place": np.zeros((3, 2))})


def test_samples_share_all_arrays_but_one(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path / "all")
    writer.append({"crop": np.arange(12, dtype=np.uint8).reshape(3, 4), "person": np.array([4, 5, 6])})
    derived = with_array(writer.finish(), tmp_path / "some", "person", np.array([4, -1, 6]))
    assert derived.arrays()["person"].tolist() == [4, -1, 6]
    assert derived.arrays()["crop"].tolist() == np.arange(12).reshape(3, 4).tolist()
    assert Samples(tmp_path / "all").arrays()["person"].tolist() == [4, 5, 6]
    assert with_array(Samples(tmp_path / "all"), tmp_path / "some", "person", np.zeros(3)).arrays()["person"][0] == 4


def test_a_copy_in_another_process_finds_them_wherever_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    writer = SampleWriter(Path("samples"))
    writer.append(rows(0, 5))
    sent = pickle.dumps(writer.finish())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert len(pickle.loads(sent).arrays()["kind"]) == 5


def test_batches_hold_so_many_of_each_kind_and_shares_make_up_the_whole(tmp_path: Path) -> None:
    writer = SampleWriter(tmp_path / "samples")
    writer.append(rows(0, 30))
    batches = MixedBatches(writer.finish(), {0: 6, 2: 4, 7: 5})  # nothing is of kind 7
    whole = batches.draw(np.random.default_rng(1), slice(None))
    kinds = whole["kind"].tolist()
    assert (kinds.count(0), kinds.count(1), kinds.count(2)) == (6, 0, 4)
    assert (whole["place"][:, 0] % 3).tolist() == kinds
    parts = [batches.draw(np.random.default_rng(1), slice(rank, None, 2))["place"] for rank in range(2)]
    assert torch.equal(torch.stack(parts, dim=1).flatten(0, 1), whole["place"])


def test_crops_become_the_networks_input() -> None:
    crops = torch.tensor([0, 127, 255], dtype=torch.uint8).expand(4, 2, 2, 3)
    plain = as_input(crops)
    assert plain.shape == (4, 3, 2, 2)
    assert plain[0, :, 0, 0].tolist() == [-127.5 / 128, -0.5 / 128, 127.5 / 128]
    changed = as_input(crops, np.random.default_rng(0))
    assert float(changed.abs().max()) <= 1
    assert not torch.allclose(changed[0], changed[1])
    assert torch.equal(changed, as_input(crops, np.random.default_rng(0)))
