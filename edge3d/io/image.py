"""Reading and writing pictures: whatever a camera or an editor made, as RGB uint8.

Convention: RGB, uint8, (H, W, 3), the right way up.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.errors import ImageError, OutputError
from edge3d.io.files import atomic_path
from edge3d.io.image_container import (
    JPEG_START,
    describe_unreadable,
    exif_orientation,
    find_damage,
)
from edge3d.io.opencv_log import quiet_opencv

SUPPORTED_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff")
JPEG_QUALITY = 95


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
    problem = find_damage(data)
    if problem is not None:
        raise ImageError(f"{path} is a damaged picture: {problem}; copy or export it again")
    with quiet_opencv():
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
            f"{path} {describe_unreadable(data)}; convert it to JPEG or PNG "
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
    with quiet_opencv():
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
    if not data.startswith((JPEG_START, b"BM")):
        image = cv2.imdecode(buffer, cv2.IMREAD_UNCHANGED)
        if image is None:
            return None
        if image.ndim == 3 and image.shape[2] == 4 and image.dtype in (np.uint8, np.uint16):
            # IMREAD_UNCHANGED, the one way to the alpha channel, leaves the orientation to us.
            upright = _orient(_over_white(image), exif_orientation(data))
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
