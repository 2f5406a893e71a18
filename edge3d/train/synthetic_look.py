"""What rendered faces look like: skin, eyes, brows, lips, hair, light and what is behind them.

The face model has a shape and no colours. Its landmarks say where brows, lips and lids are, its
separate parts are the eyeballs, and what little light reaches in the neutral face is the inside
of the mouth. Every vertex is coloured by that and by smooth random fields, lit by a few lamps and
drawn with `edge3d.render.rasterize`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from edge3d.crop import CROP_SIZE_PX
from edge3d.face_model import FaceModel
from edge3d.render import rasterize

SUPERSAMPLING = 2
IRIS_DEG, PUPIL_DEG = 27.0, 11.0  # half angles seen from the eyeball's centre
FIELDS = 24  # smooth random fields over the skin, of which every face has its own mixture
SKIN_SRGB = np.array(
    [[244, 208, 190], [232, 190, 164], [212, 166, 134], [178, 128, 96], [126, 84, 62], [78, 52, 42]]
)
HAIR_SRGB = np.array(
    [[24, 20, 20], [58, 40, 30], [104, 72, 46], [168, 128, 78], [140, 66, 36], [178, 176, 172]]
)
IRIS_SRGB = np.array([[66, 40, 24], [100, 68, 36], [96, 110, 70], [90, 124, 160], [120, 130, 140]])


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What each vertex of a face model is, as shares (V,) float32 within 0..1.

    Attributes:
        lips, brows, lashes, cheeks: by distance to their landmarks.
        mouth: inside the mouth. teeth: where teeth are seen.
        eyes: of the eyeballs. iris, pupil: on them.
        scalp_mm: how far above the hairline, negative on the face.
        beard: where a beard grows.
        neck: at the mesh's lower end.
        openness: share of light from all around that reaches the neutral face.
        fields: (V, FIELDS) smooth, of mean 0 and standard deviation 1.
    """

    lips: NDArray[np.float32]
    brows: NDArray[np.float32]
    lashes: NDArray[np.float32]
    cheeks: NDArray[np.float32]
    mouth: NDArray[np.float32]
    teeth: NDArray[np.float32]
    eyes: NDArray[np.float32]
    iris: NDArray[np.float32]
    pupil: NDArray[np.float32]
    scalp_mm: NDArray[np.float32]
    beard: NDArray[np.float32]
    neck: NDArray[np.float32]
    openness: NDArray[np.float32]
    fields: NDArray[np.float32]


def study(face_model: FaceModel) -> Anatomy:
    """Find out what each vertex of a face model is, from its landmarks and its neutral shape."""
    points = face_model.mean.astype(np.float64) * face_model.unit_mm
    marks = face_model.landmarks(face_model.mean).astype(np.float64) * face_model.unit_mm
    triangles = face_model.triangles
    eyes, off_axis_deg = _eyeballs(points, triangles)
    skin = 1 - eyes
    openness = _openness(points, triangles)
    front = points[:, 2] > marks[[36, 45], 2].mean() - 20
    inside_lips = _inside_polygon_mm(points, marks[48:60])
    near_mouth = (abs(points[:, 0]) < 1.3 * marks[54, 0]) & (
        abs(points[:, 1] - marks[48:60, 1].mean()) < 32
    )
    hidden = near_mouth & (openness < 0.3) & (points[:, 2] > marks[[0, 16], 2].mean() - 20)
    mouth = hidden * _ramp(0.3 - openness, 0.12) * skin
    lips = _ramp(inside_lips + 1.0, 2.0) * front * skin
    brows = np.maximum(
        *(_ramp(4.6 - _distance_to_line(points, marks[part]), 2.5) for part in _BROWS)
    )
    lashes = np.maximum(
        *(_ramp(2.2 - _distance_to_line(points, marks[part]), 1.6) for part in _UPPER_LIDS)
    )
    cheek = 0.5 * (marks[[36, 45]] + marks[[48, 54]])
    cheeks = sum(np.exp(-(((points - at) / 17.0) ** 2).sum(axis=1)) for at in cheek)
    # The teeth stand a little behind the upper lip, on the upper side of the mouth.
    lip_line = marks[60:68, 1].mean()
    behind = marks[[51, 62], 2].mean() - points[:, 2]
    teeth = mouth * (points[:, 1] > lip_line - 2.0) * _ramp(behind - 3.0, 2.0)
    teeth = teeth * _ramp(24.0 - behind, 4.0)
    return Anatomy(
        *(
            np.asarray(share, np.float32)
            for share in (
                lips * (1 - mouth),
                brows * skin,
                lashes * skin,
                np.minimum(cheeks, 1) * skin,
                mouth,
                teeth,
                eyes,
                eyes * _ramp(IRIS_DEG - off_axis_deg, 4.0),
                eyes * _ramp(PUPIL_DEG - off_axis_deg, 4.0),
                np.where(eyes > 0, -100, _above_hairline_mm(points, marks)),
                _beard(points, marks) * (1 - lips) * skin,
                points[:, 1] < points[:, 1].min() + 12,
                np.where(eyes > 0, 0.85, openness),
                _smooth_fields(points),
            )
        )
    )


