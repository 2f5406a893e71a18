"""The C++ project is built and gives Python's faces."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import edge3d
from edge3d.bundled import default_checkpoint_path, portrait_path
from edge3d.errors import ContractError, OutputError
from edge3d.runtime import read_contract
from tests.required import lacks

try:
    import onnxsim  # noqa: F401
    import openvino
except ImportError as error:
    if "cpp" in os.environ.get("EDGE3D_REQUIRE", ""):
        raise
    pytest.skip(f"{error}: needs the extra export", allow_module_level=True)

BOXES = ([157, 65, 287, 195], [102, 10, 342, 250], [-40.5, -30, 300, 310.2], [162, 70, 282, 190])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from edge3d.export.targets.cpp.project import export_cpp

    out = tmp_path_factory.mktemp("cpp") / "project"
    export_cpp(default_checkpoint_path(), "fp32", out)
    return out


@pytest.fixture(scope="module", params=["openvino", "litert"])
def runtime(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def sample(project: Path, runtime: str) -> Path:
    if not (shutil.which("cmake") and shutil.which("c++")):
        lacks("cpp", "CMake or a C++ compiler is missing; install cmake and g++")
    if runtime == "litert":
        litert = pytest.importorskip("ai_edge_litert", reason="no LiteRT: needs the extra tflite")
        found = Path(litert.__path__[0]) / "libLiteRt.so"
        if not found.is_file():
            lacks("cpp", "the LiteRT package has no libLiteRt.so; install ai-edge-litert 2.2")
        options = ["-DEDGE3D_RUNTIME=litert", f"-DLITERT_LIBRARY={found}"]
    else:
        options = [f"-DOpenVINO_DIR={Path(openvino.__path__[0]) / 'cmake'}"]
    # No address sanitizer: OpenVINO loads TBB in a way that it does not allow.
    flags = "-Wall -Wextra -Werror -fsanitize=undefined -fno-sanitize-recover=all"
    build = f"build-{runtime}"
    for command in (
        ["cmake", "-B", build, *options, f"-DCMAKE_CXX_FLAGS={flags}"],
        ["cmake", "--build", build],
    ):
        done = subprocess.run(command, cwd=project, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    return project / build / "edge3d_sample"


@pytest.fixture
def model(project: Path, runtime: str) -> Path:
    return project / f"student-050-fp32.{'xml' if runtime == 'openvino' else 'tflite'}"


@pytest.fixture(scope="module")
def image_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    image = edge3d.read_image(portrait_path())
    path = tmp_path_factory.mktemp("image_path") / "portrait.ppm"
    path.write_bytes(f"P6 {image.shape[1]} {image.shape[0]} 255\n".encode() + image.tobytes())
    return path


def run(sample: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sample, *map(str, arguments)], capture_output=True, text=True)


@pytest.mark.parametrize("box", BOXES)
def test_faces_equal_python(
    project: Path, sample: Path, model: Path, image_path: Path, box: list[float]
) -> None:
    done = run(sample, model, project / "face_model.bin", image_path, *box, "--time", 3)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (face,) = edge3d.FaceReconstructor(model).reconstruct(edge3d.read_image(portrait_path()), [box])
    points = {name: np.reshape(found[name], (-1, 3)) for name in ("landmarks", "vertices")}
    np.testing.assert_allclose(points["landmarks"], face.landmarks_px, atol=2e-3)
    np.testing.assert_allclose(points["vertices"], face.vertices_px, atol=0.05)
    np.testing.assert_allclose(found["blendshapes"], list(face.blendshapes.values()), atol=1e-4)
    angles = [found[f"{name}_deg"] for name in ("yaw", "pitch", "roll")]
    wanted = [face.pose.yaw_deg, face.pose.pitch_deg, face.pose.roll_deg]
    np.testing.assert_allclose(angles, wanted, atol=1e-3)
    assert found["median_ms"] > 0


@pytest.fixture(scope="module")
def check(project: Path) -> Path:
    """The crop and the decoder without a runtime, under both sanitizers."""
    if not shutil.which("c++"):
        lacks("cpp", "a C++ compiler is missing; install the system's package g++")
    program = project / "check"
    names = ("crop", "decode", "following", "smoothing")
    sources = [project / "src" / f"{name}.cpp" for name in names]
    command = ["c++", "-std=c++17", "-O1", "-g", "-Wall", "-Wextra", "-Werror"]
    command += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-I", project / "src"]
    own = Path(__file__).with_name("check_cpp.cpp")
    done = subprocess.run(
        [*map(str, command), own, *sources, "-o", program], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return program


@pytest.mark.parametrize("pixels", ["rgb", "bgr", "rgba", "nv21", "nv12", "i420"])
@pytest.mark.parametrize(
    "box", [[100, 40, 340, 280], [-30, -20, 213, 223], [90, 90, 210, 210], [150, 110, 231, 191]]
)
def test_crops_equal_opencv(
    project: Path, check: Path, tmp_path: Path, pixels: str, box: list[int]
) -> None:
    image = edge3d.read_image(portrait_path())[:360, :480]
    i420 = cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)
    u, v = i420[360:].reshape(2, -1)
    pairs = {"nv21": np.stack([v, u], 1), "nv12": np.stack([u, v], 1)}
    if pixels in pairs:
        raw = np.concatenate([i420[:360].ravel(), pairs[pixels].ravel()])
    elif pixels == "i420":
        raw = i420
    else:
        raw = {"rgb": image, "bgr": image[..., ::-1], "rgba": np.dstack([image, image[..., :1]])}[
            pixels
        ]
    is_yuv = pixels in ("nv21", "nv12", "i420")
    seen = cv2.cvtColor(i420, cv2.COLOR_YUV2RGB_I420) if is_yuv else image
    file = tmp_path / "frame.raw"
    file.write_bytes(np.ascontiguousarray(raw).tobytes())
    command = [check, pixels, 480, 360, file, project / "face_model.bin", *box]
    done = subprocess.run([*map(str, command)], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    found = np.frombuffer(done.stdout, np.uint8).reshape(120, 120, 3).astype(int)
    wanted = edge3d.crop_face(seen, box).pixels.astype(int)
    assert abs(found - wanted).max() <= (1 if box[2] - box[0] < 120 else 0)


def test_bad_input_is_told(
    project: Path, sample: Path, model: Path, image_path: Path, tmp_path: Path
) -> None:
    faces = project / "face_model.bin"
    cut = tmp_path / "cut.bin"
    cut.write_bytes(faces.read_bytes()[:5000])
    other = tmp_path / "other.bin"
    other.write_bytes(b"edge3df2" + b"0" * 64 + b"\0" * 100)
    for arguments, told in (
        ((tmp_path / "gone.xml", faces, image_path, 0, 0, 9, 9), "no such file"),
        ((image_path, faces, image_path, 0, 0, 9, 9), "refuses it"),
        ((model, cut, image_path, 0, 0, 9, 9), "is cut off"),
        ((model, other, image_path, 0, 0, 9, 9), "is not the face model"),
        ((model, faces, model, 0, 0, 9, 9), "no binary PPM"),
        ((model, faces, image_path, 9, 0, 9, 9), "the box is empty"),
        ((model, faces, image_path, 0, 0, 50000, 50000), "far larger than the frame"),
        ((model, faces, image_path, 1e12, 0, 1e12 + 100, 100), "far away from it"),
        ((model, faces, image_path, "nan", 0, 9, 9), "the box is empty"),
        ((model, faces), "usage"),
    ):
        done = run(sample, *arguments)
        assert done.returncode == 2 and told in done.stderr, (told, done.stderr)


def test_what_the_folder_says(project: Path) -> None:
    header = (project / "src" / "contract.hpp").read_text()
    contract = read_contract(project / "student-050-fp32.xml")
    assert contract.face_model_sha256 in header and "jawOpen" in header
    assert json.loads((project / "contract.json").read_text())["architecture"] == "student-050"
    assert not list(project.rglob(".*"))


def test_a_project_that_is_there_stays(project: Path) -> None:
    from edge3d.export.targets.cpp.project import export_cpp

    with pytest.raises(OutputError, match="--overwrite"):
        export_cpp(default_checkpoint_path(), "fp32", project)


def test_affine_cameras_are_refused(project: Path, tmp_path: Path) -> None:
    from edge3d.export.targets.cpp.project import write_project
    from edge3d.model.parameters import make_layout

    model = project / "student-050-fp32.xml"
    face_model, contract = edge3d.load_face_model("open"), read_contract(model)
    other = contract.replace(layout=make_layout("affine", face_model))
    with pytest.raises(ContractError, match="rotation6d"):
        write_project([model], other, face_model, tmp_path)


def test_by_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edge3d", "export", "--target", "cpp", "--out"]
    done = subprocess.run([*command, str(tmp_path / "p")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "p" / "CMakeLists.txt").is_file()
