"""Face models: the shapes that a face can take, as data behind one class.

`open` ships with the package; `bfm` is imported by a user from their own licensed copy.
"""

from edge3d.face_model.model import FaceModel, load_face_model, open_face_model_path

__all__ = ["FaceModel", "load_face_model", "open_face_model_path"]
