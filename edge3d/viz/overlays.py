"""Pictures of a reconstruction: the mesh over the photo, wireframe, landmarks, pose, depth.

Convention. Pixel coordinates: x to the right, y down, the centre of the first pixel at 0; z in the
same pixels, positive towards the viewer, so that of two points the one with the larger z hides
the other. The camera is orthographic: a vertex (x, y, z) is drawn at (x, y), exactly.

Triangles are counter-clockwise seen from outside, as the eye sees them. With y down that makes
their signed area (x1 - x0)(y2 - y0) - (y1 - y0)(x2 - x0) negative where they face the viewer; the
others are not drawn.

Every function returns a new picture. Lines grow with the face, so that a face of 120 px and one of
4,000 px look alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

CLAY_RGB = (226, 205, 188)
LANDMARK_PARTS: tuple[tuple[range, bool], ...] = (  # points of a part; whether its line is closed
    (range(0, 17), False),  # jaw
    (range(17, 22), False),  # brows
    (range(22, 27), False),
    (range(27, 31), False),  # nose
    (range(31, 36), False),
    (range(36, 42), True),  # eyes
    (range(42, 48), True),
    (range(48, 60), True),  # lips, outer and inner
    (range(60, 68), True),
)

Placing = Callable[[NDArray], NDArray]

_SAMPLES_IN_A_BAND = 1 << 22  # bounds the memory of a large picture's supersampling
_SHIFT = 4  # OpenCV's drawing takes whole numbers: sixteenths of a pixel
_FAR_PX = 1e6  # where a point beyond the picture is drawn at most, so that it fits in 32 bits


def rasterize(
    vertices_px: NDArray,
    triangles: NDArray,
    size: tuple[int, int],
    attributes: NDArray,
    cull_back: bool = True,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw a mesh with attributes interpolated over its triangles, the nearest on top.

    A pixel is covered if its centre is. Attributes are linear over a triangle, to 2e-4 of
    their range there.

    Args:
        vertices_px: (N, 3) x, y, z in pixels.
        triangles: (T, 3) integer, counter-clockwise seen from outside.
        size: (h, w) of the picture.
        attributes: (N, C) of each vertex.
        cull_back: leave out triangles that are turned away.

    Returns:
        image (h, w, C) float32, 0 where nothing was drawn, and depth (h, w) float32: z in pixels,
        NaN where nothing was drawn.

    Raises:
        ValueError: shapes that do not fit, an index out of range, a vertex that is not finite.
    """
    vertices, triangles = _checked_mesh(vertices_px, triangles)
    attributes = np.asarray(attributes, np.float32)
    if attributes.ndim != 2 or len(attributes) != len(vertices):
        raise ValueError(f"attributes of {attributes.shape} for {len(vertices)} vertices")
    if cull_back:
        triangles = triangles[_facing(vertices, triangles)]
    return _rasterize(vertices, triangles, size, attributes)


def draw_mesh(
    image_rgb: NDArray[np.uint8],
    vertices_px: NDArray,
    triangles: NDArray,
    alpha: float = 0.85,
    colour_rgb: tuple[int, int, int] = CLAY_RGB,
    opacity: NDArray | None = None,
) -> NDArray[np.uint8]:
    """Lay a shaded, anti-aliased mesh of clay over a photo.

    Args:
        image_rgb: (H, W, 3) uint8.
        vertices_px: (N, 3) in pixels of the photo.
        triangles: (T, 3), counter-clockwise seen from outside.
        alpha: 0 (nothing to see) to 1 (opaque).
        colour_rgb: of the clay.
        opacity: (N,) 0..1 of each vertex, times `alpha`; None is 1 everywhere. The face model's
            `mask` fades the mesh out towards hair, ears and neck.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: as `rasterize`, or another number of opacities than vertices.
    """
    vertices, triangles = _checked_mesh(vertices_px, triangles)
    facing = triangles[_facing(vertices, triangles)]
    share = np.ones(len(vertices)) if opacity is None else np.asarray(opacity)
    if share.shape != (len(vertices),):
        raise ValueError(f"opacity of shape {share.shape} for {len(vertices)} vertices")
    shade = _shade(vertices, triangles, colour_rgb)
    attributes = np.column_stack([shade, alpha * share]).astype(np.float32)

    def paint(found: NDArray[np.float32], covered: NDArray, scale: int) -> tuple[NDArray, NDArray]:
        strength = found[..., 3] * covered
        return _shrink(found[..., :3] * strength[..., None], scale), _shrink(strength, scale)

    return _overlay(image_rgb, vertices, facing, attributes, paint)


