"""One batch over all workers: each sees all rows, and gradients find their way back to the worker that made them."""

from typing import Any

import torch
from torch import Tensor, distributed


def gather_rows(rows: Tensor) -> Tensor:
    """Return all workers' rows, worker after worker; the rows themselves where there is one worker.

    Where each worker computes the same loss of what comes back, and gradients are averaged over workers, each
    parameter gets the gradient that one worker with the whole batch would compute: the rows' gradients are summed over
    workers.

    Args:
        rows: (N, …), as many on each worker.
    """
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return rows
    gathered: Tensor = _Gathered.apply(rows.contiguous())
    return gathered


class _Gathered(torch.autograd.Function):
    """All workers' rows; backward, the sum over workers of what each says of this worker's rows."""

    @staticmethod
    def forward(_context: Any, rows: Tensor) -> Tensor:
        from_workers = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
        distributed.all_gather(from_workers, rows)
        return torch.cat(from_workers)

    @staticmethod
    def backward(_context: Any, *gradients: Tensor) -> Tensor:
        summed = gradients[0].clone(memory_format=torch.contiguous_format)  # others may read the gradient, too
        distributed.all_reduce(summed)
        return summed.chunk(distributed.get_world_size())[distributed.get_rank()]
