"""The loop in which a network learns, in this process or by Ray Train's workers, and goes on after a kill.

What is learned is a `Task`; how long and how fast, a `Plan`. A step's batch is drawn from the seed and the step alone,
so a training that stopped and went on sees the batches that it would have seen, and any number of workers see together
what one would see alone: each takes its share of the batch's rows, and gradients are averaged over workers. What
dropout leaves out depends on the worker, too.

A task may also judge the network now and then (`Judged`): then the best network is what is learned, and a training ends
early once the network gets no better.

A checkpoint is one safetensors file: tensors `model.…`, `optimizer.…` and, of a task that judges, `best.…`, and as
metadata the progress so far, whose last row says how many steps are done. It appears whole or not at all.
"""

import math
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field, replace
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
from facepipe.training.checkpoint import Rows, learned_so_far, pack, restore
from facepipe.training.memory import keep_freed_memory
from facepipe.training.sources import hash_seed

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


@runtime_checkable
class Judged(Protocol):
    """A task that judges the network before each checkpoint.

    Attributes:
        patience: checkpoints without a better score after which the training ends.
    """

    @property
    def patience(self) -> int:
        """See above."""

    def judge(self, network: nn.Module) -> Mapping[str, float]:
        """Return figures of the network, which is in evaluation mode: `score`, the larger the better, and others."""


@runtime_checkable
class Watched(Protocol):
    """A task that looks at its own progress, and may end in a sentence."""

    def watch(self, progress: "Progress") -> None:
        """Raise TrainingError where going on would be of no use; called at each report, before any checkpoint."""


@dataclass(frozen=True)
class Progress:
    """How far a training has come.

    Attributes:
        step: steps done.
        steps: of how many.
        seconds: spent in steps, also before an interruption.
        samples_per_second: since the last report, of all workers.
        losses: each the mean since the last report; `gradient` is its length.
        judged: of a task that judges, figures of the network as it is, where this report comes with a checkpoint.
    """

    step: int
    steps: int
    seconds: float
    samples_per_second: float
    losses: Mapping[str, float]
    judged: Mapping[str, float] = field(default_factory=dict)

    def row(self) -> dict[str, float]:
        """Return the numbers as a row of the progress table."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "samples_per_second": self.samples_per_second,
            **self.losses,
            **self.judged,
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

    def agree_on(self, figures: Mapping[str, float]) -> Mapping[str, float]:
        """Return the first worker's figures, which all workers go by."""

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
            checkpoint of another network, a training that was begun by the other engine, or a finished one that is
            damaged; Ray's workers failed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    finished = folder / FINISHED
    if not finished.exists():
        _check_engine(folder, on_ray=ray is not None)
        tell = on_progress or (lambda _progress: None)
        if ray is None:
            train(task, plan, _Here(folder, tell))
            checkpoint = folder / CHECKPOINT
        else:
            checkpoint = _fit_on_ray(task, plan, folder, ray, tell)
        state, rows = learned_so_far(checkpoint)
        names = list(dict.fromkeys(name for row in rows for name in row))
        pq.write_table(
            pa.Table.from_pydict({name: [row.get(name) for row in rows] for name in names}), folder / PROGRESS
        )
        publish(finished, safetensors.torch.save(state))
        (folder / CHECKPOINT).unlink(missing_ok=True)
        shutil.rmtree(folder / RAY_RUN, ignore_errors=True)
    try:
        learned: State = safetensors.torch.load_file(finished)
    except (OSError, safetensors.SafetensorError) as error:
        raise TrainingError(f"{finished} is damaged: remove it, and its network is trained anew") from error
    return learned


def _check_engine(folder: Path, *, on_ray: bool) -> None:
    """Raise TrainingError where the other engine has begun: neither knows the other's checkpoints."""
    begun = folder / (CHECKPOINT if on_ray else RAY_RUN)
    if begun.exists():
        engine = "local" if on_ray else "ray"
        raise TrainingError(
            f"the training in {folder} was begun with --engine {engine}: go on with it, or choose another folder with "
            "--out"
        )