def draw_wireframe(
    image_rgb: NDArray[np.uint8],
    vertices_px: NDArray,
    triangles: NDArray,
    alpha: float = 0.8,
    colour_rgb: tuple[int, int, int] = (255, 255, 255),
) -> NDArray[np.uint8]:
    """Draw the edges of the triangles that can be seen, hidden ones left out.

    Args and errors: as `draw_mesh`.

    Returns:
        (H, W, 3) uint8.
    """
    vertices, triangles = _checked_mesh(vertices_px, triangles)
    facing = triangles[_facing(vertices, triangles)]
    # Each triangle gets corners of its own that carry the distance to the opposite edge; over the
    # triangle that interpolates to the distance to each edge, and the z-buffer hides what it must.
    corners = vertices[facing]  # (T, 3, 3)
    edges = np.roll(corners, -1, axis=1) - np.roll(corners, 1, axis=1)  # opposite each corner
    length = np.linalg.norm(edges[..., :2], axis=-1)
    area = abs(_signed_area(vertices, facing))[:, None]
    distance = np.zeros((len(facing), 3, 3), np.float32)
    distance[:, range(3), range(3)] = area / np.maximum(length, 1e-6)
    half_width = 0.5 * float(np.clip(_extent(vertices) / 1000.0, 0.4, 12.0))
    # Where triangles are hardly larger than the lines are wide, fainter lines leave the face seen.
    inner_radius = area / np.maximum(length.sum(axis=1, keepdims=True), 1e-6)
    crowding = float(np.median(inner_radius)) / half_width if len(facing) else 1.0
    alpha = alpha * float(np.clip(crowding / 2.0, 0.35, 1.0))

    def paint(found: NDArray[np.float32], covered: NDArray, scale: int) -> tuple[NDArray, NDArray]:
        nearest = found.min(axis=-1) * scale
        # A line thinner than a sample is drawn one sample wide and fainter instead.
        width = max(half_width * scale, 0.5)
        strength = alpha * min(half_width * scale / width, 1.0)
        weight = _shrink(covered * np.clip(width + 0.5 - nearest, 0.0, 1.0), scale) * strength
        return weight[..., None] * np.array(colour_rgb, np.float32), weight

    own = np.arange(3 * len(facing), dtype=np.int32).reshape(-1, 3)
    return _overlay(image_rgb, corners.reshape(-1, 3), own, distance.reshape(-1, 3), paint)


