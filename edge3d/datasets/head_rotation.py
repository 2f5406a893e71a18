"""Turns a photographed head away from the camera: a new picture at a larger yaw.

After the face profiling of X. Zhu et al., "Face Alignment Across Large Poses: A 3D Solution",
CVPR 2016, section 4: the picture becomes one mesh with depth, head and background together, which
is turned in 3D and drawn again. Where they triangulate anchors around the face, a fine grid over
the whole crop is used here: on the head its depth is the fitted face model's; from the head's
outline it falls off backwards, as hair and the back of a head do, and the turn fades out into a
background that stays. The grid has no holes, so nothing is left unpainted; what the camera had
not seen gets the stretched neighbourhood of the outline.

Frame: crop pixels, y down, z towards the camera, 0 at the face model's origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.crop import CROP_SIZE_PX
from edge3d.geometry.mirror import flip_rotation, mirror_points, mirror_rotation
from edge3d.geometry.pose import rotation_from_angles
from edge3d.geometry.sampling import smoothstep
from edge3d.viz.rasterizer import rasterize

PADDING_PX = 60  # of the picture, mirrored at its border, that the grid reaches beyond it
GRID_STEP_PX = 2
FADE_PX = 40.0  # from the head's outline to where nothing turns
SLOPE = 1.0  # how steeply depth falls off behind the outline
DROP_MM = 60.0  # at most
OUTLINE_BLUR_PX = 4.0  # along the outline, so that its ragged depth does not show
SUPERSAMPLING = 2


@dataclass(frozen=True, eq=False)
class HeadRotations:
    """Turns of B heads in their crops, and the boxes of the new crops.

    Attributes:
        rotation: (B, 3, 3) of crop coordinates, from `rotation_about_vertical`.
        pivot_px: (B, 3) what stays where it is.
        box_xyxy: (B, 4) squares in the old crops, half-open edges.
    """

    rotation: NDArray[np.float64]
    pivot_px: NDArray[np.float64]
    box_xyxy: NDArray[np.float64]

    @property
    def zoom(self) -> NDArray[np.float64]:
        """How much larger the heads are in the new crops: (B,)."""
        return CROP_SIZE_PX / (self.box_xyxy[:, 2] - self.box_xyxy[:, 0])

    def turn(self, points_px: NDArray) -> NDArray:
        """Return points (B, N, 3) of the heads where the turns take them in the old crops."""
        pivot = self.pivot_px[:, None]
        return (points_px - pivot) @ np.swapaxes(self.rotation, 1, 2) + pivot

    def crop(self, points_px: NDArray) -> NDArray:
        """Return points (B, N, 3) of the old crops in pixels of the new ones."""
        zoom = self.zoom[:, None, None]
        planar = (points_px[..., :2] - self.box_xyxy[:, None, :2] + 0.5) * zoom - 0.5
        return np.concatenate([planar, points_px[..., 2:] * zoom], axis=-1)

    def mirrored(self) -> HeadRotations:
        """Return the turns of the mirror images: S R S with S = diag(-1, 1, 1), and so on."""
        return HeadRotations(
            rotation=mirror_rotation(self.rotation),
            pivot_px=mirror_points(self.pivot_px, CROP_SIZE_PX),
            box_xyxy=self.box_xyxy[:, [2, 1, 0, 3]] * [-1, 1, -1, 1]
            + [CROP_SIZE_PX, 0, CROP_SIZE_PX, 0],
        )

    def __getitem__(self, rows: slice) -> HeadRotations:
        return HeadRotations(self.rotation[rows], self.pivot_px[rows], self.box_xyxy[rows])


def azimuth_deg(rotation: NDArray) -> NDArray[np.float64]:
    """Return how far heads are turned about their own upright axis, in degrees (...).

    It is yaw for a head that is neither tilted nor nodding, and unlike yaw it does not change
    when the picture is turned in its plane. Positive like yaw: towards the image's left.

    Args:
        rotation: (..., 3, 3), model to camera, y up.
    """
    return np.degrees(np.arctan2(rotation[..., 2, 0], rotation[..., 2, 2]))


def rotation_about_vertical(rotation: NDArray, turn_deg: NDArray | float) -> NDArray[np.float64]:
    """Return the rotations (..., 3, 3) of crop coordinates that turn heads about their own axis.

    `azimuth_deg` grows by the turn; the elevation from which a head is seen stays.

    Args:
        rotation: (..., 3, 3), model to camera, y up. turn_deg: (...).
    """
    upright = np.zeros(np.shape(turn_deg))
    about_neck = rotation_from_angles(turn_deg, upright, upright)
    return flip_rotation(rotation @ about_neck @ np.swapaxes(rotation, -1, -2))


def rotate_head_image(
    image_rgb: NDArray[np.uint8],
    vertices_px: NDArray,
    triangles: NDArray,
    px_per_mm: float,
    turn: HeadRotations,
) -> NDArray[np.uint8]:
    """Draw a crop anew with its head turned.

    Args:
        image_rgb: (120, 120, 3) uint8.
        vertices_px: (V, 3) the head's mesh in the crop. triangles: (T, 3).
        px_per_mm: size of the head in the crop.
        turn: of this one head.

    Returns:
        (120, 120, 3) uint8.
    """
    points, triangles_of_grid = _grid()
    depth, share = _relief(vertices_px, triangles, px_per_mm)
    placed = np.column_stack([points, depth.reshape(-1)])[None]
    moved = turn.crop(placed + share.reshape(-1, 1) * (turn.turn(placed) - placed))[0]
    # A pixel becomes several by several; its centre stays its middle.
    moved = moved * SUPERSAMPLING + np.array([1, 1, 0]) * 0.5 * (SUPERSAMPLING - 1)
    size = CROP_SIZE_PX * SUPERSAMPLING
    source, _ = rasterize(moved, triangles_of_grid, (size, size), points)
    large = cv2.remap(
        image_rgb,
        source[..., 0],
        source[..., 1],
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    small = cv2.resize(large, (CROP_SIZE_PX, CROP_SIZE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


@cache
def _grid() -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Return the grid's points (N, 2) in crop pixels and its triangles (T, 3)."""
    at = np.arange(-PADDING_PX, CROP_SIZE_PX + PADDING_PX, GRID_STEP_PX, dtype=np.float32)
    points = np.stack(np.meshgrid(at, at), axis=-1).reshape(-1, 2)
    number = np.arange(len(points)).reshape(len(at), len(at))
    a, b, c, d = number[:-1, :-1], number[:-1, 1:], number[1:, :-1], number[1:, 1:]
    halves = [np.stack(corners, axis=-1).reshape(-1, 3) for corners in ((a, c, b), (b, c, d))]
    return points, np.concatenate(halves).astype(np.int32)


