"""AFLW2000-3D in its own layout, brought to edge3d's conventions.

A folder of `imageNNNNN.jpg` and `imageNNNNN.mat`; the .mat holds `pt3d_68` (3, 68), 1-based pixels
with y down, and `Pose_Para` (1, 7): pitch, yaw and roll in radians, a translation and a scale.
Beside the folder DIR may lie `DIR-protocol.npz` with the protocol's crop boxes and the re-annotated
landmarks; without it the boxes are computed as the protocol does.

The data set is for evaluation: nothing in edge3d trains on it.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge3d.errors import DatasetError
from edge3d.geometry.boxes import PROTOCOL_MARGIN
from edge3d.io.image import read_image
from edge3d.io.matlab import read_mat


@dataclass(frozen=True, eq=False)
class Aflw2000:
    """The images' names and annotation; pixels are 0-based, y down.

    Attributes:
        folder: where the images are.
        names: N file names.
        boxes_xyxy: (N, 4) float64, the protocol's crop boxes, half-open.
        landmarks_px: (N, 68, 3) float32, the original annotation.
        reannotated_px: (N, 68, 2) float32, the re-annotated landmarks, or None.
        pose_deg: (N, 3) float64, yaw, pitch, roll.
    """

    folder: Path
    names: tuple[str, ...]
    boxes_xyxy: NDArray[np.float64]
    landmarks_px: NDArray[np.float32]
    reannotated_px: NDArray[np.float32] | None
    pose_deg: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.names)

    def images(self) -> Iterator[NDArray[np.uint8]]:
        """Read the images, (H, W, 3) uint8 RGB, in the order of `names`.

        Raises:
            ImageError: one cannot be read.
        """
        for name in self.names:
            yield read_image(self.folder / name)


def load_aflw2000(folder: str | Path) -> Aflw2000:
    """Read the annotation of all images of a folder, and the protocol beside it if it is there.

    Raises:
        DatasetError: no such folder, no images, an image without .mat or a .mat without what is
            needed, a protocol that does not name the folder's images.
        MissingExtraError: scipy is not installed.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise DatasetError(f"{folder} is not a folder; give the one with AFLW2000-3D's .jpg + .mat")
    images = sorted(folder.glob("image*.jpg"))
    if not images:
        raise DatasetError(
            f"{folder} holds no image*.jpg; give the folder with AFLW2000-3D's .jpg and .mat files"
        )
    annotation = [_read_mat(path.with_suffix(".mat")) for path in images]
    names = tuple(path.name for path in images)
    landmarks = np.stack([points for points, _ in annotation])
    boxes, reannotated = protocol_boxes(landmarks), None
    # `folder.resolve()` so that "." and a trailing slash find the file as well.
    protocol = folder.resolve().with_name(f"{folder.resolve().name}-protocol.npz")
    if protocol.is_file():
        boxes, reannotated = _read_protocol(protocol, names)
    return Aflw2000(
        folder=folder,
        names=names,
        boxes_xyxy=boxes,
        landmarks_px=landmarks.astype(np.float32),
        reannotated_px=reannotated,
        pose_deg=np.stack([pose for _, pose in annotation]),
    )


def protocol_boxes(landmarks_px: NDArray) -> NDArray[np.float64]:
    """Return the protocol's crop boxes (N, 4) of landmarks (N, 68, 2 or 3) in 0-based pixels.

    The protocol's box is 1-based, both ends included and rounded; its side is sqrt(2) times the
    longer one of the landmarks' box.
    """
    low, high = landmarks_px[:, :, :2].min(axis=1) + 1, landmarks_px[:, :, :2].max(axis=1) + 1
    half = 0.5 * PROTOCOL_MARGIN * (high - low).max(axis=1, keepdims=True)
    centre = 0.5 * (low + high)
    inclusive = np.round(np.concatenate([centre - half, centre + half], axis=1))
    return _half_open(inclusive.astype(np.float64))


def _half_open(inclusive: NDArray[np.float64]) -> NDArray[np.float64]:
    """Turn 1-based boxes with both ends included (N, 4) into 0-based half-open ones."""
    return inclusive - [1.0, 1.0, 0.0, 0.0]


def _read_mat(path: Path) -> tuple[NDArray, NDArray]:
    """Return landmarks (68, 3) in 0-based pixels and yaw, pitch, roll in degrees."""
    if not path.is_file():
        raise DatasetError(
            f"{path} is missing; AFLW2000-3D has a .mat for each image, copy it from there"
        )
    content = read_mat(path, "AFLW2000-3D", "evaluate")
    arrays = []
    for name, shape in (("pt3d_68", (3, 68)), ("Pose_Para", (1, 7))):
        array = content.get(name)
        if array is None or array.shape != shape or not np.isfinite(array).all():
            what = "is missing" if array is None else f"has shape {array.shape} or is not finite"
            raise DatasetError(
                f"{path}: {name} {what}, wanted are {shape[0]} x {shape[1]} numbers; copy it again"
            )
        arrays.append(array.astype(np.float64))
    points, (pose,) = arrays
    pitch, yaw, roll = np.degrees(pose[:3])
    return points.T - [1.0, 1.0, 0.0], np.array([yaw, pitch, roll])


def _read_protocol(path: Path, names: tuple[str, ...]) -> tuple[NDArray, NDArray | None]:
    """Return boxes (N, 4) and re-annotated landmarks (N, 68, 2), in the order of `names`."""
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        rows = {str(name): row for row, name in enumerate(content["names"])}
        order = [rows[name] for name in names]
        boxes = _half_open(content["roi_box"][order].astype(np.float64))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise DatasetError(f"{path} cannot be read ({error}); copy it again") from error
    except KeyError as error:
        raise DatasetError(
            f"{path} lacks {error}, which the images beside it need; use the file that belongs to "
            "them, or remove it and the boxes are computed"
        ) from error
    again = content.get("pts68_reannotated")
    if again is None:
        return boxes, None
    return boxes, (again[order].transpose(0, 2, 1)[..., :2] - 1.0).astype(np.float32)
