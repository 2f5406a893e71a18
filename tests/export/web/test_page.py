"""The web app in headless Chromium gives Python's faces, of photos and of a camera."""

from __future__ import annotations

import http.server
import json
import threading
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edge3d
from edge3d.bundled import portrait_path
from edge3d.geometry.boxes import box_iou
from edge3d.tracker.smoothing import FaceSmoother, Smoothing
from tests.export.web.browser import (
    FACE,
    FAKE_CAMERA,
    FAKE_CONSENT,
    Open,
    ask,
    check_face,
    open_portrait,
    says,
)

# As it is found, shrunk by no whole number, by two, as it is, enlarged, and over the border.
BOXES = (
    [157.4, 62.3, 295.1, 200.2],
    [102, 10, 342, 250],
    [162, 70, 282, 190],
    [176, 82, 270, 176],
    [-40.5, -30, 300, 310.2],
    [300, 200, 700, 500],
)


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
        says(page, "cannot read broken.jpg as an image")


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
        green = "async () => [...document.getElementById('image').getContext('2d')"
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
