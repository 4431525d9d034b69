"""Templates to files: the page frame, its content policy, and long lists cut into pages."""

import base64
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from facepipe.report import wording

STYLE, ICON = "gallery.css", "icon.svg"


@dataclass(frozen=True)
class Pager:
    """One page of a list.

    Attributes:
        stem: file name of the first page without `.html`; the others append `-2` and so on.
        number: of this page, from 1.
        last: number of the last page.
        start: the first row on it.
        rows: how many rows a full page holds.
    """

    stem: str
    number: int
    last: int
    start: int
    rows: int

    def file(self, number: int) -> str:
        """Return the file name of a page of this list, relative to the list's own folder."""
        return page_file(self.stem, number)


def page_file(stem: str, number: int) -> str:
    """Return `stem.html` for page 1, `stem-2.html` for page 2."""
    return f"{stem}.html" if number == 1 else f"{stem}-{number}.html"


def paged(stem: str, total: int, rows: int) -> Iterator[Pager]:
    """Yield the pages of a list of `total` rows, `rows` on each; an empty list has one page."""
    last = max(1, -(-total // rows))
    for number in range(1, last + 1):
        yield Pager(stem, number, last, (number - 1) * rows, rows)


class Site:
    """Writes pages below a folder, each from a template and the values all pages share."""

    def __init__(self, folder: Path, shared: dict[str, Any]) -> None:
        self._folder = folder
        self._environment = Environment(
            loader=PackageLoader("facepipe.report"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        for shown_as in (wording.breakable, wording.counted, wording.date, wording.date_span):
            self._environment.filters[shown_as.__name__] = shown_as
        script = _static("gallery.js")
        self._environment.globals.update(shared)
        # The script stands in the page, allowed by its hash: `script-src 'self'` means different things to different
        # browsers on file://. `file:` beside 'self' is for those to which a folder on disk is nobody's self.
        self._environment.globals.update(
            script=Markup(script),  # noqa: S704  (the package's own file)
            policy=(
                f"default-src 'none'; script-src '{_digest(script)}'; style-src 'self' file:; img-src 'self' file:; "
                "base-uri 'none'; form-action 'none'"
            ),
        )

    def write_static(self) -> None:
        """Copy the style sheet and the icon."""
        (self._folder / "static").mkdir()
        for name in (STYLE, ICON):
            (self._folder / "static" / name).write_text(_static(name), encoding="utf-8")

    def write(self, template: str, path: str, **values: object) -> None:
        """Render a template to `path`, relative to the folder; its values see `root`, the way back to that folder."""
        file = self._folder / path
        file.parent.mkdir(exist_ok=True)
        root = "../" * (len(PurePosixPath(path).parts) - 1)
        text = self._environment.get_template(template).render(root=root, **values)
        file.write_text(text, encoding="utf-8")


def _static(name: str) -> str:
    return files("facepipe.report").joinpath("static", name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
