"""The protocols end to end, on a part of the labelled photos in `make test`, on all of them in `make test-long`."""

import csv
import importlib.util
import warnings
from pathlib import Path

import hdbscan
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from facepipe.clustering.condensed_tree import flat_clustering
from facepipe.clustering.constraints import nothing_known
from facepipe.clustering.grouping import group_faces
from facepipe.clustering.identities import match_identities
from facepipe.clustering.knn import nearest_neighbors
from facepipe.clustering.mst import Edges, minimum_spanning_forest, mutual_reachability
from facepipe.config import Config
from facepipe.evaluation.clustering import compare_groups
from facepipe.evaluation.grouping_peers import PEERS
from facepipe.labelled_photos import LabelledFaces, labelled_faces
from facepipe.models.cohort import read_cohort
from facepipe.runtime.engine import create_engine
from tests.program import facepipe

FOLDS, PER_KIND = 2, 12


@pytest.fixture(scope="module")
def labelled(data: Path, weights: tuple[str, str]) -> Path:
    return data


def few_pairs(labelled: Path, tmp_path: Path) -> Path:
    """Write the first pairs of each kind of two folds."""
    lines = (labelled / "lfw-dev" / "pairs.txt").read_text().splitlines()[1:]
    chosen = [f"{FOLDS}\t{PER_KIND}"]
    for fold in range(FOLDS):
        for kind in range(2):
            start = fold * 600 + kind * 300
            chosen += lines[start : start + PER_KIND]
    path = tmp_path / "pairs.txt"
    path.write_text("\n".join(chosen) + "\n")
    return path


def test_verification(labelled: Path, tmp_path: Path) -> None:
    images = labelled / "lfw-dev" / "images"
    outcome = facepipe(
        "eval", "lfw", "--images", images, "--pairs", few_pairs(labelled, tmp_path), "--engine", "local", "--json"
    )
    assert outcome.code == 0, outcome.err
    figures = outcome.json
    assert set(figures) >= {"accuracy", "accuracy_se", "folds", "auc", "tar_at_far", "pairs", "undetected"}
    assert set(figures["tar_at_far"]) == {"0.01", "0.001"}
    assert (figures["pairs"], len(figures["folds"])) == (4 * PER_KIND, FOLDS)
    assert figures["metric"] == "cosine"
    assert figures["accuracy"] >= 0.9


def test_verification_by_a_learned_metric(labelled: Path, tmp_path: Path) -> None:
    images, pairs = labelled / "lfw-dev" / "images", few_pairs(labelled, tmp_path)
    arguments = ("--images", images, "--pairs", pairs, "--metric", "siamese", "--engine", "local", "--json")
    outcome = facepipe("eval", "lfw", *arguments)
    assert outcome.code == 0, outcome.err
    figures = outcome.json
    assert figures["metric"] == "siamese"
    assert (figures["pairs"], len(figures["folds"])) == (4 * PER_KIND, FOLDS)
    assert figures["accuracy"] >= 0.85  # by weights that 24 pairs teach
    assert figures["auc"] >= 0.95


def test_chi_squared_is_refused_where_features_may_be_negative(labelled: Path, tmp_path: Path) -> None:
    images, pairs = labelled / "lfw-dev" / "images", few_pairs(labelled, tmp_path)
    outcome = facepipe("eval", "lfw", "--images", images, "--pairs", pairs, "--metric", "chi2", "--engine", "local")
    assert outcome.code == 2
    assert "chi2 is for features that are never negative, such as DeepFace's" in outcome.err
    assert outcome.err.count("\n") == 1


def test_chi_squared_judges_deepface(labelled: Path, tmp_path: Path) -> None:
    images, pairs = labelled / "lfw-dev" / "images", few_pairs(labelled, tmp_path)
    metric = ("--embedder", "deepface", "--metric", "chi2")
    outcome = facepipe("eval", "lfw", "--images", images, "--pairs", pairs, *metric, "--engine", "local", "--json")
    assert outcome.code == 0, outcome.err
    figures = outcome.json
    assert figures["metric"] == "chi2"
    assert figures["auc"] >= 0.65  # chance: 0.5, with a deviation of 0.08; it has learned from these people


