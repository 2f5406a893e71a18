"""`edge3d export --target web`: a folder that is a complete camera app, to be served as it is.

`app.js` is bundled from `edge3d/export/web/src`; npm fetches what it is made of, once, at the
versions of `package-lock.json`. What the page must know of the model stands in `contract.json`, of
the rest in `app.json`: names of files, the detector's and the tracker's constants, and where each
array lies in `face_model.bin`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from edge3d.bundled import detector_path, package_path
from edge3d.calibration.calibration_set import CalibrationSet
from edge3d.errors import ContractError, Edge3dError, OutputError
from edge3d.export.exporter import ExportResult, export_model
from edge3d.export.targets.web.app_data import write_data
from edge3d.export.targets.web.check import check_app, check_page
from edge3d.face_model import FaceModel, load_face_model
from edge3d.model.contract import ModelContract

# The runtime's files: one for browsers with relaxed SIMD, one for the others.
RUNTIME = "litert_wasm_internal", "litert_wasm_compat_internal"


SOURCE = package_path() / "export" / "targets" / "web"


_PAGE = ("index.html", "style.css", "icon.svg", "app.webmanifest", "service_worker.js")


def export_web(
    checkpoint: Path, precision: str, out: Path, *, overwrite: bool = False, force: bool = False,
    calibration: CalibrationSet | None = None,
) -> ExportResult:  # fmt: skip
    """Export a checkpoint to a TensorFlow Lite file within a web app.

    Args:
        checkpoint, precision, overwrite, force, calibration: as those of `export_model`.
        out: the app's folder, which is made; with `overwrite` an app that it holds is replaced.

    Where Chromium or Chrome is installed, the finished page is opened in it once.

    Raises:
        ContractError: the model's camera or face model is one that the page does not know.
        Edge3dError: npm is missing or failed, or the page does not start in the browser.
        OutputError: the folder is not empty, or cannot be written.
    """
    _check_place(out, overwrite)
    packages = node_packages()
    with _new_folder(out) as folder:
        result = export_model(
            checkpoint, "tflite", precision, folder, force=force, calibration=calibration
        )
        write_app(result.path, result.contract, packages, folder)
        check_app(folder)
        check_page(folder)
    return replace(result, path=out / result.path.name)


def write_app(model: Path, contract: ModelContract, packages: Path, out: Path) -> None:
    """Write everything beside the model.

    Args:
        model: the exported file, in `out`. contract: it carries.
        packages: see `node_packages`. out: the folder.

    Raises:
        ContractError, Edge3dError: see `export_web`.
    """
    face_model = load_face_model(contract.face_model)
    if contract.layout.camera != "rotation6d" or face_model.expression_bounds is None:
        raise ContractError(
            f"{model}: the page decodes rotation6d cameras and bounded expressions, as the open "
            f"face model's; this file's camera is {contract.layout.camera}"
        )
    write_data(model.name, contract, face_model, out)
    (out / "LICENSES.txt").write_text(_licences(contract, face_model, packages), encoding="utf-8")
    for name in _PAGE:
        shutil.copyfile(SOURCE / name, out / name)
    for path in detector_path().glob("*.tflite"):
        shutil.copyfile(path, out / path.name)
    (out / "wasm").mkdir()
    for name in RUNTIME:
        for suffix in (".js", ".wasm"):
            path = packages / "@litertjs" / "core" / "wasm" / f"{name}{suffix}"
            shutil.copyfile(path, out / "wasm" / path.name)
    _bundle(packages, out / "app.js")


def node_packages() -> Path:
    """Return the folder of npm's packages, which npm fills when it is first needed.

    It is in the user's cache, under the lock file's hash. No script of a package is run.

    Raises:
        Edge3dError: npm is not there, or failed.
    """
    lock = (SOURCE / "package-lock.json").read_bytes()
    cache = Path.home().absolute() / ".cache" / "edge3d" / "web"
    folder = cache / hashlib.sha256(lock).hexdigest()[:16]
    if (folder / "node_modules").is_dir():
        return folder / "node_modules"
    npm = shutil.which("npm")
    if npm is None:
        raise Edge3dError(
            "export to web needs npm, which is not installed; install Node.js 18 or newer, "
            "which brings it"
        )
    try:
        cache.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix="new-", dir=cache))
    except OSError as error:
        raise OutputError(f"cannot write {cache}: {error.strerror or error}") from error
    try:
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(SOURCE / name, temporary / name)
        arguments = ("ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund")
        _run([npm, *arguments], temporary, "npm could not install the page's packages")
        if not folder.exists():  # another export may have been faster
            temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder / "node_modules"


def _bundle(packages: Path, out: Path) -> None:
    # esbuild runs in another folder: relative paths would mean something else there.
    source, packages = SOURCE.absolute(), packages.absolute()
    command: list[object] = [packages / ".bin" / "esbuild", source / "src" / "main.ts"]
    command.append(f"--outfile={out.absolute()}")
    options = ("--bundle", "--minify", "--format=esm", "--target=es2022", "--log-level=warning")
    _run(
        [*map(str, command), *options],
        source,
        "esbuild could not bundle the page",
        NODE_PATH=str(packages),
    )


def _run(command: list[str], folder: Path, failure: str, **variables: str) -> None:
    """Run a program; what it says goes to a log that stays where it failed."""
    descriptor, name = tempfile.mkstemp(prefix="edge3d-web-", suffix=".log")
    with open(descriptor, "w", encoding="utf-8") as log:
        try:
            code = subprocess.run(
                command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                env={**os.environ, **variables}, check=False,
            ).returncode  # fmt: skip
        except OSError as error:
            raise Edge3dError(f"{failure}: {command[0]}: {error.strerror}") from error
    if code:
        raise Edge3dError(
            f"{failure} (exit code {code}); is a package registry within reach, and Node.js 18 or "
            f"newer installed? All that it said is in {name}"
        )
    Path(name).unlink()


def _check_place(out: Path, overwrite: bool) -> None:
    """Make sure that nothing but an older app is lost."""
    if not out.exists():
        return
    if not out.is_dir():
        raise OutputError(f"{out} is a file; choose another folder")
    if any(out.iterdir()):
        if not (out / "app.json").is_file():
            raise OutputError(f"{out} holds something else than a web app; choose another folder")
        if not overwrite:
            raise OutputError(f"{out} holds a web app already; use --overwrite, or choose another")


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """Yield a folder beside `out` that takes its place when the block ends well."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        temporary.chmod(0o755)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
    try:
        yield temporary
        if out.exists():
            shutil.rmtree(out)
        temporary.rename(out)
    except OSError as error:
        raise OutputError(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _licences(contract: ModelContract, face_model: FaceModel, packages: Path) -> str:
    apache = (detector_path() / "LICENSE").read_text(encoding="utf-8")
    weights = contract.provenance.get("licence", "see contract.json, provenance")
    parts = {
        "edge3d (app.js, index.html, style.css): Apache-2.0": "The text is at the end.",
        "LiteRT.js (app.js, wasm/), Copyright Google LLC: Apache-2.0": "The text is at the end.",
        "three.js (app.js): MIT": (packages / "three" / "LICENSE").read_text(encoding="utf-8"),
        "Face detectors (blazeface_*.tflite): Apache-2.0": (
            detector_path() / "NOTICE"
        ).read_text(encoding="utf-8"),
        "Student's weights": str(weights),
        "Face model (face_model.bin)": face_model.licence,
        "Apache License 2.0": apache,
    }  # fmt: skip
    return "\n\n".join(
        f"{'=' * 78}\n{title}\n{'=' * 78}\n\n{text.strip()}" for title, text in parts.items()
    ) + "\n"  # fmt: skip
