"""MTCNN's three networks are trained one after the other, each on what those before it let through.

Source: Zhang, Zhang, Li and Qiao, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional
Networks", IEEE Signal Processing Letters 23(10), 2016, sections II.C (losses and hard samples) and III.A (samples).
Given weights are tuned: what they say of photos as they are is kept (`networks.TuningTask`), and the tuned weights are
averaged with the given ones (Wortsman et al., "Robust Fine-Tuning of Zero-Shot Models", CVPR 2022, section 3); else a
few dozen photos make a network forget what it learned from thousands.

Departs from the paper: landmarks are learned by O-Net alone, as in the networks that its authors published; every
positive and part sample whose landmarks are known teaches them, rather than photos of their own; crops are varied
(turned, made worse), and their colours changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from facepipe.models.tensors import part_of
from facepipe.training.batches import EvenBatches, MixedBatches
from facepipe.training.labels import Labels
from facepipe.training.loop import Plan, State
from facepipe.training.mtcnn.networks import NETWORKS, MtcnnTask, TuningTask
from facepipe.training.mtcnn.samples import Mining, collect
from facepipe.training.photos import Variation
from facepipe.training.recipe import DetectorOptions, Fit
from facepipe.training.sources import hash_seed
from facepipe.training.windows import NEGATIVE, PART, POSITIVE

# Negatives : positives : part faces = 3 : 1 : 1 (section III.A).
BATCH = {NEGATIVE: 144, POSITIVE: 48, PART: 48}
STEPS = {"pnet": 8000, "rnet": 4000, "onet": 2000}  # a step of O-Net takes as long as fifty of P-Net's
LEARNING_RATE = 2e-3
MINING = Mining({"pnet": 5_000, "rnet": 3_000, "onet": 2_000}, (0.6, 0.6, 0.5), 10.0)

TUNING_MINING = Mining(dict.fromkeys(NETWORKS, 3_000), (0.5, 0.2, 0.5), 18.0)
VARIED_BATCH = dict.fromkeys((NEGATIVE, POSITIVE, PART), 40)
UNVARIED_BATCH = {NEGATIVE: 60, POSITIVE: 30, PART: 30}
TUNING_STEPS = {"pnet": 1000, "rnet": 600, "onet": 600}
TUNING_RATE = 2e-4
TUNED_SHARE = 0.5  # of the tuned weights in the average
UNVARIED = Variation(worsen=0.0, grey=0.0)


@dataclass(frozen=True)
class MtcnnOptions(DetectorOptions):
    """What can be chosen.

    Attributes:
        init: weights `pnet.…`, `rnet.…`, `onet.…` to be tuned; None: they are learned from scratch.
    """

    init: State | None = field(default=None, repr=False)


def train_mtcnn(sources: Sequence[Labels], folder: Path, options: MtcnnOptions, fit: Fit) -> State:
    """Return the weights of the three networks, `pnet.…`, `rnet.…` and `onet.…`.

    Args:
        sources: labelled photos; faces whose landmarks are known teach O-Net where they lie.
        folder: for samples and checkpoints; what is there already is not done again.
        options: see there.
        fit: trains one network.
    """
    state: State = {}
    for name in NETWORKS:
        if options.init is None:
            learned = _learn(name, sources, folder / name, state, options, fit)
        else:
            learned = _tune(name, sources, folder / name, options.init, options, fit)
        state |= {f"{name}.{key}": value for key, value in learned.items()}
    return state


def _learn(name: str, sources: Sequence[Labels], place: Path, before: State, options: MtcnnOptions, fit: Fit) -> State:
    """Return a network's weights, learned from what the networks before it let through."""
    samples = collect(name, sources, place / "samples", before, options, fit, MINING)
    plan = _plan(STEPS[name], LEARNING_RATE, options)
    return fit.network(MtcnnTask(name, MixedBatches(samples, BATCH)), plan, place, name)


def _tune(name: str, sources: Sequence[Labels], place: Path, given: State, options: MtcnnOptions, fit: Fit) -> State:
    """Return a network's weights, tuned from those given on what the given networks before it let through."""

    def batches(kind: str, variation: Variation, counts: Mapping[int, int]) -> EvenBatches:
        own = replace(options, variation=variation)
        mined = (
            collect(name, [source], place / kind / str(number), given, own, fit, TUNING_MINING)
            for number, source in enumerate(sources)
        )
        return EvenBatches([MixedBatches(samples, counts) for samples in mined])

    learning = MtcnnTask(name, batches("varied", options.variation, VARIED_BATCH))
    own = part_of(given, f"{name}.")
    task = TuningTask(learning, batches("unvaried", UNVARIED, UNVARIED_BATCH), own)
    tuned = fit.network(task, _plan(TUNING_STEPS[name], TUNING_RATE, options), place, name)
    return {key: own[key].lerp(value, TUNED_SHARE) for key, value in tuned.items()}


def _plan(steps: int, rate: float, options: MtcnnOptions) -> Plan:
    return Plan(options.steps_of(steps), options.learning_rate or rate, seed=hash_seed(options.seed, 1))
