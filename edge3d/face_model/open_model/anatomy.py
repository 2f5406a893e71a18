"""Eyes, lids, lips and the tongue of `open-2`, where a registered surface alone is not enough."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import splu
from scipy.spatial import cKDTree

from edge3d.face_model.open_model.makehuman import EYEBALLS, Cage

SKIN_END = 13380  # hm08 numbers from here on are helpers: tongue, eyes
EYEBALL_RADIUS_MM = 12.2
LID_CLEARANCE_MM = 0.15  # between the eyeball and the inner rim of a lid
# Turn of the eyeball at a weight of 1, in degrees: as in ARKit's and ICT-FaceKit's shapes.
GAZE_DEG = {"Up": 25.0, "Down": 25.0, "In": 30.0, "Out": 30.0}
LID_REACH_MM, LIP_REACH_MM = 9.0, 7.0  # how far a correction of a rim fades out
OVERLAP_MM = 1.2  # how far a shut upper lid goes over the lower one
CORNEA_SHARE = 0.45  # of hm08's bulge, which is that of a larger eye
LID_THICKNESS_MM = 1.1  # from the eyeball to the front of a lid that moves over it
# A straight way from open to shut would cut through the eyeball: these are led around it.
OVER_THE_EYE = ("eyeBlink", "eyeLookDown", "eyeSquint")


@dataclass(frozen=True)
class Rims:
    """Vertices of the cage at the rims, left (x > 0) and right, from corner to corner.

    Attributes:
        upper_lid, lower_lid, upper_inner, lower_inner: of each side, front and inner edge.
        upper_lip, lower_lip: the lines along which the lips touch, from the middle to a corner.
        eyeball: vertex numbers of each.
    """

    upper_lid: tuple[NDArray, NDArray]
    lower_lid: tuple[NDArray, NDArray]
    upper_inner: tuple[NDArray, NDArray]
    lower_inner: tuple[NDArray, NDArray]
    upper_lip: tuple[NDArray, NDArray]
    lower_lip: tuple[NDArray, NDArray]
    eyeball: tuple[NDArray, NDArray]


def read_rims(cage: Cage, table: dict[str, Any]) -> Rims:
    """Return the rims from the curves of `ict_pairs.json`."""
    skin = cage.vertex_ids < SKIN_END
    tree = cKDTree(cage.positions[skin])

    def both(curve: int) -> tuple[NDArray, NDArray]:
        left = np.searchsorted(cage.vertex_ids, table["curves"][curve][0])
        return left, np.asarray(tree.query(cage.positions[left] * [-1, 1, 1])[1])

    ids, middle = cage.vertex_ids, sum(EYEBALLS) // 2
    upper_inner, lower_inner, upper_lid, lower_lid = (both(k) for k in (7, 8, 9, 10))
    eyeball = (
        np.flatnonzero((ids >= EYEBALLS[0]) & (ids < middle)),
        np.flatnonzero((ids >= middle) & (ids < EYEBALLS[1])),
    )
    return Rims(upper_lid, lower_lid, upper_inner, lower_inner, both(0), both(2), eyeball)


def add_helpers(cage: Cage, skin: NDArray, modes: NDArray) -> tuple[NDArray, NDArray]:
    """Return mean (V, 3) and modes (V, 3, K) of skin and helpers; these follow the skin nearby.

    Args:
        skin: (S, 3) registered, the first S vertices of the cage. modes: (S, 3, K).
    """
    count = len(skin)
    base = cage.positions
    affine, *_ = np.linalg.lstsq(np.column_stack([base[:count], np.ones(count)]), skin, rcond=None)
    placed = np.column_stack([base, np.ones(len(base))]) @ affine
    distance, near = cKDTree(base[:count]).query(base[count:], k=24)
    share = 1 / (np.asarray(distance) + 2.0) ** 2
    share /= share.sum(axis=1, keepdims=True)
    moved = np.einsum("nk,nkc->nc", share, (skin - placed[:count])[near])
    follow = np.einsum("nk,nkcm->ncm", share, modes[near])
    return np.concatenate([skin, placed[count:] + moved]), np.concatenate([modes, follow])


def _rim_of(rims: Rims, side: int) -> NDArray:
    # The corners hold the caruncle and lie off the eyeball: only the middle of each rim counts.
    upper, lower = rims.upper_inner[side], rims.lower_inner[side]
    return np.concatenate([upper[3:-3], lower[3:-3]])


def seat_eyes(cage: Cage, mean: NDArray, modes: NDArray, rims: Rims) -> tuple[NDArray, NDArray]:
    """Put the eyeballs behind the lids, in the mean and in each mode, as rigid bodies."""
    mean, modes = mean.copy(), modes.copy()
    for side in (0, 1):
        own, rim = rims.eyeball[side], mean[_rim_of(rims, side)]
        radius = EYEBALL_RADIUS_MM + LID_CLEARANCE_MM
        centre = rim.mean(axis=0) - [0, 0, 0.8 * radius]
        for _ in range(50):  # Gauss-Newton for the centre of a sphere of known radius
            gap = rim - centre
            distance = np.linalg.norm(gap, axis=1)
            step = np.linalg.lstsq(-gap / distance[:, None], radius - distance, rcond=None)[0]
            centre = centre + step
        base = cage.positions[own]
        # The front of hm08's eyeball bulges (cornea): its width gives middle and radius.
        middle = 0.5 * (base.max(axis=0) + base.min(axis=0))
        base_radius = 0.5 * np.ptp(base[:, 0])
        middle[2] = base[:, 2].min() + base_radius
        ball = (base - middle) / base_radius
        length = np.linalg.norm(ball, axis=1, keepdims=True)
        flatter = np.where(length > 1, 1 + CORNEA_SHARE * (length - 1), length)
        mean[own] = centre + EYEBALL_RADIUS_MM * ball * flatter / np.maximum(length, 1e-9)
        normal = (rim - centre) / np.linalg.norm(rim - centre, axis=1, keepdims=True)
        moved = modes[_rim_of(rims, side)]
        weight = np.einsum("nc,nd->cd", normal, normal) + 0.1 * len(rim) * np.eye(3)
        right = np.einsum("nc,nd,ndm->cm", normal, normal, moved) + 0.1 * moved.sum(axis=0)
        modes[own] = np.linalg.solve(weight, right)
    return mean, modes


def _smooth_offset(
    cage: Cage, mean: NDArray, handles: NDArray, offsets: NDArray, reach_mm: float
) -> NDArray[np.float64]:
    """Return a smooth displacement (V, 3) that is `offsets` at `handles` and 0 far from them."""
    count = len(mean)
    quads = cage.quads
    pairs = np.unique(np.sort(np.stack([quads, np.roll(quads, -1, 1)], 2).reshape(-1, 2)), axis=0)
    one_way = sp.csr_matrix((np.ones(len(pairs)), pairs.T), (count, count))
    near = one_way + one_way.T
    laplacian = sp.identity(count) - sp.diags(1 / np.asarray(near.sum(1)).ravel()) @ near
    distance = cKDTree(mean[handles]).query(mean)[0]
    fixed = np.where(distance > reach_mm, 1e4, 1e-6)
    fixed[cage.vertex_ids >= SKIN_END] = 1e4
    handles, first = np.unique(handles, return_index=True)
    fixed[handles] = 1e4
    right = np.zeros((count, 3))
    right[handles] = 1e4 * offsets[first]
    matrix = (laplacian.T @ laplacian + sp.diags(fixed)).tocsc()
    return np.asarray(splu(matrix).solve(right))


def _opposite(upper: NDArray, lower: NDArray, mean: NDArray) -> NDArray[np.float64]:
    """Return, for each vertex of an upper rim, the point of the lower one below it (N, 3)."""
    order = np.argsort(mean[lower, 0])
    line = mean[lower[order]]
    return np.stack([np.interp(mean[upper, 0], line[:, 0], line[:, k]) for k in range(3)], axis=1)


def shut_lips(cage: Cage, mean: NDArray, rims: Rims) -> NDArray[np.float64]:
    """Return the mean with lips that touch: ICT-FaceKit's are some tenths of a mm apart."""
    handles, offsets = [], []
    for side in (0, 1):
        upper, lower = rims.upper_lip[side][:-1], rims.lower_lip[side][:-1]
        for own, other, sign in ((upper, lower, -1), (lower, upper, 1)):
            gap = abs(_opposite(own, other, mean)[:, 1] - mean[own, 1])
            handles.append(own)
            offsets.append(np.outer(sign * 0.5 * gap, [0, 1, 0]))
    return mean + _smooth_offset(
        cage, mean, np.concatenate(handles), np.concatenate(offsets), LIP_REACH_MM
    )


