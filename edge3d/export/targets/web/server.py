"""Serves the folder that `edge3d export --target web` made.

Starlette under uvicorn answers: ranges, compression, no listings, nothing outside of the folder,
symbolic links included. Requests whose Host header is another name than the server's are refused,
so that a website cannot reach it by a name of its own that it points here (DNS rebinding).

Browsers give the camera to pages of https:// and of localhost only; a file:// page gets none.
"""

from __future__ import annotations

import socket
import tempfile
import threading
from pathlib import Path
from types import TracebackType

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from edge3d.errors import Edge3dError
from edge3d.export.targets.web.certificate import write_certificate

HOST = "127.0.0.1"
EVERYWHERE = "0.0.0.0"
LOCAL_NAMES = ("localhost", HOST)
SHUTDOWN_S = 3

# Browsers refuse scripts and WebAssembly of another type; the system's table may have any.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
}


class _Files(StaticFiles):
    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        suffix = Path(path if path != "." else "index.html").suffix
        if response.status_code in (200, 206):
            response.headers["Content-Type"] = TYPES.get(suffix, "application/octet-stream")
        # A folder that was exported again is seen at once.
        response.headers["Cache-Control"] = "no-cache"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


class AppServer:
    """A server of one folder, listening; a context manager that closes its port.

    Attributes:
        server_address: host and port.
        url: of the page, for this machine or, in the local network, for others.
    """

    def __init__(self, folder: Path, port: int, lan_address: str | None) -> None:
        host = EVERYWHERE if lan_address else HOST
        names = [*LOCAL_NAMES, *([lan_address] if lan_address else [])]
        application = Starlette(
            routes=[Mount("/", _Files(directory=folder.resolve(), html=True))],
            middleware=[
                Middleware(TrustedHostMiddleware, allowed_hosts=names, www_redirect=False),
                Middleware(GZipMiddleware, minimum_size=1000, compresslevel=6),
            ],
        )
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind((host, port))
            self._socket.listen()
        except (OSError, OverflowError):
            self._socket.close()
            raise
        self.server_address: tuple[str, int] = self._socket.getsockname()
        self._keys = tempfile.TemporaryDirectory(prefix="edge3d-serve-")
        config = uvicorn.Config(
            application, log_config=None, lifespan="off", timeout_graceful_shutdown=SHUTDOWN_S
        )
        self.url = f"http://localhost:{self.server_address[1]}/"
        if lan_address:
            certificate, key = write_certificate(Path(self._keys.name), lan_address)
            config.ssl_certfile, config.ssl_keyfile = str(certificate), str(key)
            self.url = f"https://{lan_address}:{self.server_address[1]}/"
        self._server = uvicorn.Server(config)
        self._ended = threading.Event()
        self._ended.set()

    def serve_forever(self) -> None:
        """Serve until `shutdown`; in the main thread also until Ctrl-C (KeyboardInterrupt)."""
        self._ended.clear()
        try:
            self._server.run(sockets=[self._socket])
        finally:
            self._ended.set()

    def shutdown(self) -> None:
        """End `serve_forever`, soon."""
        self._server.should_exit = True

    def __enter__(self) -> AppServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.shutdown()
        self._ended.wait(2 * SHUTDOWN_S)  # it may run in another thread, and needs its socket
        self._socket.close()
        self._keys.cleanup()


def make_server(folder: str | Path, port: int, *, lan: bool = False) -> AppServer:
    """Return a server of a folder, which `serve_forever` starts.

    Args:
        folder: with an index.html.
        port: 1..65535, or 0 for any free one; `server_address` tells it.
        lan: serve the local network too, by https with a self-signed certificate that is made now
            and deleted at the end. Otherwise this machine alone.

    Raises:
        Edge3dError: no such folder, nothing to serve in it, the port is taken, or there is no
            network.
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
    address = lan_address() if lan else None
    try:
        return AppServer(folder, port, address)
    except (OSError, OverflowError) as error:
        raise Edge3dError(
            f"port {port} cannot be used ({error}); choose another with --port, 0 for any free one"
        ) from error


def lan_address() -> str:
    """Return this machine's address in its local network.

    Raises:
        Edge3dError: it is in none.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only chooses the interface
            address = str(probe.getsockname()[0])
    except OSError as error:
        raise Edge3dError(
            "this machine is in no network, so --lan has nobody to serve; connect it, "
            "or leave --lan out"
        ) from error
    return address
