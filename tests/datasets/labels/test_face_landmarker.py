from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from edge3d.datasets.labels.face_landmarker import BLENDSHAPE_POINTS, BLENDSHAPES, FaceLandmarker
from edge3d.datasets.labels.face_square import FaceSquare, aimed_square, detected_square
from edge3d.datasets.labels.mesh_topology import REGIONS, mesh_mirror, point_regions
from edge3d.datasets.labels.mesh_views import (
    MIRRORED_BLENDSHAPES,
    consensus,
    face_size,
    geometric_median,
)
from edge3d.detector import FaceDetector
from edge3d.errors import DatasetError


@pytest.fixture(scope="module")
def task(data_dir: Path) -> Path:
    path = data_dir / "free" / "assets" / "face_landmarker.task"
    if not path.is_file():
        pytest.skip("no face_landmarker.task in free/assets")
    return path


def test_tables_fit_together() -> None:
    assert len(BLENDSHAPES) == 52 and len(BLENDSHAPE_POINTS) == 146
    mirror, regions = mesh_mirror(), point_regions()
    np.testing.assert_array_equal(mirror[mirror], np.arange(478))
    for point in (33, 468, 46, 234):
        right, left = REGIONS[regions[point]], REGIONS[regions[mirror[point]]]
        assert right.endswith("_right") and left == right.replace("right", "left")
    assert REGIONS[regions[13]] == REGIONS[regions[mirror[61]]] == "lips"
    names = [BLENDSHAPES[n] for n in MIRRORED_BLENDSHAPES]
    assert names[BLENDSHAPES.index("eyeLookInLeft")] == "eyeLookInRight"
    assert names[BLENDSHAPES.index("mouthLeft")] == "mouthRight"
    assert names[BLENDSHAPES.index("jawOpen")] == "jawOpen"


def test_the_median_ignores_a_view_that_jumped(rng: np.random.Generator) -> None:
    views = rng.normal(size=(1, 50, 3)) + 0.01 * rng.normal(size=(7, 50, 3))
    jumped = views.copy()
    jumped[3] += 40
    away = np.abs(geometric_median(jumped, np.ones(7)) - geometric_median(views, np.ones(7)))
    assert away.max() < 0.05


def test_a_mesh_far_from_its_square_does_not_move_it() -> None:
    given = FaceSquare((100.0, 100.0), 150.0)
    mesh = 50 * np.random.default_rng(0).uniform(-1, 1, (478, 3)) + [100, 100, 0]
    assert aimed_square(mesh, given).side_px == pytest.approx(150, rel=0.02)
    assert aimed_square(mesh + np.array([60, 0, 0]), given) == given
    assert aimed_square(3 * mesh - [200, 200, 0], given) == given


def test_files_that_are_no_task_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="does not exist"):
        FaceLandmarker(tmp_path / "missing.task")
    path = tmp_path / "face_landmarker.task"
    path.write_bytes(b"no archive")
    with pytest.raises(DatasetError, match="has SHA-256 .*, expected 64184e22"):
        FaceLandmarker(path)
    with pytest.raises(DatasetError, match=r"is not a face_landmarker\.task"):
        FaceLandmarker(path, sha256="")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("face_landmarks_detector.tflite", b"no graph")
    with pytest.raises(DatasetError, match=r"face_blendshapes\.tflite"):
        FaceLandmarker(path, sha256="")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("face_blendshapes.tflite", b"no graph")
    with pytest.raises(DatasetError, match="is damaged"):
        FaceLandmarker(path, sha256="")


def test_a_task_with_swapped_networks_is_refused(task: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(task) as archive:
        content = archive.read("face_blendshapes.tflite")
    path = tmp_path / "swapped.task"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("face_landmarks_detector.tflite", content)
        archive.writestr("face_blendshapes.tflite", content)
    with pytest.raises(DatasetError, match="it is another version"):
        FaceLandmarker(path, sha256="")
    changed = tmp_path / "changed.task"
    shutil.copy(task, changed)
    with open(changed, "ab") as file:
        file.write(b"x")
    with pytest.raises(DatasetError, match="download MediaPipe's"):
        FaceLandmarker(changed)


def test_the_portrait_smiles_with_open_eyes(task: Path, portrait: np.ndarray) -> None:
    landmarker = FaceLandmarker(task)
    square = detected_square(FaceDetector().detect(portrait)[0])
    seen = consensus(landmarker, portrait, square, 2)
    scores = dict(zip(BLENDSHAPES, np.median(seen.blendshapes, axis=0), strict=True))
    assert scores["mouthSmileLeft"] > 0.8 and scores["mouthSmileRight"] > 0.8
    assert scores["eyeBlinkLeft"] < 0.1 and scores["jawOpen"] < 0.1
    assert seen.presence.min() > 0.99
    # Without the half pixel, mirrored views lie 1 crop pixel, 0.55 px here, beside plain ones.
    assert abs(np.median(seen.asymmetry_px[:, 0])) < 0.25
    assert np.median(seen.spread) < 0.01
    assert seen.points_px[468, 0] < seen.points_px[473, 0]  # the subject's right eye is at the left
    mirrored = consensus(
        landmarker,
        np.ascontiguousarray(portrait[:, ::-1]),
        FaceSquare(
            (portrait.shape[1] - 1 - square.centre_px[0], square.centre_px[1]),
            square.side_px,
            -square.roll_deg,
        ),
        2,
    )
    back = mirrored.points_px[mesh_mirror(), :2] * [-1, 1] + [portrait.shape[1] - 1, 0]
    away = np.linalg.norm(back - seen.points_px[:, :2], axis=1) / face_size(seen.points_px)
    assert away.max() < 0.002
