"""Telling what a file is from its first bytes, whatever its name says."""

SNIFFED_BYTES = 64  # as many first bytes as `sniff_media_type` looks at

_PREFIXES = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x00\x00\x00\x0cJXL \r\n\x87\n", "image/jxl"),
    (b"\xff\x0a", "image/jxl"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    (b"\xff\x4f\xff\x51", "image/jp2"),
    (b"8BPS\x00", "image/vnd.adobe.photoshop"),
    (b"FUJIFILMCCD-RAW", "image/x-fuji-raf"),
    (b"IIRO", "image/x-olympus-orf"),
    (b"IIRS", "image/x-olympus-orf"),
    (b"MMOR", "image/x-olympus-orf"),
    (b"IIU\x00", "image/x-panasonic-rw2"),
    (b"\x1aE\xdf\xa3", "video/x-matroska"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf"),
    (b"FLV\x01", "video/x-flv"),
    (b"\x00\x00\x01\xba", "video/mpeg"),
    (b"\x00\x00\x01\xb3", "video/mpeg"),
)
_TIFF = (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+")  # the last two: BigTIFF
_RIFF = {b"WEBP": "image/webp", b"AVI ": "video/x-msvideo"}
_BMP_HEADER_BYTES = (12, 16, 40, 52, 56, 64, 108, 124)
_BRANDS = {  # of ISO base media files (ISO/IEC 14496-12), most telling first
    "image/avif": (b"avif", b"avis"),
    "image/heic": (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"),
    "image/x-canon-cr3": (b"crx ",),
    "video/quicktime": (b"qt  ",),
}


def sniff_media_type(head: bytes) -> str | None:
    """Return the media type that a file's first bytes announce, or None where they announce no picture and no film.

    Args:
        head: the first `SNIFFED_BYTES` of the file, or more.

    Returns:
        Such as `image/jpeg`, `image/heic`, `video/mp4`. Camera raw files that are TIFF inside are `image/tiff`, save
        those that say more about themselves in their first bytes; `camera_raw.camera_raw_type` looks further.
    """
    for prefix, media_type in _PREFIXES:
        if head.startswith(prefix):
            return media_type
    if head[:4] in _TIFF:
        return "image/x-canon-cr2" if head[8:10] == b"CR" else "image/tiff"
    if head[:4] == b"RIFF":
        return _RIFF.get(head[8:12])
    # "BM" alone would make a picture of any text that starts so.
    if head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_BYTES:
        return "image/bmp"
    return _sniff_base_media(head)


def _sniff_base_media(head: bytes) -> str | None:
    if head[4:8] in {b"moov", b"mdat", b"wide"}:  # QuickTime before it had brands
        return "video/quicktime"
    if head[4:8] != b"ftyp":
        return None
    brands = {head[8:12]} | {head[at : at + 4] for at in range(16, min(int.from_bytes(head[:4], "big"), len(head)), 4)}
    for media_type, names in _BRANDS.items():
        if brands.intersection(names):
            return media_type
    return "video/mp4"
