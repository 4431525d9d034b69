from facepipe.config import Config
from facepipe.pipeline import extract_stages
from facepipe.runtime.ray_data import fuse, plan_pools


def stages() -> list:  # type: ignore[type-arg]
    return extract_stages(Config(), "/library")


def test_without_a_gpu_one_pool_takes_every_core() -> None:
    fused = fuse(stages(), gpus=0)
    assert [stage.name for stage in fused[0]] == [
        "read_photos",
        "detect_faces",
        "measure_faces",
        "align_faces",
        "embed_faces",
        "write_faces",
    ]
    (pool,) = plan_pools(fused, cpus=8, gpus=0, batches=100)
    assert (pool.actors, pool.threads, pool.gpus) == (8, 1, 0)
    assert pool.actors * pool.cpus < 8, "Ray's own tasks would starve"


def test_no_more_actors_than_batches() -> None:
    assert plan_pools(fuse(stages(), gpus=0), cpus=8, gpus=0, batches=3)[0].actors == 3


def test_gpus_are_shared_and_never_overcommitted() -> None:
    groups = fuse(stages(), gpus=2)
    assert len(groups) == 2
    pools = plan_pools(groups, cpus=16, gpus=2, batches=1000)
    assert pools[0].actors + pools[1].actors <= 16
    assert sum(pool.actors * pool.gpus for pool in pools) <= 2
    assert all(pool.gpus > 0 for pool in pools)