def test_verification_by_ten_crops_at_three_scales(labelled: Path, tmp_path: Path) -> None:
    images, pairs = labelled / "lfw-dev" / "images", few_pairs(labelled, tmp_path)
    settings = ("--embedder", "vggface", "--set", "embed.ten_crops=true")
    outcome = facepipe("eval", "lfw", "--images", images, "--pairs", pairs, *settings, "--engine", "local", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["pairs"] == 4 * PER_KIND
    assert outcome.json["auc"] >= 0.7


def test_detection(labelled: Path, tmp_path: Path) -> None:
    with (labelled / "wider-dev" / "boxes.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    chosen = sorted({row["image"] for row in rows})[::12]
    few = tmp_path / "boxes.csv"
    with few.open("w", newline="") as out:
        writer = csv.DictWriter(out, rows[0].keys())
        writer.writeheader()
        writer.writerows(row for row in rows if row["image"] in chosen)
    images = labelled / "wider-dev" / "images"
    outcome = facepipe("eval", "detection", "--images", images, "--boxes", few, "--engine", "local", "--json")
    assert outcome.code == 0, outcome.err
    figures = outcome.json
    assert set(figures) >= {"average_precision", "recall", "photos", "faces", "photos_per_second"}
    assert set(figures["average_precision"]) == {"20", "40", "60"}
    assert figures["photos"] == len(chosen)
    assert figures["average_precision"]["40"] >= 0.7


def test_in_a_cohort_each_person_counts_once(labelled: Path, tmp_path: Path) -> None:
    people = sorted((labelled / "lfw-train" / "images").iterdir(), key=lambda person: -len(list(person.iterdir())))[:16]
    made = []
    for photos in (1, 4):
        images = tmp_path / str(photos)
        for person in people:
            (images / person.name).mkdir(parents=True)
            for photo in sorted(person.iterdir())[:photos]:
                (images / person.name / photo.name).symlink_to(photo)
        file = tmp_path / f"{photos}.safetensors"
        outcome = facepipe("models", "cohort", file, "--images", images, "--size", "8", "--engine", "local", "--json")
        assert outcome.code == 0, outcome.err
        assert outcome.json["vectors"] == 8
        made.append(read_cohort(file))
    assert np.array_equal(made[0].vectors, made[1].vectors)
    assert made[0].usual == made[1].usual
    outcome = facepipe("models", "cohort", tmp_path / "no", "--images", images, "--size", "9", "--engine", "local")
    assert outcome.code == 2
    assert "16 people: a cohort of 9 takes at least 18" in outcome.err


def few_people(labelled: Path, images: Path, count: int, least: int, most: int) -> int:
    """Make a folder of some people with so many photos each, and return how many photos those are."""
    people = {folder: len(list(folder.iterdir())) for folder in sorted((labelled / "lfw-dev" / "images").iterdir())}
    chosen = [folder for folder, photos in people.items() if least <= photos <= most][:count]
    images.mkdir()
    for folder in chosen:
        (images / folder.name).symlink_to(folder)
    return sum(people[folder] for folder in chosen)


def test_clustering(labelled: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    photos = few_people(labelled, images, 15, 2, 4)
    outcome = facepipe("eval", "clustering", "--images", images, "--engine", "local", "--json")
    assert outcome.code == 0, outcome.err
    figures = outcome.json
    assert set(figures) >= {"bcubed", "pairwise", "faces", "groups", "unassigned", "largest_impure"}
    assert figures["faces"] == photos
    assert figures["bcubed"]["f"] >= 0.9
    assert figures["bcubed"]["precision"] >= 0.97


@pytest.mark.parametrize("embedder", ["vggface", "deepface"])
def test_clustering_by_recognisers_that_ship(embedder: str, labelled: Path, tmp_path: Path) -> None:
    photos = few_people(labelled, tmp_path / "images", 6, 8, 12)
    images = ("--images", tmp_path / "images", "--embedder", embedder)
    outcome = facepipe("eval", "clustering", *images, "--engine", "local", "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["faces"] == photos
    assert outcome.json["bcubed"]["f"] > 2 * 6 / (photos + 6)  # of all faces left alone: they bring few together
    assert outcome.json["bcubed"]["precision"] > 0.9


def test_clustering_beside_peers(labelled: Path, tmp_path: Path) -> None:
    people = [f for f in sorted((labelled / "lfw-dev" / "images").iterdir()) if len(list(f.iterdir())) == 2][:6]
    images, plot = tmp_path / "images", tmp_path / "plot.png"
    images.mkdir()
    for folder in people:
        (images / folder.name).symlink_to(folder)
    arguments = ["--plot", str(plot)] if importlib.util.find_spec("matplotlib") else []
    outcome = facepipe("eval", "clustering", "--images", images, "--peers", *arguments, "--engine", "local", "--json")
    assert outcome.code == 0, outcome.err
    figures = outcome.json
    assert set(figures) >= {"bcubed", "pairwise", "faces", "groups", "unassigned", "largest_impure"}
    assert set(figures["peers"]) == set(PEERS)
    for method in (figures["ours_tuned"], *figures["peers"].values()):
        assert sum(half["faces"] for half in method["halves"]) == figures["faces"] == 12
        assert 0 < method["mean"]["bcubed"]["f"] <= 1
    assert set(figures["ours_tuned"]["halves"][0]["setting"]) == {
        "link_distance",
        "average_distance",
        "crowding_weight",
    }
    if arguments:
        assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--plot", "plot.png"], "say --peers, too"),
        (["--peers", "--plot", "plot.gif"], ".png and .svg"),
        (["--peers", "--plot", "gone/plot.png"], "gone/plot.png isn't there"),
    ],
)
def test_a_picture_that_cant_be_drawn_is_named_before_any_work(arguments: list[str], says: str, tmp_path: Path) -> None:
    if "--peers" in arguments:
        pytest.importorskip("matplotlib")
    *flags, plot = arguments
    outcome = facepipe("eval", "clustering", "--images", tmp_path, *flags, tmp_path / plot)
    assert outcome.code == 2
    assert says in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_picture_without_matplotlib_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['matplotlib'] = None\n")
    arguments = ("eval", "clustering", "--images", tmp_path, "--peers", "--plot", tmp_path / "plot.png")
    outcome = facepipe(*arguments, PYTHONPATH=str(tmp_path))
    assert outcome.code == 2
    assert "--plot needs matplotlib" in outcome.err
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["lfw", "--images", "IMAGES", "--pairs", "BROKEN"], "first line"),
        (["detection", "--images", "IMAGES", "--boxes", "BROKEN"], "image, x0, y0, x1, y1"),
        (["clustering", "--images", "EMPTY"], "holds no photos"),
    ],
)
def test_unusable_labels_are_named(arguments: list[str], says: str, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("nothing of use\n")
    (tmp_path / "empty").mkdir()
    places = {"IMAGES": str(tmp_path), "BROKEN": str(tmp_path / "broken"), "EMPTY": str(tmp_path / "empty")}
    outcome = facepipe("eval", *[places.get(argument, argument) for argument in arguments], "--engine", "local")
    assert outcome.code == 2
    assert says in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_pair_without_its_photo_is_named(tmp_path: Path, weights: tuple[str, str]) -> None:
    (tmp_path / "pairs.txt").write_text("2 1\na 1 2\na 1 b 1\nc 1 2\nc 1 d 1\n")
    outcome = facepipe("eval", "lfw", "--images", tmp_path, "--pairs", tmp_path / "pairs.txt", "--engine", "local")
    assert outcome.code == 2
    assert "a_0001.jpg" in outcome.err


@pytest.mark.long
def test_the_promised_figures_on_all_labelled_photos(labelled: Path) -> None:
    lfw, wider = labelled / "lfw-dev", labelled / "wider-dev"
    verification = facepipe("eval", "lfw", "--images", lfw / "images", "--pairs", lfw / "pairs.txt", "--json").json
    assert verification["accuracy"] >= 0.987
    clustering = facepipe("eval", "clustering", "--images", lfw / "images", "--json").json
    assert clustering["bcubed"]["f"] >= 0.95
    found = facepipe("eval", "detection", "--images", wider / "images", "--boxes", wider / "boxes.csv", "--json").json
    assert found["average_precision"]["20"] >= 0.65


def library(embeddings: np.ndarray, min_samples: int) -> hdbscan.HDBSCAN:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hdbscan.HDBSCAN(
            min_cluster_size=2,
            min_samples=min_samples,
            algorithm="generic",
            approx_min_span_tree=False,
            gen_min_span_tree=True,
        ).fit(embeddings.astype(np.float64))


def agreement(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Adjusted Rand index of labels with all noise as one group, and with each face of noise as one of its own."""
    rows = np.arange(len(first))
    alone = [np.where(labels < 0, len(labels) + rows, labels) for labels in (first, second)]
    return adjusted_rand_score(first, second), adjusted_rand_score(*alone)


@pytest.fixture(scope="module")
def all_faces(labelled: Path) -> LabelledFaces:
    return labelled_faces(labelled / "lfw-dev" / "images", Config(), create_engine("ray", None))


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_a_few_more_photos_move_hardly_anybody_and_need_no_full_grouping(all_faces: LabelledFaces, seed: int) -> None:
    names, embeddings, count = all_faces.names, all_faces.embeddings, len(all_faces.names)
    crowded = Config().group.crowding_weight * all_faces.crowding
    is_new = np.zeros(count, np.bool_)
    is_new[np.random.default_rng(seed).choice(count, count // 100, replace=False)] = True
    old = np.flatnonzero(~is_new)
    before = group_faces(embeddings[old], old, None, all_faces.votes[old], crowded[old]).labels
    full = group_faces(embeddings, np.arange(count), None, all_faces.votes, crowded).labels

    face_ids = [f"{row:05}" for row in range(count)]
    born = match_identities({}, [face_ids[row] for row in old], before)
    past = {face_ids[row]: born[label] for row, label in zip(old, before, strict=True) if label >= 0}
    people = match_identities(past, face_ids, full)
    now = [people[full[row]] if full[row] >= 0 else None for row in old]
    churn = np.mean([past.get(face_ids[row]) != person for row, person in zip(old, now, strict=True)])

    known = nothing_known(count)
    known.owners[old] = before
    grown = group_faces(embeddings, np.arange(count), None, all_faces.votes, crowded, known, is_new=is_new).labels
    f_full, f_grown = (compare_groups(names, labels).bcubed.f for labels in (full, grown))
    print(f"seed {seed}: churn {churn:.4f}, BCubed F {f_full:.4f}, incremental {f_grown:.4f}")
    assert churn < 0.01
    assert f_grown >= f_full - 0.01
    assert len({(b, g) for b, g in zip(before, grown[old], strict=True) if b >= 0}) == len(set(before[before >= 0]))


@pytest.mark.long
def test_density_alone_groups_all_labelled_photos_as_hdbscan_does(all_faces: LabelledFaces) -> None:
    embeddings, count = all_faces.embeddings, len(all_faces.names)
    neighbors = nearest_neighbors(embeddings, count - 1)

    theirs = library(embeddings, min_samples=1)
    ours = flat_clustering(minimum_spanning_forest(mutual_reachability(neighbors), count), count)
    print("min_samples 1:", agreement(ours.labels, theirs.labels_))
    assert min(agreement(ours.labels, theirs.labels_)) >= 0.999
    assert np.allclose(ours.probabilities, theirs.probabilities_, atol=1e-3)
    assert np.allclose(ours.outlier_scores, theirs.outlier_scores_, atol=1e-3)

    # With more samples many edges are equally long, and clusters can be compared on one forest alone.
    theirs = library(embeddings, min_samples=5)
    forest = minimum_spanning_forest(mutual_reachability(neighbors, min_samples=5), count)
    print("min_samples 5:", agreement(flat_clustering(forest, count).labels, theirs.labels_))
    tree = theirs.minimum_spanning_tree_.to_numpy()
    tree = tree[np.argsort(tree[:, 2])]  # as the library does, so that equally long edges come in the same order
    assert np.allclose(forest.distance, tree[:, 2], atol=1e-5)
    left, right = tree[:, :2].astype(np.int64).T
    on_theirs = flat_clustering(Edges(left, right, tree[:, 2]), count)
    assert on_theirs.labels.tolist() == theirs.labels_.tolist()
