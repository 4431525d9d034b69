"""Reads the report's pages back: links, pictures, headings, text, and whether the mark-up is sound."""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_VOID = {"meta", "link", "img", "br", "wbr", "rect", "input", "hr"}


@dataclass
class Page(HTMLParser):
    """One page. `flaws` lists unbalanced tags, repeated ids, inline styles and handlers."""

    file: Path
    links: list[str] = field(default_factory=list)
    images: list[dict[str, str]] = field(default_factory=list)
    resources: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    tags: list[str] = field(default_factory=list)
    flaws: list[str] = field(default_factory=list)
    text: str = ""
    title: str = ""
    language: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []
        self.feed(self.file.read_text(encoding="utf-8"))
        self.close()
        self.flaws += [f"<{tag}> never closed" for tag in self._open]
        self.text = " ".join(self.text.split(" "))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag not in _VOID:
            self._open.append(tag)
        self.flaws += [f"<{tag} {name}>" for name in values if name == "style" or name.startswith("on")]
        if "id" in values:
            self.flaws += [f"id {values['id']} twice"] if values["id"] in self.ids else []
            self.ids.add(values["id"])
        if tag == "a":
            self.links.append(values["href"])
        elif tag == "img":
            self.images.append(values)
            self.resources.append(values["src"])
        elif tag == "link":
            self.resources.append(values["href"])
        elif tag == "html":
            self.language = values.get("lang", "")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.flaws.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "title":
            self.title += data
        elif "script" not in self._open:
            self.text += data


def crawl(index: Path) -> dict[Path, Page]:
    """Return every page that can be reached from the first, following links that are relative paths.

    Raises:
        AssertionError: a link, picture or style sheet leads nowhere.
    """
    pages: dict[Path, Page] = {}
    waiting = [index.resolve()]
    while waiting:
        file = waiting.pop()
        if file in pages:
            continue
        pages[file] = page = Page(file)
        for resource in page.resources:
            target = (file.parent / unquote(resource)).resolve()
            assert target.is_file(), f"{file.name} asks for {resource}, which isn't there"
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            assert target.is_file(), f"{file.name} leads to {link}, which isn't there"
            waiting.append(target)
    for file, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if not parts.scheme and parts.fragment:
                target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
                assert parts.fragment in pages[target].ids, f"{file.name} leads to {link}, but no element has that id"
    return pages