def draw_landmarks(
    image_rgb: NDArray[np.uint8],
    landmarks_px: NDArray,
    line_rgb: tuple[int, int, int] = (255, 255, 255),
    point_rgb: tuple[int, int, int] = (64, 224, 208),
) -> NDArray[np.uint8]:
    """Draw the 68 landmarks, the points of each part of the face joined by a line.

    Args:
        image_rgb: (H, W, 3) uint8.
        landmarks_px: (68, 2 or 3); landmarks with a NaN are left out.
        line_rgb: colour of the lines.
        point_rgb: colour of the points.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: not 68 landmarks.
    """
    points = np.asarray(landmarks_px, np.float64)
    if points.ndim != 2 or points.shape[0] != 68 or points.shape[1] not in (2, 3):
        raise ValueError(f"landmarks of {points.shape}; (68, 2) or (68, 3) wanted")
    points = points[:, :2]
    known: NDArray[np.bool_] = np.isfinite(points.sum(axis=1))
    if not known.any():
        return image_rgb.copy()
    line_px = max(_extent(points[known]) / 170.0, 0.5)
    segments = []
    for part, closed in LANDMARK_PARTS:
        ids = list(part) + ([part[0]] if closed else [])
        segments += [(a, b) for a, b in pairwise(ids) if known[a] and known[b]]

    def draw(canvas: NDArray[np.uint8], place: Placing, scale: int) -> None:
        spots = place(np.where(known[:, None], points, 0.0))
        width = line_px * scale
        # A dark rim keeps white lines readable on white skin.
        rim = canvas.copy()
        for a, b in segments:
            _line(rim, spots[a], spots[b], (0, 0, 0), 2.6 * width)
        cv2.addWeighted(rim, 0.35, canvas, 0.65, 0.0, dst=canvas)
        for a, b in segments:
            _line(canvas, spots[a], spots[b], line_rgb, width)
        for spot in spots[known]:
            _disc(canvas, spot, 2.0 * width, (20, 30, 40))
            _disc(canvas, spot, 1.45 * width, point_rgb)

    return _finely(image_rgb, points[known], 4.0 * line_px, draw)


def draw_pose(
    image_rgb: NDArray[np.uint8],
    rotation: NDArray,
    centre_px: NDArray | Sequence[float],
    size_px: float,
) -> NDArray[np.uint8]:
    """Draw the head's axes as arrows: x (to its right in the picture) red, y (up) green, z blue.

    The z axis comes out of the face. Arrows that point towards the viewer cover the others.

    Args:
        image_rgb: (H, W, 3) uint8.
        rotation: (3, 3) from the face model's frame to the camera's (x right, y up, z towards
            the camera), as `HeadPose.rotation`.
        centre_px: (x, y) where the axes meet.
        size_px: length of an arrow seen from its side.

    Returns:
        (H, W, 3) uint8.
    """
    rotation = np.asarray(rotation, np.float64)
    centre = np.asarray(centre_px, np.float64)[:2]
    tips = centre + size_px * rotation[:2].T * (1.0, -1.0)
    width_px = max(size_px / 28.0, 0.75)
    colours = ((232, 62, 62), (62, 190, 84), (62, 122, 240))

    def draw(canvas: NDArray[np.uint8], place: Placing, scale: int) -> None:
        middle, ends = place(centre), place(tips)
        for axis in np.argsort(rotation[2]):  # the one that points away the most comes first
            _arrow(canvas, middle, ends[axis], colours[axis], width_px * scale)
        _disc(canvas, middle, 1.15 * width_px * scale, (25, 25, 25))
        _disc(canvas, middle, 0.9 * width_px * scale, (245, 245, 245))

    return _finely(image_rgb, np.vstack([tips, centre]), 4.0 * width_px, draw)


def draw_depth(
    vertices_px: NDArray, triangles: NDArray, size: tuple[int, int], colour: bool = False
) -> NDArray[np.uint8]:
    """Draw the depth of a mesh, near bright and far dark, on black.

    Args:
        vertices_px: (N, 3) in pixels.
        triangles: (T, 3), counter-clockwise seen from outside.
        size: (h, w) of the picture.
        colour: with OpenCV's Turbo colours (red is near) instead of grey.

    Returns:
        (h, w, 3) uint8; the range of depths that can be seen fills 40..255.

    Raises:
        ValueError: as `rasterize`.
    """
    _, depth = rasterize(vertices_px, triangles, size, np.zeros((len(vertices_px), 0)))
    seen: NDArray[np.bool_] = np.isfinite(depth)
    if not seen.any():
        return np.zeros((*size, 3), np.uint8)
    near, far = depth[seen].max(), depth[seen].min()
    level = 40.0 + 215.0 * (depth - far) / max(near - far, 1e-6)
    grey = np.where(seen, np.rint(np.nan_to_num(level)), 0).astype(np.uint8)
    if not colour:
        return np.repeat(grey[..., None], 3, axis=-1)
    mapped = cv2.cvtColor(cv2.applyColorMap(grey, cv2.COLORMAP_TURBO), cv2.COLOR_BGR2RGB)
    return np.where(seen[..., None], mapped, 0).astype(np.uint8)


