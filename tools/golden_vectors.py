"""Writes the golden vectors that hold Python, TypeScript and C++ together: tests/golden.

    python -m tools.golden_vectors [--out FOLDER]

Each JSON file holds inputs and the outputs that Python gives for them; the tests of the three
languages read the same files. Write them again only when a change of behaviour is meant, and say
so in the commit. Numbers are rounded to what the comparisons need, so that files stay small.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edge3d
from edge3d.bundled import default_checkpoint_path, portrait_path
from edge3d.detector import Detection, crop_box
from edge3d.geometry.boxes import box_iou, landmark_box
from edge3d.geometry.crop import Crop, crop_face
from edge3d.geometry.pose import angles_from_rotation
from edge3d.io.files import atomic_path
from edge3d.model.decoder import Decoder
from edge3d.runtime import read_contract
from edge3d.tracker.evidence import is_doubtful, shape_change
from edge3d.tracker.smoothing import FaceSmoother, Smoothing

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "golden"

# Shrunk by a fraction, by 2, as it is, enlarged, over the border, of other aspects.
CROP_BOXES = (
    [20.4, 12.3, 158.1, 150.2],
    [0, 0, 240, 240],
    [60, 50, 180, 170],
    [76, 42, 170, 136],
    [-40.5, -30, 210, 220.2],
    [200, 150, 400, 500],
    [0, 40, 90, 200],
)
VERTEX_STEP = 997  # of the vertices that are written
SMOOTHED_FRAMES = 40


def main() -> None:
    """Write all files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FOLDER)
    folder = parser.parse_args().out
    for name, content in golden_vectors().items():
        with atomic_path(folder / name) as temporary:
            temporary.write_bytes(content)


def golden_vectors() -> dict[str, bytes]:
    """Return the content of each file by its name."""
    rng = np.random.default_rng(20)
    contract = read_contract(default_checkpoint_path())
    decoder = Decoder(edge3d.load_face_model("open"), contract.layout)
    image = np.ascontiguousarray(edge3d.read_image(portrait_path())[40:290, 120:420])
    crops = [crop_face(image, np.array(box)) for box in CROP_BOXES]
    files: dict[str, Any] = {
        "crop.json": _crop(image, crops),
        "decode.json": _decode(decoder, crops[0], rng),
        "smoothing.json": _smoothing(decoder, crops[0], rng),
        "boxes.json": _boxes(rng),
        "following.json": _following(decoder, rng),
    }
    return {
        **{name: json.dumps(value).encode() + b"\n" for name, value in files.items()},
        "crop_image.rgb": image.tobytes(),
        "crop_pixels.rgb": b"".join(crop.pixels.tobytes() for crop in crops),
    }


def _rounded(values: NDArray[Any], digits: int) -> Any:
    return np.round(np.asarray(values, np.float64), digits).tolist()


def _to_frame(crop: Crop) -> list[float]:
    return [crop.scale, *crop.to_frame[:, 2].tolist()]


def _crop(image: NDArray[np.uint8], crops: list[Crop]) -> dict[str, Any]:
    """Pixels are in the .rgb files: the image, and the crops one after another."""
    return {
        "width": image.shape[1],
        "height": image.shape[0],
        "cases": [
            {"box": box, "square": crop.box_xyxy.tolist(), "to_frame": _to_frame(crop)}
            for box, crop in zip(CROP_BOXES, crops, strict=True)
        ],
    }


def _decode(decoder: Decoder, crop: Crop, rng: np.random.Generator) -> dict[str, Any]:
    whitened = np.round(rng.standard_normal((4, decoder.layout.size)), 3).astype(np.float32)
    params = decoder.params(whitened)
    rotations, _ = decoder.rotation_and_scale(params)
    cases = []
    for index, one in enumerate(whitened):
        landmarks = crop.points_to_frame(decoder.landmarks(params[index : index + 1])[0])
        vertices = crop.points_to_frame(decoder.vertices(params[index : index + 1])[0])
        cases.append(
            {
                "whitened": _rounded(one, 3),
                "params": _rounded(params[index], 6),
                "landmarks": _rounded(landmarks.ravel(), 3),
                "vertices": _rounded(vertices[::VERTEX_STEP].ravel(), 3),
                "angles": _rounded(np.array(angles_from_rotation(rotations[index])), 3),
                "own_box": _rounded(landmark_box(landmarks), 3),
            }
        )
    return {"to_frame": _to_frame(crop), "vertex_step": VERTEX_STEP, "cases": cases}


