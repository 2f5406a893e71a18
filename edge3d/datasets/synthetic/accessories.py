"""Shapes of what people wear or hold before their faces: glasses, hats, masks, hands.

Frame: the face model's in millimetres, on the head as it is; `Placed` brings them to pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge3d.geometry.mesh import vertex_normals

CLOTH, PLASTIC, SKIN = 3.0, 5.0, 0.0


@dataclass(frozen=True, eq=False)
class Solid:
    """A mesh of plain colours.

    Attributes:
        positions, normals: (C, 3). triangles: (T, 3). colours: (C, 4) linear RGB and material,
            of lenses opacity instead. mirror: how much lenses mirror.
    """

    positions: NDArray
    normals: NDArray
    triangles: NDArray[np.int32]
    colours: NDArray
    mirror: float = 0.0


class Placing(Protocol):
    """What brings millimetres of the head to an image."""

    @property
    def rotation(self) -> NDArray[np.float32]:
        """Rotation (3, 3) of normals."""

    def pixels(self, points_mm: NDArray) -> NDArray[np.float32]:
        """Return points (N, 3) in pixels."""


def place(solid: Solid, head: Placing) -> Solid:
    """Bring a solid from the head's millimetres to the image."""
    return Solid(
        head.pixels(solid.positions),
        solid.normals @ head.rotation.T,
        solid.triangles,
        solid.colours,
        solid.mirror,
    )


