"""What the page does when something is missing, fast, slow or broken; video files; no network."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edge3d
from edge3d.export.targets.web.server import make_server
from tests.export.web.browser import Open, open_portrait, says

NONE = "\N{EN DASH}"  # in place of a number


def numbers_of(page: Any) -> list[str]:
    return [cell.inner_text() for cell in page.locator("td.number").all()]


@pytest.fixture
def small_face(portrait: np.ndarray, tmp_path: Path) -> Path:
    """A face that only the network for small faces finds."""
    image = np.full((1000, 1400, 3), 120, np.uint8)
    image[500:700, 900:1100] = cv2.resize(portrait, (200, 200), interpolation=cv2.INTER_AREA)
    path = tmp_path / "small.png"
    edge3d.io.image.write_image(path, image)
    return path


def test_numbers_are_shown_at_once_and_go_with_the_face(opened: Open, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no image")
    with opened() as page:
        # Two results within one interval of the panel's text, as a fast detector gives.
        page.evaluate("() => { const now = performance.now(); performance.now = () => now; }")
        open_portrait(page)
        assert NONE not in numbers_of(page)
        page.get_by_label("Open photo").set_input_files(str(tmp_path / "broken.jpg"))
        says(page, "cannot read broken.jpg")
        assert set(numbers_of(page)) == {NONE}
        assert page.get_by_role("button", name="Save GLB").is_disabled()
        script = (
            "async () => { const { image, face } = (await edge3d).shown; return !image && !face }"
        )
        assert page.evaluate(script)
        open_portrait(page)


def test_the_larger_detector_is_loaded_ahead(opened: Open, small_face: Path) -> None:
    with opened() as page:
        page.evaluate("async () => { await (await edge3d).prepared }")
        page.context.set_offline(True)
        page.get_by_label("Open photo").set_input_files(str(small_face))
        says(page, "A face was found in small.png")


def test_without_the_larger_detector_until_it_is_back(opened: Open, small_face: Path) -> None:
    with opened(missing="**/blazeface_back.tflite") as page:
        page.get_by_label("Open photo").set_input_files(str(small_face))
        says(page, "could not be loaded")
        open_portrait(page)  # large faces need no more than what is there
        page.unroute_all()
        page.get_by_label("Open photo").set_input_files(str(small_face))
        says(page, "A face was found in small.png")


def test_a_page_without_its_script_says_so(opened: Open) -> None:
    with opened(ready="Loading", missing="**/app.js") as page:
        page.get_by_text("script (app.js) did not load").wait_for(state="visible", timeout=30_000)


def test_a_page_with_its_script_does_not_complain(page: Any) -> None:
    assert not page.locator("#stalled").is_visible()


def test_a_video_file_is_followed(opened: Open, portrait: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "clip.webm"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"VP80"), 10, (512, 512))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no WebM")
    for _ in range(30):
        writer.write(np.ascontiguousarray(portrait[..., ::-1]))
    writer.release()
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    with opened() as page:
        page.get_by_label("Open photo").set_input_files(str(path))
        says(page, "Following a face")
        assert page.get_by_label("Mirror").is_disabled()
        assert NONE not in numbers_of(page)
        says(page, "clip.webm has ended")
        page.get_by_label("Open photo").set_input_files(str(tmp_path / "broken.mp4"))
        says(page, "cannot play broken.mp4")
        assert page.get_by_role("button", name="Start camera").is_enabled()


def test_it_opens_offline(app: Path, opened: Open) -> None:
    with make_server(app, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with opened(at=server.url) as page:
                page.locator(".offline-ready").wait_for(state="attached", timeout=60_000)
                server.shutdown()
                thread.join()
                page.reload()
                says(page, "Ready")
                open_portrait(page)
        finally:
            server.shutdown()
            thread.join()
