"""The benchmarks: who competes in each, on what, and the figures that come out."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from facepipe.benchmarks import ours, peers
from facepipe.benchmarks.contest import Contestant, hold_contest
from facepipe.benchmarks.work import Work, default_photos, enlarge, find_photos
from facepipe.config import Config
from facepipe.runtime.engine import EngineName
from facepipe.runtime.machine import usable_cpus

EMBED_PHOTOS, DETECT_PHOTOS, EXTRACT_PHOTOS, LARGE_PHOTOS = 256, 96, 500, 8
PEERS_THRESHOLDS = (0.6, 0.7, 0.7)  # facenet-pytorch's own


def compare_embedding(
    images: Path | None, limit: int | None, rounds: int, config: Config, beside: bool
) -> dict[str, Any]:
    """Return faces/s of the embedder, beside facenet-pytorch's InceptionResnetV1 with the same weights.

    The peer is called twice: in batches that suit it best, and face by face as in its quick start.

    Args:
        images: a folder of photos, whose central parts are embedded; None: lfw-dev of FACEPIPE_DATA.
        limit: how many, evenly spaced.
        rounds: of which the median counts.
        config: settings.
        beside: whether peers take part.

    Raises:
        WrongUsageError: the peers are not installed, or have no such network, or there are no photos.
    """
    work = _work(images, "lfw-dev", limit or EMBED_PHOTOS, config)
    rivals: list[Contestant] = []
    if beside:
        peers.require_network(config.embed)
        peers.require("facenet_pytorch")
        rivals = [peers.FacenetPytorchEmbedding(work), peers.FacenetPytorchEmbedding(work, batch=1)]
    return _figures("faces/s", work, [ours.Embedding(work), *rivals], rounds)


def compare_detection(
    images: Path | None, limit: int | None, rounds: int, config: Config, beside: bool
) -> dict[str, Any]:
    """Return photos/s of the detector, beside facenet-pytorch's MTCNN with the same weights and settings.

    Args and errors are as in `compare_embedding`; the photos are wider-dev's.
    """
    work = _work(images, "wider-dev", limit or DETECT_PHOTOS, _peers_thresholds(config))
    rivals: list[Contestant] = []
    if beside:
        peers.require("facenet_pytorch")
        rivals = [peers.FacenetPytorchDetection(work)]
    return _figures("photos/s", work, [ours.Detection(work), *rivals], rounds)


def compare_extraction(
    images: Path | None,
    limit: int | None,
    rounds: int,
    config: Config,
    beside: bool,
    engine: EngineName = "ray",
    megapixels: float | None = None,
) -> dict[str, Any]:
    """Return photos/s of `extract`, beside its own stages as bare loops and beside others' plain loops.

    Args and errors are as in `compare_embedding`.

    Args:
        images: None: lfw-dev's.
        limit: how many.
        rounds: likewise.
        config: likewise.
        beside: likewise.
        engine: what carries the stages out.
        megapixels: enlarge the photos to so many (wider-dev's, where `images` is None) and leave dlib out.
    """
    if megapixels:
        with tempfile.TemporaryDirectory(prefix="facepipe-bench-") as folder:
            work = _enlarged(images, limit, megapixels, _peers_thresholds(config), Path(folder))
            return _compare_extraction(work, rounds, beside, engine, large=True)
    work = _work(images, "lfw-dev", limit or EXTRACT_PHOTOS, _peers_thresholds(config))
    return _compare_extraction(work, rounds, beside, engine, large=False)


def compare_decoding(
    images: Path | None, limit: int | None, rounds: int, config: Config, beside: bool, megapixels: float = 24
) -> dict[str, Any]:
    """Return photos/s of decoding large JPEGs to `decode.max_side`, beside libjpeg-turbo at a reduced scale.

    Args and errors are as in `compare_extraction`; the photos are wider-dev's, enlarged.
    """
    with tempfile.TemporaryDirectory(prefix="facepipe-bench-") as folder:
        work = _enlarged(images, limit, megapixels, config, Path(folder))
        rivals: list[Contestant] = []
        if beside:
            rivals = [peers.ReducedDecoding(work, shrink=True), peers.ReducedDecoding(work, shrink=False)]
        return _figures("photos/s", work, [ours.Decoding(work), *rivals], rounds)


def _compare_extraction(work: Work, rounds: int, beside: bool, engine: EngineName, large: bool) -> dict[str, Any]:
    rivals: list[Contestant] = [ours.BareStages(work)]
    if beside:
        peers.require_network(work.config.embed)
        peers.require("facenet_pytorch", *([] if large else ["dlib", peers.DLIB_MODELS]))
        rivals += [peers.FacenetPytorchLoop(work), *([] if large else [peers.DlibLoop(work)])]
    return _figures("photos/s", work, [ours.Extraction(work, engine), *rivals], rounds)


def _work(images: Path | None, default: str, limit: int, config: Config) -> Work:
    return Work(tuple(find_photos(images or default_photos(default), limit)), config, usable_cpus())


def _enlarged(images: Path | None, limit: int | None, megapixels: float, config: Config, folder: Path) -> Work:
    small = find_photos(images or default_photos("wider-dev"), limit or LARGE_PHOTOS)
    return Work(tuple(enlarge(small, megapixels, folder)), config, usable_cpus())


def _peers_thresholds(config: Config) -> Config:
    """Return settings with the detector's thresholds as the peers have them, unless the user has set some."""
    if "thresholds" in config.detect.model_fields_set:
        return config
    return config.model_copy(update={"detect": config.detect.model_copy(update={"thresholds": PEERS_THRESHOLDS})})


def _figures(unit: str, work: Work, contestants: Sequence[Contestant], rounds: int) -> dict[str, Any]:
    """Let them compete; the first is this project."""
    results = hold_contest(contestants, rounds, work.threads)
    rates = {name: len(work.paths) / result.median for name, result in results.items()}
    first, *others = rates
    return {
        "unit": unit,
        "ours": rates[first],
        "peers": {name: rates[name] for name in others},
        "ratio": {name: rates[first] / rates[name] for name in others},
        "peak_memory_bytes": results[first].peak_memory,
        "peers_peak_memory_bytes": {name: results[name].peak_memory for name in others},
        "seconds": {name: result.seconds for name, result in results.items()},
        "items": len(work.paths),
        "rounds": rounds,
        "threads": work.threads,
        "thresholds": list(work.config.detect.thresholds),
    }
