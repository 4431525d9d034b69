"""The training loop: resumed trainings equal those that ran through, and so do several workers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from torch import Tensor, nn

from facepipe.errors import TrainingError
from facepipe.runtime.ray_train import training_workers
from facepipe.training.loop import Plan, Progress, RaySettings, State, fit

PLAN = Plan(steps=40, learning_rate=0.05, warmup_steps=4, seed=3, report_steps=5, checkpoint_steps=10)


class StoppedError(Exception):
    pass


@dataclass(frozen=True)
class Parity:
    """Whether two coordinates have the same sign, which no linear network can say."""

    width: int = 16
    fails_at: int = -1

    def network(self) -> nn.Module:
        return nn.Sequential(nn.Linear(2, self.width), nn.PReLU(), nn.Linear(self.width, 1))

    def batch(self, rng: np.random.Generator, share: slice) -> Mapping[str, Tensor]:
        points = rng.uniform(-1, 1, (64, 2)).astype(np.float32)[share]
        return {"points": torch.from_numpy(points), "same": torch.from_numpy((points.prod(axis=1) > 0) * 1.0)}

    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        logit = network(batch["points"])[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(logit, batch["same"].float())
        return {"loss": loss, "wrong": ((logit > 0) != (batch["same"] > 0)).float().mean()}


@dataclass(frozen=True)
class Dropping(Parity):
    def network(self) -> nn.Module:
        return nn.Sequential(nn.Linear(2, self.width), nn.PReLU(), nn.Dropout(0.2), nn.Linear(self.width, 1))


@dataclass(frozen=True)
class Diverging(Parity):
    def losses(self, network: nn.Module, batch: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        losses = super().losses(network, batch)
        weight = next(network.parameters())
        return {"loss": losses["loss"] * (torch.nan if float(weight.detach().abs().max()) > 0.9 else 1.0)}


@dataclass(frozen=True)
class Judging(Parity):
    """The best network is the one whose weights are nearest to so long."""

    best_length: float = 0.0
    patience: int = 1

    def judge(self, network: nn.Module) -> Mapping[str, float]:
        assert not network.training
        assert not torch.is_grad_enabled()
        length = length_of(network.state_dict())
        return {"score": -abs(length - self.best_length), "length": length}


@dataclass(frozen=True)
class Watching(Parity):
    def watch(self, progress: Progress) -> None:
        if progress.step >= 15:
            raise TrainingError(f"step {progress.step} is enough")


def length_of(state: Mapping[str, Tensor]) -> float:
    return float(torch.cat([values.flatten() for values in state.values()]).norm())


def largest_difference(first: State, second: State) -> float:
    return max(float((first[name] - second[name]).abs().max()) for name in first)


def test_it_learns_and_leaves_a_row_a_report(tmp_path: Path) -> None:
    seen: list[Progress] = []
    state = fit(Parity(), PLAN, tmp_path, on_progress=seen.append)
    rows = pq.read_table(tmp_path / "progress.parquet").to_pylist()
    assert [row["step"] for row in rows] == list(range(5, 41, 5)) == [progress.step for progress in seen]
    assert rows[-1]["loss"] < 0.7 * rows[0]["loss"]
    assert rows[-1]["wrong"] < 0.2  # chance: 0.5
    assert rows[-1]["seconds"] > rows[0]["seconds"] > 0
    assert set(state) == {"0.weight", "0.bias", "1.weight", "2.weight", "2.bias"}
    assert not list(tmp_path.glob("checkpoint*"))


@pytest.mark.parametrize("task", [Parity(), Dropping()])
@pytest.mark.parametrize("after", [5, 10, 25, 40])
def test_one_that_stopped_goes_on_to_the_same_end(tmp_path: Path, after: int, task: Parity) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == after:
            raise StoppedError

    whole = fit(task, PLAN, tmp_path / "whole")
    with pytest.raises(StoppedError):
        fit(task, PLAN, tmp_path / "stopped", on_progress=stop)
    seen: list[int] = []
    resumed = fit(task, PLAN, tmp_path / "stopped", on_progress=lambda progress: seen.append(progress.step))
    assert largest_difference(whole, resumed) == 0
    steps = [row["step"] for row in pq.read_table(tmp_path / "stopped" / "progress.parquet").to_pylist()]
    assert steps == list(range(5, 41, 5))
    assert seen[0] == min(after // 10 * 10 + 5, 40)


def test_the_best_network_is_what_is_learned_and_one_that_gets_no_better_ends_the_training(tmp_path: Path) -> None:
    fit(Judging(patience=100), PLAN, tmp_path / "whole")
    rows = pq.read_table(tmp_path / "whole" / "progress.parquet").to_pylist()
    lengths = [row["length"] for row in rows if row["length"] is not None]
    assert len(lengths) == 4
    task = Judging(best_length=lengths[1])
    seen: list[Progress] = []
    best = fit(task, PLAN, tmp_path / "best", on_progress=seen.append)
    assert length_of(best) == pytest.approx(lengths[1], abs=1e-5)
    assert (seen[-1].step, seen[-1].steps) == (30, 30)

    def stop(progress: Progress) -> None:
        if progress.step == 30:
            raise StoppedError

    with pytest.raises(StoppedError):
        fit(task, PLAN, tmp_path / "stopped", on_progress=stop)
    assert largest_difference(fit(task, PLAN, tmp_path / "stopped", on_progress=seen.append), best) == 0
    assert seen[-1].step == 30


def test_a_task_may_end_its_training_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="step 15 is enough"):
        fit(Watching(), PLAN, tmp_path)


def test_what_is_finished_is_not_done_again(tmp_path: Path) -> None:
    first = fit(Parity(), PLAN, tmp_path)
    seen: list[Progress] = []
    assert largest_difference(first, fit(Parity(), PLAN, tmp_path, on_progress=seen.append)) == 0
    assert not seen
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(TrainingError, match=r"model\.safetensors is damaged: remove it"):
        fit(Parity(), PLAN, tmp_path)


def test_a_loss_that_is_no_number_names_its_batch_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    plan = Plan(steps=200, learning_rate=0.05, warmup_steps=1, seed=3, report_steps=2, checkpoint_steps=2)
    with pytest.raises(TrainingError, match=r"the loss of batch \d+ is no finite number"):
        fit(Diverging(), plan, tmp_path)
    assert (tmp_path / "checkpoint.safetensors").exists()
    assert fit(Parity(), plan, tmp_path)  # it is whole


def test_another_networks_checkpoint_is_refused(tmp_path: Path) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == 20:
            raise StoppedError

    with pytest.raises(StoppedError):
        fit(Parity(), PLAN, tmp_path, on_progress=stop)
    with pytest.raises(TrainingError, match="none of this training"):
        fit(Parity(width=8), PLAN, tmp_path)
    with pytest.raises(TrainingError, match="was begun with --engine local: go on with it"):
        fit(Parity(), PLAN, tmp_path, ray=RaySettings())


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    rates = [PLAN.rate_at(step) for step in range(PLAN.steps + 1)]
    assert rates[0] == pytest.approx(0.0125)
    assert max(rates) == rates[4] == pytest.approx(0.05)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert Plan(steps=20, learning_rate=1.0).rate_at(1) == 1.0  # a tenth of the steps at most
    assert rates[-1] == pytest.approx(0, abs=1e-12)


@pytest.fixture(scope="module")
def workers() -> Iterator[Any]:
    with training_workers(None, 2) as share:
        yield share


def test_two_workers_on_ray_learn_what_one_learns(tmp_path: Path, workers: Any) -> None:
    plan = Plan(steps=40, learning_rate=0.05, warmup_steps=4, seed=3, report_steps=20, checkpoint_steps=20)
    one = fit(Parity(), plan, tmp_path / "one")
    seen: list[int] = []
    two = fit(
        Parity(),
        plan,
        tmp_path / "two",
        ray=RaySettings(*workers),
        on_progress=lambda progress: seen.append(progress.step),
    )
    assert seen == [20, 40]
    assert largest_difference(one, two) < 1e-4
    assert not (tmp_path / "two" / "ray").exists()


@pytest.mark.long  # two starts of Ray's workers
def test_on_ray_one_that_failed_goes_on_and_its_sentence_comes_back(tmp_path: Path, workers: Any) -> None:
    plan = Plan(steps=12, learning_rate=0.05, warmup_steps=1, seed=3, report_steps=4, checkpoint_steps=4)
    one = RaySettings(1, 1, gpu=False)
    with pytest.raises(TrainingError, match=r"the loss of batch \d+ is no finite number"):
        fit(Diverging(), plan, tmp_path, ray=one)
    seen: list[int] = []
    fit(Parity(), plan, tmp_path, ray=one, on_progress=lambda progress: seen.append(progress.step))
    assert seen == [8, 12]  # from the checkpoint on, not from the start
