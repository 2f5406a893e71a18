"""Faces out of a picture: detect, crop, run, decode. The class that users hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.bundled import default_model_path
from edge3d.detector import FaceDetector, crop_box
from edge3d.face_model import FaceModel, load_face_model
from edge3d.geometry.boxes import box_iou, landmark_box
from edge3d.geometry.crop import Crop, crop_face
from edge3d.geometry.pose import HeadPose, angles_from_rotation
from edge3d.model.contract import ModelContract
from edge3d.model.decoder import Decoder
from edge3d.reconstruct.face import Face
from edge3d.runtime import open_runner
from edge3d.runtime.runner import Runner

BATCH = 64  # crops in one call, which bounds the memory of a picture with a crowd

# A second crop that overlaps the first by less (intersection over union) is not trusted: there is
# no face, or the network lost it. Of AFLW2000-3D's detected faces all overlap by more.
REFINED_IOU = 0.4


class FaceReconstructor:
    """Reconstructs the faces of pictures with one model file.

    Args:
        model: path of a model file, or None for the student that ships with the package.
        face_model: the face model that the file was trained with, or its name or path; None
            takes the one that the file names.
        detector: a face detector, or None for the one that ships with the package, made when
            it is first needed.
        threads: of the network.

    Raises:
        ContractError: the model file has no valid contract, or wants another face model.
        FaceModelError: there is no such face model.
        MissingExtraError: the model file's runtime is not installed.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        face_model: FaceModel | str | None = None,
        detector: FaceDetector | None = None,
        threads: int = 1,
    ) -> None:
        path = default_model_path() if model is None else Path(model)
        self.runner: Runner = open_runner(path, threads=threads)
        self.contract: ModelContract = self.runner.contract
        if not isinstance(face_model, FaceModel):
            face_model = load_face_model(face_model or self.contract.face_model)
        self.contract.check_face_model(face_model, str(path))
        self.face_model = face_model
        self.decoder = Decoder(face_model, self.contract.layout)
        self._detector = detector
        self._threads = threads

    @property
    def detector(self) -> FaceDetector:
        """The face detector, loaded on first use."""
        if self._detector is None:
            self._detector = FaceDetector(threads=self._threads)
        return self._detector

    def reconstruct(
        self,
        image_rgb: NDArray[np.uint8],
        boxes: Sequence[Sequence[float]] | None = None,
        *,
        refine: bool | None = None,
    ) -> list[Face]:
        """Reconstruct the faces of a picture.

        Args:
            image_rgb: (H, W, 3) uint8 RGB.
            boxes: crop boxes (x0, y0, x1, y1) in pixels, of any aspect (see
                `edge3d.geometry.boxes.square_box`), one for each face; None detects faces.
            refine: crop each face a second time, by the landmarks that were found in the first
                crop, which costs one more call of the network; None does so for detected faces
                and takes given boxes as they are. docs/reference/detector.md has what it gains.

        Returns:
            One face for each box, in their order; of detected ones the most prominent first.
            An empty list if there is no face.

        Raises:
            ValueError: the picture is not (H, W, 3) uint8, or a box is empty or not finite.
        """
        image = np.asarray(image_rgb)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(
                f"a picture of shape {image.shape} and type {image.dtype} was given, wanted is "
                "(H, W, 3) uint8 RGB; `edge3d.read_image` gives that"
            )
        if boxes is None:
            detections = self.detector.detect(image)
            scores = [detection.score for detection in detections]
            wanted = [crop_box(detection) for detection in detections]
        else:
            wanted = [np.asarray(box, np.float64) for box in boxes]
            scores = [1.0] * len(wanted)
        faces: list[Face] = []
        for start in range(0, len(wanted), BATCH):
            part = wanted[start : start + BATCH]
            if refine or (refine is None and boxes is None):
                part = self.refined_boxes(image, part)
            crops = [crop_face(image, box) for box in part]
            faces += self.reconstruct_crops(crops, part, scores[start : start + BATCH])
        return faces

    def refined_boxes(
        self, image_rgb: NDArray[np.uint8], boxes: Sequence[NDArray]
    ) -> list[NDArray[np.float64]]:
        """Return the crop boxes of the landmarks that one call of the network finds in `boxes`.

        A box whose landmarks are elsewhere (see `REFINED_IOU`) is returned as it is.

        Args:
            image_rgb: (H, W, 3) uint8 RGB. boxes: crop boxes (4,) xyxy, pixels, half-open.
        """
        crops = [crop_face(image_rgb, box) for box in boxes]
        if not crops:
            return []
        params = self.decoder.params(self.runner(np.stack([crop.pixels for crop in crops])))
        refined = []
        for box, crop, points in zip(boxes, crops, self.decoder.landmarks(params), strict=True):
            given = np.asarray(box, float)
            own = landmark_box(crop.points_to_frame(points))
            refined.append(own if box_iou(own, given) >= REFINED_IOU else given)
        return refined

    def reconstruct_crops(
        self, crops: list[Crop], boxes: list[NDArray], scores: list[float]
    ) -> list[Face]:
        """Reconstruct crops in one call of the network; see `reconstruct`."""
        if not crops:
            return []
        whitened = self.runner(np.stack([crop.pixels for crop in crops]))
        return self.decode_crops(self.decoder.params(whitened), crops, boxes, scores)

    def decode_crops(
        self,
        params: NDArray[np.float32],
        crops: list[Crop],
        boxes: list[NDArray],
        scores: list[float],
        identity_shape: NDArray[np.float32] | None = None,
    ) -> list[Face]:
        """Return the faces of parameters (B, P) that belong to crops; see `reconstruct`.

        Args:
            params: not whitened. crops, boxes, scores: B each.
            identity_shape: of `Decoder.identity_shape`, where the identity of all is this one;
                it saves most of the mesh's time.
        """
        landmarks = self.decoder.landmarks(params)
        if identity_shape is None:
            vertices = self.decoder.vertices(params)
        else:
            vertices = self.decoder.vertices_of_identity(params, identity_shape)
        rotations, scales = self.decoder.rotation_and_scale(params)
        _, shifts = self.decoder.camera(params)
        yaw, pitch, roll = angles_from_rotation(rotations)
        expressions = self.decoder.layout.part(params, "expression")
        names = self.face_model.expression_names
        return [
            Face(
                box_xyxy=np.asarray(boxes[i], np.float64),
                score=float(scores[i]),
                params=params[i],
                landmarks_px=crop.points_to_frame(landmarks[i]),
                vertices_px=crop.points_to_frame(vertices[i]),
                pose=HeadPose(
                    yaw_deg=float(yaw[i]),
                    pitch_deg=float(pitch[i]),
                    roll_deg=float(roll[i]),
                    rotation=rotations[i].astype(np.float32),
                    scale_px=float(scales[i]) * crop.scale,
                    translation_px=crop.points_to_frame(shifts[i, :2]),
                ),
                blendshapes=dict(zip(names, expressions[i].tolist(), strict=True)),
                crop=crop,
            )
            for i, crop in enumerate(crops)
        ]

    def neutral_vertices(self, face: Face) -> NDArray[np.float32]:
        """Return a face's shape without expression and pose: (V, 3) in model units, y up."""
        return self.face_model.vertices(identity=self.decoder.layout.part(face.params, "identity"))

    def expressive_vertices(self, face: Face) -> NDArray[np.float32]:
        """Return a face's shape with its expression, without pose: (V, 3) in model units, y up."""
        layout = self.decoder.layout
        return self.face_model.vertices(
            identity=layout.part(face.params, "identity"),
            expression=layout.part(face.params, "expression"),
        )
