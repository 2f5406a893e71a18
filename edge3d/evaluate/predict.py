"""Predictions on AFLW2000-3D: by a model file, with its own detector, or from 62 parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge3d.detector import crop_box
from edge3d.evaluate.accuracy import Predictions
from edge3d.evaluate.aflw2000 import Aflw2000
from edge3d.face_model import FaceModel
from edge3d.geometry.boxes import box_iou
from edge3d.geometry.crop import crop_face
from edge3d.geometry.pose import angles_from_rotation
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout
from edge3d.reconstruct.face import Face
from edge3d.reconstruct.reconstructor import FaceReconstructor

BATCH = 32
DETECTED_IOU = 0.4  # of the detection's crop box with the protocol's


@dataclass(frozen=True, eq=False)
class DetectorPredictions:
    """Predictions in the detector's own crop boxes.

    Attributes:
        predictions: of the face that overlaps the annotated one most; NaN where none does.
        detected: (N,) bool.
    """

    predictions: Predictions
    detected: NDArray[np.bool_]


def predict(
    reconstructor: FaceReconstructor,
    dataset: Aflw2000,
    progress: Callable[[int], None] | None = None,
) -> Predictions:
    """Reconstruct the faces in the protocol's crop boxes.

    Args:
        reconstructor: with the model. dataset: the images.
        progress: called with the number of images done since the last call.

    Raises:
        ImageError: an image cannot be read.
    """
    faces: list[Face] = []
    images = dataset.images()
    for start in range(0, len(dataset), BATCH):
        boxes = list(dataset.boxes_xyxy[start : start + BATCH])
        crops = [crop_face(next(images), box) for box in boxes]
        faces += reconstructor.reconstruct_crops(crops, boxes, [1.0] * len(crops))
        if progress is not None:
            progress(len(crops))
    return _of_faces(faces)


def predict_with_detector(
    reconstructor: FaceReconstructor,
    dataset: Aflw2000,
    progress: Callable[[int], None] | None = None,
    *,
    refine: bool = True,
) -> DetectorPredictions:
    """Reconstruct the faces as `FaceReconstructor.reconstruct` finds them; see `predict`.

    A picture may show other people: the annotated face is the one whose crop box, the detector's
    own, overlaps the protocol's most. `refine` as in `FaceReconstructor.reconstruct`, whose
    default is True for detected faces.
    """
    landmarks = np.full((len(dataset), 68, 3), np.nan)
    pose = np.full((len(dataset), 3), np.nan)
    detected = np.zeros(len(dataset), bool)
    for row, image in enumerate(dataset.images()):
        boxes = [crop_box(found) for found in reconstructor.detector.detect(image)]
        overlaps = [box_iou(box, dataset.boxes_xyxy[row]) for box in boxes]
        if overlaps and max(overlaps) >= DETECTED_IOU:
            best = boxes[int(np.argmax(overlaps))]
            own = _of_faces(reconstructor.reconstruct(image, [best.tolist()], refine=refine))
            landmarks[row], pose[row] = own.landmarks_px[0], own.pose_deg[0]
            detected[row] = True
        if progress is not None:
            progress(1)
    return DetectorPredictions(Predictions(landmarks, pose), detected)


def predict_params62(dataset: Aflw2000, params62: NDArray, bfm: FaceModel) -> Predictions:
    """Decode 3DDFA's or 2DASL's 62 parameters of the protocol's crops.

    Args:
        dataset: the images.
        params62: (N, 62), not whitened, in the order of the data set; NaN where there are none.
        bfm: the Basel Face Model that they belong to.

    Raises:
        ValueError: another number of rows or columns.
    """
    if params62.shape != (len(dataset), 62):
        raise ValueError(f"params62 has shape {params62.shape}, wanted is ({len(dataset)}, 62)")
    decoder = Decoder(bfm, make_layout("affine", bfm))
    # The parameters live in a 120 px crop that was stretched to the box, also where that was cut
    # at the picture's border and is no square.
    low, high = dataset.boxes_xyxy[:, None, :2], dataset.boxes_xyxy[:, None, 2:]
    scale = (high - low) / 120.0
    crop_px = decoder.landmarks(params62.astype(np.float32)).astype(np.float64)
    # 3DDFA's own way from crop to picture, `x * (ex - sx) / 120 + sx` with 1-based numbers, in
    # which the box is one pixel shorter than the pixels it covers.
    one_based = (crop_px[..., :2] + 0.5) * (scale - 1 / 120.0) + low + 1
    landmarks = np.concatenate([one_based - 1, crop_px[..., 2:] * scale[..., :1]], axis=-1)
    present = np.isfinite(params62).all(axis=1)
    pose = np.full((len(dataset), 3), np.nan)
    rotations, _ = decoder.rotation_and_scale(params62[present])
    pose[present] = np.stack(angles_from_rotation(rotations), axis=1)
    return Predictions(landmarks, pose)


def _of_faces(faces: list[Face]) -> Predictions:
    return Predictions(
        np.stack([face.landmarks_px for face in faces]).astype(np.float64),
        np.array([(f.pose.yaw_deg, f.pose.pitch_deg, f.pose.roll_deg) for f in faces]),
    )
