"""Pictures of every kind come out as RGB uint8, and broken ones say why not."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge3d.errors import ImageError, OutputError
from edge3d.io.image import SUPPORTED_SUFFIXES, list_images, read_image, write_image


def smooth_picture(height: int = 48, width: int = 64) -> np.ndarray:
    """Red grows to the right, green downwards, blue is 40."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, np.full_like(x, 40)], axis=-1).astype(np.uint8)


def chunk(kind: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + checksum


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG made by hand; `rows` are raw, each with its filter byte."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def exif_tiff(orientation: int) -> bytes:
    return b"MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, orientation, 0, 0)


def jpeg_bytes(image: np.ndarray, *options: int) -> bytes:
    return cv2.imencode(".jpg", image[..., ::-1], list(options))[1].tobytes()


@pytest.mark.parametrize("suffix", SUPPORTED_SUFFIXES)
def test_every_suffix_round_trips(tmp_path: Path, suffix: str) -> None:
    image = smooth_picture()
    write_image(tmp_path / f"a{suffix.upper()}", image)
    again = read_image(tmp_path / f"a{suffix.upper()}")
    assert again.dtype == np.uint8 and again.shape == image.shape
    lossy = suffix in (".jpg", ".jpeg", ".webp")
    assert np.abs(again.astype(int) - image).max() <= (12 if lossy else 0)


def test_grey_is_written_and_read_as_rgb(tmp_path: Path) -> None:
    grey = smooth_picture()[..., 0]
    write_image(tmp_path / "grey.png", grey)
    assert np.array_equal(read_image(tmp_path / "grey.png"), np.stack([grey] * 3, axis=-1))


def test_unicode_path_and_new_folder(tmp_path: Path) -> None:
    path = tmp_path / "Gesichter für 顔" / "é.png"
    write_image(path, smooth_picture())
    assert np.array_equal(read_image(path), smooth_picture())
    assert list_images(path.parent) == [path]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "png with alpha"])
def test_exif_orientation(tmp_path: Path, orientation: int, kind: str) -> None:
    """The stored pixels are made from the upright ones by EXIF's definition."""
    upright = np.kron(
        np.array([[[250, 0, 0], [0, 250, 0], [0, 0, 250]], [[0, 0, 0]] * 3]), np.ones((16, 16, 1))
    ).astype(np.uint8)
    # EXIF 2.3: which side of the scene the stored first row and first column are.
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    path = tmp_path / "turned"
    if kind == "jpeg":
        block = b"Exif\0\0" + exif_tiff(orientation)
        data = jpeg_bytes(stored, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, 0x111111)
        segment = b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block
        path.write_bytes(data[:2] + segment + data[2:])
    else:
        height, width = stored.shape[:2]
        if kind == "png with alpha":
            stored = np.concatenate([stored, np.full((height, width, 1), 255, np.uint8)], axis=-1)
        rows = b"".join(b"\0" + row.tobytes() for row in stored)
        extra = chunk(b"eXIf", exif_tiff(orientation))
        path.write_bytes(png(width, height, 8, 6 if "alpha" in kind else 2, rows, extra))
    result = read_image(path)
    assert result.shape == upright.shape
    assert np.abs(result.astype(int) - upright).mean() < 3


@pytest.mark.parametrize(
    "data, expected",
    [
        (png(1, 1, 8, 6, b"\0" + bytes([255, 0, 0, 255])), [255, 0, 0]),
        (png(1, 1, 8, 6, b"\0" + bytes([255, 0, 0, 0])), [255, 255, 255]),
        (png(1, 1, 8, 6, b"\0" + bytes([200, 100, 0, 51])), [244, 224, 204]),
        (png(1, 1, 16, 6, b"\0" + struct.pack(">4H", 51400, 25700, 0, 13107)), [244, 224, 204]),
        (png(1, 1, 8, 4, b"\0" + bytes([0, 0])), [255, 255, 255]),
        (png(1, 1, 16, 0, b"\0" + struct.pack(">H", 40000)), [156, 156, 156]),
        (png(1, 1, 16, 2, b"\0" + struct.pack(">3H", 65535, 0, 25700)), [255, 0, 100]),
        (png(1, 1, 1, 0, b"\0\x80"), [255, 255, 255]),
        (png(1, 1, 8, 3, b"\0\0", chunk(b"PLTE", bytes([9, 80, 200]))), [9, 80, 200]),
        (
            png(1, 1, 8, 3, b"\0\0", chunk(b"PLTE", bytes([9, 80, 200])) + chunk(b"tRNS", b"\0")),
            [255, 255, 255],
        ),
    ],
    ids=[
        "opaque",
        "clear",
        "half",
        "half16",
        "grey+alpha",
        "grey16",
        "rgb16",
        "1bit",
        "palette",
        "palette+alpha",
    ],
)
def test_kinds_of_png(tmp_path: Path, data: bytes, expected: list[int]) -> None:
    (tmp_path / "a.png").write_bytes(data)
    assert read_image(tmp_path / "a.png").tolist() == [[expected]]


