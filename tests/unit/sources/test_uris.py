"""URIs hold every byte of a path."""

import os
from pathlib import Path

import pytest

from facepipe.errors import WrongUsageError
from facepipe.sources.uris import path_to_uri, uri_to_path


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        (b"/photos/a.jpg", "file:///photos/a.jpg"),
        (b"/a b/#1 100%?.jpg", "file:///a%20b/%231%20100%25%3F.jpg"),
        ("/ä.jpg".encode(), "file:///%C3%A4.jpg"),
        (b"/\xff\xfe\n.jpg", "file:///%FF%FE%0A.jpg"),
        (b"/", "file:///"),
    ],
)
def test_a_path_and_its_uri(path: bytes, uri: str) -> None:
    assert path_to_uri(path) == path_to_uri(os.fsdecode(path)) == path_to_uri(Path(os.fsdecode(path))) == uri
    assert os.fsencode(uri_to_path(uri)) == path


def test_a_relative_path_has_no_uri() -> None:
    with pytest.raises(ValueError, match="absolute"):
        path_to_uri("a.jpg")


@pytest.mark.parametrize("uri", ["s3://bucket/a.jpg", "/photos/a.jpg", "file://server/a.jpg", "file:a.jpg", ""])
def test_what_is_no_local_file_is_refused(uri: str) -> None:
    with pytest.raises(WrongUsageError, match="not the address of a local file"):
        uri_to_path(uri)


def test_localhost_is_this_machine() -> None:
    assert uri_to_path("file://localhost/a.jpg") == Path("/a.jpg")
