"""Serves a folder of static files to this machine's browser, as `edge3d export --target web` made.

Browsers give the camera to pages of https:// and of localhost only; a file:// page gets none.
"""

from __future__ import annotations

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from edge3d.errors import Edge3dError

HOST = "127.0.0.1"


class _Handler(SimpleHTTPRequestHandler):
    # Browsers refuse scripts and WebAssembly of another type; the system's table may have any.
    extensions_map = {  # noqa: RUF012 (the base class has it so)
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
        ".wasm": "application/wasm",
        "": "application/octet-stream",
    }

    def end_headers(self) -> None:
        # A folder that was exported again is seen at once.
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A browser that closes a page while it loads is no error.
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def make_server(folder: str | Path, port: int) -> ThreadingHTTPServer:
    """Return a server of a folder on this machine alone, which `serve_forever` starts.

    Args:
        folder: with an index.html.
        port: 1..65535, or 0 for any free one; `server_address` tells it.

    Raises:
        Edge3dError: no such folder, nothing to serve in it, or the port is taken.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise Edge3dError(
            f"{folder}: no such folder; make one with `edge3d export --target web --out {folder}`"
        )
    if not (folder / "index.html").is_file():
        raise Edge3dError(
            f"{folder} has no index.html; give the folder that `edge3d export --target web` wrote"
        )
    try:
        return _Server((HOST, port), partial(_Handler, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise Edge3dError(
            f"port {port} cannot be used ({error}); choose another with --port, 0 for any free one"
        ) from error
