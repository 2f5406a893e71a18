"""edge3d: faces in 3D from single pictures, from the training machine to the camera app.

    import edge3d

    reconstructor = edge3d.FaceReconstructor()
    image = edge3d.read_image("photo.jpg")
    for face in reconstructor.reconstruct(image):
        print(face.pose.yaw_deg, face.blendshapes["jawOpen"], face.landmarks_px.shape)

Conventions, obeyed everywhere:

- Pictures are RGB, uint8, (H, W, 3); sizes are (h, w).
- x to the right, y down; a pixel's centre has whole coordinates, the first pixel's is 0. Files of
  other conventions are converted when they are read.
- Boxes are `xyxy` in pixels, half-open: (0, 0, W, H) is the whole picture.
- z of landmarks and vertices is in the same pixels, positive towards the camera.
- The face model's frame: x to the picture's right for a face that looks at the camera, y up, z
  towards the camera, millimetres in the open model.
- Head pose: a rotation matrix from the model's frame to the camera's, and yaw, pitch, roll in
  degrees with the signs and order of AFLW2000-3D's `Pose_Para` (see `edge3d.geometry.pose`).
- Names carry a unit where it is not obvious: `_px`, `_mm`, `_deg`, `_rad`.
- Arrays are never changed in place.
"""

from edge3d.detector import Detection, FaceDetector
from edge3d.errors import (
    ContractError,
    DatasetError,
    Edge3dError,
    FaceModelError,
    ImageError,
    MissingExtraError,
    OutputError,
    ParityError,
    RecipeError,
    TrainingStoppedError,
    VideoError,
)
from edge3d.face_model import FaceModel, load_face_model
from edge3d.geometry.crop import Crop, crop_face
from edge3d.geometry.pose import HeadPose
from edge3d.io.image import read_image, write_image
from edge3d.model.contract import ModelContract
from edge3d.reconstruct.face import Face
from edge3d.reconstruct.reconstructor import FaceReconstructor
from edge3d.runtime.runner import Runner
from edge3d.tracker import FaceTracker, Smoothing, TrackedFace

__version__ = "0.1.0"

__all__ = [
    "ContractError",
    "Crop",
    "DatasetError",
    "Detection",
    "Edge3dError",
    "Face",
    "FaceDetector",
    "FaceModel",
    "FaceModelError",
    "FaceReconstructor",
    "FaceTracker",
    "HeadPose",
    "ImageError",
    "MissingExtraError",
    "ModelContract",
    "OutputError",
    "ParityError",
    "RecipeError",
    "Runner",
    "Smoothing",
    "TrackedFace",
    "TrainingStoppedError",
    "VideoError",
    "crop_face",
    "load_face_model",
    "read_image",
    "write_image",
]
