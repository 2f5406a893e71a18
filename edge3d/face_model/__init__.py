"""Face models: the shapes that a face can take, as data behind one class.

`open` ships with the package; `bfm` is imported by a user from their own licensed copy.
"""

from edge3d.bundled import open_face_model_path
from edge3d.face_model.model import FaceModel
from edge3d.face_model.store import load_face_model

__all__ = ["FaceModel", "load_face_model", "open_face_model_path"]