def move_eyes(
    cage: Cage, mean: NDArray, names: list[str], shapes: NDArray, rims: Rims
) -> NDArray[np.float64]:
    """Return shapes (V, 3, E) in which the eyeballs turn about their middles, and only so."""
    del cage
    shapes = shapes.copy()
    for side, word in enumerate(("Left", "Right")):
        own = rims.eyeball[side]
        shapes[own] = 0.0
        ball = mean[own]
        centre = eye_centre(mean, rims, side)
        outwards = 1.0 if side == 0 else -1.0
        for direction, angle_deg in GAZE_DEG.items():
            angle = np.deg2rad(angle_deg)
            cos, sin = np.cos(angle), np.sin(angle)
            if direction in ("Up", "Down"):
                sin = sin if direction == "Up" else -sin
                turn = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]])
            else:
                sin = sin * outwards * (1 if direction == "Out" else -1)
                turn = np.array([[cos, 0, sin], [0, 1, 0], [-sin, 0, cos]])
            moved = (ball - centre) @ turn.T - (ball - centre)
            shapes[own, :, names.index(f"eyeLook{direction}{word}")] = moved
    return shapes


def shut_lids(
    cage: Cage, mean: NDArray, names: list[str], shapes: NDArray, rims: Rims
) -> NDArray[np.float64]:
    """Return shapes (V, 3, E) in which eyeBlink brings the upper lid onto the lower one."""
    shapes = shapes.copy()
    for side, word in enumerate(("Left", "Right")):
        number = names.index(f"eyeBlink{word}")
        shut = mean + shapes[:, :, number]
        handles, offsets = [], []
        for upper, lower, overlap_mm in (
            (rims.upper_lid[side], rims.lower_lid[side], OVERLAP_MM),
            (rims.upper_inner[side], rims.lower_inner[side], 0.0),  # hidden by the front edge
        ):
            inner = upper[1:-1]
            goal = _opposite(inner, lower, shut) - [0, overlap_mm, 0]
            handles.append(inner)
            offsets.append(goal - shut[inner])
            handles.append(lower)
            offsets.append(np.zeros((len(lower), 3)))
        shapes[:, :, number] += _smooth_offset(
            cage, mean, np.concatenate(handles), np.concatenate(offsets), LID_REACH_MM
        )
    return shapes