_BROWS = (slice(17, 22), slice(22, 27))
_UPPER_LIDS = (slice(36, 40), slice(42, 46))


def paint(
    anatomy: Anatomy,
    vertices_px: NDArray,
    triangles: NDArray,
    px_per_mm: float,
    rng: np.random.Generator,
) -> NDArray[np.uint8]:
    """Draw one face with random colours, hair and light before a random background.

    Args:
        anatomy: of the face model. vertices_px: (V, 3) in the crop. triangles: (T, 3).
        px_per_mm: size of the head in the crop.
        rng: decides everything.

    Returns:
        (120, 120, 3) uint8 RGB.
    """
    hair = _palette(HAIR_SRGB, rng) * rng.uniform(0.6, 1.3)
    hair_share = _ramp(anatomy.scalp_mm + rng.uniform(-10, 8) + 3 * anatomy.fields[:, 0], 5.0)
    hair_share = hair_share * (rng.random() < 0.88)
    skin = _palette(SKIN_SRGB, rng)
    albedo = _albedo(anatomy, skin, hair, hair_share, rng)
    normals = vertex_normals(vertices_px, triangles)
    lit = albedo * _light(anatomy, normals, rng)
    lit += rng.uniform(0, 0.10) * (1 - hair_share[:, None]) * _shine(normals, rng)
    thickness = px_per_mm * (rng.uniform(1, 16) + 3.0 * anatomy.fields[:, 1])
    head = vertices_px + (hair_share * np.maximum(thickness, 0))[:, None] * normals
    colours = 255 * np.clip(lit, 0, 1) ** (1 / 2.2)
    scale = SUPERSAMPLING
    placed = head * scale + np.array([1, 1, 0]) * 0.5 * (scale - 1)
    size = CROP_SIZE_PX * scale
    drawn, depth = rasterize(placed, triangles, (size, size), colours)
    covered = np.isfinite(depth).astype(np.float32)
    small = (CROP_SIZE_PX, CROP_SIZE_PX)
    alpha = cv2.resize(covered, small, interpolation=cv2.INTER_AREA)[..., None]
    front = cv2.resize(drawn, small, interpolation=cv2.INTER_AREA)
    neck, scalp = anatomy.neck > 0.5, hair_share > 0.5
    behind = _body(
        _background(rng),
        head[neck, :2],
        head[scalp, :2],
        colours[neck].mean(axis=0),
        colours[scalp].mean(axis=0) if scalp.any() else colours[neck].mean(axis=0),
        rng,
    )
    picture = front + (1 - alpha) * behind
    grain = cv2.resize(rng.normal(0, rng.uniform(0, 5), (60, 60)).astype(np.float32), small)
    return np.clip(picture + alpha * grain[..., None], 0, 255).astype(np.uint8)


def visible(
    points_mm: NDArray, triangles: NDArray, direction: NDArray, tolerance_mm: float
) -> NDArray[np.bool_]:
    """Return which vertices (V,) of a mesh are seen from a direction (3,), from far away."""
    aside = np.cross([0.0, 1.0, 0.01], direction)
    aside /= np.linalg.norm(aside)
    rotation = np.stack([aside, np.cross(direction, aside), direction])
    placed = (points_mm - points_mm.mean(axis=0)) @ rotation.T * [1, -1, 1]
    placed[:, :2] -= placed[:, :2].min(axis=0) - 1
    width, height = np.ceil(placed[:, :2].max(axis=0)).astype(int) + 2
    _, depth = rasterize(placed, triangles, (height, width), np.zeros((len(placed), 0)))
    nearest = np.rint(placed[:, :2]).astype(int)
    before = depth[nearest[:, 1], nearest[:, 0]]
    return ~(before > placed[:, 2] + tolerance_mm)  # also where nothing was drawn


