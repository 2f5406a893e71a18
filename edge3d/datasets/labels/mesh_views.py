"""Many views of one face, and the mesh that they agree on (test-time augmentation).

The mesh of a single view repeats to 0.4 to 2 % of the face, and it has a left-right error that
shifting the crop does not show. So the views come in pairs: a crop that is shifted, scaled and
rolled a little, and the same crop of the mirrored photograph. The labels of a mirrored photograph
are therefore the mirrored labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge3d.datasets.labels.face_landmarker import BLENDSHAPES, CROP_PX, FaceLandmarker
from edge3d.datasets.labels.face_square import FaceSquare, aimed_square, face_size
from edge3d.datasets.labels.mesh_topology import POINTS, mesh_mirror

SHIFT = 0.035  # of the crop's side; about 5 % of the face's box
SCALE = 0.06
ROLL_DEG = 6.0
MEDIAN_STEPS = 8  # of Weiszfeld's iteration; more change nothing beyond 0.01 px
MEDIAN_FLOOR_PX = 0.05
LEAST_WEIGHT = 1e-3  # of a view without presence, so that a face without any still has a mean


@dataclass(frozen=True, eq=False)
class Consensus:
    """What L views of one face agree on.

    Attributes:
        square: that an average view showed.
        points_px: (478, 3) float32 in pixels of the photograph, pixel centres at whole numbers; z
            away from the camera, in the scale of x.
        asymmetry_px: (478, 3) float32, mirrored views minus plain ones.
        spread: (478,) float32, root mean square distance of the views' points from the consensus
            in the image plane, as a fraction of the face's size.
        presence: (L,) float32, probability of a face in each view; plain and mirrored in turn.
        tongue: (L,) float32, score of the tongue being out.
        blendshapes: (L, 52) float32 of each view, left and right as the subject's.
    """

    square: FaceSquare
    points_px: NDArray[np.float32]
    asymmetry_px: NDArray[np.float32]
    spread: NDArray[np.float32]
    presence: NDArray[np.float32]
    tongue: NDArray[np.float32]
    blendshapes: NDArray[np.float32]


def view_table(pairs: int) -> NDArray[np.float64]:
    """Return shift x, shift y (of the side), scale and roll in degrees of views: (pairs, 4).

    The first is the square itself. The others lie on two rings at golden-angle steps, so that any
    number of them covers all directions. Each row is used for a plain and for a mirrored view.
    """
    index = np.arange(pairs)
    angle = index * np.pi * (3 - np.sqrt(5))
    radius = SHIFT * np.where(index == 0, 0, np.where(index % 2, 1.0, 0.6))
    scale = 1 + SCALE * (index * 2 % 5 - 2) / 2
    roll = ROLL_DEG * (index * 3 % 7 - 3) / 3
    scale[0], roll[0] = 1, 0
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle), scale, roll])


def square_affine(square: FaceSquare, row: NDArray, width_px: int, mirrored: bool) -> NDArray:
    """Return the affine (2, 3) from crop pixels to pixels of the photograph.

    Args:
        square: of the face. row: of `view_table`. width_px: of the photograph.
        mirrored: the view is of the mirrored photograph.
    """
    centre, roll = np.array(square.centre_px), square.roll_deg
    if mirrored:
        centre, roll = np.array([width_px - 1 - centre[0], centre[1]]), -roll
    angle = np.deg2rad(roll + row[3])
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn * (square.side_px * row[2] / CROP_PX)
    centre = centre + square.side_px * (turn @ row[:2])
    affine = np.column_stack([linear, centre - linear @ np.full(2, 0.5 * (CROP_PX - 1))])
    if mirrored:
        affine[0] *= -1
        affine[0, 2] += width_px - 1
    return affine


def cut(image_rgb: NDArray[np.uint8], affine: NDArray) -> NDArray[np.uint8]:
    """Return the crop (256, 256, 3) that an affine shows; the border is reflected."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    scale = float(np.sqrt(abs(np.linalg.det(affine[:, :2]))))
    if scale > 1.5:  # bilinear sampling would alias
        size = tuple(max(1, round(n / scale)) for n in image_rgb.shape[1::-1])
        small = cv2.resize(image_rgb, size, interpolation=cv2.INTER_AREA)
        ratio = np.array(size) / image_rgb.shape[1::-1]
        affine = affine * ratio[:, None]
        affine[:, 2] += 0.5 * ratio - 0.5
        image_rgb = np.asarray(small, np.uint8)
    return np.asarray(
        cv2.warpAffine(
            image_rgb, affine, (CROP_PX, CROP_PX), flags=flags, borderMode=cv2.BORDER_REFLECT_101
        ),
        np.uint8,
    )


