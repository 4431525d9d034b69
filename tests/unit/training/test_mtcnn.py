"""MTCNN's samples: their kinds against the paper's overlaps; tuned networks keep what they said."""

import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from facepipe.imaging.boxes import iou
from facepipe.training.batches import EvenBatches, MixedBatches
from facepipe.training.labels import Labels, read_labels
from facepipe.training.loop import Batch
from facepipe.training.mtcnn.networks import NETWORKS, MtcnnTask, TuningTask
from facepipe.training.mtcnn.samples import collect
from facepipe.training.mtcnn.train import MINING, MtcnnOptions, train_mtcnn
from facepipe.training.photos import Variation
from facepipe.training.recipe import Fit
from facepipe.training.samples import SampleWriter
from facepipe.training.windows import NEGATIVE, PART, POSITIVE
from tests.drawn_faces import draw_photos


@pytest.fixture
def drawn(tmp_path: Path) -> Labels:
    photos = draw_photos(tmp_path / "photos", 6, seed=4)
    return read_labels(photos.images, photos.boxes, photos.landmarks)


def test_samples_are_of_the_papers_kinds(drawn: Labels, tmp_path: Path) -> None:
    plain = MtcnnOptions(effort=0.001, variation=Variation(0, 0, 0, 0))
    samples = collect("pnet", [drawn], tmp_path / "samples", {}, plain, Fit(), MINING)
    arrays = samples.arrays()
    kind, offsets = arrays["kind"], arrays["offsets"]
    assert {int(one) for one in kind} == {NEGATIVE, POSITIVE, PART}
    window = np.tile(np.array([0.0, 0, 1, 1]), (len(offsets), 1))
    overlap = np.array(
        [iou(own[None], (own + offset)[None])[0, 0] for own, offset in zip(window, offsets, strict=True)]
    )
    assert overlap[kind == POSITIVE].min() > 0.65
    assert 0.4 <= overlap[kind == PART].min() <= overlap[kind == PART].max() <= 0.651
    assert overlap[kind == NEGATIVE].max() < 0.3
    assert arrays["crops"].shape == (len(kind), 12, 12, 3)
    assert not np.isnan(arrays["landmarks"][kind == POSITIVE]).any()


def tuning_task(name: str, labels: Labels, folder: Path) -> TuningTask:
    """Return a network with random weights, as one that is tuned."""
    torch.manual_seed(2)
    given_weights = {
        key: value + torch.randn_like(value) * 0.05 for key, value in NETWORKS[name]().state_dict().items()
    }
    samples = collect("pnet", [labels], folder, {}, MtcnnOptions(effort=0.001), Fit(), MINING)
    arrays = samples.arrays()
    size = NETWORKS[name].window
    writer = SampleWriter(folder.with_name("resized"))
    crops = np.stack([cv2.resize(crop, (size, size)) for crop in arrays["crops"]])
    writer.append({**arrays, "crops": crops})
    batches = MixedBatches(writer.finish(), {NEGATIVE: 8, POSITIVE: 4, PART: 4})
    return TuningTask(MtcnnTask(name, batches), EvenBatches([batches, batches]), given_weights)


@torch.no_grad()
def losses_of(task: MtcnnTask | TuningTask, network: nn.Module, batch: Batch) -> dict[str, float]:
    return {name: float(value) for name, value in task.losses(network, batch).items()}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_tuned_network_starts_from_what_it_was_and_pays_for_leaving_it(
    name: str, drawn: Labels, tmp_path: Path
) -> None:
    task = tuning_task(name, drawn, tmp_path / "samples")
    network = task.network()
    assert all(torch.equal(value, task.init[key]) for key, value in network.state_dict().items())
    batch = task.batch(np.random.default_rng(0), slice(None))
    assert len(batch["known"]) == len(batch["crops"]) == 16
    before = losses_of(task, network, batch)
    assert before["kept"] == pytest.approx(0, abs=1e-6)
    plain = losses_of(task.learning, network, batch)
    assert before["loss"] == pytest.approx(plain["loss"], rel=1e-5)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
    after = losses_of(task, network, batch)
    assert after["kept"] > 0.01
    plain = losses_of(task.learning, network, batch)
    assert after["loss"] == pytest.approx(plain["loss"] + 2 * after["kept"], rel=1e-4)
    copy = pickle.loads(pickle.dumps(task))
    assert losses_of(copy, copy.network(), batch)["kept"] == pytest.approx(0, abs=1e-6)


def test_tuned_weights_are_halfway_between_given_and_learned_ones(drawn: Labels, tmp_path: Path) -> None:
    torch.manual_seed(3)
    init = {f"{name}.{key}": value for name in NETWORKS for key, value in NETWORKS[name]().state_dict().items()}
    tuned = train_mtcnn([drawn, drawn], tmp_path / "out", MtcnnOptions(effort=0.005, init=init), Fit())
    assert tuned.keys() == init.keys()
    for name in NETWORKS:
        learned = safetensors.torch.load_file(tmp_path / "out" / name / "model.safetensors")
        for key, value in learned.items():
            given_value = init[f"{name}.{key}"]
            assert torch.allclose(tuned[f"{name}.{key}"], (given_value + value) / 2, atol=1e-6)
    assert not torch.equal(tuned["pnet.conv1.weight"], init["pnet.conv1.weight"])
