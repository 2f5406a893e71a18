"""The exported app, served, and opened in a headless browser."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edge3d
from edge3d.bundled import default_checkpoint_path, portrait_path
from edge3d.export.targets.web.app import export_web, node_packages
from edge3d.export.targets.web.check import find_browser
from edge3d.export.targets.web.server import make_server
from tests.export.web.browser import Open, open_portrait, says
from tests.required import lacks


@pytest.fixture(scope="session")
def packages() -> Path:
    """The folder of npm's packages."""
    if not shutil.which("npm"):
        lacks("web", "npm is missing; install Node.js 18 or newer")
    return node_packages()


@pytest.fixture(scope="session")
def app(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("web") / "app"
    export_web(default_checkpoint_path(), "fp32", out)
    return out


@pytest.fixture(scope="module")
def address(app: Path) -> Iterator[str]:
    with make_server(app, 0) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://localhost:{server.server_address[1]}/"
        server.shutdown()


@pytest.fixture(scope="module")
def reconstructor(app: Path) -> edge3d.FaceReconstructor:
    return edge3d.FaceReconstructor(app / "student-050-fp32.tflite")


@pytest.fixture(scope="module")
def camera_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A face that moves, is gone for a second and comes back, again and again."""
    path = tmp_path_factory.mktemp("camera") / "camera.mjpeg"
    image = cv2.imread(str(portrait_path()))
    with open(path, "wb") as file:
        for number in range(120):
            turn = 2 * np.pi * number / 60
            move = np.array([[1.2, 0, 60 * np.sin(turn) - 30], [0, 1.2, 20 * np.sin(2 * turn)]])
            frame = cv2.warpAffine(image, move, (640, 480))
            if number >= 90:
                frame[:] = 90
            file.write(cv2.imencode(".jpg", frame)[1].tobytes())
    return path


@pytest.fixture(scope="module")
def opened(address: str) -> Iterator[Open]:
    """Open the app in a browser with given flags; wait until it is ready."""
    try:
        from playwright import sync_api
    except ImportError:
        lacks("web", "Playwright is missing; install edge3d[dev]")
    browser_path = find_browser()
    if browser_path is None:
        lacks("web", "Chromium is missing; install the system's package chromium")
    with sync_api.sync_playwright() as playwright:

        @contextmanager
        def open_app(
            *flags: str, width: int = 1280, height: int = 900, ready: str = "Ready",
            contract: str | None = None, missing: str | None = None, at: str = address,
        ) -> Iterator[Any]:  # fmt: skip
            browser = playwright.chromium.launch(
                executable_path=browser_path,
                args=["--no-sandbox", "--enable-unsafe-swiftshader", *flags],
            )
            try:
                page = browser.new_page(viewport={"width": width, "height": height})
                urls, errors = [], []
                page.on("request", lambda request: urls.append(request.url))
                page.on("requestfailed", lambda one: one.failure == "csp" and urls.remove(one.url))
                page.on("pageerror", lambda error: errors.append(error))
                if contract is not None:
                    page.route("**/contract.json", lambda route: route.fulfill(body=contract))
                if missing is not None:
                    page.route(missing, lambda route: route.abort())
                page.goto(at)
                says(page, ready)
                yield page
                assert not errors
                assert all(url.startswith((at, f"blob:{at}")) for url in urls), urls
            finally:
                browser.close()

        yield open_app


@pytest.fixture(scope="module")
def page(opened: Open) -> Iterator[Any]:
    """The app with the portrait opened."""
    with opened() as page:
        open_portrait(page)
        yield page
