"""What an XMP packet says of a photo: a few simple properties, read without building a tree or expanding entities."""

from xml.parsers import expat

_LARGEST_PACKET = 4 << 20  # bytes that are looked at: a history of edits may be long, what is read here stands early
_LONGEST_VALUE = 200
_DEEPEST = 100  # elements inside one another
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_NAMESPACES = {
    "http://ns.adobe.com/photoshop/1.0/": "photoshop",
    "http://ns.adobe.com/exif/1.0/": "exif",
    "http://ns.adobe.com/xap/1.0/": "xmp",
    "http://ns.adobe.com/tiff/1.0/": "tiff",
}


class _ForbiddenError(Exception):
    """The packet holds what no program writes into XMP, and what makes a small file large: entities, deep nesting."""


class _Reader:
    """Collects the simple properties of the photo itself, not those of other files that its history tells of."""

    def __init__(self) -> None:
        self.properties: dict[str, str] = {}
        self._path: list[str] = []
        self._name: str | None = None
        self._text = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if self._path[-1:] == [f"{_RDF} RDF"] and name == f"{_RDF} Description":
            for attribute, value in attributes.items():
                self._keep(_short_name(attribute), value)
        described = self._path[-2:] == [f"{_RDF} RDF", f"{_RDF} Description"]
        self._name, self._text = (_short_name(name), "") if described else (None, "")
        self._path.append(name)
        if len(self._path) > _DEEPEST:
            _forbid()

    def text(self, text: str) -> None:
        if self._name and len(self._text) < _LONGEST_VALUE:
            self._text += text

    def end(self, name: str) -> None:
        self._keep(self._name, self._text)
        self._name = None
        self._path.pop()

    def _keep(self, name: str | None, value: str) -> None:
        if name and value.strip():
            self.properties.setdefault(name, value.strip()[:_LONGEST_VALUE])


def read_xmp(packet: bytes) -> dict[str, str]:
    """Return the simple properties of a packet, such as `exif:DateTimeOriginal`; empty where there are none.

    Both spellings are read, attributes and elements (XMP specification part 1, ISO 16684-1, section 7). Prefixes are
    those that the specification prefers, whatever the packet calls its namespaces: photoshop, exif, xmp, tiff. A
    packet that breaks off or isn't well-formed yields what stands before that; one with a document type, or nested
    deeper than 100, nothing.

    Args:
        packet: as embedded in a photo.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text
    parser.StartDoctypeDeclHandler = _forbid
    try:
        parser.Parse(packet[:_LARGEST_PACKET].rstrip(b"\0 \r\n\t"), True)
    except _ForbiddenError:
        return {}
    except (expat.ExpatError, ValueError, LookupError):  # the latter two: an encoding that nobody knows
        return reader.properties
    return reader.properties


def _forbid(*_: object) -> None:
    raise _ForbiddenError


def _short_name(name: str) -> str | None:
    namespace, _, local = name.rpartition(" ")
    return f"{_NAMESPACES[namespace]}:{local}" if namespace in _NAMESPACES else None
