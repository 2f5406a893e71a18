"""Faces out of an image: the reconstructor, its result, JSON and savers."""

from edge3d.reconstruct.face import Face
from edge3d.reconstruct.reconstructor import FaceReconstructor

__all__ = ["Face", "FaceReconstructor"]
