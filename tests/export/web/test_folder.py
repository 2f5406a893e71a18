"""What `edge3d export --target web` writes, and where it refuses to."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edge3d
from edge3d.bundled import default_checkpoint_path
from edge3d.errors import ContractError, Edge3dError, OutputError
from edge3d.export.targets.web.app import SOURCE, export_web, node_packages, write_app
from edge3d.export.targets.web.check import check_app, check_page, find_browser
from edge3d.runtime import read_contract
from tests.required import lacks


def test_what_the_folder_holds(app: Path) -> None:
    names = {path.relative_to(app).as_posix() for path in app.rglob("*")}
    assert {"index.html", "app.js", "style.css", "face_model.bin", "LICENSES.txt"} <= names
    assert not [name for name in names if name.startswith(".") or "node_modules" in name]
    contract = read_contract(app / "student-050-fp32.tflite")
    assert (app / "contract.json").read_text().strip() == contract.to_json()
    licences = (app / "LICENSES.txt").read_text()
    for part in ("three.js", "LiteRT", "BlazeFace", "non-commercial", "CC0"):
        assert part in licences


def test_sources_are_sound_typescript(packages: Path, tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path / "web")
    for command in (["npm", "ci", "--ignore-scripts", "--no-audit"], ["npm", "run", "check"]):
        done = subprocess.run(command, cwd=tmp_path / "web", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((SOURCE / "package-lock.json").read_text())
    for name, package in lock["packages"].items():
        assert "resolved" not in package and (not name or package["integrity"])


def test_places_that_are_taken(app: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="--overwrite"):
        export_web(default_checkpoint_path(), "fp32", app)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="something else"):
        export_web(default_checkpoint_path(), "fp32", tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").is_file()
    with pytest.raises(OutputError, match="is a file"):
        export_web(default_checkpoint_path(), "fp32", tmp_path / "thesis.txt")


def test_a_failed_export_leaves_the_older_app(app: Path, tmp_path: Path) -> None:
    older = tmp_path / "app"
    older.mkdir()
    (older / "app.json").write_text("{}")
    with pytest.raises(ContractError):
        export_web(tmp_path / "gone.safetensors", "fp32", older, overwrite=True)
    assert (older / "app.json").read_text() == "{}"
    assert [path.name for path in tmp_path.iterdir()] == ["app"]


def test_an_older_app_is_replaced(packages: Path, tmp_path: Path) -> None:
    older = tmp_path / "app"
    older.mkdir()
    for name in ("app.json", "old.js"):
        (older / name).write_text("{}")
    command = [sys.executable, "-m", "edge3d", "export", "--target", "web", "--precision", "fp16"]
    done = subprocess.run(
        [*command, "--out", str(older), "--overwrite"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "edge3d serve" in done.stdout
    assert (older / "student-050-fp16.tflite").is_file() and not (older / "old.js").exists()


def test_affine_cameras_are_refused(tmp_path: Path) -> None:
    from edge3d.model.parameters import make_layout

    contract = read_contract(default_checkpoint_path())
    other = contract.replace(layout=make_layout("affine", edge3d.load_face_model("open")))
    with pytest.raises(ContractError, match="rotation6d"):
        write_app(tmp_path / "model.tflite", other, tmp_path, tmp_path)


def test_npm_that_is_missing_or_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Edge3dError, match=r"needs npm.*install Node\.js"):
        node_packages()
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no network; exit 7\n")
    npm.chmod(0o755)
    with pytest.raises(Edge3dError, match="exit code 7") as failure:
        node_packages()
    log = Path(str(failure.value).split()[-1])
    assert log.read_text() == "no network\n"
    log.unlink()
    assert not list((tmp_path / ".cache" / "edge3d" / "web").iterdir())


def test_a_relative_folder_is_that_of_the_caller(packages: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge3d", "export", "--target", "web", "--out", "sub/app"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "sub/app" in done.stdout
    assert (tmp_path / "sub" / "app" / "app.js").stat().st_size > 100_000
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["app"]
    assert not list(SOURCE.rglob("app.js"))


@pytest.mark.parametrize("name", ["app.js", "face_model.bin", "student-050-fp32.tflite"])
@pytest.mark.parametrize("is_gone", [True, False])
def test_an_app_without_one_of_its_files(
    app: Path, tmp_path: Path, name: str, is_gone: bool
) -> None:
    broken = tmp_path / "app"
    shutil.copytree(app, broken)
    check_app(broken)
    (broken / name).unlink() if is_gone else (broken / name).write_bytes(b"")
    with pytest.raises(OutputError, match=name):
        check_app(broken)


def test_a_page_that_does_not_start(app: Path, tmp_path: Path) -> None:
    if find_browser() is None:
        lacks("web", "Chromium is missing; install the system's package chromium")
    broken = tmp_path / "app"
    shutil.copytree(app, broken)
    check_page(broken)
    text = (broken / "contract.json").read_text()
    (broken / "contract.json").write_text(text.replace('"black"', '"mirror"'))
    with pytest.raises(Edge3dError, match=r"does not start.*contract\.json"):
        check_page(broken)