def _relief(
    vertices_px: NDArray, triangles: NDArray, px_per_mm: float
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return depth and share of the turn at every point of the grid, (G, G) each."""
    size = CROP_SIZE_PX + 2 * PADDING_PX
    padded = vertices_px + np.array([PADDING_PX, PADDING_PX, 0])
    _, depth = rasterize(padded, triangles, (size, size), np.zeros((len(padded), 0)))
    # The outermost pixels are seen edge-on; their depth is not to be trusted.
    head = cv2.erode(np.isfinite(depth).astype(np.uint8), np.ones((3, 3), np.uint8))
    distance, nearest = cv2.distanceTransformWithLabels(
        1 - head, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    inside = head > 0
    of_label = np.zeros(int(nearest.max()) + 1, np.float32)
    of_label[nearest[inside]] = depth[inside]
    outline = of_label[nearest]
    even = cv2.GaussianBlur(outline, (0, 0), OUTLINE_BLUR_PX)
    near = np.clip(distance / 6.0, 0, 1)
    fall = np.minimum(SLOPE * distance, DROP_MM * px_per_mm)
    share = smoothstep(1 - distance / FADE_PX)
    depth = np.where(inside, depth, outline + near * (even - outline) - fall)
    return depth[::GRID_STEP_PX, ::GRID_STEP_PX], share[::GRID_STEP_PX, ::GRID_STEP_PX]
