"""Triplets over two workers give each parameter the gradient that one worker with the whole batch gives it."""

from pathlib import Path

import torch
from torch import Tensor, distributed, multiprocessing, nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from facepipe.training.gathering import gather_rows
from facepipe.training.triplets import mine_semi_hard, squared_distances, triplet_losses

WORKERS = 2


def make_network() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3))


def make_batch() -> tuple[Tensor, Tensor]:
    torch.manual_seed(2)
    return torch.randn(24, 5), torch.arange(24) % 6


def loss_of(network: nn.Module, values: Tensor, people: Tensor) -> Tensor:
    embeddings, who = gather_rows(F.normalize(network(values), dim=1)), gather_rows(people)
    distances = squared_distances(embeddings)
    losses = triplet_losses(distances, mine_semi_hard(distances.detach(), who, 0.2), 0.2)
    assert len(losses) > 10
    return losses.mean()


def work(rank: int, folder: str) -> None:
    distributed.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=WORKERS)
    network = DistributedDataParallel(make_network())
    values, people = make_batch()
    loss = loss_of(network, values[rank::WORKERS], people[rank::WORKERS])
    loss.backward()  # type: ignore[no-untyped-call]
    torch.save([loss.detach(), *(parameter.grad for parameter in network.parameters())], f"{folder}/{rank}.pt")
    distributed.barrier()  # nobody leaves while somebody still reads
    distributed.destroy_process_group()


def test_two_workers_have_the_gradient_of_one_big_batch(tmp_path: Path) -> None:
    network = make_network()
    loss = loss_of(network, *make_batch())
    loss.backward()  # type: ignore[no-untyped-call]
    expected = [loss.detach(), *(torch.as_tensor(parameter.grad) for parameter in network.parameters())]
    multiprocessing.spawn(work, (str(tmp_path),), WORKERS)  # type: ignore[no-untyped-call, attr-defined]
    for rank in range(WORKERS):
        for own, one in zip(torch.load(tmp_path / f"{rank}.pt"), expected, strict=True):
            assert torch.allclose(own, one, atol=1e-6)
