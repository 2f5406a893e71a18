"""A folder is served to this machine, with the types that browsers ask for."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge3d.errors import Edge3dError
from edge3d.export.targets.web.server import HOST, make_server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("index.html", "app.js", "data.json", "net.tflite", "LICENSES.txt"):
        (tmp_path / name).write_text(name)
    (tmp_path / "run.wasm").write_bytes(b"\0asm")
    return tmp_path


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with make_server(folder, 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/run.wasm", "application/wasm"),
        ("/data.json", "application/json"),
        ("/net.tflite", "application/octet-stream"),
    ],
)
def test_types(address: str, path: str, kind: str) -> None:
    with urllib.request.urlopen(address + path) as answer:
        assert answer.headers["Content-Type"] == kind


def test_nothing_beside_the_folder(address: str, folder: Path) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(address + "/../secret.txt")


def test_a_port_that_is_taken(folder: Path) -> None:
    with make_server(folder, 0) as server:
        port = server.server_address[1]
        with pytest.raises(Edge3dError, match=f"port {port} cannot be used .*--port"):
            make_server(folder, port)


def test_what_is_no_port(folder: Path) -> None:
    with pytest.raises(Edge3dError, match="port 70000"):
        make_server(folder, 70000)


def test_folders_without_an_app(tmp_path: Path) -> None:
    with pytest.raises(Edge3dError, match="no such folder"):
        make_server(tmp_path / "gone", 0)
    with pytest.raises(Edge3dError, match=r"no index\.html"):
        make_server(tmp_path, 0)


def test_by_the_command(folder: Path) -> None:
    command = [sys.executable, "-u", "-m", "edge3d", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            address = next(word.rstrip(";") for word in said.split() if word.startswith("http"))
            with urllib.request.urlopen(address) as answer:
                assert answer.read() == b"index.html"
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
        finally:
            process.kill()
