"""Pictures: what must be where, what hides what, and what must not be drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge3d.viz import drawing, overlays, rasterizer

# One triangle that faces the viewer: counter-clockwise as the eye sees it, with y down.
TRIANGLE = np.array([[0, 1, 2]])
RASTERIZERS = [rasterizer._rasterize_numpy] + (
    [rasterizer._rasterize_opencv] if hasattr(cv2, "triangleRasterize") else []
)


@pytest.fixture(params=RASTERIZERS, ids=lambda f: f.__name__)
def each_rasterizer(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw with OpenCV's rasterizer and with the one for older OpenCVs."""
    for module in (rasterizer, overlays):
        monkeypatch.setattr(module, "rasterize_facing", request.param)


def facing(*points: tuple[float, float, float]) -> np.ndarray:
    """Three corners, given in any order, in the order that faces the viewer."""
    corners = np.array(points, np.float32)
    return corners[::-1] if rasterizer.signed_area(corners, TRIANGLE)[0] > 0 else corners


def globe(
    radius: float, centre: tuple[float, float], rings: int = 60
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A closed ball, triangles counter-clockwise seen from outside, in pixels (y down)."""
    longitude = np.linspace(0, 2 * np.pi, 2 * rings, endpoint=False)
    latitude = np.linspace(-np.pi / 2, np.pi / 2, rings)[1:-1]
    lon, lat = (a.ravel() for a in np.meshgrid(longitude, latitude))
    up = np.stack([np.cos(lat) * np.sin(lon), np.sin(lat), np.cos(lat) * np.cos(lon)], axis=-1)
    number = np.arange(len(up)).reshape(rings - 2, 2 * rings)
    a, b = number[:-1].ravel(), np.roll(number, -1, axis=1)[:-1].ravel()
    c, d = number[1:].ravel(), np.roll(number, -1, axis=1)[1:].ravel()
    triangles = np.concatenate([np.stack([a, b, d], -1), np.stack([a, d, c], -1)])
    pixels = up * [radius, -radius, radius] + [*centre, 0.0]
    return pixels.astype(np.float32), triangles.astype(np.int32), up


# rasterize ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("each_rasterizer")
def test_a_triangle_covers_the_pixels_whose_centres_it_holds() -> None:
    vertices = facing((9.6, 19.6, 5), (20.3, 19.6, 5), (9.6, 30.3, 5))
    image, depth = rasterizer.rasterize(vertices, TRIANGLE, (40, 50), np.ones((3, 1)))
    x, y = np.meshgrid(np.arange(50), np.arange(40))
    expected = (x >= 10) & (y >= 20) & (x + y <= 39)  # the long side lies at x + y = 39.9
    assert np.array_equal(image[..., 0] > 0.5, expected)
    assert np.array_equal(np.isfinite(depth), expected)
    assert np.abs(depth[expected] - 5).max() < 1e-3


@pytest.mark.usefixtures("each_rasterizer")
@pytest.mark.parametrize("size", [(60, 90), (91, 60), (400, 300)])
def test_positions_are_right_to_a_small_part_of_a_pixel(size: tuple[int, int]) -> None:
    """Attributes that are the coordinates themselves come back as each pixel's coordinates."""
    vertices = facing((-7.3, 3.2, -40), (70.4, -9.1, 25), (33.3, 66.6, 110))
    image, depth = rasterizer.rasterize(vertices, TRIANGLE, size, vertices)
    y, x = np.nonzero(np.isfinite(depth))
    assert len(x) > 1000
    assert np.abs(image[y, x, 0] - x).max() < 0.03
    assert np.abs(image[y, x, 1] - y).max() < 0.03
    assert np.abs(image[y, x, 2] - depth[y, x]).max() < 0.1


@pytest.mark.usefixtures("each_rasterizer")
def test_a_vertex_lands_at_its_pixel() -> None:
    vertices = facing((9.8, 19.8, 0), (10.3, 19.8, 0), (10, 20.3, 0))
    _, depth = rasterizer.rasterize(vertices, TRIANGLE, (40, 40), np.ones((3, 1)))
    assert np.argwhere(np.isfinite(depth)).tolist() == [[20, 10]]


@pytest.mark.usefixtures("each_rasterizer")
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_larger_z_is_in_front(order: tuple[int, int]) -> None:
    near = facing((5, 5, 8), (30, 5, 8), (5, 30, 8))
    far = facing((2, 2, -3), (38, 2, -3), (2, 38, -3))
    vertices = np.concatenate([near, far])
    triangles = np.array([[0, 1, 2], [3, 4, 5]])[list(order)]
    attributes = np.repeat([[1.0], [2.0]], 3, axis=0)
    image, depth = rasterizer.rasterize(vertices, triangles, (40, 40), attributes)
    assert image[10, 10, 0] == pytest.approx(1, abs=1e-3)
    assert depth[10, 10] == pytest.approx(8, abs=1e-2)
    assert image[3, 30, 0] == pytest.approx(2, abs=1e-3)
    assert depth[3, 30] == pytest.approx(-3, abs=1e-2)


@pytest.mark.usefixtures("each_rasterizer")
def test_triangles_turned_away_are_left_out() -> None:
    away = facing((5, 5, 0), (30, 5, 0), (5, 30, 0))[::-1]
    _, depth = rasterizer.rasterize(away, TRIANGLE, (40, 40), np.ones((3, 1)))
    assert np.isnan(depth).all()
    _, depth = rasterizer.rasterize(away, TRIANGLE, (40, 40), np.ones((3, 1)), cull_back=False)
    assert np.isfinite(depth[10, 10])


@pytest.mark.usefixtures("each_rasterizer")
def test_a_ball_has_no_cracks_and_shows_its_front() -> None:
    vertices, triangles, up = globe(40.0, (49.5, 50.25))
    image, depth = rasterizer.rasterize(vertices, triangles, (100, 100), up)
    y, x = np.mgrid[:100, :100]
    distance = np.hypot(x - 49.5, y - 50.25)
    assert np.isfinite(depth[distance < 39]).all()
    assert np.isnan(depth[distance > 40.01]).all()
    inner = distance < 38
    truth = np.sqrt(40.0**2 - distance[inner] ** 2)
    assert np.abs(depth[inner] - truth).max() < 0.5, "the near side, not the far one"
    assert (image[inner][:, 2] > 0).all()
    assert image[50, 70, 0] > 0.3 and image[30, 50, 1] > 0.3, "right is +x and up is +y"


@pytest.mark.skipif(len(RASTERIZERS) < 2, reason="OpenCV older than 5 has no rasterizer")
def test_the_two_rasterizers_agree() -> None:
    vertices, triangles, up = globe(300.0, (30.0, 100.0), rings=40)  # reaches over every side
    attributes = np.hstack([up, 5 + 3 * up[:, ::-1]]).astype(np.float32)
    triangles = triangles[rasterizer.is_facing(vertices, triangles)]
    first = rasterizer._rasterize_opencv(vertices, triangles, (180, 240), attributes)
    second = rasterizer._rasterize_numpy(vertices, triangles, (180, 240), attributes)
    assert np.array_equal(np.isnan(first[1]), np.isnan(second[1]))
    assert np.nanmax(np.abs(first[1] - second[1])) < 0.2  # of 600 px of depth
    assert np.abs(first[0] - second[0]).max() < 0.005


@pytest.mark.usefixtures("each_rasterizer")
def test_nothing_to_draw() -> None:
    outside = facing((500, 500, 0), (600, 500, 0), (500, 600, 0))
    for triangles in (TRIANGLE, np.zeros((0, 3), int)):
        image, depth = rasterizer.rasterize(outside, triangles, (20, 30), np.ones((3, 2)))
        assert image.shape == (20, 30, 2) and not image.any()
        assert depth.shape == (20, 30) and np.isnan(depth).all()


def test_rasterize_refuses_what_does_not_fit() -> None:
    vertices = facing((0, 0, 0), (9, 0, 0), (0, 9, 0))
    for bad_vertices, triangles, attributes, message in (
        (vertices[:, :2], TRIANGLE, np.ones((3, 1)), "vertices have shape"),
        (vertices, TRIANGLE + 1, np.ones((3, 1)), "point beyond 3"),
        (vertices, TRIANGLE, np.ones((2, 1)), "attributes of"),
        (vertices * np.nan, TRIANGLE, np.ones((3, 1)), "not finite"),
    ):
        with pytest.raises(ValueError, match=message):
            rasterizer.rasterize(bad_vertices, triangles, (20, 20), attributes)


# Overlays ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("each_rasterizer")
def test_draw_mesh_shades_the_ball_and_nothing_else() -> None:
    vertices, triangles, _ = globe(40.0, (60.0, 50.0))
    photo = np.full((100, 120, 3), (10, 60, 110), np.uint8)
    result = overlays.draw_mesh(photo, vertices, triangles, alpha=1.0)
    y, x = np.mgrid[:100, :120]
    distance = np.hypot(x - 60.0, y - 50.0)
    assert (photo == (10, 60, 110)).all(), "the photo is left as it was"
    assert (result[distance > 41.5] == (10, 60, 110)).all()
    assert not (result[distance < 38.5] == (10, 60, 110)).all(axis=-1).any()
    assert int(result[30, 45, 0]) > int(result[70, 75, 0]) + 25, (
        "the key light is at the upper left"
    )
    # Anti-aliased: along the rim colours lie between the ball's and the photo's.
    covered = overlays.draw_mesh(photo * 0, vertices, triangles, 1.0, (255, 255, 255))
    rim = np.abs(distance - 40) < 0.7
    assert len(np.unique(covered[rim][:, 0])) > 20


@pytest.mark.usefixtures("each_rasterizer")
def test_opacity() -> None:
    vertices, triangles, _ = globe(30.0, (40.0, 40.0))
    photo = np.full((80, 80, 3), 100, np.uint8)
    solid, half, none = (
        overlays.draw_mesh(photo, vertices, triangles, alpha=a).astype(int) for a in (1.0, 0.5, 0.0)
    )
    assert np.array_equal(none, photo)
    assert np.abs(half - (solid + photo) / 2).max() <= 1


def test_bands_of_a_large_picture_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    vertices, triangles, _ = globe(45.0, (50.0, 50.0))
    photo = np.zeros((100, 100, 3), np.uint8)
    whole = overlays.draw_mesh(photo, vertices, triangles)
    wires = overlays.draw_wireframe(photo, vertices, triangles)
    monkeypatch.setattr(overlays, "_SAMPLES_IN_A_BAND", 9000)
    assert np.abs(overlays.draw_mesh(photo, vertices, triangles).astype(int) - whole).max() <= 1
    assert (
        np.abs(overlays.draw_wireframe(photo, vertices, triangles).astype(int) - wires).max() <= 2
    )


@pytest.mark.usefixtures("each_rasterizer")
def test_wireframe_draws_visible_edges_only() -> None:
    front = np.array([[20, 20, 10], [20, 180, 10], [180, 180, 10], [180, 20, 10]], np.float32)
    behind = np.array([[60, 60, -10], [60, 140, -10], [140, 140, -10], [140, 60, -10]], np.float32)
    triangles = np.array([[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]])
    photo = np.zeros((200, 200, 3), np.uint8)
    result = overlays.draw_wireframe(photo, np.vstack([front, behind]), triangles, alpha=1.0)
    assert result[20:22, 100].max() > 40, "an edge of the front square"
    assert result[99:102, 99:102].max() > 60, "its diagonal"
    assert result[60, 70:130].max() == 0 and result[70:130, 60].max() == 0, "an edge behind it"
    assert result[50, 150].max() == 0, "within a triangle"


@pytest.mark.parametrize("shift", [(-1000.0, 0.0), (5.0, 7.0), (1e7, 1e7)])
def test_meshes_that_reach_over_the_picture(shift: tuple[float, float]) -> None:
    vertices, triangles, _ = globe(60.0, (0.0, 0.0), rings=20)
    photo = np.full((40, 50, 3), 9, np.uint8)
    moved = vertices + np.array([*shift, 0], np.float32)
    landmarks = moved[np.linspace(0, len(moved) - 1, 68).astype(int)]
    for result in (
        overlays.draw_mesh(photo, moved, triangles),
        overlays.draw_wireframe(photo, moved, triangles),
        drawing.draw_landmarks(photo, landmarks),
        drawing.draw_pose(photo, np.eye(3), shift, 60.0),
    ):
        assert result.shape == photo.shape and result.dtype == np.uint8
        assert (result != photo).any() == (shift == (5.0, 7.0))


@pytest.mark.parametrize("size_px", [60.0, 450.0, 2400.0])
def test_landmarks_lie_where_they_are_and_grow_with_the_face(size_px: float) -> None:
    rng = np.random.default_rng(0)
    landmarks = rng.uniform(0.1, 0.9, (68, 2)) * size_px + 0.37
    photo = np.full((int(size_px), int(size_px), 3), 30, np.uint8)
    result = drawing.draw_landmarks(photo, landmarks, line_rgb=(30, 30, 30), point_rgb=(255, 0, 0))
    hit = result[tuple(np.rint(landmarks).astype(int).T[::-1])]
    # A later dot may cover part of another one's.
    assert ((hit[:, 0] > 120) & (hit[:, 1] < 40)).mean() > 0.9
    share = (result[..., 0] > 120).mean()
    assert 0.001 < share < 0.05, "about the same share of the picture at each size"


def test_a_landmark_is_drawn_to_a_part_of_a_pixel() -> None:
    for x, y in ((50.0, 50.0), (50.5, 50.25), (49.75, 50.6)):
        landmarks = np.full((68, 2), np.nan)
        landmarks[30] = x, y
        photo = np.zeros((100, 100, 3), np.uint8)
        red = drawing.draw_landmarks(photo, landmarks, point_rgb=(255, 0, 0))[..., 0].astype(float)
        rows, columns = np.mgrid[:100, :100]
        assert (red * columns).sum() / red.sum() == pytest.approx(x, abs=0.15)
        assert (red * rows).sum() / red.sum() == pytest.approx(y, abs=0.15)


def test_landmarks_of_another_number_are_refused() -> None:
    with pytest.raises(ValueError, match="68"):
        drawing.draw_landmarks(np.zeros((9, 9, 3), np.uint8), np.zeros((5, 2)))


def test_pose_of_a_face_that_looks_at_the_camera() -> None:
    photo = np.full((200, 200, 3), 128, np.uint8)
    result = drawing.draw_pose(photo, np.eye(3), (100, 100), 60).astype(int)
    red = (result[..., 0] > 200) & (result[..., 1] < 100)
    green = (result[..., 1] > 160) & (result[..., 0] < 100)
    blue = (result[..., 2] > 200) & (result[..., 0] < 100)
    assert np.argwhere(red).mean(axis=0)[1] > 120, "x points to the right"
    assert np.argwhere(green).mean(axis=0)[0] < 80, "y points up"
    assert np.abs(np.argwhere(blue) - 100).max() < 8, "z points at the viewer"


def test_pose_of_a_turned_face() -> None:
    turned = np.array([[0.0, 0, 1], [0, 1, 0], [-1, 0, 0]])  # the nose points to the right
    photo = np.full((200, 200, 3), 128, np.uint8)
    result = drawing.draw_pose(photo, turned, (100, 100), 60).astype(int)
    blue = (result[..., 2] > 200) & (result[..., 0] < 100)
    assert np.argwhere(blue)[:, 1].max() >= 157


# The rest ----------------------------------------------------------------------------------------


def test_depth_picture_is_brightest_where_the_mesh_is_nearest() -> None:
    vertices, triangles, _ = globe(40.0, (50.0, 50.0))
    grey = overlays.draw_depth(vertices, triangles, (100, 100))
    assert grey[50, 50].tolist() == [255, 255, 255]
    assert grey[50, 50, 0] > grey[50, 70, 0] > grey[50, 87, 0] >= 40
    assert not grey[2, 2].any()
    colour = overlays.draw_depth(vertices, triangles, (100, 100), colour=True)
    assert colour[50, 50, 0] > colour[50, 50, 2], "red is near"
    assert not colour[2, 2].any()
    assert not overlays.draw_depth(vertices + np.float32(1e4), triangles, (9, 9)).any()


def test_vertex_colours_are_bilinear() -> None:
    photo = np.zeros((20, 30, 3), np.uint8)
    photo[..., 0] = np.arange(30) * 8
    photo[..., 1] = (np.arange(20) * 10)[:, None]
    points = np.array([[3, 4, 9], [3.5, 4.25, -9], [-50, 2, 0], [29, 19, 0], [99, 99, 0]])
    expected = [[24, 40, 0], [28, 42, 0], [0, 20, 0], [232, 190, 0], [232, 190, 0]]
    colours = overlays.vertex_colours(photo, points)
    assert colours.dtype == np.uint8
    assert np.abs(colours.astype(int) - expected).max() <= 1
    assert np.array_equal(overlays.vertex_colours(photo, points[:, :2]), colours)


def test_side_by_side() -> None:
    red, blue = np.zeros((60, 40, 3), np.uint8), np.zeros((30, 40, 3), np.uint8)
    red[..., 0], blue[..., 2] = 255, 255
    row = drawing.side_by_side([red, blue])
    assert row.shape[0] == 60 and row.shape[1] > 40 + 80
    assert row[30, 20].tolist() == [255, 0, 0] and row[30, -20].tolist() == [0, 0, 255]
    titled = drawing.side_by_side([red, blue], ["one", "zwölf"])
    assert titled.shape[0] > 60
    head = titled[: titled.shape[0] - 60]
    assert head[:, :40].min() < 150 and head[:, -80:].min() < 150, "a title above each"
    assert (titled[-60:] == row).all()
    with pytest.raises(ValueError):
        drawing.side_by_side([])
    with pytest.raises(ValueError):
        drawing.side_by_side([red], ["a", "b"])