def vertex_normals(vertices_px: NDArray, triangles: NDArray) -> NDArray[np.float32]:
    """Return unit normals (V, 3) out of a mesh, x and y as in the picture, z to the viewer."""
    a, b, c = (vertices_px[triangles[:, k]] for k in range(3))
    flat = np.cross(c - a, b - a)  # with y down, counter-clockwise is clockwise
    normals = np.stack(
        [
            sum(np.bincount(triangles[:, k], flat[:, axis], len(vertices_px)) for k in range(3))
            for axis in range(3)
        ],
        axis=1,
    )
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return (normals / np.maximum(length, 1e-9)).astype(np.float32)


# What the vertices are --------------------------------------------------------------------------


def _ramp(value: NDArray, width: float) -> NDArray:
    """Return 0 below 0, 1 above `width`, smooth between them."""
    share = np.clip(value / width, 0, 1)
    return share * share * (3 - 2 * share)


def _eyeballs(points: NDArray, triangles: NDArray) -> tuple[NDArray, NDArray]:
    """Return 1 on the eyeballs (V,), and degrees (V,) from where they look in the neutral face.

    They are all parts of the mesh but the largest.
    """
    edges = np.concatenate([triangles[:, :2], triangles[:, 1:]])
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), (len(points),) * 2)
    count, part = connected_components(graph, directed=False)
    head = np.bincount(part).argmax()
    off_axis_deg = np.full(len(points), 180.0)
    for number in set(range(count)) - {int(head)}:
        ball = part == number
        centre = 0.5 * (points[ball].min(axis=0) + points[ball].max(axis=0))
        ray = points[ball] - centre
        off_axis_deg[ball] = np.degrees(np.arctan2(np.hypot(ray[:, 0], ray[:, 1]), ray[:, 2]))
    return (part != head).astype(float), off_axis_deg


def _openness(points: NDArray, triangles: NDArray, count: int = 48) -> NDArray:
    """Return the share of a surrounding light's irradiance that reaches vertices (V,)."""
    normals = vertex_normals(points * [1, -1, 1], triangles) * [1, -1, 1]
    step = np.arange(count) + 0.5
    height, turn = 1 - 2 * step / count, np.pi * (1 + np.sqrt(5)) * step  # a Fibonacci sphere
    level = np.sqrt(1 - height**2)
    directions = np.stack([level * np.cos(turn), height, level * np.sin(turn)], axis=1)
    reached, sent = np.zeros(len(points)), np.zeros(len(points))
    for direction in directions:
        facing = np.maximum(normals @ direction, 0)
        sent += facing
        reached += facing * visible(points, triangles, direction, 2.0)
    return reached / np.maximum(sent, 1e-9)


def _distance_to_line(points: NDArray, line: NDArray) -> NDArray:
    """Return distances (V,) of points (V, 3) to a line through (K, 3)."""
    nearest = np.full(len(points), np.inf)
    for start, end in pairwise(line):
        along = end - start
        share = np.clip((points - start) @ along / (along @ along), 0, 1)
        off = np.linalg.norm(points - start - share[:, None] * along, axis=1)
        nearest = np.minimum(nearest, off)
    return nearest


def _inside_polygon_mm(points: NDArray, polygon: NDArray) -> NDArray:
    """Return how far inside a polygon points are, seen from the front; negative outside."""
    outline = polygon[:, :2].astype(np.float32)
    return np.array(
        [cv2.pointPolygonTest(outline, (float(x), float(y)), True) for x, y in points[:, :2]]
    )


def _above_hairline_mm(points: NDArray, marks: NDArray) -> NDArray:
    """Return how far up from the hairline (V,); it goes down behind the ears to the neck."""
    brows, nose_base = marks[17:27, 1].mean(), marks[33, 1]
    forehead = points[:, 1] - (brows + 0.95 * (brows - nose_base) - points[:, 0] ** 2 / 250.0)
    ears = marks[[0, 16], 2].mean()
    nape = np.minimum(ears - 26.0 - points[:, 2], points[:, 1] - nose_base + 25.0)
    above_ears = np.minimum(ears + 8.0 - points[:, 2], points[:, 1] - brows + 8.0)
    return np.maximum(np.maximum(forehead, nape), above_ears)


def _beard(points: NDArray, marks: NDArray) -> NDArray:
    """Return where a beard grows (V,): jaw, chin and upper lip."""
    jaw = _ramp(15.0 - _distance_to_line(points, marks[2:15]), 8.0)
    chin = _ramp(18.0 - np.linalg.norm(points - marks[8], axis=1), 10.0)
    moustache = _ramp(6.0 - _distance_to_line(points, marks[[48, 50, 51, 52, 54]]), 4.0)
    return np.maximum(np.maximum(jaw, chin), moustache * (points[:, 1] > marks[51, 1] - 6))