def vertex_colours(image_rgb: NDArray[np.uint8], vertices_px: NDArray) -> NDArray[np.uint8]:
    """Return the photo's colour at each vertex, hidden or not: (N, 3) uint8.

    Bilinear; a vertex beyond the picture gets the colour of the nearest pixel.

    Args:
        image_rgb: (H, W, 3) uint8.
        vertices_px: (N, 2 or 3).
    """
    height, width = image_rgb.shape[:2]
    limit = np.array([width - 1, height - 1], np.float64)
    point = np.clip(np.asarray(vertices_px, np.float64)[:, :2], 0.0, limit)
    low = np.floor(point).astype(np.int64)
    high = np.minimum(low + 1, limit.astype(np.int64))
    (x0, y0), (x1, y1) = low.T, high.T
    wx, wy = (point - low).T[..., None]
    top = image_rgb[y0, x0] * (1 - wx) + image_rgb[y0, x1] * wx
    bottom = image_rgb[y1, x0] * (1 - wx) + image_rgb[y1, x1] * wx
    return np.rint(top * (1 - wy) + bottom * wy).astype(np.uint8)


def side_by_side(
    images_rgb: Sequence[NDArray[np.uint8]], titles: Sequence[str] | None = None
) -> NDArray[np.uint8]:
    """Put pictures in a row, scaled to the height of the tallest, on white.

    Args:
        images_rgb: (H, W, 3) uint8 each.
        titles: one for each, drawn above it; plain ASCII (OpenCV's font has no more).

    Returns:
        (H', W', 3) uint8.

    Raises:
        ValueError: no pictures, or another number of titles.
    """
    if not images_rgb or (titles is not None and len(titles) != len(images_rgb)):
        raise ValueError(f"{len(images_rgb)} pictures, titles {titles}")
    height = max(len(image) for image in images_rgb)
    gap = max(2, height // 60)
    head = max(24, height // 12) if titles else 0
    columns = []
    for index, image_rgb in enumerate(images_rgb):
        image: NDArray = image_rgb
        width = max(1, round(image.shape[1] * height / len(image)))
        if len(image) != height:
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)
        column = np.full((height + head, width, 3), 255, np.uint8)
        column[head:] = image
        if titles:
            _title(column[:head], titles[index])
        columns.append(column)
        columns.append(np.full((height + head, gap, 3), 255, np.uint8))
    return np.concatenate(columns[:-1], axis=1)


# Meshes -----------------------------------------------------------------------------------------


def _checked_mesh(vertices: NDArray, triangles: NDArray) -> tuple[NDArray, NDArray[np.int32]]:
    vertices = np.asarray(vertices, np.float32)
    triangles = np.ascontiguousarray(triangles, np.int32)
    if vertices.ndim != 2 or vertices.shape[1] != 3:
        raise ValueError(f"vertices of {vertices.shape}; (N, 3) wanted")
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise ValueError(f"triangles of {triangles.shape}; (T, 3) wanted")
    if triangles.size and not 0 <= triangles.min() <= triangles.max() < len(vertices):
        raise ValueError(f"triangles point beyond {len(vertices)} vertices")
    if not np.isfinite(vertices).all():
        raise ValueError("vertices that are not finite")
    return vertices, triangles


def _signed_area(vertices: NDArray, triangles: NDArray) -> NDArray:
    """Return twice the signed area (T,) in the picture; negative where a triangle faces us."""
    a, b, c = (vertices[triangles[:, k], :2] for k in range(3))
    u, v = b - a, c - a
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]