def consensus(
    landmarker: FaceLandmarker,
    image_rgb: NDArray[np.uint8],
    square: FaceSquare,
    pairs: int,
) -> Consensus:
    """Find a face's mesh in `pairs` plain and as many mirrored crops.

    The points are the geometric median of the plain views and that of the mirrored ones, weighted
    by presence, and the mean of the two medians, weighted alike. (The median of all views at once
    would be undetermined between two equal groups.)

    Args:
        landmarker: the networks.
        image_rgb: (H, W, 3) uint8. square: where the face is in it.
        pairs: of views, at least 1.
    """
    mirror = mesh_mirror()
    affines = [
        square_affine(square, row, image_rgb.shape[1], mirrored)
        for row in view_table(pairs)
        for mirrored in (False, True)
    ]
    found = landmarker.meshes(np.stack([cut(image_rgb, affine) for affine in affines]))
    scores = landmarker.blendshapes(np.stack(list(map(_upright, found.points_px, affines))))
    scores[1::2] = scores[1::2][:, MIRRORED_BLENDSHAPES]
    points = np.empty((2 * pairs, POINTS, 3), np.float64)
    for index, (mesh, affine) in enumerate(zip(found.points_px, affines, strict=True)):
        seen = mesh[mirror] if index % 2 else mesh
        scale = np.sqrt(abs(np.linalg.det(affine[:, :2])))
        points[index, :, :2] = seen[:, :2] @ affine[:, :2].T + affine[:, 2]
        points[index, :, 2] = seen[:, 2] * scale
    weights = np.maximum(found.presence.astype(np.float64), LEAST_WEIGHT)
    halves = [geometric_median(points[half::2], weights[half::2]) for half in (0, 1)]
    share = weights[1::2].sum() / weights.sum()
    agreed = (1 - share) * halves[0] + share * halves[1]
    squared = ((points[..., :2] - agreed[:, :2]) ** 2).sum(-1)
    spread = np.sqrt(np.average(squared, axis=0, weights=weights))
    return Consensus(
        square,
        agreed.astype(np.float32),
        (halves[1] - halves[0]).astype(np.float32),
        (spread / max(float(face_size(agreed)), 1e-6)).astype(np.float32),
        found.presence,
        found.tongue,
        scores,
    )


def consensus_in_two_steps(
    landmarker: FaceLandmarker, image_rgb: NDArray[np.uint8], square: FaceSquare, pairs: int
) -> Consensus:
    """Find a face's mesh in `pairs` of views about where one pair of views has found it.

    On 207 photographs of FairFace the second step takes 10 to 30 % off the difference between
    plain and mirrored views and off the spread, against views about the given square alone.
    """
    first = consensus(landmarker, image_rgb, square, 1)
    return consensus(landmarker, image_rgb, aimed_square(first.points_px, square), pairs)


def agreed_scores(scores: NDArray) -> NDArray[np.float32]:
    """Return what views (N, L, 52), plain and mirrored in turn, agree on: (N, 52).

    As for the points, the mean of the plain and of the mirrored views' medians.
    """
    plain, mirrored = (np.median(scores[:, half::2].astype(np.float32), axis=1) for half in (0, 1))
    return 0.5 * (plain + mirrored)


def _upright(points_px: NDArray, affine: NDArray) -> NDArray:
    """Turn a view's points back as the photograph (or its mirror image) shows them."""
    linear = affine[:, :2] / np.sqrt(abs(np.linalg.det(affine[:, :2])))
    if np.linalg.det(linear) < 0:
        linear = np.diag([-1.0, 1.0]) @ linear
    return points_px[:, :2] @ linear.T


def geometric_median(points: NDArray, weights: NDArray) -> NDArray[np.float64]:
    """Return the weighted geometric median over views of each point: (M, D).

    Weiszfeld's iteration, started at the weighted mean.

    Args:
        points: (L, M, D). weights: (L,), positive.
    """
    median = np.average(points, axis=0, weights=weights)
    for _ in range(MEDIAN_STEPS):
        away = np.linalg.norm(points - median, axis=-1)
        pull = weights[:, None] / np.maximum(away, MEDIAN_FLOOR_PX)
        median = (pull[..., None] * points).sum(0) / pull.sum(0)[:, None]
    return median


def _mirrored_name(name: str) -> str:
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


MIRRORED_BLENDSHAPES = np.array([BLENDSHAPES.index(_mirrored_name(n)) for n in BLENDSHAPES])
