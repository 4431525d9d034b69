"""`extract --redo` on a library whose faces are made up: what is carried over, whatever it is killed at."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from facepipe import pipeline
from facepipe.config import Config
from facepipe.errors import FacepipeError, MaxFailed, WrongUsageError
from facepipe.library.check import check
from facepipe.library.commits import Change, Committer
from facepipe.library.decisions import new_decision
from facepipe.library.library import Library
from facepipe.library.run_record import RunRecord
from facepipe.pipeline import Choice, Job
from facepipe.redo import redo
from tests.library_rows import error_rows, file_rows, photo_id_of, uri_of
from tests.made_extraction import MadeEngine, MadeFace

PHOTOS = "abcdef"
ANN, BOB, CID = (MadeFace("ann", 10, 50), MadeFace("bob", 100, 60), MadeFace("cid", 10, 10))
OLD = {photo_id_of(name): [ANN, BOB] for name in "abc"} | {photo_id_of(name): [CID] for name in "de"}
OLD |= {photo_id_of("f"): []}
# A stranger above the others, so that all numbers of the photo shift; everybody moved a little; a face no more found.
NEW = OLD | {photo_id_of("a"): [MadeFace("dan", 200, 5), ANN._replace(x0=14), BOB._replace(y0=66)]}
NEW |= {photo_id_of("d"): [], photo_id_of("f"): [MadeFace("eve", 0, 0)]}


def face(name: str, ordinal: int) -> str:
    return f"{photo_id_of(name)}-{ordinal:04d}"


def config(model: str = "made", **detect: float) -> Config:
    runtime = {"batch_rows": 2, "commit_seconds": 0}
    return Config.model_validate({"runtime": runtime, "embed": {"model": model}, "detect": detect})


def carry_out(
    library: Library, step: Callable[[Job], None], engine: MadeEngine, settings: Config, choice: Choice | None = None
) -> RunRecord:
    with pipeline.open_job(library, engine, settings, step.__name__, choice or Choice()) as job:
        step(job)
    return job.record


def old_engine() -> MadeEngine:
    return MadeEngine(OLD)


def new_engine() -> MadeEngine:
    return MadeEngine(NEW, axis=5)


def owners(library: Library) -> dict[str, str | None]:
    rows = library.read("assignments")
    return dict(zip(rows["face_id"].to_pylist(), rows["person_id"].to_pylist(), strict=True))


def decide(library: Library, *said: Any, **about: Any) -> None:
    decision = new_decision(*said, **about)
    carry_out(library, lambda job: pipeline.decide(job, decision), old_engine(), config())


@pytest.fixture(scope="module")
def grouped_once(tmp_path_factory: pytest.TempPathFactory) -> Library:
    library = Library.create_or_open(tmp_path_factory.mktemp("grouped") / "library")
    with library.writer("ingest") as writer:
        writer.append("files", file_rows(*PHOTOS))
    for step in (pipeline.extract, pipeline.group):
        carry_out(library, step, old_engine(), config())
    ann, cid = owners(library)[face("a", 1)], owners(library)[face("d", 1)]
    decide(library, "name", person_ids=[ann], name="Ann")
    decide(library, "confirm", [face("a", 1), face("b", 1)], [ann])
    decide(library, "confirm", [face("d", 1)], [cid])
    return library


@pytest.fixture
def library(grouped_once: Library, tmp_path: Path) -> Library:
    """Ann (named, two faces confirmed) and Bob on three photos, Cid (one face confirmed) on two."""
    return Library.open(shutil.copytree(grouped_once.location, tmp_path / "library"))


def view(library: Library) -> dict[str, list[str]]:
    """Return what readers see of everything that names faces, without what differs from run to run."""
    left_out = {"batch_id", "run_id", "at", "decision_id"}
    return {
        table: sorted(
            repr({name: value for name, value in row.items() if name not in left_out})
            for row in library.read(table).to_pylist()
        )
        for table in (
            "photos",
            "faces",
            "assignments",
            "people",
            "changes",
            "decisions",
            "lineage",
            "errors",
            "neighbors",
        )
    }


def test_everybody_stays_who_they_are(library: Library) -> None:
    before, engine = owners(library), new_engine()
    ann, bob, cid = before[face("a", 1)], before[face("a", 2)], before[face("d", 1)]
    record = carry_out(library, redo, engine, config("other"))
    assert sorted(engine.extracted) == sorted(OLD)
    assert record.counts == {
        "photos_redone": 6,
        "photos_left": 0,
        "photos_unread": 0,
        "faces_carried": 7,
        "faces_lost": 1,
        "faces_new": 2,
    }
    lost = {"face_id": face("d", 1), "person_id": cid, "name": None, "uri": uri_of("d")}
    assert record.details == {"switched": True, "unread_photos": [], "lost_faces": [lost]}
    carried = {face("a", 2): ann, face("a", 3): bob, face("e", 1): cid}
    carried |= {face(name, ordinal): (ann, bob)[ordinal - 1] for name in "bc" for ordinal in (1, 2)}
    assert owners(library) == carried
    names = {row["person_id"]: row["name"] for row in library.read("people").to_pylist()}
    assert names == {ann: "Ann", bob: None, cid: None}
    assert check(library) == []

    _, of_ann, of_cid = library.read("decisions").sort_by("at")["face_ids"].to_pylist()
    assert of_ann == [face("a", 2), face("b", 1)]
    assert of_cid == [f"{photo_id_of('d')}@10.0,10.0,50.0,50.0"], "the name of no face, now or ever"
    grouped = carry_out(library, pipeline.group, engine, config("other"))
    after = owners(library)
    assert carried.items() <= after.items()
    assert grouped.counts["changed_company"] == 0
    assert after[face("a", 1)] is None, "the stranger isn't Ann, whose number they have"
    assert check(library) == []


def test_a_rollback_to_a_run_before_it_still_works(library: Library) -> None:
    ann, bob = owners(library)[face("a", 1)], owners(library)[face("a", 2)]
    run = library.read("runs").sort_by("finished_at")["run_id"].to_pylist()[-1]
    for step in (redo, pipeline.group):
        carry_out(library, step, new_engine(), config("other"))
    decide(library, "reject", [face("a", 3)], [bob])
    assert owners(library)[face("a", 3)] is None
    decide(library, "rollback", name=run)
    assert owners(library)[face("a", 2)] == ann
    assert owners(library)[face("a", 3)] == bob
    assert check(library) == []


def test_with_the_same_models_all_is_done_again_and_nothing_changes(library: Library) -> None:
    before = view(library)
    for _ in range(2):
        engine, batches = old_engine(), library.read("faces")["batch_id"].to_pylist()
        record = carry_out(library, redo, engine, config())
        assert len(engine.extracted) == record.counts["photos_redone"] == 6
        assert (record.counts["faces_lost"], record.counts["faces_new"]) == (0, 0)
        assert view(library) == {**before, "neighbors": []}
        assert not set(batches) & set(library.read("faces")["batch_id"].to_pylist())
    carry_out(library, pipeline.group, engine, config())
    assert view(library)["neighbors"] == before["neighbors"], "vectors made anew are grouped anew"
    assert check(library) == []


class KilledError(BaseException):
    """Ends a run like a signal."""


class Countdown:
    """Kills before the n-th commit that comes after a writer has taken over."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.commits: list[str] = []
        self.fatal = -1
        write = Committer._write

        def counted(committer: Committer, table: str, change: Change) -> None:
            if change.joining or change.remove:
                if len(self.commits) == self.fatal:
                    raise KilledError
                self.commits.append(table)
            write(committer, table, change)

        monkeypatch.setattr(Committer, "_write", counted)

    def arm(self, fatal: int) -> None:
        self.commits, self.fatal = [], fatal


