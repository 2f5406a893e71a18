"""Draws the images of the documentation: `python -m tools.docs_images`."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.bundled import portrait_path
from edge3d.calibration.sources import SYNTHETIC_SEED, synthetic_faces
from edge3d.datasets.synthetic.parameters import sample_params
from edge3d.detector import FaceDetector, crop_box
from edge3d.face_model import load_face_model
from edge3d.geometry.boxes import landmark_box
from edge3d.geometry.crop import CROP_SIZE_PX, crop_face
from edge3d.geometry.mirror import flip_y
from edge3d.geometry.pose import angles_from_rotation, rotation_from_6d, rotation_from_angles
from edge3d.io.image import read_image, write_image
from edge3d.model.parameters import make_layout
from edge3d.reconstruct.reconstructor import FaceReconstructor
from edge3d.viz import drawing, overlays
from edge3d.viz.overlays import close_up

SIZE_PX = 300
PIXELS_PER_MM = SIZE_PX / 300
EXPRESSIONS = {
    "jawOpen": {"jawOpen": 0.7},
    "eyeBlink L + R": {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0},
    "mouthSmile L + R": {"mouthSmileLeft": 1.0, "mouthSmileRight": 1.0},
    "mouthPucker": {"mouthPucker": 1.0},
    "browInnerUp": {"browInnerUp": 1.0},
    "cheekPuff": {"cheekPuff": 1.0},
}
POSES = {
    "yaw +35": (35.0, 0.0, 0.0),
    "yaw -35": (-35.0, 0.0, 0.0),
    "pitch +25": (0.0, 25.0, 0.0),
    "pitch -25": (0.0, -25.0, 0.0),
    "roll +20": (0.0, 0.0, 20.0),
    "roll -20": (0.0, 0.0, -20.0),
}
model = load_face_model("open")


def picture(shape: NDArray, angles: tuple[float, float, float] = (0, 0, 0)) -> NDArray[np.uint8]:
    """Draw a shape (V, 3) in mm on white, turned by (yaw, pitch, roll) in degrees."""
    rotation = rotation_from_angles(*angles)
    points = flip_y(PIXELS_PER_MM * shape @ rotation.T) + np.array([SIZE_PX / 2, SIZE_PX * 0.55, 0])
    canvas = np.full((SIZE_PX, SIZE_PX, 3), 255, np.uint8)
    return overlays.draw_mesh(canvas, points, model.triangles, alpha=1.0)


def expression(weights: dict[str, float]) -> NDArray[np.float32]:
    """Return the mean face with some blendshapes on."""
    vector = np.zeros(model.expression_count)
    for name, value in weights.items():
        vector[model.expression_names.index(name)] = value
    return model.vertices(expression=vector)


def with_axes(angles: tuple[float, float, float]) -> NDArray[np.uint8]:
    """Draw the mean face in a pose, with its axes."""
    return drawing.draw_pose(
        picture(model.mean, angles),
        rotation_from_angles(*angles),
        (SIZE_PX / 2, SIZE_PX * 0.55),
        0.3 * SIZE_PX,
    )


def detections(height_px: int) -> NDArray[np.uint8]:
    """Draw the boxes and keypoints of the portrait, shrunk to a height, in a frame of 512 px.

    Thin and blue: the detector's own box; thick and yellow: the crop box.
    """
    portrait = read_image(portrait_path())
    small = cv2.resize(portrait, (height_px, height_px), interpolation=cv2.INTER_AREA)
    frame = np.full(portrait.shape, 90, np.uint8)
    frame[:height_px, -height_px:] = small
    found = FaceDetector().detect(frame)
    for face in found:
        for box, colour, width in (
            (face.box_xyxy, (60, 120, 255), 1),
            (crop_box(face), (255, 220, 0), 2),
        ):
            x0, y0, x1, y1 = (round(float(value)) for value in box)
            cv2.rectangle(frame, (x0, y0), (x1, y1), colour, width)
        for x, y in face.keypoints_px:
            cv2.circle(frame, (round(float(x)), round(float(y))), 2, (60, 120, 255), -1)
    return np.asarray(frame, np.uint8)


def reconstruction() -> NDArray[np.uint8]:
    """Draw what the bundled student finds in the portrait."""
    reconstructor = FaceReconstructor()
    portrait = read_image(portrait_path())
    near = close_up(portrait, reconstructor.reconstruct(portrait)[0].box_xyxy)
    face = reconstructor.reconstruct(near)[0]
    mesh, shown = face.vertices_px, model.mask_triangles
    return drawing.side_by_side(
        [
            near,
            overlays.draw_mesh(near, mesh, shown, opacity=model.mask),
            overlays.draw_wireframe(near, mesh, shown),
            drawing.draw_landmarks(near, face.landmarks_px),
        ],
        ["picture", "mesh", "wireframe", "68 landmarks"],
    )


def strong_expressions() -> NDArray[np.uint8]:
    """Draw rendered faces that were not trained on, and what the bundled student finds in them."""
    count, scale = 400, 3
    truth = sample_params(count, model, SYNTHETIC_SEED)
    layout = make_layout("rotation6d", model)
    weights = layout.part(truth, "expression")
    yaw, pitch, _ = angles_from_rotation(rotation_from_6d(layout.part(truth, "rotation")))
    is_near = (np.abs(yaw) < 30) & (np.abs(pitch) < 20)
    crops = synthetic_faces(count).crops
    reconstructor = FaceReconstructor()
    columns, names = [], []
    for name in ("eyeBlink", "jawOpen", "mouthSmile"):
        both = [n for n, own in enumerate(model.expression_names) if own.startswith(name)]
        strength = np.where(is_near, weights[:, both].min(axis=1), -1)
        for row in np.argsort(-strength)[:2]:
            crop = crops[row]
            whole = crop_face(crop, np.array([0, 0, CROP_SIZE_PX, CROP_SIZE_PX]))
            face = reconstructor.reconstruct_crops([whole], [whole.box_xyxy], [1.0])[0]
            size = (scale * CROP_SIZE_PX, scale * CROP_SIZE_PX)
            large = np.asarray(cv2.resize(crop, size, interpolation=cv2.INTER_CUBIC), np.uint8)
            half = np.array([0.5, 0.5, 0])  # of a pixel, whose middle the coordinates count from
            mesh = (face.vertices_px + half) * scale - half
            drawn = overlays.draw_mesh(large, mesh, model.mask_triangles, opacity=model.mask)
            columns.append(np.concatenate([large, drawn]))
            found = np.mean([face.blendshapes[model.expression_names[n]] for n in both])
            names.append(f"{name} {strength[row]:.1f}, found {found:.1f}")
    return drawing.side_by_side(columns, names)


def crop_rule() -> NDArray[np.uint8]:
    """Draw where a face is cut out in the next frame: the landmarks' box, and the crop of it."""
    reconstructor = FaceReconstructor()
    portrait = read_image(portrait_path())
    face = reconstructor.reconstruct(portrait)[0]
    scale, size = 3, CROP_SIZE_PX * 3
    near = close_up(portrait, face.box_xyxy)
    face = reconstructor.reconstruct(near)[0]
    marks = face.landmarks_px
    tight, wide = landmark_box(marks, margin=1.0), landmark_box(marks)
    drawn = drawing.draw_landmarks(near, marks)
    for box, colour, width in ((tight, (60, 120, 255), 2), (wide, (255, 220, 0), 3)):
        x0, y0, x1, y1 = (round(float(value)) for value in box)
        cv2.rectangle(drawn, (x0, y0), (x1, y1), colour, width)
    crop = cv2.resize(
        crop_face(near, wide).pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST
    )
    drawn = cv2.resize(drawn, (size, size), interpolation=cv2.INTER_AREA)
    return drawing.side_by_side(
        [np.asarray(drawn, np.uint8), np.asarray(crop, np.uint8)],
        ["landmarks, their square, the box", "the next crop, 120 x 120"],
    )


