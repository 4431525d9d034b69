"""Photos of people whose names are known become the faces that a recogniser learns from."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unicodedata import normalize

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from facepipe import schemas
from facepipe.config import Config
from facepipe.errors import ErrorCode, WrongUsageError
from facepipe.labelled_photos import central_face_stages, photos_in
from facepipe.library.pending import pending_photos
from facepipe.runtime.batches import cut, in_order, numbered
from facepipe.runtime.engine import Engine
from facepipe.runtime.progress import show_progress
from facepipe.sources.scan_sources import list_files
from facepipe.sources.uris import uri_to_path
from facepipe.stage import Stage, check_chain
from facepipe.stages.align_faces import AlignFaces, Crops
from facepipe.stages.identify_files import IdentifyFiles
from facepipe.stages.named_faces import NamedFaces
from facepipe.stages.photo_files import CHANGED
from facepipe.stages.read_photos import ReadPhotos
from facepipe.stages.recall_faces import RecallFaces
from facepipe.stages.rows import arrays_of
from facepipe.training.face_crops import WIDE_GROW, WIDE_SIZE
from facepipe.training.samples import Samples, SampleWriter

FACES = "faces"  # folder of the samples in a training's folder
_PEOPLE = "people.json"
WIDE = Crops(WIDE_SIZE, WIDE_GROW)

UNREADABLE = "photos that can't be read"
FACELESS = "photos without a face"
GONE = "photos that are gone"
ALTERED = "photos that have changed"
COPIES = "photos that are copies of others"


@dataclass(frozen=True)
class LabelledPeople:
    """Faces to learn from.

    Attributes:
        samples: see `training.face_samples.FaceSamples`.
        names: of the people, by their number.
        left_out: photos that can't be learned from, by why.
    """

    samples: Samples
    names: list[str]
    left_out: dict[str, int]


def collect_people(
    images: Sequence[Path],
    named: NamedFaces | None,
    folder: Path,
    config: Config,
    engine: Engine,
    crops: Crops = WIDE,
    found: Path | None = None,
) -> LabelledPeople:
    """Return the faces of people in folders and in a library; what is in the training's folder is not done again.

    Who has one name is one person. Photos that can't be learned from are left out and counted, and so is one that shows
    the same people as an equal one before it.

    Args:
        images: folders that hold a folder a person each; the central face of each photo counts.
        named: faces of a library that are known to be somebody's; None: there is no library.
        folder: of the training.
        config: settings.
        engine: carries the stages out; closed afterwards.
        crops: WIDE, or such crops of faces that are aligned.
        found: the folders' central faces (`labelled_photos.find_central_faces`); None: they are found here.

    Raises:
        WrongUsageError: folders hold no photos, or no face is left to learn from; dlib is wanted and isn't installed.
    """
    samples = Samples(folder / FACES)
    if not samples.exists():
        writer = _PeopleWriter(folder, crops)
        left_out: Counter[str] = Counter()
        try:
            if named is not None:
                left_out += _from_library(named, writer, config, engine)
            left_out += _from_folders(images, writer, config, engine, found)
        finally:
            engine.close()
        if not writer.names:
            places = [str(path) for path in images] + ([named.location] if named is not None else [])
            why = ", ".join(f"{count:,} {reason}" for reason, count in sorted(left_out.items()))
            raise WrongUsageError(f"there is no face to learn from in {' and '.join(places)}: {why}")
        writer.finish(left_out)
    known = json.loads((folder / _PEOPLE).read_text())
    return LabelledPeople(samples, known["names"], known["left_out"])


class _PeopleWriter:
    """Writes faces as samples, and whose they are.

    Attributes:
        crops: how faces are cut out.
        names: of the people so far, each with their number.
    """

    def __init__(self, folder: Path, crops: Crops) -> None:
        self._folder = folder
        self.crops = crops
        self._samples = SampleWriter(folder / FACES)
        self._shown: set[tuple[str, str]] = set()  # of each face the photo_id and the name
        self.names: dict[str, int] = {}

    def append(self, found: pa.Table, people: Sequence[Sequence[str]]) -> int:
        """Add the faces of N photos, and return how many photos are left out, being there already with these people.

        Args:
            found: finished rows with `photo_id`, `boxes` and `aligned`.
            people: (N,) whose faces each photo's are, in the order of its boxes.
        """
        names = [[normalize("NFC", name) for name in of_photo] for of_photo in people]  # some file systems write NFD
        new = [self._is_new(*photo) for photo in zip(found["photo_id"].to_pylist(), names, strict=True)]
        if any(new):
            rows = found.filter(pa.array(new))
            boxes = np.concatenate(arrays_of(rows["boxes"], 4))  # (F, 4)
            wide = np.concatenate([np.frombuffer(aligned.as_buffer(), np.uint8) for aligned in rows["aligned"]])
            extent = boxes[:, 2:] - boxes[:, :2] if self.crops.alignment == "box" else np.ones((len(boxes), 2))
            of_faces = [name for of_photo, is_new in zip(names, new, strict=True) if is_new for name in of_photo]
            numbers = [self.names.setdefault(name, len(self.names)) for name in of_faces]
            self._samples.append(
                {
                    "wide": wide.reshape(-1, WIDE_SIZE, WIDE_SIZE, 3),
                    "aspect": (extent[:, 0] / extent[:, 1]).astype(np.float32),
                    "person": np.array(numbers, np.int64),
                }
            )
        return len(new) - sum(new)

    def _is_new(self, photo_id: str, people: Sequence[str]) -> bool:
        shown = {(photo_id, name) for name in people}
        is_new = not shown <= self._shown
        self._shown |= shown
        return is_new

    def finish(self, left_out: Counter[str]) -> None:
        """Put the samples in their place, and beside them names and what was left out."""
        (self._folder / _PEOPLE).write_text(
            json.dumps({"names": list(self.names), "left_out": dict(sorted(left_out.items()))})
        )
        self._samples.finish()


def _from_folders(
    images: Sequence[Path], writer: _PeopleWriter, config: Config, engine: Engine, found_before: Path | None
) -> Counter[str]:
    """Write the central face of each photo in a folder a person, and return what was left out."""
    stages: list[Stage] = [
        IdentifyFiles(config.decode),
        ReadPhotos(config.decode),
        *(central_face_stages(config) if found_before is None else [RecallFaces(found_before)]),
        AlignFaces(writer.crops),
    ]
    listed = list_files([path for folder_of_people in images for path in photos_in(folder_of_people)])
    listed = listed.append_column("read_from", listed["uri"])
    left_out: Counter[str] = Counter()
    for found in _finished(listed, stages, config, engine):
        good = found.filter(pc.equal(found["status"], ""))
        seen = good.filter(pa.array([scores[0, 0] > 0 for scores in arrays_of(good["scores"], 1)], pa.bool_()))
        repeated = writer.append(seen, [[uri_to_path(uri).parent.name] for uri in seen["uri"].to_pylist()])
        left_out += Counter({UNREADABLE: len(found) - len(good), FACELESS: len(good) - len(seen), COPIES: repeated})
    return left_out


def _from_library(named: NamedFaces, writer: _PeopleWriter, config: Config, engine: Engine) -> Counter[str]:
    """Write the known faces of a library's photos, and return what was left out.

    A photo that one of its files doesn't give is looked for in the next one that held it.
    """
    stages: list[Stage] = [ReadPhotos(config.decode), AlignFaces(writer.crops)]
    nothing = schemas.PHOTOS.empty_table(), schemas.ERRORS.empty_table()
    why = dict.fromkeys(named.photos["photo_id"].to_pylist(), GONE)  # of those that have not been read
    files = named.files
    while len(places := pending_photos(files, *nothing, library=named.root)):
        for found in _finished(named.placed(places), stages, config, engine):
            good = pc.equal(found["status"], "")
            read, failed = found.filter(good), found.filter(pc.invert(good))
            writer.append(read, read["people"].to_pylist())
            for photo_id in read["photo_id"].to_pylist():
                del why[photo_id]
            why |= {
                row["photo_id"]: _reason(row) for row in failed.select(["photo_id", *schemas.STATUS.names]).to_pylist()
            }
        unread = pc.is_in(files["photo_id"], value_set=pa.array(list(why), pa.string()))
        tried = pc.is_in(files["uri"], value_set=places["uri"].combine_chunks())
        files = files.filter(pc.and_(unread, pc.invert(tried)))
    return Counter(why.values()) + Counter({COPIES: named.copies})


def _reason(failed: dict[str, str]) -> str:
    if failed["message"] == CHANGED:
        return ALTERED
    return GONE if failed["status"] == ErrorCode.VANISHED else UNREADABLE


def _finished(rows: pa.Table, stages: list[Stage], config: Config, engine: Engine) -> Iterator[pa.Table]:
    """Yield what stages make of rows, in their order; few of them are in memory at any time."""
    rows = numbered(rows)
    check_chain(stages, rows.schema)
    with show_progress("faces", "photos", len(rows)) as progress:
        for finished in in_order(engine.run(cut(rows, config.runtime.batch_rows), [stages])):
            yield finished
            progress.advance(len(finished))
