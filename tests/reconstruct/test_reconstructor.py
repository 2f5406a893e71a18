from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import edge3d
from edge3d.bundled import default_checkpoint_path
from edge3d.detector import crop_box
from edge3d.geometry.boxes import box_iou, landmark_box


@pytest.fixture(scope="module")
def reconstructor() -> edge3d.FaceReconstructor:
    return edge3d.FaceReconstructor()


def test_the_bundled_student_finds_the_astronaut(
    reconstructor: edge3d.FaceReconstructor, portrait: np.ndarray
) -> None:
    (face,) = reconstructor.reconstruct(portrait)
    np.testing.assert_allclose(face.landmarks_px[36:42, :2].mean(axis=0), (205, 105), atol=8)
    assert face.vertices_px.shape == (len(reconstructor.face_model.mean), 3)
    np.testing.assert_allclose(
        reconstructor.face_model.landmarks(face.vertices_px), face.landmarks_px, atol=0.02
    )
    assert 0.0 <= face.blendshapes["jawOpen"] <= 1.0
    assert abs(face.pose.yaw_deg) < 20


def test_a_batch_gives_what_single_calls_give(
    reconstructor: edge3d.FaceReconstructor, portrait: np.ndarray
) -> None:
    boxes = [(150, 30, 300, 180), (140, 40, 310, 190), (160, 35, 290, 165)]
    together = reconstructor.reconstruct(portrait, boxes=boxes)
    for box, face in zip(boxes, together, strict=True):
        (alone,) = reconstructor.reconstruct(portrait, boxes=[box])
        np.testing.assert_allclose(face.landmarks_px, alone.landmarks_px, atol=1e-3)


def test_landmarks_do_not_depend_on_the_pictures_size(
    reconstructor: edge3d.FaceReconstructor, portrait: np.ndarray
) -> None:
    (small,) = reconstructor.reconstruct(portrait, boxes=[(150, 30, 300, 180)])
    doubled = portrait.repeat(2, axis=0).repeat(2, axis=1)
    (large,) = reconstructor.reconstruct(doubled, boxes=[(300, 60, 600, 360)])
    # A pixel's centre at x becomes 2 x + 0.5 when pixels are doubled.
    expected = small.landmarks_px * 2 + [0.5, 0.5, 0]
    assert np.linalg.norm(large.landmarks_px - expected, axis=1).mean() < 2.0


def test_a_face_half_outside_is_reconstructed(
    reconstructor: edge3d.FaceReconstructor, portrait: np.ndarray
) -> None:
    cut = np.ascontiguousarray(portrait[:, 225:])  # the face's middle is the left border
    (face,) = reconstructor.reconstruct(cut, boxes=[(-75, 30, 75, 180)])
    assert np.isfinite(face.vertices_px).all()
    assert abs(face.landmarks_px[27:31, 0].mean()) < 25  # the nose is near the border


def test_no_boxes_give_no_faces(
    reconstructor: edge3d.FaceReconstructor, portrait: np.ndarray
) -> None:
    assert reconstructor.reconstruct(portrait, boxes=[]) == []
    assert reconstructor.reconstruct(np.zeros((64, 64, 3), np.uint8)) == []


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((10, 10, 3), np.float32),
    ],
)
def test_what_is_no_rgb_picture_is_refused(
    reconstructor: edge3d.FaceReconstructor, image: np.ndarray
) -> None:
    with pytest.raises(ValueError, match=r"\(H, W, 3\) uint8"):
        reconstructor.reconstruct(image)


def test_the_checkpoint_gives_the_same_face(
    reconstructor: edge3d.FaceReconstructor, portrait: np.ndarray
) -> None:
    pytest.importorskip("torch")
    reference = edge3d.FaceReconstructor(default_checkpoint_path())
    (expected,) = reference.reconstruct(portrait, boxes=[(150, 30, 300, 180)])
    (face,) = reconstructor.reconstruct(portrait, boxes=[(150, 30, 300, 180)])
    assert abs(face.landmarks_px - expected.landmarks_px).max() < 0.05


def test_importing_and_running_needs_numpy_opencv_and_litert_alone() -> None:
    script = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "onnxruntime", "typer", "rich", "scipy",
                                  "trimesh", "pygltflib", "jinja2", "matplotlib", "pydantic",
                                  "safetensors", "litert_torch", "openvino"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
import edge3d
from edge3d.geometry.boxes import box_iou, landmark_box
from edge3d.detector import crop_box
from edge3d.bundled import portrait_path
loaded = {name.split(".")[0] for name in sys.modules}
assert "ai_edge_litert" not in loaded, "the runtime is loaded on import"
faces = edge3d.FaceReconstructor().reconstruct(edge3d.read_image(portrait_path()))
assert len(faces) == 1, faces
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_poor_box_is_refined_by_the_landmarks(
    reconstructor: edge3d.FaceReconstructor, portrait: np.ndarray
) -> None:
    (good,) = reconstructor.reconstruct(portrait)
    box = good.box_xyxy + 0.12 * (good.box_xyxy[2] - good.box_xyxy[0])
    (refined,) = reconstructor.reconstruct(portrait, boxes=[box.tolist()], refine=True)
    (as_given,) = reconstructor.reconstruct(portrait, boxes=[box.tolist()])
    np.testing.assert_array_equal(as_given.box_xyxy, box)
    assert box_iou(refined.box_xyxy, good.box_xyxy) > 0.85 > box_iou(box, good.box_xyxy)


def test_detected_faces_are_refined_unless_not_wanted(
    reconstructor: edge3d.FaceReconstructor, portrait: np.ndarray
) -> None:
    (detection,) = reconstructor.detector.detect(portrait)
    (plain,) = reconstructor.reconstruct(portrait, refine=False)
    np.testing.assert_array_equal(plain.box_xyxy, crop_box(detection))
    (refined,) = reconstructor.reconstruct(portrait)
    np.testing.assert_allclose(refined.box_xyxy, landmark_box(plain.landmarks_px))


def test_a_box_without_a_face_is_not_refined_away(
    reconstructor: edge3d.FaceReconstructor,
) -> None:
    black = np.zeros((200, 200, 3), np.uint8)
    (face,) = reconstructor.reconstruct(black, boxes=[(20, 20, 180, 180)], refine=True)
    assert box_iou(face.box_xyxy, np.array([20, 20, 180, 180])) >= 0.4
    assert np.isfinite(face.vertices_px).all()