def make_glasses(marks: NDArray, dark: bool, rng: np.random.Generator) -> tuple[Solid, Solid]:
    """Return frame and lenses of glasses on a head with landmarks (68, 3) in mm."""
    eyes = np.stack([marks[36:42].mean(axis=0), marks[42:48].mean(axis=0)])
    apart = eyes[1, 0] - eyes[0, 0]
    width = apart * rng.uniform(0.36, 0.43)
    height = width * (rng.uniform(0.7, 1.0) if dark else rng.uniform(0.5, 0.95))
    squareness = rng.uniform(1.8, 4.5)
    slip = rng.uniform(-1, 7)
    front = max(marks[27, 2], eyes[:, 2].max()) + rng.uniform(3, 7)
    thick = np.exp(rng.uniform(np.log(0.7), np.log(3.2)))
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    rim = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    rim = np.sign(rim) * abs(rim) ** (2.0 / squareness) * [width, height]
    colour = _frame_colour(rng)
    tubes, lenses = [], []
    for eye in eyes:
        ring = np.zeros((len(turn), 3))
        ring[:, :2] = rim + eye[:2] - [0, slip]
        outwards = abs(ring[:, 0]) / (apart + 1e-6)
        ring[:, 2] = front - 9.0 * outwards**2
        tubes.append(_tube(np.concatenate([ring, ring[:1]]), thick, colour))
        lenses.append(ring)
    middle = np.stack([lenses[0][0], lenses[1][len(turn) // 2]])
    arch = np.linspace(0, 1, 6)[:, None]
    bridge = middle[0] + arch * (middle[1] - middle[0])
    bridge[:, 1] += 4 * (arch * (1 - arch))[:, 0] * 3 + 0.25 * height
    bridge[:, 2] += 2
    tubes.append(_tube(bridge, thick, colour))
    ears = marks[[0, 16]]
    for side, ring in enumerate(lenses):
        sign = -1 if side == 0 else 1
        hinge = ring[len(turn) // 2 if side == 0 else 0] + [0, 0.4 * height, 0]
        end = np.array([ears[side, 0] + 4 * sign, hinge[1] - 2, ears[side, 2] - 22])
        out = np.array([max(abs(hinge[0]), abs(ears[side, 0]) - 6) * sign, hinge[1], hinge[2] - 8])
        tubes.append(_tube(np.stack([hinge, out, end]), 0.9 * thick, colour))
    return _joined(tubes), _lenses(lenses, dark, rng)


def _lenses(rings: list[NDArray], dark: bool, rng: np.random.Generator) -> Solid:
    tint = (
        np.exp(rng.normal(-3.2, 0.6)) * np.exp(rng.normal(0, 0.4, 3)) if dark else np.ones(3) * 0.6
    )
    opacity = rng.uniform(0.75, 1.0) if dark else rng.uniform(0.0, 0.08)
    mirror = float(rng.uniform(0.01, 0.12) if dark else 0.12 * rng.random() ** 2)
    fans = []
    for ring in rings:
        points = np.concatenate([ring.mean(axis=0, keepdims=True), ring])
        count = len(ring)
        step = np.arange(count)
        fan = np.stack([np.zeros(count, int), 1 + step, 1 + (step + 1) % count], axis=1)
        centre = points[0]
        normals = (points - centre) * [0.012, 0.012, 0] + [np.sign(centre[0]) * 0.1, 0, 1]
        colours = np.tile(np.append(np.clip(tint, 0, 1) ** (1 / 2.2), opacity), (len(points), 1))
        fans.append(Solid(points, normals, fan.astype(np.int32), colours))
    joined = _joined(fans)
    return Solid(joined.positions, joined.normals, joined.triangles, joined.colours, mirror)


def make_mask(
    surface: tuple[NDArray, NDArray, NDArray, NDArray], marks: NDArray, rng: np.random.Generator
) -> Solid:
    """Return a mask of cloth over nose and mouth.

    Args:
        surface: points (R, 3) of the head, their normals, rest positions (R, 3), triangles (T, 3).
        marks: (68, 3) at rest.
        rng: decides its place and colour.
    """
    points, normals, rest, triangles = surface
    top = marks[29, 1] + rng.uniform(-6, 6)
    chin = marks[8]
    down = rest[:, 1] - (chin[1] - 14 - 0.5 * np.maximum(chin[2] - 12 - rest[:, 2], 0) * 0.3)
    high = top - 0.16 * abs(rest[:, 0]) - rest[:, 1]
    side = rest[:, 2] - (marks[[2, 14], 2].mean() - rng.uniform(-5, 15))
    inside = np.minimum(np.minimum(down, high), side)
    kept, used, points, rest = _clipped(inside, triangles, points, rest)
    at = points[used].astype(np.float64)
    neighbours = np.concatenate([kept[:, [0, 1]], kept[:, [1, 2]], kept[:, [2, 0]]])
    degree = np.bincount(neighbours[:, 0], minlength=len(used))[:, None]
    at += 2.0 * normals[used]
    outward = at.copy()
    for _ in range(12):  # cloth spans hollows
        mean = np.stack(
            [np.bincount(neighbours[:, 0], at[neighbours[:, 1], k], len(used)) for k in range(3)], 1
        ) / np.maximum(degree, 1)
        at = np.where(degree > 0, 0.4 * at + 0.6 * mean, at)
        sunk = np.einsum("rc,rc->r", outward - at, normals[used])
        at += np.maximum(sunk, 0)[:, None] * normals[used]
    turned = vertex_normals(at, kept)
    colour = np.array(
        [[0.35, 0.6, 0.75], [0.85, 0.87, 0.88], [0.03, 0.03, 0.035], rng.uniform(0, 0.7, 3)][
            rng.integers(4)
        ]
    )
    folds = 1 - 0.12 * (np.sin(rest[used, 1] * rng.uniform(0.3, 0.8)) > 0.5)
    colours = np.concatenate([colour * folds[:, None], np.full((len(used), 1), CLOTH)], axis=1)
    return Solid(at + 1.5 * turned, turned, kept, colours)


def _clipped(
    inside: NDArray, triangles: NDArray, points: NDArray, rest: NDArray
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray, NDArray]:
    """Cut a surface where `inside` (R,) is 0, by moving the rows beyond it back to the cut.

    Returns:
        triangles (T', 3) of used rows, the used rows, and all points and rest positions moved.
    """
    kept = triangles[(inside[triangles] > 0).any(axis=1)]
    sides = np.concatenate([kept[:, [0, 1]], kept[:, [1, 2]], kept[:, [2, 0]]])
    sides = np.concatenate([sides, sides[:, ::-1]])
    out, into = sides[(inside[sides[:, 0]] <= 0) & (inside[sides[:, 1]] > 0)].T
    share = (inside[into] / np.maximum(inside[into] - inside[out], 1e-6))[:, None]
    count = np.maximum(np.bincount(out, minlength=len(points)), 1)[:, None]
    moved = []
    for values in (points, rest):
        cut = values[into] + share * (values[out] - values[into])
        total = np.stack([np.bincount(out, cut[:, k], len(values)) for k in range(3)], axis=1)
        moved.append(np.where((inside <= 0)[:, None] & (total != 0), total / count, values))
    used, index = np.unique(kept, return_inverse=True)
    return index.reshape(-1, 3).astype(np.int32), used, moved[0], moved[1]


def make_hat(
    kind: str,
    surface: tuple[NDArray, NDArray, NDArray, NDArray],
    hairline_mm: NDArray,
    marks: NDArray,
    rng: np.random.Generator,
) -> list[Solid]:
    """Return a beanie, a cap with its brim, or a hood that leaves the face free.

    Args:
        kind: `beanie`, `cap` or `hood`.
        surface: as of `make_mask`. hairline_mm: (R,) height of each point above the hairline.
        marks: (68, 3) at rest. rng: decides shape and colour.
    """
    points, normals, rest, triangles = surface
    if kind == "hood":
        middle = 0.5 * (marks[27] + marks[33])
        reach = np.array([marks[16, 0] * rng.uniform(0.9, 1.02), rng.uniform(84, 98)])
        oval = np.hypot(*((rest[:, :2] - middle[:2]) / reach).T)
        outside = np.where(rest[:, 2] < marks[0, 2] - 4, 1.5, oval) - 1.0
        outside *= 60 * (rest[:, 1] > marks[8, 1] - 95)
        thick = rng.uniform(5, 14)
    else:
        front = hairline_mm + rng.uniform(2, 18)
        outside = np.where(rest[:, 2] > marks[0, 2], front, rest[:, 1] - marks[27, 1] - 8)
        thick = rng.uniform(9, 26)
    triangles_kept, used, points, rest = _clipped(outside, triangles, points, rest)
    share = np.clip(outside[used] / 25.0, 0.25, 1.0)[:, None]
    at = points[used] + normals[used] * thick * share
    if kind != "hood":
        at[:, 1] += 0.25 * thick * share[:, 0]
    colour = np.clip(rng.beta(0.7, 1.2) * np.exp(rng.normal(0, 0.5, 3) * rng.random()), 0.01, 0.9)
    stripe = np.clip(colour * np.exp(rng.normal(0, 0.8, 3)), 0.01, 0.9)
    bands = (np.sin(rest[used, 1] * rng.uniform(0.05, 0.4)) > rng.uniform(0.2, 1.5))[:, None]
    colours = np.where(bands, stripe, colour)
    colours = np.concatenate([colours, np.full((len(used), 1), CLOTH)], axis=1)
    solids = [Solid(at, vertex_normals(at, triangles_kept), triangles_kept, colours)]
    if kind == "cap":
        solids.append(_brim(at, rest[used], marks, colour, rng))
    return solids


def _brim(
    at: NDArray, rest: NDArray, marks: NDArray, colour: NDArray, rng: np.random.Generator
) -> Solid:
    edge = at[rest[:, 2] > marks[27, 2] - 25]
    low = edge[:, 1].min() if len(edge) else marks[19, 1] + 25
    front = edge[:, 2].max() if len(edge) else marks[27, 2]
    length, droop = rng.uniform(35, 70), rng.uniform(0.1, 0.45)
    across = np.linspace(-1, 1, 13)
    along = np.linspace(-0.6, 1, 6)
    x, t = np.meshgrid(across, along)
    reach = np.where(t > 0, length * np.sqrt(np.maximum(1 - 0.8 * x**2, 0)), 40)
    z = front - 22 * x**2 * (t < 2) - 4 + t * reach
    y = low + 5 - droop * np.maximum(t, 0) * reach - 14 * x**2
    points = np.stack([x * 66, y, z], axis=-1).reshape(-1, 3)
    grid = np.arange(x.size).reshape(x.shape)
    quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], -1).reshape(
        -1, 4
    )
    triangles = quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3).astype(np.int32)
    normals = np.tile([0.0, 1.0, 0.2], (len(points), 1))
    colours = np.tile(np.append(colour, CLOTH), (len(points), 1))
    return Solid(points, normals, triangles, colours)


def make_hand(marks: NDArray, skin: NDArray, rotation: NDArray, rng: np.random.Generator) -> Solid:
    """Return a hand before the face: a palm and four or five fingers.

    Args:
        marks: (68, 3) mm. skin: (3,) linear. rotation: (3, 3) of the head, to hold the hand
            towards the camera. rng: decides where it is.
    """
    target = marks[rng.choice([3, 5, 8, 11, 13, 33, 51, 57, 19, 24])]
    turn, spread = rng.uniform(-1.2, 1.2), rng.uniform(0.05, 0.22)
    size = rng.uniform(0.8, 1.1)
    side = np.sign(rng.standard_normal())
    capsules: list[tuple[NDArray, tuple[float, ...]]] = []
    for finger in range(5 if rng.random() < 0.6 else 4):
        angle = (finger - 1.5) * spread if finger < 4 else side * 0.9
        base = np.array(
            [(finger - 1.5) * 19 if finger < 4 else side * 40, 38 if finger < 4 else 0, 0]
        )
        length = (72, 80, 75, 58, 55)[finger]
        tip = base + length * np.array([np.sin(angle), np.cos(angle), -0.25])
        middle = base + 0.55 * length * np.array([np.sin(angle), np.cos(angle), 0.12])
        capsules.append((np.stack([base, middle, tip]), (9.5, 8.5, 7.0)))
    palm = np.array([[0, 38, 0], [0, -10, 0], [0, -60, -8], [0, -160, -30]], float)
    capsules.append((palm, (36, 40, 30, 27)))
    rotation_2d = np.array(
        [[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]]
    )
    tubes = []
    for line, radii in capsules:
        flat = np.array([1, 1, 0.55]) if len(radii) == 4 else np.ones(3)
        tubes.append(_tube(line, np.array(radii), np.append(skin, SKIN), 10, flat))
    hand = _joined(tubes)
    fingertips = np.array([0, 60.0, 0]) @ rotation_2d.T
    in_camera = size * (hand.positions @ rotation_2d.T - fingertips)
    in_camera[:, 2] += rng.uniform(14, 45)
    positions = in_camera @ rotation + target
    normals = hand.normals @ rotation_2d.T @ rotation
    return Solid(positions, normals, hand.triangles, hand.colours)


def _frame_colour(rng: np.random.Generator) -> NDArray:
    kind = rng.random()
    if kind < 0.5:
        colour = np.full(3, rng.uniform(0.005, 0.04))
    elif kind < 0.75:
        colour = np.array([0.16, 0.07, 0.03]) * rng.uniform(0.5, 2)
    elif kind < 0.9:
        colour = np.array([0.5, 0.48, 0.42]) * rng.uniform(0.5, 1.5)
    else:
        colour = rng.uniform(0.0, 0.6, 3)
    return np.append(np.clip(colour, 0, 1), PLASTIC)


def _tube(
    line: NDArray,
    radius: NDArray | float,
    colour: NDArray,
    around: int = 6,
    flat: NDArray | None = None,
) -> Solid:
    """Return a tube along a line (K, 3), of one radius or one at each point."""
    radii = np.broadcast_to(np.asarray(radius, float), (len(line),))
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-6)
    up = np.where(abs(along[:, [2]]) < 0.9, [[0, 0, 1.0]], [[0, 1.0, 0]])
    aside = np.cross(up, along)
    aside /= np.maximum(np.linalg.norm(aside, axis=1, keepdims=True), 1e-6)
    over = np.cross(along, aside)
    turn = np.linspace(0, 2 * np.pi, around, endpoint=False)
    normals = np.cos(turn)[:, None] * aside[:, None] + np.sin(turn)[:, None] * over[:, None]
    stretch = np.ones(3) if flat is None else flat
    points = line[:, None] + radii[:, None, None] * normals * stretch
    # Round ends: a last ring drawn in to the axis.
    start = line[[0]] - 0.6 * radii[0] * along[[0]] * (flat is not None)
    stop = line[[-1]] + 0.6 * radii[-1] * along[[-1]] * (flat is not None)
    vertices = np.concatenate([points.reshape(-1, 3), start, stop])
    all_normals = np.concatenate([normals.reshape(-1, 3), -along[[0]], along[[-1]]])
    ring = np.arange(around)
    after = (ring + 1) % around
    triangles = []
    for k in range(len(line) - 1):
        a, b = k * around, (k + 1) * around
        triangles += [np.stack([a + ring, a + after, b + after], 1)]
        triangles += [np.stack([a + ring, b + after, b + ring], 1)]
    last = (len(line) - 1) * around
    ends = len(points) * around
    triangles += [np.stack([np.full(around, ends), after, ring], 1)]
    triangles += [np.stack([np.full(around, ends + 1), last + ring, last + after], 1)]
    colours = np.tile(colour, (len(vertices), 1))
    return Solid(vertices, all_normals, np.concatenate(triangles).astype(np.int32), colours)


def _joined(solids: list[Solid]) -> Solid:
    starts = np.cumsum([0, *(len(s.positions) for s in solids)])
    return Solid(
        np.concatenate([s.positions for s in solids]),
        np.concatenate([s.normals for s in solids]),
        np.concatenate([s.triangles + a for s, a in zip(solids, starts, strict=False)]),
        np.concatenate([s.colours for s in solids]),
    )
