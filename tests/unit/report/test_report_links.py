import pytest

from facepipe.report.links import place_of, showable


@pytest.mark.parametrize(
    ("uri", "name", "folder"),
    [
        ("file:///photos/2019%20Rome/IMG%231.jpg", "IMG#1.jpg", "/photos/2019 Rome"),
        ("file:///IMG.jpg", "IMG.jpg", "/"),
        ("s3://bucket/a/b.jpg", "b.jpg", "s3://bucket/a"),
        ("file:///shards/0001.tar#trips/a%20b.jpg", "a b.jpg", "/shards/0001.tar/trips"),
        ("file:///shards/0001.tar#b.jpg", "b.jpg", "/shards/0001.tar"),
        ("s3://bucket/0001.parquet#17", "0001.parquet (row 17)", "s3://bucket"),
        ("file:///photos/%FF%0A.jpg", "\ufffd\ufffd.jpg", "/photos"),
        ("", "(no name)", ""),
    ],
)
def test_a_uri_is_read_as_name_and_folder(uri: str, name: str, folder: str) -> None:
    place = place_of(uri)
    assert (place.name, place.folder) == (name, folder)


@pytest.mark.parametrize("uri", ["file:///a.jpg", "FILE:///a.jpg", "https://host/a", "http://host/a", "s3://b/a#m"])
def test_known_schemes_become_links(uri: str) -> None:
    assert place_of(uri).link == uri


@pytest.mark.parametrize(
    "uri",
    [
        "javascript:alert(1)",
        " javascript://x",
        "java\nscript://x",
        "data:text/html,x",
        "vbscript://x",
        "/etc/passwd",
        "file:a",
        "file:///a\n.jpg",
        "file:///a b.jpg",
        "",
    ],
)
def test_anything_else_stays_text(uri: str) -> None:
    assert place_of(uri).link is None


def test_showable_keeps_scripts_and_joiners_but_no_control_or_reordering() -> None:
    assert showable(" دانیال \u0645\u06cc\u200c ") == "دانیال \u0645\u06cc\u200c"
    assert showable("a\x00b\x1b[31mc\u202ed\u2066e\u2028f\x85g") == "a\ufffdb\ufffd[31mc\ufffdd\ufffde\ufffdf\ufffdg"
