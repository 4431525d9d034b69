"""Recognisers are trained as a user trains them: a folder a person, a training that goes on, a model that groups."""

import importlib.util
import shutil
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from PIL import Image

from facepipe.library.library import Library
from facepipe.models.cache import weights_path
from facepipe.models.mean import mean_embedding, mean_from_metadata
from facepipe.models.registry import MODELS
from facepipe.models.tensors import metadata_of
from tests.program import Outcome, facepipe, killed_once

SMALL_VGG = ("--configuration", "A", "--width", "0.0625", "--size", "64", "--projection", "16", "--engine", "local")


@pytest.fixture
def home(weights: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of its own, with the weights that are there already."""
    folder = tmp_path / "home" / "weights"
    folder.mkdir(parents=True)
    for name in weights:
        (folder / f"{name}.safetensors").symlink_to(weights_path(name))
    monkeypatch.setenv("FACEPIPE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def people(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve people with two photos each, one in WebP, two with one; a meadow, a file that is no photo, hidden ones."""
    folder = tmp_path_factory.mktemp("people")
    known = sorted((data / "lfw-train" / "images").iterdir())
    several = [person for person in known if len(list(person.glob("*.jpg"))) > 1][:12]
    single = [person for person in known if len(list(person.glob("*.jpg"))) == 1][:2]
    for person in [*several, *single]:
        (folder / person.name).mkdir()
        for photo in sorted(person.glob("*.jpg"))[:2]:
            shutil.copy(photo, folder / person.name)
    photo = next((folder / several[1].name).iterdir())
    with Image.open(photo) as opened:
        opened.save(photo.with_suffix(".WebP"), quality=90)
    photo.unlink()
    for hidden in (folder / several[2].name / "._photo.jpg", folder / ".thumbnails" / "photo.jpg"):
        hidden.parent.mkdir(exist_ok=True)
        hidden.write_bytes(b"no photo")
    (folder / several[0].name / "broken.jpg").write_bytes(b"no photo")
    Image.new("RGB", (250, 250), (120, 140, 90)).save(folder / several[0].name / "meadow.png")
    return folder


def test_vggface_learns_in_two_stages_and_then_groups_photos(
    people: Path, data: Path, home: Path, tmp_path: Path
) -> None:
    train = (
        "train",
        "vggface",
        "--images",
        people,
        *SMALL_VGG,
        "--effort",
        "0.01",
        "--out",
        tmp_path / "out",
        "--json",
    )
    done = facepipe(*train)
    assert done.code == 0, done.err
    assert (done.json["people"], done.json["faces"]) == (14, 26)
    assert "left out photos that can't be read: 1" in done.err
    assert "left out photos without a face: 1" in done.err
    assert "people with one face, of use as others alone: 2" in done.err
    assert done.json["people_with_one_face"] == 2
    assert "vggface, classifier: " in done.err
    assert "vggface, projection: " in done.err
    weights = Path(done.json["weights"])
    before = weights.stat().st_mtime_ns
    plot = ("--plot", tmp_path / "curves.svg") if importlib.util.find_spec("matplotlib") else ()
    assert facepipe(*train, *plot).code == 0
    assert weights.stat().st_mtime_ns == before  # what is finished is not done again
    if plot:
        drawn = (tmp_path / "curves.svg").read_text()
        for words in ("vggface, from 26 faces of 14 people", "classifier", "projection", "kept: step "):
            assert words in drawn
    state = safetensors.torch.load_file(weights)
    assert state["projection.weight"].shape == (16, 256)
    assert "fc8.weight" not in state
    rows = pq.read_table(tmp_path / "out" / "projection" / "progress.parquet").to_pylist()
    assert {"loss", "active", "positive", "negative", "gradient", "auc"} <= rows[-1].keys()
    name = "test-vggface"
    imported = facepipe("models", "import", weights, "--name", name)
    assert imported.code == 0, imported.err
    photos = tmp_path / "photos"
    photos.mkdir()
    for photo in sorted((data / "album").glob("*.jpg"))[:3]:
        shutil.copy(photo, photos)
    library = tmp_path / "library"
    chosen = ("--embedder", "vggface", "--set", f"embed.model={name}")
    ran = facepipe("run", photos, "--library", library, "--engine", "local", *chosen, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["faces"] >= 3
    assert facepipe("check", "--library", library).code == 0
    other = facepipe("search", next(photos.iterdir()), "--library", library)
    assert other.code == 2
    assert f"--embedder vggface --set embed.model={name}" in other.err


@pytest.fixture(scope="module")
def collected(people: Path, mtcnn_weights: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The people's faces, found and cut out, as a training leaves them."""
    out = tmp_path_factory.mktemp("collected")
    done = train_small(people, out, "--effort", "0.0001", "--projection", "0")
    assert done.code == 0, done.err
    return out


def take_faces(collected: Path, out: Path) -> None:
    """Let a training have the faces that another one has cut out."""
    shutil.copytree(collected / "faces", out / "faces")
    shutil.copy(collected / "people.json", out)


def train_small(people: Path, out: Path, *options: str, faces: Path | None = None) -> Outcome:
    """Train a small VGG, perhaps from faces that another training has cut out."""
    if faces is not None:
        take_faces(faces, out)
    return facepipe("train", "vggface", "--images", people, "--out", out, *SMALL_VGG, *options)


def test_a_killed_training_goes_on_and_learns_what_it_would_have_learned(
    people: Path, collected: Path, tmp_path: Path
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "killed"
    assert train_small(people, whole, "--effort", "0.05", faces=collected).code == 0
    take_faces(collected, out)
    command = ("train", "vggface", "--images", people, "--out", out, *SMALL_VGG, "--effort", "0.05")
    killed_once(command, out / "classifier", "checkpoint.safetensors")
    assert not (out / "classifier" / "model.safetensors").exists()
    killed_once(command, out / "classifier", "model.safetensors")  # between the stages
    assert not (out / "model.safetensors").exists()
    done = facepipe(*command)
    assert done.code == 0, done.err
    expected, learned = (safetensors.torch.load_file(folder / "model.safetensors") for folder in (whole, out))
    assert all(torch.allclose(learned[name], values, atol=1e-3) for name, values in expected.items())


@pytest.mark.parametrize(
    ("options", "networks", "trunk_stays"),
    [
        (("--mining", "hardest"), ["classifier", "projection"], True),
        (("--mining", "all", "--fine-tune"), ["classifier", "projection"], False),
        (("--triplets-alone",), ["triplets"], False),
        (("--projection", "0"), ["classifier"], True),
    ],
)
def test_stages_are_what_is_asked_for(
    people: Path, collected: Path, tmp_path: Path, options: tuple[str, ...], networks: list[str], trunk_stays: bool
) -> None:
    out = tmp_path / "out"
    done = train_small(people, out, "--effort", "0.005", *options, faces=collected)
    assert done.code == 0, done.err
    assert sorted(path.parent.name for path in out.glob("*/progress.parquet")) == networks
    learned = safetensors.torch.load_file(out / "model.safetensors")
    assert ("projection.weight" in learned) == (options != ("--projection", "0"))
    assert ("of no use to a classifier: 2" in done.err) == (options == ("--projection", "0"))
    if "classifier" in networks:
        first = safetensors.torch.load_file(out / "classifier" / "model.safetensors")
        trunk = first["trunk.conv1_1.weight"].half()
        assert torch.equal(learned["conv1_1.weight"], trunk) == trunk_stays


def test_a_loss_that_is_no_number_names_the_batch(people: Path, collected: Path, tmp_path: Path) -> None:
    stopped = train_small(people, tmp_path / "out", "--learning-rate", "1e30", "--effort", "0.02", faces=collected)
    assert stopped.code == 1
    assert "is no finite number; the last checkpoint stays as it is" in stopped.err.splitlines()[-1]
    assert "Traceback" not in stopped.err
    assert not list((tmp_path / "out").rglob("model.safetensors"))


def test_what_ray_has_begun_does_not_begin_anew_without_it(people: Path, collected: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "classifier" / "ray").mkdir(parents=True)
    refused = train_small(people, tmp_path / "out", "--effort", "0.01", faces=collected)
    assert refused.code == 1
    assert "was begun with --engine ray: go on with it" in refused.err


def test_an_adapted_model_groups_and_reports_as_the_built_in_one_does(
    people: Path, collected: Path, home: Path, tmp_path: Path
) -> None:
    take_faces(collected, tmp_path / "out")
    train = ("train", "facenet", "--images", people, "--engine", "local", "--people", "4", "--faces", "2")
    done = facepipe(*train, "--grey", "--shrink", "40", "--effort", "0.002", "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert facepipe("models", "import", done.json["weights"], "--name", "adapted").code == 0
    photos = tmp_path / "photos"
    for person in sorted(people.iterdir())[4:9]:
        shutil.copytree(person, photos / person.name)
    grouped = {}
    for model in ("facenet-casia-webface", "adapted"):
        library = tmp_path / model
        run = ("run", photos, "--library", library, "--set", f"embed.model={model}", "--engine", "local", "--json")
        ran = facepipe(*run)
        assert ran.code == 0, ran.err
        assert Path(ran.json["report"]).is_file()
        faces = Library.open(library).read("assignments")
        of_people = faces.filter(pc.is_valid(faces["person_id"])).group_by("person_id").aggregate([("face_id", "list")])
        grouped[model] = {frozenset(face_ids) for face_ids in of_people["face_id_list"].to_pylist()}
    given, adapted = grouped.values()
    assert len(given & adapted) >= len(given) - 1 >= 3


@pytest.mark.long
def test_facenet_is_adapted_and_brings_its_mean_along(people: Path, home: Path, tmp_path: Path) -> None:
    train = (
        "train",
        "facenet",
        "--images",
        people,
        "--engine",
        "local",
        "--people",
        "4",
        "--faces",
        "2",
        "--others",
        "2",
    )
    worn = ("--grey", "--shrink", "40", "--jpeg", "30")
    done = facepipe(*train, *worn, "--effort", "0.003", "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    assert "worn_auc" in done.err
    state = safetensors.torch.load_file(done.json["weights"])
    assert state["stem.conv_1a.weight"].shape == (32, 3, 3, 3)
    told = metadata_of(Path(done.json["weights"]).read_bytes())
    assert mean_from_metadata(told, "") == pytest.approx(mean_embedding("facenet-casia-webface"))
    imported = facepipe("models", "import", done.json["weights"], "--name", "test-adapted", "--json")
    assert imported.json["mean"]
    again = ("--init", done.json["weights"], "--effort", "0.001", "--out", tmp_path / "again", "--json")
    assert metadata_of(Path(facepipe(*train, *again).json["weights"]).read_bytes())["mean"] == told["mean"]
    scratch = facepipe(
        *train, "--init", "none", "--width", "0.125", "--effort", "0.001", "--out", tmp_path / "new", "--json"
    )
    assert scratch.code == 0, scratch.err
    assert "mean" not in metadata_of(Path(scratch.json["weights"]).read_bytes())
    assert safetensors.torch.load_file(scratch.json["weights"])["stem.conv_1a.weight"].shape == (4, 3, 3, 3)


@pytest.mark.long
def test_two_workers_learn_what_one_learns(people: Path, home: Path, tmp_path: Path) -> None:
    """Dropout is each worker's own, so the first stage is about the same; the second, which has none, is the same."""
    train = ("train", "vggface", "--images", people, *SMALL_VGG[:-2], "--effort", "0.01")
    one, two, half = Path("one"), Path("two"), Path("half")  # workers on Ray have another working directory
    done = facepipe(*train, "--engine", "local", "--out", one, cwd=tmp_path)
    assert done.code == 0, done.err
    (tmp_path / half).mkdir()
    for name in ("training.json", "people.json"):
        shutil.copy(tmp_path / one / name, tmp_path / half)
    for name in ("faces", "classifier"):
        shutil.copytree(tmp_path / one / name, tmp_path / half / name)
    for out in (half, two):
        done = facepipe(*train, "--workers", "2", "--out", out, cwd=tmp_path)
        assert done.code == 0, done.err
        rows = pq.read_table(tmp_path / out / "projection" / "progress.parquet").to_pylist()
        assert [row["step"] for row in rows] == [1, 2, 3]
    expected = safetensors.torch.load_file(tmp_path / one / "projection" / "model.safetensors")
    alike = safetensors.torch.load_file(tmp_path / half / "projection" / "model.safetensors")
    assert max(float((alike[name] - values).abs().max()) for name, values in expected.items()) < 1e-5
    learned = [safetensors.torch.load_file(tmp_path / out / "model.safetensors") for out in (one, two)]
    first, second = (torch.cat([state[name].float().flatten() for name in learned[0]]) for state in learned)
    assert float(torch.nn.functional.cosine_similarity(first, second, dim=0)) > 0.99  # of another seed: 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--margin", "0"), "'--margin': 0.0 is not in the range x>0"),
        (("--margin", "nan"), "a margin lies above 0 and below 4"),
        (("--people", "1", "--others", "0"), "a batch of one person's faces holds no triplet"),
        (("--faces", "1"), "'--faces': 1 is not in the range x>=2"),
        (("--width", "0.3"), "--width must be a multiple of 1/8"),
        (("--init", "mtcnn"), "'mtcnn' is of the architecture mtcnn, not inception_resnet_v1"),
        (("--init", "nosuch"), "there is no model 'nosuch'"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    people: Path, mtcnn_weights: str, tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    refused = facepipe("train", "facenet", "--images", people, "--engine", "local", "--out", tmp_path / "out", *options)
    assert refused.code == 2
    assert says in refused.err
    assert "Traceback" not in refused.err


def test_weights_of_another_network_are_named(people: Path, tmp_path: Path) -> None:
    init = str(MODELS["vggface"].shipped_file)
    refused = facepipe("train", "facenet", "--images", people, "--init", init, "--out", tmp_path / "out")
    assert refused.code != 0
    assert "vggface.safetensors is no inception_resnet_v1: the tensor 'stem.conv_1a.weight' is missing" in refused.err
    assert not (tmp_path / "out").exists()


def test_sizes_that_cannot_be_leave_the_folder_free(people: Path, tmp_path: Path) -> None:
    for name, size, says in (("vggface", "100", "a multiple of 32"), ("deepface", "73", "an even number of pixels")):
        refused = facepipe("train", name, "--images", people, "--size", size, "--out", tmp_path / "out")
        assert (refused.code, says in refused.err, "Traceback" in refused.err) == (2, True, False)
    assert not (tmp_path / "out").exists()


def test_too_few_people_are_named(data: Path, mtcnn_weights: str, tmp_path: Path) -> None:
    for person in sorted((data / "lfw-train" / "images").iterdir())[:2]:
        shutil.copytree(person, tmp_path / "two" / person.name)
    refused = facepipe("train", "vggface", "--images", tmp_path / "two", *SMALL_VGG, "--out", tmp_path / "out")
    assert refused.code == 1
    assert "people have more than one face: training needs at least 4 such people" in refused.err
    (tmp_path / "two" / "photo.jpg").write_bytes(b"")  # belongs to nobody
    again = facepipe("train", "vggface", "--images", tmp_path / "two", *SMALL_VGG, "--out", tmp_path / "out")
    assert again.err.splitlines()[-1] == refused.err.splitlines()[-1]
    next((tmp_path / "two").glob("*/*.jpg")).unlink()
    again = facepipe("train", "vggface", "--images", tmp_path / "two", *SMALL_VGG, "--out", tmp_path / "out")
    assert (again.code, "the labelled photos have changed" in again.err) == (2, True)
    (tmp_path / "empty").mkdir()
    refused = facepipe("train", "vggface", "--images", tmp_path / "empty", *SMALL_VGG, "--out", tmp_path / "none")
    assert "holds no photos: it should hold a folder a person" in refused.err
