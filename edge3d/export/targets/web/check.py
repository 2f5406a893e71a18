"""Checks of an exported app: its files, and that its page starts in a browser."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from pathlib import Path

from edge3d.errors import Edge3dError, OutputError
from edge3d.export.targets.web.server import make_server

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")

# Of the browser's own clock, which stands still while the page waits for files.
LOAD_BUDGET_MS = 60_000
BROWSER_TIMEOUT_S = 120


def check_app(folder: Path) -> None:
    """Check that every file that the page reads is in the folder and is not empty.

    Raises:
        OutputError: a file is missing or empty.
    """
    config = json.loads((folder / "app.json").read_text(encoding="utf-8"))
    names = ["index.html", "style.css", "app.js", "contract.json", "LICENSES.txt", config["model"]]
    names += [config["face_model"]["file"]]
    names += [config["detector"]["short_range"], config["detector"]["back_camera"]]
    for name in names:
        path = folder / name
        if not path.is_file() or not path.stat().st_size:
            raise OutputError(f"the export did not write {name}; nothing was kept, export again")


def find_browser() -> str | None:
    """Return the path of a Chromium or Chrome, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def check_page(folder: Path) -> None:
    """Open the app in a headless browser, if one is installed, and wait until it is ready.

    A browser that cannot be started says nothing about the page and is passed over.

    Raises:
        Edge3dError: the page does not start.
    """
    browser = find_browser()
    if browser is None:
        return
    with make_server(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            page = _dumped(browser, f"http://localhost:{server.server_address[1]}/")
        finally:
            server.shutdown()
            thread.join()
    status = re.search(r'<p id="status"[^>]*>(.*?)</p>', page, re.DOTALL)
    if status is None:  # the browser did not start
        return
    text = html.unescape(status[1]).strip()
    if not text.startswith("Ready"):
        raise Edge3dError(
            f"the exported page does not start in {browser}: it says '{text}'; "
            "nothing was kept. Please report this with the versions of edge3d and the browser"
        )


def _dumped(browser: str, address: str) -> str:
    """Return the page's HTML once it has loaded; "" if the browser fails."""
    with tempfile.TemporaryDirectory(prefix="edge3d-browser-") as profile:
        command = [browser, "--headless=new", f"--user-data-dir={profile}", "--disable-gpu"]
        command += [f"--virtual-time-budget={LOAD_BUDGET_MS}", "--dump-dom", address]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.insert(1, "--no-sandbox")  # Chromium refuses to run as root with its sandbox
        try:
            done = subprocess.run(
                command, capture_output=True, stdin=subprocess.DEVNULL, timeout=BROWSER_TIMEOUT_S
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""