def _smoothing(decoder: Decoder, crop: Crop, rng: np.random.Generator) -> dict[str, Any]:
    """A face that moves, with noise and a gap that is longer than the filters bridge."""
    std, mean = decoder.layout.std, decoder.layout.mean
    noise = 0.1 * rng.standard_normal((SMOOTHED_FRAMES, len(std)))
    motion = np.linspace(0, 1, SMOOTHED_FRAMES)[:, None]
    params = np.round(mean + std * (noise + motion), 4).astype(np.float32)
    steps = np.where(np.arange(SMOOTHED_FRAMES) == 30, 0.7, 1 / 30)
    times = np.round(np.cumsum(steps), 6)
    smoother = FaceSmoother(decoder, Smoothing(identity_frames=20.0))
    smoothed = [
        smoother.smooth(one, crop, float(time)) for one, time in zip(params, times, strict=True)
    ]
    assert smoother.identity_shape is not None
    return {
        "to_frame": _to_frame(crop),
        "identity_frames": 20.0,
        "times_s": times.tolist(),
        "params": _rounded(params, 4),
        "smoothed": _rounded(np.array(smoothed), 4),
        "vertex_step": VERTEX_STEP,
        "identity_shape": _rounded(smoother.identity_shape[::VERTEX_STEP].ravel(), 4),
    }


def _boxes(rng: np.random.Generator) -> dict[str, Any]:
    """From a detector's box and keypoints to the crop box; overlaps of boxes."""
    face = np.array([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.5, 0.8], [0.1, 0.45], [0.9, 0.45]])
    cases = []
    for index in range(8):
        corner, sides = rng.uniform(-50, 400, 2), rng.uniform(30, 200) * np.array([1, 1.1])
        spread = 0.6 if index == 7 else 0.06  # the last one's side is clipped
        points = corner + sides * (face + spread * rng.uniform(-1, 1, face.shape))
        box = np.round(np.concatenate([corner, corner + sides]), 3).astype(np.float32)
        keypoints = np.round(points, 3).astype(np.float32)
        wanted = crop_box(Detection(box, 0.9, keypoints))
        cases.append(
            {
                "box": _rounded(box, 3),
                "keypoints": _rounded(keypoints.ravel(), 3),
                "crop_box": _rounded(wanted, 3),
            }
        )
    boxes = np.array([case["box"] for case in cases])
    return {"cases": cases, "ious": [_rounded(box_iou(box, boxes), 6) for box in boxes]}


def _following(decoder: Decoder, rng: np.random.Generator) -> dict[str, Any]:
    """When landmarks raise doubt: by their size, place or shape, against their crop's box."""
    mean = decoder.landmarks(decoder.layout.mean[None])[0]
    cases = []
    for size, shift, noise in (
        (1, 0, 0), (0.85, 0, 0), (1.15, 0, 0), (0.9, 0, 0), (1, 0.2, 0), (1, -0.1, 0),
        (1, 0, 2), (1, 0, 4), (1, 0, 12), (0.95, 0.05, 1),
    ):  # fmt: skip
        box = landmark_box(mean)
        side = box[2] - box[0]
        previous = np.round(mean, 3)
        points = mean + noise * rng.standard_normal(mean.shape) * [1, 1, 0]
        now = points - points.mean(axis=0)
        now = np.round(size * now + points.mean(axis=0) + [shift * side, 0, 0], 3)
        cases.append(
            {
                "box": _rounded(box, 3),
                "previous": _rounded(previous.ravel(), 3),
                "landmarks": _rounded(now.ravel(), 3),
                "shape_change": _rounded(np.array(shape_change(now, previous)), 5),
                "doubtful_alone": is_doubtful(box, now, None),
                "doubtful": is_doubtful(box, now, previous),
            }
        )
    return {"cases": cases}


if __name__ == "__main__":
    main()
