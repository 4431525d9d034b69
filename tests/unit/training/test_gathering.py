"""Triplets over two workers give each parameter the gradient that one worker with the whole batch gives it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from facepipe.training.face_crops import CropVariation
from facepipe.training.face_samples import FaceSamples
from facepipe.training.loop import Batch
from facepipe.training.people import PeopleSampler
from facepipe.training.samples import Samples
from facepipe.training.triplet_task import Kept, TripletTask
from facepipe.training.triplets import MINING

WORKERS = 2


class SmallNetwork(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, values: Tensor) -> Tensor:
        return F.normalize(self.layers(values), dim=1)


def make_task(mining: str) -> TripletTask:
    """Return what is learned from batches that are made here: it draws none from its faces."""
    person = np.arange(24) % 6
    faces = FaceSamples(Samples(Path("none")), 24, (0, 0), CropVariation())
    sampler = PeopleSampler(person, 6, 4, 0)
    return TripletTask(
        SmallNetwork, faces, person, person, sampler, mining=mining, kept=Kept(Samples(Path("none")), 3.0)
    )


def make_batch() -> Batch:
    torch.manual_seed(2)
    kept = F.normalize(torch.randn(24, 3), dim=1)
    return {"crops": torch.randn(24, 5), "people": torch.arange(24) % 6, "kept": kept}


def gradients(network: nn.Module, mining: str, batch: Batch) -> list[Tensor]:
    """Return the figures that each worker has of all faces, and the gradients."""
    network.zero_grad()
    losses = make_task(mining).losses(network, batch)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    shared = [losses[name].detach() for name in ("active", "positive", "negative")]
    return [*shared, *(torch.as_tensor(parameter.grad).clone() for parameter in network.parameters())]


def work(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=WORKERS)
    network = DistributedDataParallel(SmallNetwork())
    share = {name: values[rank::WORKERS] for name, values in make_batch().items()}
    torch.save({mining: gradients(network, mining, share) for mining in MINING}, f"{folder}/{rank}.pt")
    distributed.barrier()  # nobody leaves while somebody still reads
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def of_workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, list[Tensor]]]:
    folder = tmp_path_factory.mktemp("workers")
    multiprocessing.spawn(work, (str(folder),), WORKERS)  # type: ignore[no-untyped-call, attr-defined]
    return [torch.load(folder / f"{rank}.pt") for rank in range(WORKERS)]


@pytest.mark.parametrize("mining", MINING)
def test_two_workers_have_the_gradient_of_one_big_batch(mining: str, of_workers: list[dict[str, list[Tensor]]]) -> None:
    expected = gradients(SmallNetwork(), mining, make_batch())
    assert float(expected[0]) > 0  # some triplets have a loss
    for computed in of_workers:
        for own, one in zip(computed[mining], expected, strict=True):
            assert torch.allclose(own, one, atol=1e-6)
