from __future__ import annotations

import numpy as np

from edge3d.face_model.subdivision import catmull_clark, triangulate

CUBE = np.array([[x, y, z] for x in (-1.0, 1.0) for y in (-1.0, 1.0) for z in (-1.0, 1.0)])
CUBE_QUADS = np.array(
    [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
)


def test_a_cube_becomes_what_the_textbook_says() -> None:
    step = catmull_clark(CUBE_QUADS, 8)
    points = step.apply(CUBE)
    assert points.shape == (8 + 12 + 6, 3)
    assert step.quads.shape == (24, 4)
    # Corners of a cube: (mean face point + 2 mean edge middle + (3 - 3) corner) / 3 = 5/9.
    np.testing.assert_allclose(abs(points[:8]), 5 / 9, rtol=1e-6)
    # Edge points: mean of two ends and two face points: (0, 0.75, 0.75) in some order.
    np.testing.assert_allclose(np.sort(abs(points[8:20]), axis=1), [[0, 0.75, 0.75]] * 12)
    np.testing.assert_allclose(np.sort(abs(points[20:]), axis=1), [[0, 0, 1]] * 6)


def test_the_outside_stays_outside() -> None:
    step = catmull_clark(CUBE_QUADS, 8)
    points, triangles = step.apply(CUBE), triangulate(step.quads)
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    outwards = (np.cross(b - a, c - a) * (a + b + c)).sum(axis=1)
    before = triangulate(CUBE_QUADS)
    a, b, c = (CUBE[before[:, corner]] for corner in range(3))
    outwards_before = (np.cross(b - a, c - a) * (a + b + c)).sum(axis=1)
    assert (np.sign(outwards) == np.sign(outwards_before[0])).all()


def test_a_flat_sheet_stays_flat_and_keeps_its_straight_border() -> None:
    points = np.array([[x, y, 0.0] for y in range(4) for x in range(4)])
    quads = np.array(
        [
            [4 * y + x, 4 * y + x + 1, 4 * y + x + 5, 4 * y + x + 4]
            for y in range(3)
            for x in range(3)
        ]
    )
    step = catmull_clark(quads, 16)
    finer = step.apply(points)
    assert abs(finer[:, 2]).max() == 0
    np.testing.assert_allclose(finer[1, 1], 0.0, atol=1e-7)  # on the border y = 0
    np.testing.assert_allclose(finer[5], points[5], atol=1e-6)  # inner vertex of a regular grid


def test_bases_are_mapped_like_positions() -> None:
    step = catmull_clark(CUBE_QUADS, 8)
    basis = np.random.default_rng(0).standard_normal((8, 3, 4))
    weights = np.array([0.5, -1.0, 2.0, 0.1])
    np.testing.assert_allclose(
        step.apply(CUBE + basis @ weights),
        step.apply(CUBE) + step.apply(basis) @ weights,
        atol=1e-5,
    )