def train(task: Task, plan: Plan, worker: Worker) -> None:
    """Carry a task out as one of the workers, from the last checkpoint to the plan's end."""
    keep_freed_memory()
    torch.manual_seed(plan.seed)
    network = task.network().to(worker.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(network, plan)
    rows: Rows = []
    best: State = {}
    with worker.last_checkpoint() as checkpoint:
        if checkpoint is not None:
            best, rows = restore(checkpoint, network, optimizer)
    done, seconds = (int(rows[-1]["step"]), rows[-1]["seconds"]) if rows else (0, 0.0)
    shared = worker.wrap(network)
    share = slice(worker.rank, None, worker.workers)
    sums: dict[str, float] = {}
    samples, started = 0, time.monotonic()
    for step in range(done, plan.steps):
        if _gets_no_better(task, rows):
            break
        network.train()
        torch.manual_seed(hash_seed(plan.seed, step, worker.rank))  # of dropout: it is the same after a kill
        batch = task.batch(np.random.default_rng([plan.seed, step]), share)
        batch = {name: values.to(worker.device, non_blocking=True) for name, values in batch.items()}
        for name, value in _take_step(task, plan, step, shared, optimizer, batch).items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        samples += len(next(iter(batch.values()))) * worker.workers
        last = step + 1 == plan.steps
        if last or (step + 1) % plan.report_steps == 0:
            steps = (step + 1) - (int(rows[-1]["step"]) if rows else 0)
            took = time.monotonic() - started
            seconds += took
            saves = last or (step + 1) % plan.checkpoint_steps == 0
            judged = worker.agree_on(_judge(task, network)) if saves else {}
            means = {name: value / steps for name, value in sums.items()}
            progress = Progress(step + 1, plan.steps, seconds, samples / max(took, 1e-9), means, judged)
            if isinstance(task, Watched):
                task.watch(progress)
            if judged and judged["score"] > max(_scores(rows), default=-math.inf):
                best = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
            rows.append(progress.row())
            if _gets_no_better(task, rows):
                progress = replace(progress, steps=progress.step)
            worker.report(progress, pack(network, optimizer, best, rows) if saves and worker.rank == 0 else None)
            sums, samples, started = {}, 0, time.monotonic()
    if rows and int(rows[-1]["step"]) == done:  # killed between the last checkpoint and the end
        worker.report(Progress(done, plan.steps, seconds, 0.0, {}), None)


def _take_step(
    task: Task, plan: Plan, step: int, network: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch
) -> dict[str, Tensor]:
    """Let a network learn from a batch, and return its losses and the gradient's length."""
    for group in optimizer.param_groups:
        group["lr"] = plan.rate_at(step)
    optimizer.zero_grad(set_to_none=True)
    with mixed_precision(next(network.parameters()).device):
        losses = task.losses(network, batch)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    length = nn.utils.clip_grad_norm_(network.parameters(), plan.longest_gradient)
    _check_finite(length, step)
    optimizer.step()
    return {**losses, "gradient": length}


def _judge(task: Task, network: nn.Module) -> Mapping[str, float]:
    """Return a task's figures of the network; none of a task that doesn't judge."""
    if not isinstance(task, Judged):
        return {}
    network.eval()
    with torch.no_grad():
        return task.judge(network)


def _scores(rows: Rows) -> list[float]:
    return [row["score"] for row in rows if "score" in row]


def _gets_no_better(task: Task, rows: Rows) -> bool:
    """Return whether the last `patience` scores all lie at or below an earlier one."""
    scores = _scores(rows)
    return isinstance(task, Judged) and len(scores) - 1 - int(np.argmax(scores or [0])) >= task.patience


def _optimizer(network: nn.Module, plan: Plan) -> torch.optim.Optimizer:
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    decayed = [parameter for parameter in parameters if parameter.ndim > 1]
    others = [parameter for parameter in parameters if parameter.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": plan.weight_decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW([group for group in groups if group["params"]], lr=plan.learning_rate)


def mixed_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Compute in bfloat16 on GPUs, where that is safe, while the block runs."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()


def _check_finite(gradient: Tensor, step: int) -> None:
    """Raise TrainingError where a gradient, which all workers share, is not finite: then some worker's loss is not."""
    if not math.isfinite(float(gradient)):
        raise TrainingError(
            f"the loss of batch {step:,} is no finite number; the last checkpoint stays as it is: train with a smaller "
            "--learning-rate into another --out"
        )


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

    def agree_on(self, figures: Mapping[str, float]) -> Mapping[str, float]:
        return figures

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

    def agree_on(self, figures: Mapping[str, float]) -> Mapping[str, float]:
        if self.workers == 1:
            return figures
        agreed = [dict(figures)]
        torch.distributed.broadcast_object_list(agreed)
        return agreed[0]

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
