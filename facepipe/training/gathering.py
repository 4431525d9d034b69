"""One batch over all workers: each sees all rows, and gradients find their way back to the worker that made them."""

import torch
from torch import Tensor, distributed
from torch.distributed.nn import functional as over_workers


def gather_rows(rows: Tensor) -> Tensor:
    """Return all workers' rows, worker after worker; the rows themselves where there is one worker.

    Where each worker computes the same loss of what comes back, and gradients are averaged over workers, each
    parameter gets the gradient that one worker with the whole batch would compute: the rows' gradients are summed over
    workers.

    Args:
        rows: (N, …), as many on each worker.
    """
    if not _several():
        return rows
    if rows.is_floating_point():
        return torch.cat(over_workers.all_gather(rows.contiguous()))  # type: ignore[no-untyped-call]
    gathered = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
    distributed.all_gather(gathered, rows.contiguous())
    return torch.cat(gathered)


def _several() -> bool:
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1
