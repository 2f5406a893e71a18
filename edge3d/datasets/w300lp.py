"""300W-LP in its own layout: folders of .jpg + .mat with 3DDFA's parameters.

A .mat holds `Pose_Para` (1, 7): pitch, yaw, roll in radians, tx, ty, tz and a scale, `Shape_Para`
(199, 1) and `Exp_Para` (29, 1), in the Basel Face Model. The first 40 and 10 of them are what
3DDFA and 2DASL use, and what is used here. AFLW2000-3D has the same layout and is refused: it is
for evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.cache import cache_key, load_labels, save_labels
from edge3d.datasets.faces import FaceCrops
from edge3d.datasets.labels.transfer import camera_of_labels, convert_labels
from edge3d.errors import DatasetError
from edge3d.face_model import FaceModel
from edge3d.face_model.dense_points import find_dense_points
from edge3d.geometry.boxes import landmark_box
from edge3d.geometry.crop import CROP_SIZE_PX, Crop, crop_face
from edge3d.geometry.mirror import flip_y
from edge3d.geometry.pose import rotation_from_angles
from edge3d.geometry.tddfa_camera import from_crop
from edge3d.io.files import atomic_path
from edge3d.io.image import read_image
from edge3d.io.matlab import read_mat
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout

VERSION = 1  # of the cached files: raise it when the same faces would come out differently
WHOLE_PICTURE = Crop(
    pixels=np.zeros((CROP_SIZE_PX, CROP_SIZE_PX, 3), np.uint8),
    box_xyxy=np.zeros(4, np.int64),
    to_frame=np.array([[1.0, 0, 0], [0, 1.0, 0]]),
)


def load_300w_lp(
    folder: str | Path,
    bfm: FaceModel,
    target: FaceModel,
    cache: str | Path,
    progress: Callable[[int, int], None] | None = None,
) -> FaceCrops:
    """Load 300W-LP; decoded crops and fitted labels are cached.

    Args:
        folder: searched with its sub-folders (AFW, HELEN, IBUG, LFPW and their flips).
        bfm: the Basel Face Model. target: the face model that labels are wanted in.
        cache: folder for what was read.
        progress: called with faces done and in all.

    Raises:
        DatasetError: no pictures with .mat files, unreadable ones, or AFLW2000-3D.
        ImageError: a picture cannot be read.
    """
    folder, cache = Path(folder), Path(cache)
    # `landmarks/` and `Code/` hold other .mat files, which have no picture beside them.
    pictures = sorted(p for p in folder.rglob("*.jpg") if p.with_suffix(".mat").is_file())
    if not pictures:
        raise DatasetError(
            f"{folder} holds no .jpg with a .mat of the same name; give the folder of 300W-LP with "
            "AFW, HELEN, IBUG and LFPW in it"
        )
    names = [str(path.relative_to(folder)) for path in pictures]
    points = find_dense_points(bfm, target)
    sizes = "".join(f"{name} {p.stat().st_size}" for name, p in zip(names, pictures, strict=True))
    key = cache_key(f"{bfm.sha256}{target.sha256}{sizes}{VERSION}")
    crops_file, labels_file = cache / f"300w-lp-{key}.npy", cache / f"300w-lp-{key}.npz"
    if not labels_file.is_file():
        with atomic_path(crops_file) as temporary:
            params62 = _write_crops(temporary, pictures, bfm, progress)
        fitted = convert_labels(params62, bfm, target, points)
        rotations, _ = Decoder(bfm, make_layout("affine", bfm)).rotation_and_scale(params62)
        yaw_deg = np.degrees(np.arcsin(-rotations[:, 0, 2])).astype(np.float32)
        save_labels(labels_file, fitted, yaw_deg=yaw_deg)
    labels, others = load_labels(labels_file, camera_of_labels(bfm, target))
    crops = np.load(crops_file, mmap_mode="r")
    return FaceCrops("300w-lp", crops, labels, points, others["yaw_deg"], np.array(names))


def _write_crops(
    path: Path,
    pictures: list[Path],
    bfm: FaceModel,
    progress: Callable[[int, int], None] | None,
) -> NDArray[np.float32]:
    """Write the crops of all pictures to a .npy file and return their 62 parameters."""
    decoder = Decoder(bfm, make_layout("affine", bfm))
    params62 = np.empty((len(pictures), 62), np.float32)
    shape = (len(pictures), CROP_SIZE_PX, CROP_SIZE_PX, 3)
    crops = np.lib.format.open_memmap(path, "w+", np.uint8, shape)
    for row, picture in enumerate(pictures):
        image = read_image(picture)
        pose, coefficients = read_fit(picture.with_suffix(".mat"))
        whole = crop_params62(pose, coefficients, image.shape[0], WHOLE_PICTURE)
        box = landmark_box(decoder.landmarks(whole[None])[0])
        crop = crop_face(image, box)
        crops[row] = crop.pixels
        params62[row] = crop_params62(pose, coefficients, image.shape[0], crop)
        if progress is not None:
            progress(row + 1, len(pictures))
    crops.flush()
    return params62


def read_fit(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the pose (7,) and the 40 + 10 coefficients (50,) of a .mat file.

    Raises:
        DatasetError: unreadable, without what is needed, or of AFLW2000-3D.
    """
    content = read_mat(path, "300W-LP", "train")
    if "pt3d_68" in content:
        raise DatasetError(
            f"{path} belongs to AFLW2000-3D, which is for evaluation and never trained on; "
            "give the folder of 300W-LP"
        )
    arrays = {}
    for name, size in (("Pose_Para", 7), ("Shape_Para", 199), ("Exp_Para", 29)):
        array = np.asarray(content.get(name, ()), np.float64).reshape(-1)
        if array.shape != (size,) or not np.isfinite(array).all():
            raise DatasetError(
                f"{path}: {name} is not {size} finite numbers; it is not a file of 300W-LP, or "
                "damaged: copy it again"
            )
        arrays[name] = array
    coefficients = np.concatenate([arrays["Shape_Para"][:40], arrays["Exp_Para"][:10]])
    return arrays["Pose_Para"], coefficients


def crop_params62(
    pose: NDArray, coefficients: NDArray, height: int, crop: Crop
) -> NDArray[np.float32]:
    """Return 3DDFA's 62 parameters in a crop, of a fit in its picture.

    The fit's vertices are `scale * R @ x + t` with 1-based pixels and y up, from the picture's
    lower edge; the 62 parameters mean the same in the 120 px crop (see `edge3d.model.parameters`).

    Args:
        pose: (7,) as in `Pose_Para`. coefficients: (50,).
        height: of the picture in pixels. crop: where the parameters shall live.
    """
    pitch, yaw, roll = np.degrees(pose[:3])
    zoom, (left, top) = crop.scale, crop.to_frame[:, 2]
    linear = flip_y((pose[6] * rotation_from_angles(yaw, pitch, roll) / zoom).T).T
    x, y = pose[3] - 1, height - pose[4]  # 0-based, y down
    translation = np.array([x - left, y - top, pose[5]]) / zoom
    camera = from_crop(linear, translation)
    return np.concatenate([camera.reshape(-1), coefficients]).astype(np.float32)
