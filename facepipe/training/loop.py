"""The loop in which a network learns, in this process or by Ray Train's workers, and goes on after a kill.

What is learned is a `Task`; how long and how fast, a `Plan`. A step's batch is drawn from the seed and the step alone,
so a training that stopped and went on sees the batches that it would have seen, and any number of workers see together
what one would see alone: each takes its share of the batch's rows, and gradients are averaged over workers.

A checkpoint is one safetensors file: tensors `model.…` and `optimizer.…`, and as metadata the progress so far, whose
last row says how many steps are done. It appears whole or not at all.
"""

import json
import math
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from facepipe.errors import FacepipeError, TrainingError
from facepipe.models.cache import publish
from facepipe.training.memory import keep_freed_memory

Batch = Mapping[str, Tensor]
State = dict[str, Tensor]
OnProgress = Callable[["Progress"], None]

CHECKPOINT = "checkpoint.safetensors"
FINISHED = "model.safetensors"
PROGRESS = "progress.parquet"
RAY_RUN = "ray"  # folder of Ray Train's checkpoints


@dataclass(frozen=True)
class Plan:
    """How long and how fast a network learns.

    Attributes:
        steps: batches.
        learning_rate: its greatest value; it grows over the first `warmup_steps`, a tenth of all steps at most, and
            falls along a cosine to 0.
        weight_decay: AdamW's, on matrices and kernels; biases and slopes have none.
        longest_gradient: longer ones are shortened to this length.
        warmup_steps: see above.
        seed: of the first weights and of all batches.
        report_steps: steps between two rows of the progress.
        checkpoint_steps: steps between two checkpoints, a multiple of `report_steps`.
    """

    steps: int
    learning_rate: float
    weight_decay: float = 1e-4
    longest_gradient: float = 10.0
    warmup_steps: int = 100
    seed: int = 0
    report_steps: int = 50
    checkpoint_steps: int = 500

    def rate_at(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0."""
        warmup = min(self.warmup_steps, self.steps // 10)
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        share = (step - warmup) / max(self.steps - warmup, 1)
        return self.learning_rate * (1 + math.cos(math.pi * share)) / 2


@runtime_checkable
class Task(Protocol):
    """What is learned: picklable, since Ray's workers get a copy."""

    def network(self) -> nn.Module:
        """Return the network as it is before the first step."""

    def batch(self, rng: np.random.Generator, share: slice) -> Batch:
        """Return some rows of the batch that `rng` draws; its state afterwards doesn't matter.

        Args:
            rng: of this step.
            share: which of the batch's rows.
        """

    def losses(self, network: nn.Module, batch: Batch) -> Mapping[str, Tensor]:
        """Return numbers of one batch, each a scalar: `loss` is what is minimised, others are only shown."""


@dataclass(frozen=True)
class Progress:
    """How far a training has come.

    Attributes:
        step: steps done.
        steps: of how many.
        seconds: spent in steps, also before an interruption.
        samples_per_second: since the last report, of all workers.
        losses: each the mean since the last report; `gradient` is its length.
    """

    step: int
    steps: int
    seconds: float
    samples_per_second: float
    losses: Mapping[str, float]

    def row(self) -> dict[str, float]:
        """Return the numbers as a row of the progress table."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "samples_per_second": self.samples_per_second,
            **self.losses,
        }


class Worker(Protocol):
    """Who carries the loop out: this process, or one of Ray Train's workers."""

    rank: int
    workers: int
    device: torch.device

    def last_checkpoint(self) -> AbstractContextManager[Path | None]:
        """Return the newest checkpoint's file while the block runs; None where there is none."""

    def wrap(self, network: nn.Module) -> nn.Module:
        """Return the network whose gradients are averaged over workers."""

    def report(self, progress: Progress, checkpoint: bytes | None) -> None:
        """Tell how far the training has come, and publish a checkpoint."""


@dataclass(frozen=True)
class RaySettings:
    """How Ray Train carries a training out, on the Ray that this process has started or joined.

    Attributes:
        workers: how many processes.
        cpus: that each gets.
        gpu: each gets a GPU.
    """

    workers: int = 1
    cpus: int = 1
    gpu: bool = False


def fit(
    task: Task, plan: Plan, folder: Path, *, ray: RaySettings | None = None, on_progress: OnProgress | None = None
) -> State:
    """Return the state dict, on the CPU, of the network that a task makes, trained to the plan's end.

    What an earlier call with the same folder had finished is not done again: it goes on after its last checkpoint.

    Args:
        task: what is learned.
        plan: how long and how fast.
        folder: for checkpoints; with Ray on several machines, one that all of them see.
        ray: None trains in this process.
        on_progress: called at each report.

    Raises:
        TrainingError: the loss is no finite number any more (the last checkpoint before stays); the folder holds a
            checkpoint of another network, or a finished one that is damaged; Ray's workers failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finished = folder / FINISHED
    if not finished.exists():
        tell = on_progress or (lambda _progress: None)
        if ray is None:
            train(task, plan, _Here(folder, tell))
            checkpoint = folder / CHECKPOINT
        else:
            checkpoint = _fit_on_ray(task, plan, folder, ray, tell)
        state, _, rows = _read(checkpoint)
        pq.write_table(pa.Table.from_pylist(rows), folder / PROGRESS)
        publish(finished, safetensors.torch.save(state))
        (folder / CHECKPOINT).unlink(missing_ok=True)
        shutil.rmtree(folder / RAY_RUN, ignore_errors=True)
    try:
        learned: State = safetensors.torch.load_file(finished)
    except (OSError, safetensors.SafetensorError) as error:
        raise TrainingError(f"{finished} is damaged: remove it, and its network is trained anew") from error
    return learned


def train(task: Task, plan: Plan, worker: Worker) -> None:
    """Carry a task out as one of the workers, from the last checkpoint to the plan's end."""
    keep_freed_memory()
    torch.manual_seed(plan.seed)
    network = task.network().to(worker.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(network, plan)
    rows: list[dict[str, float]] = []
    with worker.last_checkpoint() as checkpoint:
        if checkpoint is not None:
            rows = _restore(checkpoint, network, optimizer)
    done, seconds = (int(rows[-1]["step"]), rows[-1]["seconds"]) if rows else (0, 0.0)
    shared = worker.wrap(network)
    share = slice(worker.rank, None, worker.workers)
    sums: dict[str, float] = {}
    samples, started = 0, time.monotonic()
    network.train()
    for step in range(done, plan.steps):
        batch = task.batch(np.random.default_rng([plan.seed, step]), share)
        batch = {name: values.to(worker.device, non_blocking=True) for name, values in batch.items()}
        for group in optimizer.param_groups:
            group["lr"] = plan.rate_at(step)
        optimizer.zero_grad(set_to_none=True)
        with _mixed_precision(worker.device):
            losses = task.losses(shared, batch)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        length = nn.utils.clip_grad_norm_(network.parameters(), plan.longest_gradient)
        _check_finite(length, step)
        optimizer.step()
        for name, value in {**losses, "gradient": length}.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        samples += len(next(iter(batch.values()))) * worker.workers
        last = step + 1 == plan.steps
        if last or (step + 1) % plan.report_steps == 0:
            steps = (step + 1) - (int(rows[-1]["step"]) if rows else 0)
            took = time.monotonic() - started
            seconds += took
            means = {name: value / steps for name, value in sums.items()}
            progress = Progress(step + 1, plan.steps, seconds, samples / max(took, 1e-9), means)
            rows.append(progress.row())
            saves = last or (step + 1) % plan.checkpoint_steps == 0
            worker.report(progress, _checkpoint(network, optimizer, rows) if saves and worker.rank == 0 else None)
            sums, samples, started = {}, 0, time.monotonic()
    if done >= plan.steps and rows:  # killed between the last checkpoint and the end
        worker.report(Progress(done, plan.steps, seconds, 0.0, {}), None)


def _optimizer(network: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=plan.learning_rate)


def _mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()


def _check_finite(gradient: Tensor, step: int) -> None:
    """Raise TrainingError where a gradient, which all workers share, is not finite: then some worker's loss is not."""
    if not math.isfinite(float(gradient)):
        raise TrainingError(
            f"the loss of batch {step:,} is no finite number; the last checkpoint stays as it is: train with a smaller "
            "--learning-rate"
        )


def _checkpoint(network: nn.Module, optimizer: torch.optim.Optimizer, rows: list[dict[str, float]]) -> bytes:
    tensors = {f"model.{name}": value for name, value in network.state_dict().items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in values.items()}
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    data: bytes = safetensors.torch.save(plain, metadata={"progress": json.dumps(rows)})
    return data


def _read(checkpoint: Path) -> tuple[State, dict[int, State], list[dict[str, float]]]:
    """Return a checkpoint's network, the optimizer's numbers for each of its parameters, and the progress so far."""
    network: State = {}
    optimizer: dict[int, State] = {}
    with safetensors.safe_open(checkpoint, "pt") as file:
        for key in file.keys():  # noqa: SIM118 - it is no dictionary
            kind, _, name = key.partition(".")
            if kind == "model":
                network[name] = file.get_tensor(key)
            else:
                index, _, part = name.partition(".")
                optimizer.setdefault(int(index), {})[part] = file.get_tensor(key)
        rows: list[dict[str, float]] = json.loads(file.metadata()["progress"])
    return network, optimizer, rows


def _restore(checkpoint: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, float]]:
    """Set network and optimizer to a checkpoint's, and return the progress so far."""
    try:
        weights, numbers, rows = _read(checkpoint)
        network.load_state_dict(weights)
        optimizer.load_state_dict({**optimizer.state_dict(), "state": numbers})
    except (RuntimeError, ValueError, KeyError, TypeError, OSError, safetensors.SafetensorError) as error:
        problem = str(error).strip().splitlines()[-1].strip()
        raise TrainingError(
            f"the checkpoint in {checkpoint.parent} is none of this training ({problem}): choose another folder"
        ) from error
    return rows


class _Here:
    """This process, alone."""

    rank = 0
    workers = 1

    def __init__(self, folder: Path, tell: OnProgress) -> None:
        self._folder, self._tell = folder, tell
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def last_checkpoint(self) -> AbstractContextManager[Path | None]:
        checkpoint = self._folder / CHECKPOINT
        return nullcontext(checkpoint if checkpoint.exists() else None)

    def wrap(self, network: nn.Module) -> nn.Module:
        return network

    def report(self, progress: Progress, checkpoint: bytes | None) -> None:
        if checkpoint is not None:
            publish(self._folder / CHECKPOINT, checkpoint)
        self._tell(progress)


def _fit_on_ray(task: Task, plan: Plan, folder: Path, settings: RaySettings, tell: OnProgress) -> Path:
    import ray.train
    from ray.train.torch import TorchConfig, TorchTrainer
    from ray.util.queue import Empty, Queue

    reports = Queue()
    trainer = TorchTrainer(
        _train_on_ray,
        train_loop_config={"task": task, "plan": plan, "reports": reports, "cpus": settings.cpus},
        torch_config=TorchConfig(backend="nccl" if settings.gpu else "gloo"),
        scaling_config=ray.train.ScalingConfig(
            num_workers=settings.workers, use_gpu=settings.gpu, resources_per_worker={"CPU": settings.cpus}
        ),
        run_config=ray.train.RunConfig(
            name=RAY_RUN,
            storage_path=str(folder.absolute()),
            failure_config=ray.train.FailureConfig(max_failures=2),
            checkpoint_config=ray.train.CheckpointConfig(num_to_keep=2),
        ),
    )
    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["result"] = trainer.fit()
        except Exception as error:  # noqa: BLE001 - raised again below, in the thread that waits
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    sentence = None
    while thread.is_alive() or not reports.empty():
        with suppress(Empty):
            report = reports.get(timeout=0.5)
            if isinstance(report, Progress):
                tell(report)
            else:
                sentence = str(report)
    reports.shutdown()
    if sentence is not None:
        raise TrainingError(sentence)
    if "error" in outcome:
        raise _as_training_error(outcome["error"]) from outcome["error"]
    return Path(outcome["result"].checkpoint.path) / CHECKPOINT


def _as_training_error(error: Exception) -> TrainingError:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return TrainingError(f"training on Ray failed: {lines[-1] if lines else type(error).__name__}")


class _OnRay:
    """One of Ray Train's workers."""

    def __init__(self, reports: Any) -> None:
        import ray.train
        import ray.train.torch

        context = ray.train.get_context()
        self.rank, self.workers = context.get_world_rank(), context.get_world_size()
        self.device = ray.train.torch.get_device()
        self._reports = reports

    @contextmanager
    def last_checkpoint(self) -> Iterator[Path | None]:
        import ray.train

        checkpoint = ray.train.get_checkpoint()
        if checkpoint is None:
            yield None
            return
        with checkpoint.as_directory() as folder:
            yield Path(folder) / CHECKPOINT

    def wrap(self, network: nn.Module) -> nn.Module:
        return DistributedDataParallel(network) if self.workers > 1 else network

    def report(self, progress: Progress, checkpoint: bytes | None) -> None:
        import ray.train

        with tempfile.TemporaryDirectory() as folder:
            published = None
            if checkpoint is not None:
                (Path(folder) / CHECKPOINT).write_bytes(checkpoint)
                published = ray.train.Checkpoint.from_directory(folder)
            ray.train.report({"step": progress.step, **progress.losses}, checkpoint=published)
        if self.rank == 0:
            self._reports.put(progress)


def _train_on_ray(config: dict[str, Any]) -> None:
    """Train; an error of ours goes to whoever waits rather than to Ray, which would only try again."""
    torch.set_num_threads(config["cpus"])
    worker = _OnRay(config["reports"])
    try:
        train(config["task"], config["plan"], worker)
    except FacepipeError as error:
        if worker.rank == 0:
            config["reports"].put(str(error))
