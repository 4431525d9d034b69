import io

import pytest
from PIL import Image

from facepipe.imaging.sniff import SNIFFED_BYTES, sniff_media_type


@pytest.mark.parametrize(
    ("encoder", "media_type"),
    [
        ("JPEG", "image/jpeg"),
        ("PNG", "image/png"),
        ("WEBP", "image/webp"),
        ("BMP", "image/bmp"),
        ("TIFF", "image/tiff"),
        ("GIF", "image/gif"),
        ("JPEG2000", "image/jp2"),
        ("AVIF", "image/avif"),
    ],
)
def test_what_pillow_writes_is_recognised(encoder: str, media_type: str) -> None:
    file = io.BytesIO()
    try:
        Image.new("RGB", (16, 16)).save(file, encoder)
    except (OSError, KeyError):
        pytest.skip(f"this Pillow writes no {encoder}")
    assert sniff_media_type(file.getvalue()[:SNIFFED_BYTES]) == media_type


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "image/heic"),
        (b"\x00\x00\x00\x1cftypmif1\x00\x00\x00\x00mif1avifmiaf", "image/avif"),
        (b"\x00\x00\x00\x18ftypcrx \x00\x00\x00\x01crx isom", "image/x-canon-cr3"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2", "video/mp4"),
        (b"\x00\x00\x00\x14ftypqt  \x00\x00\x02\x00qt  ", "video/quicktime"),
        (b"\x00\x00\x00\x08wide\x00\x01\x02\x03mdat", "video/quicktime"),
        (b"RIFF\x00\x00\x00\x00AVI LIST", "video/x-msvideo"),
        (b"\x1aE\xdf\xa3\x01\x00", "video/x-matroska"),
        (b"II*\x00\x10\x00\x00\x00CR\x02\x00", "image/x-canon-cr2"),
        (b"MM\x00*\x00\x00\x00\x08", "image/tiff"),
        (b"8BPS\x00\x01", "image/vnd.adobe.photoshop"),
        (b"\xff\x4f\xff\x51\x00\x2f", "image/jp2"),
        (b"MMOR\x00\x00\x00\x08", "image/x-olympus-orf"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", "video/x-ms-asf"),
        (b"FLV\x01\x05", "video/x-flv"),
    ],
)
def test_kinds_by_their_first_bytes(head: bytes, media_type: str) -> None:
    assert sniff_media_type(head) == media_type


@pytest.mark.parametrize(
    "head", [b"", b"B", b"BM", b"BMW is a car maker, says this text", b"RIFF\x00\x00\x00\x00WAVE", b"{}"]
)
def test_what_is_no_picture_has_no_type(head: bytes) -> None:
    assert sniff_media_type(head) is None