def _facing(vertices: NDArray, triangles: NDArray) -> NDArray[np.bool_]:
    return _signed_area(vertices, triangles) < 0


def _extent(points: NDArray) -> float:
    """Return the side of a square of the points' box's area: the face's size in pixels."""
    return float(np.sqrt(np.prod(np.ptp(points[:, :2], axis=0)) + 1e-6)) if len(points) else 0.0


def _sum_at(index: NDArray, values: NDArray, count: int) -> NDArray:
    """Sum rows (M, 3) into (count, 3) by index; several times faster than np.add.at."""
    return np.stack([np.bincount(index, values[:, k], count) for k in range(3)], axis=-1)


def _shade(
    vertices: NDArray, triangles: NDArray, colour_rgb: tuple[int, int, int]
) -> NDArray[np.float32]:
    """Return each vertex's colour (N, 3), 0..255, under the studio's lights."""
    count = len(vertices)
    points = vertices * np.array(
        [1, -1, 1], np.float32
    )  # y up, as lights and normals are thought of
    a, b, c = (points[triangles[:, k]] for k in range(3))
    face_normal = np.cross(b - a, c - a)
    flat = triangles.ravel()
    normal = _sum_at(flat, np.repeat(face_normal, 3, axis=0), count)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)

    def light(x: float, y: float, z: float, wrap: float) -> NDArray:
        direction = np.array([x, y, z]) / np.linalg.norm([x, y, z])
        return np.maximum((normal @ direction + wrap) / (1.0 + wrap), 0.0)

    key = light(-0.45, 0.55, 0.75, 0.25)
    fill = light(0.75, 0.05, 0.50, 0.35)
    sky = 0.5 + 0.5 * normal[:, 1]
    shine = light(-0.22, 0.32, 0.95, 0.0) ** 40  # half way between the key light and the viewer
    albedo = (np.asarray(colour_rgb, np.float64) / 255.0) ** 2.2
    diffuse = (
        key[:, None] * np.array([0.98, 0.94, 0.88])
        + fill[:, None] * np.array([0.20, 0.22, 0.26])
        + sky[:, None] * 0.10
        + 0.06
    )
    linear = albedo * diffuse + 0.06 * shine[:, None]
    return (255.0 * np.clip(linear, 0.0, 1.0) ** (1.0 / 2.2)).astype(np.float32)


