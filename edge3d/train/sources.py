"""Where faces to train on come from: one loader for each key of a recipe's `[data]`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from edge3d.datasets.aflw import human_landmarks, load_aflw
from edge3d.datasets.faces import FaceCrops, with_2d_landmarks_alone
from edge3d.datasets.labels.pseudo_labels import load_pseudo_labelled
from edge3d.datasets.landmark_folder import load_landmark_folder
from edge3d.datasets.profiles import load_profiles
from edge3d.datasets.synthetic.dataset import load_synthetic, sample_points
from edge3d.datasets.w300lp import load_300w_lp
from edge3d.face_model import FaceModel, load_face_model
from edge3d.face_model.bfm import read_bfm
from edge3d.train.recipe import DataSection, Recipe

DEFAULT_SYNTHETIC = 20_000  # faces, where no data set is named
LICENCES = {
    "aflw": "AFLW: for non-commercial research; labels fitted with the Basel Face Model",
    "profiles": "AFLW: for non-commercial research; labels fitted with the Basel Face Model",
    "300w-lp": "300W-LP: for research; labels in the Basel Face Model",
    "folder": "the licence of the user's own pictures",
    "synthetic": "rendered from the open face model: CC0",
}

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and of how many in all."""


def load_faces(
    data: DataSection, face_model: FaceModel, needed: int, progress: Progress
) -> list[FaceCrops]:
    """Load every source that a recipe names; synthetic faces if it names none.

    Args:
        data: the recipe's section.
        face_model: that labels are wanted in.
        needed: faces that the run will draw; no more synthetic ones than that are made.
        progress: told of what takes long.

    Raises:
        DatasetError: a data set is not as it should be.
        FaceModelError: `data.bfm` is not a Basel Face Model.
    """
    parts: list[FaceCrops] = []
    if data.aflw or data.w300lp:
        bfm = read_bfm(data.bfm)
    if data.aflw:
        told = _of(progress, "fitting AFLW")
        faces = load_aflw(data.aflw, bfm, face_model, data.cache, told)
        if data.relabel:
            told, human = _of(progress, "relabelling AFLW"), human_landmarks(data.aflw)
            faces = load_pseudo_labelled(
                faces, human, data.relabel, face_model, data.cache, told, data.face_mesh
            )
        parts.append(faces)
    if data.profiles:
        parts.append(
            load_profiles(parts[0], data.profiles, face_model, data.cache, _of(progress, "turning"))
        )
    if data.w300lp:
        told = _of(progress, "reading 300W-LP")
        parts.append(load_300w_lp(data.w300lp, bfm, face_model, data.cache, told))
    if data.only_2d:
        parts = [with_2d_landmarks_alone(part, data.only_2d) for part in parts]
    synthetic = data.synthetic if parts or data.synthetic else min(DEFAULT_SYNTHETIC, needed)
    points = parts[0].points if parts else sample_points(face_model)
    if synthetic:
        told = _of(progress, "rendering faces")
        parts.append(
            load_synthetic(
                synthetic, face_model, points, data.cache, told, data.assets, data.photographs
            )
        )
    if data.folder:
        parameters = parts[0].labels.params.shape[1]
        told = _of(progress, "reading pictures")
        camera = parts[0].labels.camera
        parts.append(load_landmark_folder(data.folder, points, parameters, told, camera))
    return parts


def face_model_of(recipe: Recipe) -> FaceModel:
    """Return the face model that a recipe's network is trained in.

    Raises:
        FaceModelError: `data.bfm` is not a Basel Face Model.
    """
    if recipe.model.face_model == "bfm":
        return read_bfm(recipe.data.bfm)
    return load_face_model(recipe.model.face_model)


def licence_of(sources: Sequence[str]) -> str:
    """Return what a network's licence says of the data that it was trained on."""
    return "; ".join(dict.fromkeys(LICENCES[source] for source in sources))


def _of(progress: Progress, what: str) -> Callable[[int, int], None]:
    return lambda done, total: progress(what, done, total)
