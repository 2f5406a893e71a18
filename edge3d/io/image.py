"""Reading and writing pictures: whatever a camera or an editor made, as RGB uint8.

Convention: RGB, uint8, (H, W, 3), the right way up.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.errors import ImageError, OutputError
from edge3d.files import atomic_path

SUPPORTED_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
JPEG_QUALITY = 95

_JPEG_START, _PNG_START = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
_JPEG_END, _JPEG_SCAN = b"\xff\xd9", 0xDA
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1")


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read a picture.

    EXIF orientation is applied, 16 bits become 8, grey and palette colours become RGB, and what
    is transparent is laid over white, as a browser shows it. Of an animation, the first picture.
    Colour profiles are not applied. A file that was cut off is refused, rather than read with
    its lower part grey.

    Args:
        path: a file; the content counts, not the suffix.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: missing, a folder, empty, cut off, damaged, too large or no picture.
    """
    path = Path(path)
    data = _read_bytes(path)
    problem = _damage(data)
    if problem is not None:
        raise ImageError(f"{path} is a damaged picture: {problem}; copy or export it again")
    with _quiet_opencv():
        try:
            image = _decode(data)
        except cv2.error as error:
            raise ImageError(
                f"{path} cannot be decoded: {error.err}; pictures of up to "
                "2**30 pixels can be read, if they are not damaged: open it in an editor and "
                "export it as JPEG or PNG"
            ) from error
    if image is None:
        raise ImageError(
            f"{path} {_what_it_may_be(data)}; convert it to JPEG or PNG "
            f"(read here: {', '.join(SUPPORTED_SUFFIXES)})"
        )
    return image


def write_image(path: str | Path, image_rgb: NDArray[np.uint8]) -> None:
    """Write a picture; the suffix chooses the format, JPEG with quality 95.

    Args:
        path: with one of `SUPPORTED_SUFFIXES`; its folder is made.
        image_rgb: (H, W, 3) uint8 RGB, or (H, W) uint8 grey.

    Raises:
        OutputError: an unknown suffix, a picture that the format cannot hold, or a place that
            cannot be written to.
        ValueError: not an image array.
    """
    path = Path(path)
    image: NDArray = np.asarray(image_rgb)
    if image.dtype != np.uint8 or image.size == 0 or image.shape[2:] not in ((), (3,)):
        raise ValueError(f"image of {image.shape} {image.dtype}; (H, W, 3) or (H, W) uint8 wanted")
    suffix = path.suffix.lower()
    if suffix not in SUPPORTED_SUFFIXES:
        raise OutputError(
            f"cannot write {path}: unknown picture format '{path.suffix}'; use one of "
            f"{', '.join(SUPPORTED_SUFFIXES)}"
        )
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if suffix in (".jpg", ".jpeg") else []
    if image.ndim == 3:
        image = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    with _quiet_opencv():
        try:
            done, encoded = cv2.imencode(suffix, image, options)
        except cv2.error:
            done = False
    if not done:
        height, width = image.shape[:2]
        raise OutputError(
            f"cannot write {path}: {suffix} cannot hold {width} x {height} pixels; use .png"
        )
    with atomic_path(path) as temporary:
        temporary.write_bytes(encoded.tobytes())


def list_images(folder: str | Path) -> list[Path]:
    """Return the pictures that lie directly in a folder, sorted by name.

    Known by their suffix (`SUPPORTED_SUFFIXES`, in any case); hidden files are left out.

    Raises:
        ImageError: no such folder, or none of its files is a picture.
    """
    folder = Path(folder)
    try:
        found = sorted(
            file
            for file in folder.iterdir()
            if file.suffix.lower() in SUPPORTED_SUFFIXES
            and not file.name.startswith(".")
            and file.is_file()
        )
    except OSError as error:
        raise ImageError(
            f"cannot list pictures in {folder}: {error.strerror}; give a folder that exists"
        ) from error
    if not found:
        raise ImageError(
            f"no pictures in {folder}; it should hold files that end in "
            f"{', '.join(SUPPORTED_SUFFIXES)}"
        )
    return found