def _smooth_fields(points: NDArray) -> NDArray:
    """Return FIELDS fields (V, FIELDS), each of a few waves; the later, the finer."""
    rng = np.random.default_rng(0)
    wavelength = np.geomspace(60.0, 8.0, FIELDS)
    fields = np.zeros((len(points), FIELDS))
    for _ in range(6):
        wave = rng.standard_normal((3, FIELDS)) * (2 * np.pi / wavelength) / np.sqrt(3)
        fields += np.sin(points @ wave + rng.uniform(0, 2 * np.pi, FIELDS))
    return (fields - fields.mean(axis=0)) / fields.std(axis=0)


# Colour and light -------------------------------------------------------------------------------


def _palette(colours_srgb: NDArray, rng: np.random.Generator) -> NDArray:
    """Return a linear colour (3,) between two neighbours of a palette, a little off."""
    at = rng.uniform(0, len(colours_srgb) - 1)
    low = min(int(at), len(colours_srgb) - 2)
    mixed = colours_srgb[low] + (at - low) * (colours_srgb[low + 1] - colours_srgb[low])
    return (mixed / 255.0) ** 2.2 * np.exp(rng.normal(0, 0.06, 3))


def _albedo(
    anatomy: Anatomy, skin: NDArray, hair: NDArray, hair_share: NDArray, rng: np.random.Generator
) -> NDArray:
    """Return linear colours (V, 3) of the unlit head."""
    mixture = rng.normal(0, 1, FIELDS) * rng.uniform(0.005, 0.03)
    colour = skin * np.exp(anatomy.fields @ mixture)[:, None]
    red = np.array([1.12, 0.80, 0.80])
    colour *= 1 + (anatomy.cheeks * rng.uniform(0, 1))[:, None] * (red - 1)

    def lay(share: NDArray, over: NDArray) -> None:
        colour[:] += share[:, None] * (over - colour)

    stubble = anatomy.beard * (rng.random() < 0.3) * rng.uniform(0.2, 0.95)
    lay(np.clip(stubble * (1 + 0.2 * anatomy.fields[:, 20]), 0, 1), 0.8 * hair)
    lay(anatomy.brows * rng.uniform(0.35, 0.95), 0.6 * hair)
    painted = np.array([0.45, 0.03, 0.06]) if rng.random() < 0.2 else skin * [0.85, 0.42, 0.45]
    lay(anatomy.lips * rng.uniform(0.5, 1.0), painted * np.exp(rng.normal(0, 0.1, 3)))
    lay(anatomy.lashes * rng.uniform(0.4, 0.95), np.full(3, 0.02))
    lay(hair_share, hair * np.exp(0.25 * anatomy.fields[:, 15:16]))
    lay(anatomy.mouth, np.array([0.10, 0.02, 0.02]))
    if rng.random() < 0.8:
        lay(anatomy.teeth, np.array([0.75, 0.70, 0.60]) * rng.uniform(0.6, 1.0))
    lay(anatomy.eyes, np.array([0.72, 0.68, 0.66]) * rng.uniform(0.75, 1.1))
    lay(anatomy.iris, _palette(IRIS_SRGB, rng) * 0.8)
    lay(anatomy.pupil, np.full(3, 0.01))
    return colour


def _light(anatomy: Anatomy, normals: NDArray, rng: np.random.Generator) -> NDArray:
    """Return what light falls on vertices (V, 3): a sky, and one to three lamps."""
    sky = rng.uniform(0.25, 0.9) * np.exp(rng.normal(0, 0.10, 3))
    slope = np.append(rng.normal(0, 0.15, 2) - [0, 0.2], rng.normal(0.1, 0.1))
    light = (anatomy.openness * (1 + normals @ slope))[:, None] * sky
    for _ in range(int(rng.integers(1, 4))):
        direction = rng.normal(0, 1, 3) * [1, 0.6, 0.6] + [0, -0.5, 0.7]
        direction /= np.linalg.norm(direction)
        wrap = rng.uniform(0, 0.5)
        falling = np.maximum((normals @ direction + wrap) / (1 + wrap), 0)
        falling *= 0.25 + 0.75 * anatomy.openness
        light += falling[:, None] * rng.uniform(0.2, 1.2) * np.exp(rng.normal(0, 0.12, 3))
    seen = (normals[:, 2] > 0.2) & (anatomy.openness > 0.6)
    level = light[seen].mean() if seen.any() else light.mean()
    return light * (rng.uniform(0.55, 1.15) / max(float(level), 1e-3))