def main() -> None:
    """Draw and write the pictures."""
    folder = Path(__file__).parents[1] / "docs" / "images"
    write_image(folder / "portrait.jpg", reconstruction())
    write_image(folder / "crop.jpg", crop_rule())
    write_image(folder / "expressions.jpg", strong_expressions())
    rng = np.random.default_rng(7)
    people = [model.vertices(0.8 * rng.standard_normal(model.identity_count)) for _ in range(5)]
    top = [picture(model.mean), *(picture(person, (-20, 0, 0)) for person in people)]
    names = ["mean", *(f"identity {i + 1}" for i in range(5))]
    below = [picture(expression(weights)) for weights in EXPRESSIONS.values()]
    write_image(
        folder / "face-model.png",
        np.concatenate(
            [drawing.side_by_side(top, names), drawing.side_by_side(below, list(EXPRESSIONS))]
        ),
    )
    write_image(
        folder / "pose.png",
        drawing.side_by_side([with_axes(angles) for angles in POSES.values()], list(POSES)),
    )
    heights = (512, 256, 128)
    write_image(
        folder / "detector.png",
        drawing.side_by_side(
            [detections(height) for height in heights],
            [f"face {0.19 * height / 512:.0%} of the frame" for height in heights],
        ),
    )


if __name__ == "__main__":
    main()
