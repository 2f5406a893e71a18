"""The outer structure of JPEG, PNG, WebP and HEIF files: damage, orientation, kind."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

JPEG_START, PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"

_JPEG_END, _JPEG_SCAN = b"\xff\xd9", 0xDA
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")


def exif_orientation(data: bytes) -> int:
    """Return the orientation 1..8 in the EXIF chunk of a PNG or WebP, 1 where there is none."""
    if data.startswith(PNG_START):
        chunks = {kind: data[start:end] for kind, start, end in _png_chunks(data)}
        tiff = chunks.get(b"eXIf", b"")
    else:
        at = data.rfind(b"EXIF") if data.startswith(b"RIFF") else -1
        tiff = data[at + 8 :].removeprefix(b"Exif\0\0") if at >= 0 else b""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    try:
        if order is None:
            return 1
        (directory,) = struct.unpack_from(order + "I", tiff, 4)
        (count,) = struct.unpack_from(order + "H", tiff, directory)
        for entry in range(count):
            tag, _, _, value = struct.unpack_from(order + "HHIH", tiff, directory + 2 + 12 * entry)
            if tag == 0x0112 and 1 <= value <= 8:
                return value
    except struct.error:
        pass  # a broken EXIF block, and a picture that is well without it
    return 1


def find_damage(data: bytes) -> str | None:
    """Say what is wrong with a JPEG's, PNG's or WebP's outer structure, or None.

    Decoders fill what is missing with grey and go on, so this must be asked before.
    """
    if data.startswith(JPEG_START):
        scan = _jpeg_scan(data)
        # Within the compressed data a 0xFF is always escaped, so that this marker is the end.
        if scan is None or data.find(_JPEG_END, scan) < 0:
            return "the file ends before the picture does"
    elif data.startswith(PNG_START):
        kind = b""
        for kind, start, end in _png_chunks(data):
            if end + 4 > len(data):
                return "the file ends before the picture does"
            stored = data[end : end + 4]
            if zlib.crc32(memoryview(data)[start - 4 : end]) != int.from_bytes(stored, "big"):
                return f"the checksum of its {kind.decode('latin-1')} data does not fit"
        if kind != b"IEND":
            return "the file ends before the picture does"
    elif data[8:12] == b"WEBP" and int.from_bytes(data[4:8], "little") + 8 > len(data):
        return "the file ends before the picture does"
    return None


def _jpeg_scan(data: bytes) -> int | None:
    """Return where the first scan's compressed data begins: behind any embedded thumbnail."""
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        if data[at + 1] == 0xFF:  # padding
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at + 1] == _JPEG_SCAN:
            return at + 2 + length
        at += 2 + length
    return None


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (kind, start of content, its end) of a PNG's chunks up to IEND."""
    at = len(PNG_START)
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        yield kind, at + 8, at + 8 + length
        if kind == b"IEND":
            return
        at += 12 + length


def describe_unreadable(data: bytes) -> str:
    """Say what a file that OpenCV cannot read may be, for an error message."""
    if data[4:8] == b"ftyp":
        if data[8:12] in _HEIF_BRANDS:
            return "is an HEIC picture, which OpenCV cannot read"
        return "looks like a video or an AVIF picture, not a picture that can be read"
    return "is not a picture that can be read, or it is damaged"