def test_a_100_megapixel_picture(tmp_path: Path) -> None:
    write_image(tmp_path / "large.jpg", np.full((8400, 12000), 77, np.uint8))
    image = read_image(tmp_path / "large.jpg")
    assert image.shape == (8400, 12000, 3)
    assert (image[::1000, ::1000] == 77).all()


def broken_pictures() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    noisy = rng.integers(0, 255, (64, 64, 3), np.uint8)
    jpeg = jpeg_bytes(noisy)
    progressive = jpeg_bytes(noisy, cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    whole = cv2.imencode(".png", noisy)[1].tobytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    # A whole thumbnail inside a picture that was cut off: its end must not be taken for the end.
    small = jpeg_bytes(noisy[:8, :8])
    thumbnail = b"\xff\xe1" + struct.pack(">H", len(small) + 2) + small
    others = {
        f"cut{suffix}": cv2.imencode(suffix, noisy)[1].tobytes()[:-200]
        for suffix in (".webp", ".bmp", ".tiff")
    }
    return {
        "empty.jpg": b"",
        "text.jpg": b"this is not a picture\n" * 20,
        "cut.jpg": jpeg[: len(jpeg) // 2],
        "last-bytes.jpg": jpeg[:-2],
        "header-only.jpg": jpeg[:10],
        "zero-filled.jpg": jpeg[: len(jpeg) // 2] + bytes(len(jpeg) // 2),
        "progressive.jpg": progressive[: len(progressive) // 2],
        "thumbnail.jpg": jpeg[:2] + thumbnail + jpeg[2 : len(jpeg) // 2],
        "cut.png": whole[: len(whole) // 2],
        "no-end.png": whole[:-12],
        "flipped.png": bytes(flipped),
        "photo.heic": b"\0\0\0\x18ftypheic" + bytes(100),
        **others,
    }


@pytest.mark.parametrize("name", broken_pictures())
def test_broken_pictures_are_refused(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(broken_pictures()[name])
    with pytest.raises(ImageError, match=name) as caught:
        read_image(tmp_path / name)
    assert ";" in str(caught.value), "the message says what to do"
    assert capfd.readouterr().err == "", "nothing but the error is told"


def test_a_thumbnail_and_bytes_after_the_end_do_no_harm(tmp_path: Path) -> None:
    image = smooth_picture()
    jpeg, small = jpeg_bytes(image), jpeg_bytes(image[:8, :8])
    thumbnail = b"\xff\xe1" + struct.pack(">H", len(small) + 2) + small
    (tmp_path / "a.jpg").write_bytes(jpeg[:2] + thumbnail + jpeg[2:] + b"trailer of a phone")
    assert np.abs(read_image(tmp_path / "a.jpg").astype(int) - image).max() < 12


def test_a_folder_and_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match=r"nowhere\.jpg does not exist"):
        read_image(tmp_path / "nowhere.jpg")


def test_list_images(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", ".hidden.png", "notes.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "folder.png").mkdir()
    assert [file.name for file in list_images(tmp_path)] == ["a.png", "b.JPG"]


def test_list_images_refuses(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no pictures in"):
        list_images(tmp_path)
    with pytest.raises(ImageError, match="nowhere"):
        list_images(tmp_path / "nowhere")
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(ImageError, match=r"file\.txt"):
        list_images(tmp_path / "file.txt")


def test_write_refuses_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"unknown picture format '\.xyz'"):
        write_image(tmp_path / "a.xyz", smooth_picture())
    with pytest.raises(OutputError, match="cannot hold 70000 x 1"):
        write_image(tmp_path / "wide.jpg", np.zeros((1, 70000, 3), np.uint8))
    with pytest.raises(ValueError, match="float64"):
        write_image(tmp_path / "a.png", np.zeros((4, 4, 3)))  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