@pytest.fixture
def countdown(monkeypatch: pytest.MonkeyPatch) -> Countdown:
    return Countdown(monkeypatch)


@pytest.fixture(scope="module")
def undisturbed(grouped_once: Library, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What readers see after a redo that nothing disturbed."""
    library = Library.open(shutil.copytree(grouped_once.location, tmp_path_factory.mktemp("undisturbed") / "library"))
    carry_out(library, redo, new_engine(), config("other"))
    return view(library)


# Three batches wait; then come the switch, the eight tables behind it, its note, its end, and the run's row.
SWITCH, COMMITS = 3, 15
EVERY_TIME = (SWITCH, SWITCH + 1, COMMITS - 1)


@pytest.mark.parametrize(
    "fatal", [pytest.param(at, marks=[] if at in EVERY_TIME else pytest.mark.long) for at in range(COMMITS)]
)
def test_a_redo_killed_before_any_commit_goes_on(
    library: Library, countdown: Countdown, undisturbed: dict[str, list[str]], fatal: int
) -> None:
    old = view(library)
    countdown.arm(fatal)
    with pytest.raises(KilledError):
        carry_out(library, redo, new_engine(), config("other"))
    assert countdown.commits[SWITCH : SWITCH + 1] == (["switch"] if fatal > SWITCH else [])
    assert view(library) == (undisturbed if fatal > SWITCH else old), "all at once"
    assert check(library) == []
    countdown.arm(-1)
    engine = new_engine()
    again = carry_out(library, redo, engine, config("other"))
    assert countdown.commits[-1] == "runs"
    assert len(engine.extracted) == max(0, 6 - 2 * fatal)
    assert again.counts["photos_redone"] == 6
    assert again.counts["faces_lost"] == len(again.details["lost_faces"]) == 1
    assert view(library) == undisturbed
    assert check(library) == []
    assert library.read("switch").num_rows == 0


def test_a_redo_may_be_followed_by_anything_before_it_goes_on(library: Library, countdown: Countdown) -> None:
    """New photos, decisions and a grouping come in between; then other settings, which start from the beginning."""
    countdown.arm(2)
    with pytest.raises(KilledError):
        carry_out(library, redo, new_engine(), config("other"))
    countdown.arm(-1)
    more = photo_id_of("g")
    with library.writer("ingest") as writer:
        writer.append("files", file_rows("g"))
    faces = {**NEW, more: [ANN]}
    for refused in (pipeline.extract, lambda job: pipeline.run(job, [])):
        with pytest.raises(WrongUsageError, match=r"come from made, not other: .*embed.model=made .*extract --redo"):
            carry_out(library, refused, MadeEngine(faces, 5), config("other"))
    for step in (pipeline.extract, pipeline.group):
        carry_out(library, step, MadeEngine(OLD | {more: [ANN]}), config())
    ann = owners(library)[face("a", 1)]
    assert owners(library)[face("g", 1)] == ann
    decide(library, "confirm", [face("g", 1)], [ann])
    assert check(library) == []

    engine = MadeEngine(faces, 5)
    record = carry_out(library, redo, engine, config("other"), Choice(limit=2))
    assert (len(engine.extracted), record.counts["photos_left"], record.details["switched"]) == (2, 1, False)
    record = carry_out(library, redo, engine, config("other", min_face=40))
    assert len(engine.extracted) == 2 + 7, "what waited was made with other settings"
    assert record.details["switched"]
    assert owners(library)[face("g", 1)] == ann
    assert library.read("decisions").sort_by("at")["face_ids"].to_pylist()[-1] == [face("g", 1)]
    assert check(library) == []


def test_a_photo_that_cannot_be_read_keeps_its_faces_of_the_same_embedder(library: Library) -> None:
    with library.writer("ingest") as writer:
        writer.mark_missing(pa.array([uri_of("b")]), pa.array([], pa.string()))
    engine = MadeEngine(NEW)
    engine.failing = {photo_id_of("c")}
    before = owners(library)
    record = carry_out(library, redo, engine, config())
    assert record.details["switched"]
    assert record.refusal is None
    assert {row["uri"]: row["message"] for row in record.details["unread_photos"]} == {
        uri_of("b"): "no file that holds it is there",
        uri_of("c"): "the file ends early",
    }
    kept = {face(name, ordinal): before[face(name, ordinal)] for name in "bc" for ordinal in (1, 2)}
    assert kept.items() <= owners(library).items()
    assert library.read("errors").num_rows == 0
    assert check(library) == []


def test_faces_of_another_embedder_never_stay_beside_the_new_ones(library: Library) -> None:
    """A photo that can't be read would lose its faces: nothing happens until the user lets them go."""
    with library.writer("ingest") as writer:
        writer.mark_missing(pa.array([uri_of("b")]), pa.array([], pa.string()))
        writer.append("errors", error_rows("x"))
    engine = new_engine()
    engine.failing = {photo_id_of("c")}
    before = view(library)
    record = carry_out(library, redo, engine, config("other"))
    assert record.refusal is not None
    assert record.refusal.startswith("2 of 6 photos can't be extracted anew and would lose their 4 faces")
    assert not record.details["switched"]
    assert len(record.details["unread_photos"]) == 2
    assert view(library) == before
    assert check(library) == []

    engine.extracted.clear()
    record = carry_out(library, redo, engine, config("other"), Choice(max_failed=MaxFailed(2, percent=False)))
    assert engine.extracted == [photo_id_of("c")], "tried once more"
    assert record.details["switched"]
    assert record.counts["faces_lost"] == 5
    named = [row["name"] for row in record.details["lost_faces"]]
    assert named == ["Ann", "Ann", None, None, None]
    assert set(library.read("photos")["photo_id"].to_pylist()) == {photo_id_of(name) for name in "adef"}
    assert sorted(library.read("errors")["uri"].to_pylist()) == sorted([uri_of("c"), uri_of("x")])
    assert set(owners(library)) == {face("a", 2), face("a", 3), face("e", 1)}
    stored = [name for row in library.read("decisions")["face_ids"].to_pylist() for name in row]
    assert sorted(name for name in stored if "@" in name) == sorted(
        [f"{photo_id_of('b')}@10.0,50.0,50.0,90.0", f"{photo_id_of('d')}@10.0,10.0,50.0,50.0"]
    )
    assert check(library) == []


def test_embedders_that_are_mixed_already_are_not_grouped_but_made_one(library: Library) -> None:
    with library.writer("an older version") as writer:
        where = library.read("photos")["photo_id"].to_pylist()[0]

        def mix(rows: pa.Table) -> pa.Table:
            names = [f"mtcnn+{'foreign' if photo_id == where else 'made'}" for photo_id in rows["photo_id"].to_pylist()]
            return rows.set_column(rows.schema.get_field_index("extracted_with"), "extracted_with", pa.array(names))

        writer.rewrite("photos", mix)
    with pytest.raises(FacepipeError, match=r"come from foreign and made, which can't be compared: .*--redo"):
        carry_out(library, pipeline.group, old_engine(), config())
    carry_out(library, redo, new_engine(), config("other"))
    assert check(library) == []


def test_a_library_that_was_never_grouped_or_is_empty(tmp_path: Path) -> None:
    library = Library.create_or_open(tmp_path / "library")
    record = carry_out(library, redo, new_engine(), config())
    assert (record.counts["photos_redone"], record.details["switched"]) == (0, False)
    with library.writer("ingest") as writer:
        writer.append("files", file_rows(*PHOTOS))
    record = carry_out(library, redo, new_engine(), config())
    assert (record.counts["photos_redone"], record.details["switched"]) == (6, True)
    assert len(library.read("faces")) == 9
    assert check(library) == []
