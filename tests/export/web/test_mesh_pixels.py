"""The mesh is seen on the page, where the face is, at whatever size the image has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edge3d
from tests.export.web.browser import FACE, FAKE_CAMERA, FAKE_CONSENT, Open, ask, says


def canvas_pixels(page: Any) -> np.ndarray:
    """Return the stage as it is shown, scaled to the image (H, W, 3)."""
    png = page.locator("#stage").screenshot()
    shown = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    script = """() => {
        const [stage, image] = ["stage", "image"].map(id => document.getElementById(id));
        const [a, b] = [stage, image].map(element => element.getBoundingClientRect());
        const fit = Math.min(b.width / image.width, b.height / image.height);
        return [b.x - a.x + (b.width - fit * image.width) / 2,
                b.y - a.y + (b.height - fit * image.height) / 2, fit, image.width, image.height];
    }"""
    x, y, scale, width, height = page.evaluate(script)
    move = np.array([[scale, 0, x], [0, scale, y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(shown, move, (width, height), flags=flags).astype(int)


def differences(page: Any, style: str) -> np.ndarray:
    """Return which pixels (H, W) a style changes."""
    images = []
    for one in ("nothing", style):
        page.get_by_label("Show").select_option(one)
        page.wait_for_timeout(200)
        images.append(canvas_pixels(page))
    return abs(images[1] - images[0]).sum(axis=2) > 30


def face_pixels(vertices: np.ndarray, shape: tuple[int, ...], mask: np.ndarray) -> np.ndarray:
    """Return which pixels (H, W) the face covers: the hull of what the mask has in full."""
    points = np.round(vertices[mask > 0.5, :2]).astype(np.int32)
    filled = np.zeros(shape[:2], np.uint8)
    cv2.fillConvexPoly(filled, cv2.convexHull(points), 1)
    return filled.astype(bool)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / max((one | other).sum(), 1))


SIZES = [(640, 480), (1280, 720), (480, 640), (512, 512), (1000, 1400)]


@pytest.mark.parametrize("size", SIZES)
def test_on_the_first_photo(
    opened: Open, portrait: np.ndarray, tmp_path: Path, size: tuple[int, int]
) -> None:
    scale = min(size) / 512
    move = np.array([[scale, 0, 0], [0, scale, 0]])
    image = cv2.warpAffine(portrait, move, size, borderMode=cv2.BORDER_REPLICATE)
    edge3d.io.image.write_image(tmp_path / "photo.png", image)
    with opened() as page:
        page.get_by_label("Open photo").set_input_files(str(tmp_path / "photo.png"))
        says(page, "face was found in photo.png")
        changed = {style: differences(page, style) for style in ("mesh", "landmarks")}
        face = ask(page, f"async () => ({FACE})((await edge3d).shown.face)")
    model = edge3d.load_face_model("open")
    wanted = face_pixels(np.reshape(face["vertices"], (-1, 3)), image.shape, model.mask)
    assert overlap(changed["mesh"], wanted) > 0.8
    points = changed["landmarks"]
    assert 0.03 < points.sum() / wanted.sum() < 0.6
    assert (points & wanted).sum() > 0.75 * points.sum()


def test_of_a_camera(opened: Open, still_video: Path) -> None:
    with opened(FAKE_CAMERA, FAKE_CONSENT, f"--use-file-for-fake-video-capture={still_video}") as p:
        p.get_by_label("Smooth").uncheck()
        p.get_by_role("button", name="Start camera").click()
        says(p, "Following")
        p.get_by_label("Mirror").uncheck()
        changed = differences(p, "mesh")
        face = ask(p, f"async () => ({FACE})((await edge3d).shown.face)")
    assert changed.shape == (480, 640)
    model = edge3d.load_face_model("open")
    wanted = face_pixels(np.reshape(face["vertices"], (-1, 3)), changed.shape, model.mask)
    assert overlap(changed, wanted) > 0.8


@pytest.fixture(scope="module")
def still_video(portrait: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A camera of 640 x 480 in front of which nothing moves."""
    path = tmp_path_factory.mktemp("camera") / "still.mjpeg"
    frame = cv2.warpAffine(portrait[..., ::-1], np.array([[1.2, 0, -30], [0, 1.2, 0]]), (640, 480))
    path.write_bytes(cv2.imencode(".jpg", frame)[1].tobytes() * 30)
    return path