def lead_around_eyes(
    cage: Cage, mean: NDArray, names: list[str], shapes: NDArray, rims: Rims, lining: NDArray
) -> NDArray[np.float64]:
    """Return shapes (V, 3, E) whose lids stay in front of the eyeball at half and at full weight.

    Args:
        lining: (V,) bool, the inside of the eye sockets, which stays where it is.
    """
    shapes = shapes.copy()
    for side, word in enumerate(("Left", "Right")):
        centre = eye_centre(mean, rims, side)
        near = np.linalg.norm(mean - centre, axis=1) < EYEBALL_RADIUS_MM + 12
        lid = near & ~lining & (cage.vertex_ids < SKIN_END) & (mean[:, 2] > centre[2])
        inner = np.concatenate([rims.upper_inner[side], rims.lower_inner[side]])
        least = np.full(len(mean), EYEBALL_RADIUS_MM + LID_THICKNESS_MM)
        least[inner] = EYEBALL_RADIUS_MM + LID_CLEARANCE_MM
        for start in OVER_THE_EYE:
            number = names.index(f"{start}{word}")
            for weight in (0.5, 1.0):
                moved = mean + weight * shapes[:, :, number] - centre
                distance = np.linalg.norm(moved, axis=1, keepdims=True)
                # No more than the mean has where it lies closer: it is no worse there than open.
                still = np.linalg.norm(mean - centre, axis=1)
                moves = np.linalg.norm(shapes[:, :, number], axis=1) > 0.2
                lack = np.where(lid & moves, np.minimum(least, still) - distance[:, 0], 0).clip(0)
                lack = np.where(lid & moves & (start == "eyeBlink"), least - distance[:, 0], lack)
                shapes[:, :, number] += lack.clip(0)[:, None] / weight * moved / distance
    return shapes


def eye_centre(mean: NDArray, rims: Rims, side: int) -> NDArray[np.float64]:
    """Return the middle (3,) of an eyeball."""
    ball = mean[rims.eyeball[side]]
    middle = 0.5 * (ball.max(axis=0) + ball.min(axis=0))
    middle[2] = ball[:, 2].min() + 0.5 * np.ptp(ball[:, 0])
    return np.asarray(middle)