def _shine(normals: NDArray, rng: np.random.Generator) -> NDArray:
    """Return the gloss (V, 1) of skin and eyes under a lamp in front."""
    half = np.array([rng.uniform(-0.5, 0.5), rng.uniform(-0.6, 0.1), 1.0])
    return np.maximum(normals @ (half / np.linalg.norm(half)), 0)[:, None] ** 24


# Behind the face --------------------------------------------------------------------------------


def _background(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a picture (120, 120, 3), 0..255: a gradient, noise of any size, shapes."""
    size = CROP_SIZE_PX
    corners = rng.uniform(0, 255, (2, 2, 3)).astype(np.float32)
    spread = rng.uniform(0, 1)
    corners = corners.mean((0, 1)) + spread * (corners - corners.mean((0, 1)))
    picture = cv2.resize(corners, (size, size), interpolation=cv2.INTER_LINEAR)
    for cells in rng.choice([3, 6, 12, 30, 60], int(rng.integers(0, 4)), replace=False):
        noise = rng.normal(0, rng.uniform(5, 40), (cells, cells, 3)).astype(np.float32)
        if rng.random() < 0.5:
            noise = np.repeat(noise[..., :1], 3, axis=2)
        picture = picture + cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC)
    picture = np.ascontiguousarray(picture, np.float32)
    for _ in range(int(rng.integers(0, 9)) if rng.random() < 0.7 else 0):
        colour = rng.uniform(0, 255, 3).tolist()
        a, b = (tuple(int(v) for v in rng.integers(-20, size + 20, 2)) for _ in range(2))
        kind = rng.integers(4)
        if kind == 0:
            cv2.rectangle(picture, a, b, colour, cv2.FILLED)
        elif kind == 1:
            cv2.circle(picture, a, int(rng.integers(3, 40)), colour, cv2.FILLED)
        elif kind == 2:
            cv2.line(picture, a, b, colour, int(rng.integers(1, 10)))
        else:
            axes = tuple(int(v) for v in rng.integers(4, 40, 2))
            cv2.ellipse(picture, a, axes, float(rng.uniform(0, 180)), 0, 360, colour, cv2.FILLED)
    if rng.random() < 0.6:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 5))
    return np.clip(picture, 0, 255).astype(np.float32)


def _body(
    picture: NDArray[np.float32],
    neck_px: NDArray,
    scalp_px: NDArray,
    skin_rgb: NDArray,
    hair_rgb: NDArray,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Draw neck and clothes below the head, and sometimes long hair behind it.

    Args:
        picture: the background. neck_px: (N, 2) the mesh's lower end. scalp_px: (M, 2).
        skin_rgb: (3,) 0..255, as it is lit. hair_rgb: likewise.
    """
    picture = picture.copy()
    low, high = neck_px.min(axis=0), neck_px.max(axis=0)
    centre, width = 0.5 * (low + high), high[0] - low[0]

    def fill(points: NDArray, colour: NDArray) -> None:
        hull = cv2.convexHull(points.astype(np.float32))
        cv2.fillPoly(picture, [np.rint(hull * 16).astype(np.int32)], colour.tolist(), 16, 4)

    if rng.random() < 0.35 and len(scalp_px):
        length = np.array([0, rng.uniform(0.3, 1.2) * width])
        fill(np.concatenate([scalp_px, scalp_px + length]), 0.8 * hair_rgb)
    cloth = rng.uniform(0, 255, 3) * rng.uniform(0.3, 1)
    reach = np.array([rng.uniform(1.0, 1.7) * width, rng.uniform(0.5, 0.9) * width])
    top = centre + np.array([0, rng.uniform(0.1, 0.5) * width])
    shoulders = top + np.array([[-0.5 * width, 0], [0.5 * width, 0]])
    sides = [top + reach * [-1, 0.5], top + reach * [1, 0.5]]
    bottom = [top + reach * [-1.2, 0] + [0, 200], top + reach * [1.2, 0] + [0, 200]]
    fill(np.concatenate([shoulders, sides, bottom]), cloth)
    below = neck_px + np.array([0, rng.uniform(0.2, 0.6) * width])
    fill(np.concatenate([neck_px, below]), 0.85 * skin_rgb)
    return picture