def _overlay(
    image_rgb: NDArray[np.uint8],
    vertices: NDArray,
    triangles: NDArray,
    attributes: NDArray[np.float32],
    paint: Callable[[NDArray[np.float32], NDArray, int], tuple[NDArray, NDArray]],
) -> NDArray[np.uint8]:
    """Draw triangles over a picture, anti-aliased by supersampling the part that they cover.

    Args:
        image_rgb: the picture (H, W, 3).
        vertices: (N, 3) in its pixels.
        triangles: (T, 3), those that face the viewer.
        attributes: (N, C) of each vertex.
        paint: given the samples' attributes (h s, w s, C), which of them are covered (h s, w s),
            and s, the samples along a pixel's side, returns the pixels' colour times opacity
            (h, w, 3) and opacity (h, w).
    """
    canvas = image_rgb.copy()
    height, width = canvas.shape[:2]
    if not len(triangles):
        return canvas
    used = vertices[triangles.ravel(), :2]
    x0, y0 = np.floor(np.clip(used.min(axis=0) - 1.0, 0, [width, height])).astype(int)
    x1, y1 = np.ceil(np.clip(used.max(axis=0) + 2.0, 0, [width, height])).astype(int)
    if x0 >= x1 or y0 >= y1:
        return canvas
    scale = int(np.clip(round(800.0 / max(x1 - x0, y1 - y0)), 2, 4))
    rows = max(1, _SAMPLES_IN_A_BAND // ((x1 - x0) * scale**2))
    low, high = (f(vertices[triangles, 1], axis=1) for f in (np.min, np.max))
    for top in range(y0, y1, rows):
        bottom = min(top + rows, y1)
        local = vertices * np.float32(scale)
        # The centre of a pixel's first sample lies half a sample, less half a pixel, after its own.
        local[:, :2] += 0.5 * (scale - 1) - scale * np.array([x0, top], np.float32)
        found, depth = _rasterize(
            local,
            triangles[(high >= top - 1) & (low <= bottom)],
            ((bottom - top) * scale, (x1 - x0) * scale),
            attributes,
        )
        colour, opacity = paint(found, ~np.isnan(depth), scale)
        mixed = canvas[top:bottom, x0:x1] * (1.0 - opacity[..., None]) + colour
        canvas[top:bottom, x0:x1] = np.rint(np.clip(mixed, 0, 255))
    return canvas


def _shrink(samples: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    """Average squares of samples into pixels."""
    height, width = samples.shape[:2]
    size = (width // scale, height // scale)
    return cv2.resize(samples, size, interpolation=cv2.INTER_AREA).astype(np.float32, copy=False)


# Triangles --------------------------------------------------------------------------------------


def _rasterize(
    vertices: NDArray, triangles: NDArray, size: tuple[int, int], attributes: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    if not len(triangles) or not size[0] or not size[1]:
        channels = attributes.shape[1]
        return np.zeros((*size, channels), np.float32), np.full(size, np.nan, np.float32)
    if hasattr(cv2, "triangleRasterize"):  # OpenCV 5
        return _rasterize_opencv(vertices, triangles, size, attributes)
    return _rasterize_numpy(vertices, triangles, size, attributes)


def _rasterize_opencv(
    vertices: NDArray, triangles: NDArray, size: tuple[int, int], attributes: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw with OpenCV's rasterizer, ten times faster than the one below.

    Its camera has a perspective: a 90 degree field of view in y, seen along -z. Undoing the
    division by depth beforehand, x' = x * depth, puts every vertex where it is wanted, whatever
    the distance. The distance, here 1 with the mesh's depth 0.001 of it, decides only how far
    interpolation strays from linear, and the precision of depth in float32 (2e-4 of the range).
    """
    height, width = size
    mid = 0.5 * (float(vertices[:, 2].max()) + float(vertices[:, 2].min()))
    span = max(float(np.ptp(vertices[:, 2])), 1e-3)
    away = 1.0 - (vertices[:, 2].astype(np.float64) - mid) * (0.001 / span)
    near, far = 0.999, 1.001
    placed = np.stack(
        [
            (vertices[:, 0] + 0.5 - 0.5 * width) / (0.5 * height) * away,
            -(vertices[:, 1] + 0.5 - 0.5 * height) / (0.5 * height) * away,
            -away,
        ],
        axis=-1,
    ).astype(np.float32)
    settings = cv2.TriangleRasterizeSettings()
    settings.setCullingMode(cv2.RASTERIZE_CULLING_NONE)
    settings.setShadingType(cv2.RASTERIZE_SHADING_SHADED)
    camera = (np.eye(4, dtype=np.float32), 0.5 * np.pi, near, far, settings)
    channels = attributes.shape[1]
    image = np.zeros((height, width, channels), np.float32)
    buffer = np.full(size, far, np.float32)
    if not channels:
        cv2.triangleRasterizeDepth(placed, triangles, buffer, *camera)
    for start in range(0, channels, 3):  # it takes three channels, between 0 and 1
        part = attributes[:, start : start + 3]
        base = np.minimum(part.min(axis=0), 0.0)
        reach = np.maximum((part - base).max(axis=0), 1e-12)
        colours = np.zeros((len(part), 3), np.float32)
        colours[:, : part.shape[1]] = (part - base) / reach
        drawn = np.zeros((height, width, 3), np.float32)
        buffer.fill(far)
        cv2.triangleRasterize(placed, triangles, colours, drawn, buffer, *camera)
        image[..., start : start + 3] = drawn[..., : part.shape[1]] * reach
        if base.any():
            image[..., start : start + 3] += base
    covered = buffer < 1.00075  # the empty depth does not come back exactly as it was given
    if attributes.size and attributes.min() < 0:
        image *= covered[..., None]
    depth = np.where(covered, mid + (1.0 - buffer) * (span / 0.001), np.nan)
    return image, depth.astype(np.float32)


def _rasterize_numpy(
    vertices: NDArray, triangles: NDArray, size: tuple[int, int], attributes: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Draw without OpenCV 5: every pixel of every triangle's box is tested, a chunk at a time."""
    height, width = size
    corners = vertices[triangles].astype(np.float64)  # (T, 3, 3)
    area = _signed_area(vertices.astype(np.float64), triangles)
    low = np.maximum(np.ceil(corners[..., :2].min(axis=1)), 0).astype(np.int64)
    high = np.minimum(np.floor(corners[..., :2].max(axis=1)), [width - 1, height - 1])
    extent = np.maximum(high.astype(np.int64) - low + 1, 0)
    count = extent.prod(axis=1)
    use = np.flatnonzero((count > 0) & (area != 0))
    depth = np.full(height * width, -np.inf)
    owner = np.zeros(height * width, np.int64)
    weights = np.zeros((height * width, 3), np.float32)
    chunks = np.searchsorted(np.cumsum(count[use]), np.arange(1 << 21, count[use].sum(), 1 << 21))
    for ids in np.split(use, chunks):
        triangle = np.repeat(ids, count[ids])
        start = np.repeat(np.cumsum(count[ids]) - count[ids], count[ids])
        row, column = np.divmod(np.arange(len(triangle)) - start, extent[triangle, 0])
        point = low[triangle] + np.stack([column, row], axis=-1)
        corner = corners[triangle]
        inside = []
        for k in range(3):
            u = corner[:, (k + 2) % 3, :2] - corner[:, (k + 1) % 3, :2]
            v = point - corner[:, (k + 1) % 3, :2]
            inside.append((u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) / area[triangle])
        share = np.stack(inside, axis=-1)
        keep = (share >= 0).all(axis=-1)
        triangle, point, share = triangle[keep], point[keep], share[keep]
        z = np.einsum("mk,mk->m", share, corners[triangle, :, 2])
        pixel = point[:, 1] * width + point[:, 0]
        np.maximum.at(depth, pixel, z)
        nearest = z == depth[pixel]
        owner[pixel[nearest]] = triangle[nearest]
        weights[pixel[nearest]] = share[nearest]
    covered = np.isfinite(depth)
    image = np.zeros((height * width, attributes.shape[1]), np.float32)
    image[covered] = np.einsum(
        "mk,mkc->mc", weights[covered], attributes[triangles[owner[covered]]]
    )
    depth[~covered] = np.nan
    return image.reshape(height, width, -1), depth.reshape(size).astype(np.float32)


# Lines ------------------------------------------------------------------------------------------


def _finely(
    image_rgb: NDArray[np.uint8],
    points: NDArray,
    margin_px: float,
    draw: Callable[[NDArray[np.uint8], Placing, int], None],
) -> NDArray[np.uint8]:
    """Draw on an enlarged copy of the part of a picture around points, and shrink it again.

    Lines get widths of a fraction of a pixel and round dots; what is not drawn on is unchanged.

    Args:
        image_rgb: the picture (H, W, 3).
        points: (N, 2), what the drawing reaches to, but for
        margin_px: how far it reaches beyond them.
        draw: draws in place; given the enlarged part, the function that takes points of the
            picture (..., 2) to it, and the enlargement.
    """
    canvas = image_rgb.copy()
    height, width = canvas.shape[:2]
    points = np.clip(points, -_FAR_PX, _FAR_PX)
    x0, y0 = np.maximum(np.floor(points.min(axis=0) - margin_px).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(points.max(axis=0) + margin_px).astype(int) + 1, [width, height])
    if x0 >= x1 or y0 >= y1:
        return canvas
    scale = int(np.clip(round(1600.0 / max(x1 - x0, y1 - y0)), 1, 4))
    under = canvas[y0:y1, x0:x1]
    large = under.repeat(scale, axis=0).repeat(scale, axis=1)
    corner = np.array([x0, y0])
    draw(large, lambda p: (np.asarray(p) - corner + 0.5) * scale - 0.5, scale)
    canvas[y0:y1, x0:x1] = cv2.resize(large, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA)
    return canvas


def _fixed(points: NDArray) -> NDArray[np.int32]:
    """Return points (..., 2) as OpenCV's drawing wants them, whole sixteenths of a pixel."""
    return np.rint(np.clip(points, -_FAR_PX, _FAR_PX) * (1 << _SHIFT)).astype(np.int32)


def _line(
    canvas: NDArray[np.uint8],
    start: NDArray,
    end: NDArray,
    colour: tuple[int, ...],
    width_px: float,
) -> None:
    a, b = (tuple(int(v) for v in _fixed(p)) for p in (start, end))
    cv2.line(canvas, a, b, colour, max(1, round(width_px)), cv2.LINE_AA, _SHIFT)


def _disc(
    canvas: NDArray[np.uint8], centre: NDArray, radius_px: float, colour: tuple[int, ...]
) -> None:
    middle = tuple(int(v) for v in _fixed(centre))
    radius = round(max(radius_px, 0.8) * (1 << _SHIFT))
    cv2.circle(canvas, middle, radius, colour, cv2.FILLED, cv2.LINE_AA, _SHIFT)


def _arrow(
    canvas: NDArray[np.uint8],
    start: NDArray,
    tip: NDArray,
    colour: tuple[int, ...],
    width_px: float,
) -> None:
    """Draw an arrow with a dark rim; foreshortened to nothing, it is a disc."""
    rim_colour, rim_px = (25, 25, 25), 0.25 * width_px
    along = tip - start
    length = float(np.linalg.norm(along))
    if length < 1.5 * width_px:
        _disc(canvas, tip, 1.6 * width_px + rim_px, rim_colour)
        _disc(canvas, tip, 1.6 * width_px, colour)
        return
    along = along / length
    across = np.array([-along[1], along[0]])
    head = min(4.0 * width_px, 0.8 * length)
    half, wing = 0.5 * width_px, 0.5 * head
    neck = tip - head * along
    outline = [
        start + half * across,
        neck + half * across,
        neck + wing * across,
        tip,
        neck - wing * across,
        neck - half * across,
        start - half * across,
    ]
    polygon = [_fixed(np.array(outline))]
    cv2.polylines(canvas, polygon, True, rim_colour, max(1, round(2 * rim_px)), cv2.LINE_AA, _SHIFT)
    cv2.fillPoly(canvas, polygon, colour, cv2.LINE_AA, _SHIFT)


def _title(strip: NDArray[np.uint8], text: str) -> None:
    """Write a dark line of text into the middle of a white strip, as large as fits."""
    height, width = strip.shape[:2]
    text = text.encode("ascii", "replace").decode()
    font, scale = cv2.FONT_HERSHEY_SIMPLEX, 1.0
    (wide, tall), _ = cv2.getTextSize(text, font, scale, 1)
    scale = min(0.45 * height / max(tall, 1), 0.96 * width / max(wide, 1))
    weight = max(1, round(1.4 * scale))
    (wide, tall), _ = cv2.getTextSize(text, font, scale, weight)
    at = ((width - wide) // 2, (height + tall) // 2)
    cv2.putText(strip, text, at, font, scale, (40, 40, 40), weight, cv2.LINE_AA)
