import io
from datetime import datetime

import pytest
from PIL import Image

from facepipe.imaging.decode import DecodedPhoto, decode_photo
from facepipe.imaging.xmp import read_xmp

NAMESPACES = """xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/"
 xmlns:mm="http://ns.adobe.com/xap/1.0/mm/" """


def packet(elements: str = "", attributes: str = "", before: str = "") -> bytes:
    text = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>{before}<x:xmpmeta xmlns:x="adobe:ns:meta/">
    <rdf:RDF {NAMESPACES}><rdf:Description rdf:about="" {attributes}>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>
    {" " * 100}<?xpacket end="w"?>"""
    return text.encode()


def photo(xmp: bytes, encoder: str = "JPEG", exif: Image.Exif | None = None) -> DecodedPhoto:
    file = io.BytesIO()
    image = Image.new("RGB", (16, 16))
    options: dict[str, object] = {"exif": exif} if exif else {}
    if encoder == "PNG":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode(), zip=True)
        image.save(file, encoder, pnginfo=info, **options)
    elif encoder == "TIFF":
        image.save(file, encoder, tiffinfo={700: xmp})
    else:
        image.save(file, encoder, xmp=xmp, **options)
    return decode_photo(file.getvalue(), 64, 10**6)


@pytest.mark.parametrize("encoder", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_xmp_tells_what_exif_does_not(encoder: str) -> None:
    told = photo(
        packet(
            "<exif:GPSLatitude>52,30,36S</exif:GPSLatitude><exif:GPSLongitude>13,24.0E</exif:GPSLongitude>",
            'photoshop:DateCreated="2019-07-04T12:34:56+02:00" tiff:Make="Google" tiff:Model="Pixel 3"',
        ),
        encoder,
    )
    assert told.taken_at == datetime(2019, 7, 4, 12, 34, 56)
    assert told.camera == "Google Pixel 3"
    assert told.latitude == pytest.approx(-52.51)
    assert told.longitude == pytest.approx(13.4)


def test_exif_goes_first() -> None:
    exif = Image.Exif()
    exif[306] = "2001:01:01 01:01:01"
    exif[271] = "Canon"
    told = photo(packet("", 'photoshop:DateCreated="2019-07-04" tiff:Make="Google"'), exif=exif)
    assert (told.taken_at, told.camera) == (datetime(2001, 1, 1, 1, 1, 1), "Canon")


@pytest.mark.parametrize(
    ("properties", "time"),
    [
        ({"photoshop:DateCreated": "2019-07-04"}, (2019, 7, 4)),
        ({"photoshop:DateCreated": "2019-07-04T12:34"}, (2019, 7, 4, 12, 34)),
        ({"photoshop:DateCreated": "2019-07-04T12:34Z"}, (2019, 7, 4, 12, 34)),
        ({"photoshop:DateCreated": "2019-07-04T12:34:56.789-05:00"}, (2019, 7, 4, 12, 34, 56)),
        ({"exif:DateTimeOriginal": "2018-01-01", "xmp:CreateDate": "2019-01-01"}, (2018, 1, 1)),
        ({"photoshop:DateCreated": "2017-01-01", "exif:DateTimeOriginal": "2018-01-01"}, (2017, 1, 1)),
        ({"photoshop:DateCreated": "2019", "xmp:CreateDate": "2019-03-01T00:00:01"}, (2019, 3, 1, 0, 0, 1)),
        ({"xmp:CreateDate": "0000-00-00"}, None),
        ({"xmp:ModifyDate": "2019-03-01"}, None),
    ],
)
def test_which_time_counts(properties: dict[str, str], time: tuple[int, ...] | None) -> None:
    wanted = datetime(*time) if time else None  # type: ignore[arg-type]
    assert photo(packet("".join(f"<{name}>{value}</{name}>" for name, value in properties.items()))).taken_at == wanted
    attributes = " ".join(f'{name}="{value}"' for name, value in properties.items())
    assert photo(packet("", attributes)).taken_at == wanted


def test_the_past_of_other_files_does_not_count() -> None:
    history = """<mm:Pantry><rdf:Bag><rdf:li><rdf:Description xmp:CreateDate="2001-01-01"/></rdf:li></rdf:Bag>
    </mm:Pantry>
    <mm:From rdf:parseType="Resource"><xmp:CreateDate>2002-01-01</xmp:CreateDate></mm:From>"""
    assert read_xmp(packet(history)) == {}


def test_prefixes_do_not_matter() -> None:
    data = (
        packet("", 'photoshop:DateCreated="2019-07-04"').replace(b"photoshop:D", b"q:D").replace(b":photoshop=", b":q=")
    )
    assert read_xmp(data) == {"photoshop:DateCreated": "2019-07-04"}


def test_entities_are_never_expanded() -> None:
    laughs = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>'
    data = packet("<xmp:CreateDate>2019-07-04&b;</xmp:CreateDate>", before=laughs)
    assert read_xmp(data) == {}
    assert photo(data).taken_at is None


@pytest.mark.parametrize(
    "data", [b"", b"\0" * 50, b"<", b"text", b"\xff\xfe\xff", b'<?xml version="1.0" encoding="odd"?><a/>']
)
def test_what_is_no_packet_says_nothing(data: bytes) -> None:
    assert read_xmp(data) == {}


def test_a_packet_that_breaks_off_tells_what_it_could() -> None:
    data = packet("<xmp:CreateDate>2019-07-04</xmp:CreateDate><xmp:Label>la")
    assert read_xmp(data[: data.index(b"<xmp:Label>")]) == {"xmp:CreateDate": "2019-07-04"}


def test_a_well_without_a_bottom_is_not_climbed_into() -> None:
    assert read_xmp(packet("<xmp:CreateDate>2019-07-04</xmp:CreateDate>" + "<a>" * 90)) == {
        "xmp:CreateDate": "2019-07-04"
    }
    assert read_xmp(packet("<xmp:CreateDate>2019-07-04</xmp:CreateDate>" + "<a>" * 200)) == {}


def test_a_long_value_is_cut() -> None:
    assert len(read_xmp(packet(f"<tiff:Make>{'x' * 10**6}</tiff:Make>"))["tiff:Make"]) == 200
