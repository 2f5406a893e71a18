"""A folder is served to this machine, with the types that browsers ask for."""

from __future__ import annotations

import gzip
import http.client
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge3d.errors import Edge3dError
from edge3d.export.targets.web import server as server_module
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


def answer_to(
    address: str, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict, bytes]:
    """Return status, headers and body of a raw request, whose path is sent as it is."""
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=30)
    try:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, headers=sent)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil", ""])
def test_other_host_names_are_refused(address: str, host: str) -> None:
    status, _, body = answer_to(address, "/", Host=host)
    assert status == 400 and b"index.html" not in body


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1"])
def test_own_host_names_are_answered(address: str, host: str) -> None:
    assert answer_to(address, "/", Host=host)[0] == 200


def test_symbolic_links_do_not_lead_out(address: str, folder: Path) -> None:
    secret = folder.parent / "secret"
    secret.mkdir()
    (secret / "key.txt").write_text("secret")
    (folder / "link.txt").symlink_to(secret / "key.txt")
    (folder / "link").symlink_to(secret, target_is_directory=True)
    for path in ("/link.txt", "/link/key.txt", "/link/"):
        status, _, body = answer_to(address, path)
        assert status == 404 and b"secret" not in body


def test_folders_are_not_listed(address: str, folder: Path) -> None:
    (folder / "wasm").mkdir()
    (folder / "wasm" / "hidden.wasm").write_bytes(b"\0asm")
    for path in ("/wasm", "/wasm/"):
        status, _, body = answer_to(address, path)
        assert status in (307, 404) and b"hidden" not in body


@pytest.mark.parametrize(
    "path", ["/%00", "/a%00.js", "/%ff", "//", "/%2e%2e/secret.txt", "/" + "a" * 5000, "/..%2f.."]
)
def test_odd_paths_are_not_found(address: str, capfd: pytest.CaptureFixture, path: str) -> None:
    status, _, _ = answer_to(address, path)
    assert 200 <= status < 500
    assert answer_to(address, "/")[0] == 200
    assert "Traceback" not in capfd.readouterr().err


def test_a_range(address: str, folder: Path) -> None:
    content = bytes(range(256)) * 40
    (folder / "net.tflite").write_bytes(content)
    status, headers, body = answer_to(address, "/net.tflite", Range="bytes=100-299")
    assert status == 206 and body == content[100:300]
    assert headers["content-range"] == f"bytes 100-299/{len(content)}"
    assert answer_to(address, "/net.tflite", Range="bytes=99999-")[0] == 416


def test_compression(address: str, folder: Path) -> None:
    content = b"face " * 20_000
    (folder / "app.js").write_bytes(content)
    status, headers, body = answer_to(address, "/app.js", Accept_Encoding="gzip")
    assert status == 200 and headers["content-encoding"] == "gzip" and len(body) < 2000
    assert gzip.decompress(body) == content
    assert answer_to(address, "/app.js")[2] == content


def test_methods_that_write_are_refused(address: str) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert answer_to(address, "/index.html", method)[0] == 405


def test_the_local_network_by_https(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "lan_address", lambda: HOST)
    with make_server(folder, 0, lan=True) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            port = server.server_address[1]
            assert server.server_address[0] == "0.0.0.0" and server.url == f"https://{HOST}:{port}/"
            pem = ssl.get_server_certificate((HOST, port))
            trusting = ssl.create_default_context(cadata=pem)
            with urllib.request.urlopen(server.url, context=trusting) as answer:
                assert answer.read() == b"index.html"
            with pytest.raises(urllib.error.URLError, match="self-signed"):
                urllib.request.urlopen(server.url)
        finally:
            server.shutdown()
            thread.join()


def test_without_a_network(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise OSError("Network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    with pytest.raises(Edge3dError, match="in no network"):
        make_server(folder, 0, lan=True)
