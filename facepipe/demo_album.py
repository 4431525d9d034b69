"""The album of the guided first run: photos from two published packages, and what happens to photos in real life.

Three people are to be found: Barack Obama, Joe Biden and Eileen Collins.
"""

import io
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

from PIL import Image

from facepipe.errors import WeightsError
from facepipe.models.cache import home
from facepipe.models.download import download_pinned

FACE_RECOGNITION = ("face_recognition==1.3.0", "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec")
SCIKIT_IMAGE = ("scikit-image==0.26.0", "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af")
# Only a photo is taken out of this wheel, so that one platform's serves every machine.
SCIKIT_IMAGE_PLATFORM = (
    "--python-version=3.11",
    "--implementation=cp",
    "--abi=cp311",
    "--platform=manylinux_2_28_x86_64",
)
PHOTOS = ("biden.jpg", "obama.jpg", "obama2.jpg", "obama3.jpg", "obama_partial_face.jpg")
ORIENTATION_TAG = 0x0112
EXPECTED_PEOPLE = 3


def make_album() -> Path:
    """Return the folder of the demo album, fetched and derived at the first call, left as it is afterwards.

    Raises:
        WeightsError: a download failed or isn't what was pinned.
    """
    album = home() / "demo" / "album"
    if album.exists():
        return album
    album.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=album.parent, prefix=".album-") as temporary:
        made = Path(temporary) / "album"
        made.mkdir()
        _fetch_originals(Path(temporary), made)
        _derive_copies(made)
        made.rename(album)
    return album


def _fetch_originals(downloads: Path, album: Path) -> None:
    """Take the photos out of the packages; nothing of the packages is built, installed or run."""
    sdist = download_pinned(*FACE_RECOGNITION, downloads, sdist=True)
    wheel = download_pinned(*SCIKIT_IMAGE, downloads, pip_options=SCIKIT_IMAGE_PLATFORM)
    try:
        with tarfile.open(sdist) as archive:
            for name in PHOTOS:
                member = archive.extractfile(f"face_recognition-1.3.0/tests/test_images/{name}")
                if member is None:
                    raise KeyError(name)
                (album / name).write_bytes(member.read())
        with zipfile.ZipFile(wheel) as archive:
            (album / "collins.png").write_bytes(archive.read("skimage/data/astronaut.png"))
    except (KeyError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise WeightsError(
            f"a package of the demo album lacks a photo ({error}): the mirror serves something else"
        ) from error


def _derive_copies(album: Path) -> None:
    """Add what happens to photos: copies, smaller and rougher versions, sideways phones, a group shot."""
    shutil.copyfile(album / "obama.jpg", album / "obama copy.jpg")
    with Image.open(album / "biden.jpg") as photo:
        photo.resize((photo.width // 2, photo.height // 2), Image.Resampling.LANCZOS).save(
            album / "biden small.jpg", quality=90
        )
        _save_sideways(photo, album / "biden sideways.jpg", orientation=6, turn=Image.Transpose.ROTATE_90)
    with Image.open(album / "obama3.jpg") as photo:
        photo.save(album / "obama3 recompressed.jpg", quality=40)
    with Image.open(album / "collins.png") as photo:
        photo.convert("RGB").save(album / "collins.webp", quality=80)
        _save_sideways(photo, album / "collins upside down.jpg", orientation=3, turn=Image.Transpose.ROTATE_180)
    _paste_group([album / "obama.jpg", album / "collins.png", album / "biden.jpg"], album / "everyone.jpg")


def _save_sideways(photo: Image.Image, path: Path, orientation: int, turn: Image.Transpose) -> None:
    """Save a photo as a turned camera does: pixels turned, EXIF saying how to turn them back."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = orientation
    photo.convert("RGB").transpose(turn).save(path, quality=92, exif=exif)


def _paste_group(people: list[Path], path: Path, height: int = 700) -> None:
    """Paste the upper part of portraits side by side."""
    parts = []
    for person in people:
        with Image.open(person) as photo:
            upper = photo.convert("RGB").crop((0, 0, photo.width, min(photo.height, photo.width)))
            parts.append(upper.resize((round(upper.width * height / upper.height), height), Image.Resampling.LANCZOS))
    group = Image.new("RGB", (sum(part.width for part in parts), height))
    left = 0
    for part in parts:
        group.paste(part, (left, 0))
        left += part.width
    buffer = io.BytesIO()
    group.save(buffer, "JPEG", quality=92)
    path.write_bytes(buffer.getvalue())
