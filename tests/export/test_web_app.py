"""The web app in headless Chromium gives Python's faces, of photos and of a camera."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edge3d
from edge3d.bundled import default_checkpoint_path, portrait_path
from edge3d.errors import ContractError, Edge3dError, OutputError
from edge3d.export.targets.web.app import SOURCE, export_web, node_packages, write_app
from edge3d.export.targets.web.server import make_server
from edge3d.geometry.boxes import box_iou
from edge3d.runtime import read_contract
from edge3d.tracker.smoothing import FaceSmoother, Smoothing

needs_npm = pytest.mark.skipif(not shutil.which("npm"), reason="no npm")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FAKE_CAMERA = "--use-fake-device-for-media-stream"
FAKE_CONSENT = "--use-fake-ui-for-media-stream"

# As it is found, shrunk by no whole number, by two, as it is, enlarged, and over the border.
BOXES = (
    [157.4, 62.3, 295.1, 200.2],
    [102, 10, 342, 250],
    [162, 70, 282, 190],
    [176, 82, 270, 176],
    [-40.5, -30, 300, 310.2],
    [300, 200, 700, 500],
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("npm"):
        pytest.skip("no npm")
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


Open = Callable[..., Any]


@pytest.fixture(scope="module")
def opened(address: str) -> Iterator[Open]:
    """Open the app in a browser with given flags; wait until it is ready."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: needs extra dev")
    if CHROMIUM is None:
        pytest.skip("no Chromium")
    with sync_api.sync_playwright() as playwright:

        @contextmanager
        def open_app(
            *flags: str, width: int = 1280, height: int = 900, ready: str = "Ready",
            contract: str | None = None,
        ) -> Iterator[Any]:  # fmt: skip
            browser = playwright.chromium.launch(
                executable_path=CHROMIUM,
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
                page.goto(address)
                says(page, ready)
                yield page
                assert not errors
                assert all(url.startswith((address, f"blob:{address}")) for url in urls), urls
            finally:
                browser.close()

        yield open_app


@pytest.fixture(scope="module")
def page(opened: Open) -> Iterator[Any]:
    """The app with the portrait opened."""
    with opened() as page:
        open_portrait(page)
        yield page


def says(page: Any, text: str) -> None:
    """Wait until the app's status says something."""
    from playwright.sync_api import expect

    expect(page.get_by_role("status")).to_contain_text(text, timeout=60_000)


def ask(page: Any, script: str, given: Any = None) -> Any:
    """Return what a function gives on the page; as text, which for long arrays is much faster."""
    return json.loads(page.evaluate(f"async x => JSON.stringify(await ({script})(x))", given))


def open_portrait(page: Any) -> None:
    page.get_by_label("Open photo").set_input_files(str(portrait_path()))
    says(page, "A face was found in portrait.jpg")


FACE = """face => ({
    box: face.box, landmarks: [...face.landmarks], vertices: [...face.vertices],
    pose: [face.pose.yawDeg, face.pose.pitchDeg, face.pose.rollDeg], blendshapes: face.blendshapes,
})"""


def check_face(found: dict[str, Any], wanted: edge3d.Face) -> None:
    points = {name: np.reshape(found[name], (-1, 3)) for name in ("landmarks", "vertices")}
    np.testing.assert_allclose(points["landmarks"], wanted.landmarks_px, atol=0.01)
    np.testing.assert_allclose(points["vertices"], wanted.vertices_px, atol=0.05)
    angles = [wanted.pose.yaw_deg, wanted.pose.pitch_deg, wanted.pose.roll_deg]
    np.testing.assert_allclose(found["pose"], angles, atol=0.01)
    assert found["blendshapes"] == pytest.approx(dict(wanted.blendshapes), abs=1e-3)


@pytest.mark.parametrize("box", BOXES)
def test_crops_equal_python(page: Any, portrait: np.ndarray, box: list[float]) -> None:
    script = (
        "async box => { const e = await edge3d; return [...e.crop(e.shown.image, box).pixels] }"
    )
    found = np.reshape(ask(page, script, box), (120, 120, 3))
    wanted = edge3d.crop_face(portrait, box).pixels.astype(int)
    assert abs(found - wanted).max() <= (1 if box[2] - box[0] < 120 else 0)


@pytest.mark.parametrize("box", BOXES)
def test_faces_equal_python(
    page: Any, reconstructor: edge3d.FaceReconstructor, portrait: np.ndarray, box: list[float]
) -> None:
    script = f"""async box => {{
        const e = await edge3d;
        return ({FACE})(await e.reconstruct(e.shown.image, box));
    }}"""
    (wanted,) = reconstructor.reconstruct(portrait, [box])
    check_face(ask(page, script, box), wanted)


def test_the_photo_s_face_is_python_s(
    page: Any, reconstructor: edge3d.FaceReconstructor, portrait: np.ndarray
) -> None:
    found = ask(page, f"async () => ({FACE})((await edge3d).shown.face)")
    (wanted,) = reconstructor.reconstruct(portrait)
    assert box_iou(np.array(found["box"]), wanted.box_xyxy) > 0.97
    (same,) = reconstructor.reconstruct(portrait, [found["box"]])
    check_face(found, same)


def test_small_faces_are_found_and_none_where_there_is_none(
    opened: Open, portrait: np.ndarray, tmp_path: Path
) -> None:
    small = np.full((1000, 1400, 3), 120, np.uint8)
    small[500:800, 900:1200] = cv2.resize(portrait, (300, 300), interpolation=cv2.INTER_AREA)
    nobody = np.full((300, 400, 3), 90, np.uint8)
    for name, image in (("small.png", small), ("nobody.png", nobody)):
        edge3d.io.image.write_image(tmp_path / name, image)
    (tmp_path / "broken.jpg").write_bytes(portrait_path().read_bytes()[:300])
    with opened() as page:
        page.get_by_label("Open photo").set_input_files(str(tmp_path / "small.png"))
        says(page, "A face was found in small.png")
        x0, y0, x1, y1 = page.evaluate("async () => (await edge3d).shown.face.box")
        assert 980 < (x0 + x1) / 2 < 1085 and 540 < (y0 + y1) / 2 < 620 and 55 < x1 - x0 < 110
        page.get_by_label("Open photo").set_input_files(str(tmp_path / "nobody.png"))
        says(page, "No face was found in nobody.png")
        assert page.get_by_role("button", name="Save GLB").is_disabled()
        page.get_by_label("Open photo").set_input_files(str(tmp_path / "broken.jpg"))
        says(page, "broken.jpg is no picture that this browser can read")


def test_a_camera_s_face_is_followed(
    opened: Open, camera_video: Path, reconstructor: edge3d.FaceReconstructor
) -> None:
    file = f"--use-file-for-fake-video-capture={camera_video}"
    script = f"""async () => {{
        const {{ image, face }} = (await edge3d).shown;
        if (!face) return null;
        const canvas = new OffscreenCanvas(image.width, image.height);
        canvas.getContext("2d").putImageData(image, 0, 0);
        const png = await (await canvas.convertToBlob()).arrayBuffer();
        return {{ png: [...new Uint8Array(png)], ...({FACE})(face) }};
    }}"""
    with opened(FAKE_CAMERA, FAKE_CONSENT, file) as page:
        page.get_by_label("Smooth").uncheck()
        page.get_by_role("button", name="Start camera").click()
        says(page, "Following a face")
        middles = []
        while len(middles) < 5:
            found = ask(page, script)
            if found is None:
                continue
            bgr = cv2.imdecode(np.array(found["png"], np.uint8), cv2.IMREAD_COLOR)
            image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
            (wanted,) = reconstructor.reconstruct(image, [found["box"]])
            check_face(found, wanted)
            middles.append(wanted.landmarks_px[:, :2].mean(axis=0))
            page.wait_for_timeout(250)
        assert np.ptp(middles, axis=0).max() > 10  # it moved
        assert "frames/s" in page.locator("#rate").inner_text()
        says(page, "No face in sight")
        says(page, "Following a face")
        page.get_by_role("button", name="Stop camera").click()
        says(page, "The camera is off")


def test_smoothing_equals_python_s(
    page: Any, reconstructor: edge3d.FaceReconstructor, rng: np.random.Generator
) -> None:
    (face,) = reconstructor.reconstruct(edge3d.read_image(portrait_path()))
    smoother = FaceSmoother(reconstructor.decoder, Smoothing())
    noise = 0.1 * rng.standard_normal((60, len(face.params))) * reconstructor.contract.layout.std
    turn = np.linspace(0, 1, 60)[:, None] * reconstructor.contract.layout.std  # and a motion
    frames = (face.params + noise + turn).astype(np.float32)
    times = np.cumsum(np.where(np.arange(60) == 50, 0.7, 1 / 30))  # with a gap
    wanted = [
        smoother.smooth(one, face.crop, float(t)) for one, t in zip(frames, times, strict=True)
    ]
    assert smoother.identity_shape is not None
    script = """async ({ frames, times, toFrame }) => {
        const smoother = (await edge3d).smoother();
        const smoothed = frames.map((params, i) =>
            [...smoother.smooth(Float32Array.from(params), toFrame, times[i])]);
        return { smoothed, shape: [...smoother.identityShape] };
    }"""
    scale, x, y = face.crop.scale, *face.crop.to_frame[:, 2]
    to_frame = {"scale": scale, "x": float(x), "y": float(y)}
    given = {"frames": frames.tolist(), "times": times.tolist(), "toFrame": to_frame}
    found = ask(page, script, given)
    np.testing.assert_allclose(found["smoothed"], wanted, atol=1e-3)
    shape = np.reshape(found["shape"], (-1, 3))
    np.testing.assert_allclose(shape, smoother.identity_shape, atol=0.05)


@pytest.mark.parametrize(
    ("flags", "told"),
    [((FAKE_CAMERA,), "The camera was refused"), ((FAKE_CONSENT,), "No camera was found")],
)
def test_without_a_camera_photos_work(opened: Open, flags: tuple[str, ...], told: str) -> None:
    with opened(*flags) as page:
        page.get_by_role("button", name="Start camera").click()
        says(page, told)
        assert page.get_by_role("button", name="Start camera").is_enabled()
        open_portrait(page)


def test_a_browser_without_webgl_shows_landmarks(opened: Open, portrait: np.ndarray) -> None:
    with opened("--disable-3d-apis", ready="no WebGL") as page:
        open_portrait(page)
        green = "async () => [...document.getElementById('picture').getContext('2d')"
        rgba = ask(page, f"{green}.getImageData(0, 0, 512, 512).data]")
        drawn = (np.reshape(rgba, (512, 512, 4))[..., :3] != portrait).any(axis=2)
        y, x = np.nonzero(drawn)
        assert 68 < len(y) < 4000 and 150 < x.min() < x.max() < 300 and y.max() < 200


def test_a_contract_that_the_page_does_not_know(app: Path, opened: Open) -> None:
    contract = json.loads((app / "contract.json").read_text())
    contract["crop"]["padding"] = "mirror"
    told = "field crop.padding is mirror, this page knows black"
    with opened(ready=told, contract=json.dumps(contract)) as page:
        assert page.get_by_role("button", name="Start camera").is_disabled()


def test_nothing_leaves_the_page(page: Any) -> None:
    asked = []

    class Elsewhere(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET  # noqa: N815

    with http.server.HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"http://localhost:{server.server_address[1]}/"
        script = """async url => {
            const outcomes = [];
            for (const options of [{}, { method: "POST", mode: "no-cors", body: "x" }]) {
                outcomes.push(await fetch(url, options).then(() => "sent", () => "refused"));
            }
            const image = new Image();
            outcomes.push(await new Promise(done => {
                image.onload = image.onerror = event => done(event.type);
                image.src = url + "image";
            }));
            navigator.sendBeacon(url + "beacon", "x");
            return outcomes;
        }"""
        assert page.evaluate(script, url) == ["refused", "refused", "error"]
        server.shutdown()
    assert asked == []


def test_the_glb_is_the_face(
    page: Any, reconstructor: edge3d.FaceReconstructor, tmp_path: Path
) -> None:
    trimesh = pytest.importorskip("trimesh", reason="no trimesh: needs the extra cli")
    pygltflib = pytest.importorskip("pygltflib", reason="no pygltflib: needs the extra cli")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save GLB").click()
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    says(page, "The face was saved")
    found = ask(page, f"async () => ({FACE})((await edge3d).shown.face)")
    (face,) = reconstructor.reconstruct(edge3d.read_image(portrait_path()), [found["box"]])
    (mesh,) = trimesh.load(path, process=False).geometry.values()
    model = reconstructor.face_model
    neutral = reconstructor.neutral_vertices(face) * model.unit_mm / 1000
    np.testing.assert_allclose(mesh.vertices, neutral, atol=2e-5)
    np.testing.assert_array_equal(mesh.faces, model.triangles)
    red, _, blue, opacity = mesh.visual.vertex_attributes["color"][model.landmark_triangles[30, 0]]
    assert red > blue > 0 and opacity == 65535  # the tip of the nose
    file = pygltflib.GLTF2().load(str(path))
    assert file.meshes[0].extras["targetNames"] == list(model.expression_names)
    np.testing.assert_allclose(file.meshes[0].weights, list(face.blendshapes.values()), atol=1e-3)
    jaw = model.expression_names.index("jawOpen")
    accessor = file.accessors[file.meshes[0].primitives[0].targets[jaw]["POSITION"]]
    lowest = model.expression_basis[:, 1, jaw].min() * model.unit_mm / 1000
    assert accessor.min[1] == pytest.approx(lowest, abs=1e-5)


def test_fits_a_phone_and_shows_the_numbers(
    opened: Open, reconstructor: edge3d.FaceReconstructor, portrait: np.ndarray
) -> None:
    (face,) = reconstructor.reconstruct(portrait)
    with opened(width=390, height=844) as page:
        open_portrait(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        yaw = page.get_by_role("row", name="Yaw").inner_text().split()[1]
        assert abs(float(yaw.removesuffix("°")) - face.pose.yaw_deg) < 1  # its own detector's box
        smile = page.get_by_role("row", name="mouthSmileLeft").inner_text().split()[1]
        assert 0.1 < float(smile) < 0.9
        assert page.locator("#blendshapes tr").count() == 51


def test_by_keyboard(page: Any) -> None:
    page.locator("body").click(position={"x": 2, "y": 2})
    reached = []
    for _ in range(6):
        page.keyboard.press("Tab")
        script = """() => {
            const element = document.activeElement;
            const shown = element.type === "file" ? element.nextElementSibling : element;
            return [element.id || element.className || element.tagName,
                    getComputedStyle(shown).outlineStyle];
        }"""
        reached.append(page.evaluate(script))
    assert reached[:4] == [[name, "solid"] for name in ("camera", "photo", "save", "style")]
    for role in ("button", "combobox", "checkbox", "region", "status"):
        for place in page.get_by_role(role).all():
            assert role == "status" or place.evaluate("e => e.ariaLabel || e.innerText || e.labels")


def test_the_mesh_is_drawn_over_the_face(page: Any, portrait: np.ndarray) -> None:
    def shown() -> np.ndarray:
        png = page.locator("#stage").screenshot()
        image = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
        return image.astype(int)

    pictures = {}
    for style in ("nothing", "mesh", "landmarks"):
        page.get_by_label("Show").select_option(style)
        page.wait_for_timeout(100)
        pictures[style] = shown()
    page.get_by_label("Show").select_option("mesh")
    for style in ("mesh", "landmarks"):
        changed = abs(pictures[style] - pictures["nothing"]).sum(axis=2) > 60
        scale = changed.shape[0] / portrait.shape[0]
        left = (changed.shape[1] - scale * portrait.shape[1]) / 2
        y, x = np.nonzero(changed)
        assert abs((x.mean() - left) / scale - 226) < 15 and abs(y.mean() / scale - 120) < 25
        assert changed.mean() < 0.1


def test_what_the_folder_holds(app: Path) -> None:
    names = {path.relative_to(app).as_posix() for path in app.rglob("*")}
    assert {"index.html", "app.js", "style.css", "face_model.bin", "LICENSES.txt"} <= names
    assert not [name for name in names if name.startswith(".") or "node_modules" in name]
    contract = read_contract(app / "student-050-fp32.tflite")
    assert (app / "contract.json").read_text().strip() == contract.to_json()
    licences = (app / "LICENSES.txt").read_text()
    for part in ("three.js", "LiteRT", "BlazeFace", "non-commercial", "CC0"):
        assert part in licences


@needs_npm
def test_sources_are_sound_typescript(tmp_path: Path) -> None:
    shutil.copytree(SOURCE, tmp_path / "web")
    for command in (["npm", "ci", "--ignore-scripts", "--no-audit"], ["npm", "run", "check"]):
        done = subprocess.run(command, cwd=tmp_path / "web", capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((SOURCE / "package-lock.json").read_text())
    for name, package in lock["packages"].items():
        assert "resolved" not in package and (not name or package["integrity"])


@needs_npm
def test_places_that_are_taken(app: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="--overwrite"):
        export_web(default_checkpoint_path(), "fp32", app)
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="something else"):
        export_web(default_checkpoint_path(), "fp32", tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").is_file()
    with pytest.raises(OutputError, match="is a file"):
        export_web(default_checkpoint_path(), "fp32", tmp_path / "thesis.txt")


@needs_npm
def test_a_failed_export_leaves_the_older_app(app: Path, tmp_path: Path) -> None:
    older = tmp_path / "app"
    older.mkdir()
    (older / "app.json").write_text("{}")
    with pytest.raises(ContractError):
        export_web(tmp_path / "gone.safetensors", "fp32", older, overwrite=True)
    assert (older / "app.json").read_text() == "{}"
    assert [path.name for path in tmp_path.iterdir()] == ["app"]


@needs_npm
def test_an_older_app_is_replaced(tmp_path: Path) -> None:
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