def _read_bytes(path: Path) -> bytes:
    # OpenCV's imread cannot open every path that Python can (Windows, unicode) and gives no reason.
    try:
        data = path.read_bytes()
    except IsADirectoryError as error:
        raise ImageError(f"{path} is a folder; give a picture's path") from error
    except FileNotFoundError as error:
        raise ImageError(f"{path} does not exist; check the path") from error
    except OSError as error:
        raise ImageError(
            f"cannot read {path}: {error.strerror}; check that you may read it"
        ) from error
    if not data:
        raise ImageError(f"{path} is empty (0 bytes); copy or export it again")
    return data


def _decode(data: bytes) -> NDArray[np.uint8] | None:
    buffer = np.frombuffer(data, np.uint8)
    # JPEG has no transparency, and the fourth byte of a BMP's pixel is most often padding.
    if not data.startswith((_JPEG_START, b"BM")):
        image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
        if image is None:
            return None
        if image.ndim == 3 and image.shape[2] == 4 and image.dtype in (np.uint8, np.uint16):
            # IMREAD_UNCHANGED, the one way to the alpha channel, leaves the orientation to us.
            upright = _orient(_over_white(image), _exif_orientation(data))
            return np.ascontiguousarray(upright[..., ::-1])
    image = cv2.imdecode(buffer, cv2.IMREAD_COLOR)
    return None if image is None else _rgb(image)


def _rgb(image_bgr: NDArray) -> NDArray[np.uint8]:
    return cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def _over_white(image: NDArray) -> NDArray[np.uint8]:
    """Lay a picture (H, W, 4) uint8 or uint16 over white: (H, W, 3) uint8."""
    if image.dtype == np.uint16:
        image = cv2.convertScaleAbs(image, alpha=255.0 / 65535.0)
    if image[..., 3].min() == 255:
        return image[..., :3]
    result = np.empty((*image.shape[:2], 3), np.uint8)
    for row in range(0, len(image), 256):  # in bands: a large picture in uint32 is four times it
        band = image[row : row + 256].astype(np.uint32)
        colour, alpha = band[..., :3], band[..., 3:]
        result[row : row + 256] = (colour * alpha + 255 * (255 - alpha) + 127) // 255
    return result


def _orient(image: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn a picture as EXIF's orientation 1..8 asks."""
    if orientation >= 5:
        image = image.transpose(1, 0, 2)
    if orientation in (2, 3, 6, 7):
        image = image[:, ::-1]
    if orientation in (3, 4, 7, 8):
        image = image[::-1]
    return image


def _exif_orientation(data: bytes) -> int:
    """Return the orientation 1..8 in the EXIF chunk of a PNG or WebP, 1 where there is none."""
    if data.startswith(_PNG_START):
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


def _damage(data: bytes) -> str | None:
    """Say what is wrong with a JPEG's, PNG's or WebP's outer structure, or None.

    Decoders fill what is missing with grey and go on, so this must be asked before.
    """
    if data.startswith(_JPEG_START):
        scan = _jpeg_scan(data)
        # Within the compressed data a 0xFF is always escaped, so that this marker is the end.
        if scan is None or data.find(_JPEG_END, scan) < 0:
            return "the file ends before the picture does"
    elif data.startswith(_PNG_START):
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
    at = len(_PNG_START)
    while at + 8 <= len(data):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        yield kind, at + 8, at + 8 + length
        if kind == b"IEND":
            return
        at += 12 + length


def _what_it_may_be(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        if data[8:12] in _HEIF_BRANDS:
            return "is an HEIC picture, which OpenCV cannot read"
        return "looks like a video or an AVIF picture, not a picture that can be read"
    return "is not a picture that can be read, or it is damaged"


@contextmanager
def _quiet_opencv() -> Iterator[None]:
    """Keep OpenCV's own warnings off the terminal: the error that follows says what is wrong."""
    # OpenCV 5 moved these two into a module of their own.
    logging: Any = getattr(cv2.utils, "logging", cv2)
    level = logging.getLogLevel()
    logging.setLogLevel(0)
    try:
        yield
    finally:
        logging.setLogLevel(level)
