"""Places MediaPipe's 478 face mesh points on `open-2`.

The canonical face (468 points) is bent to the model by the points that mean the same as one of
the 68 landmarks, and laid on the skin; the ten iris points lie on the eyeballs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator

from edge3d.bundled import mesh478_path
from edge3d.face_model.correspondence import closest_on_surface
from edge3d.geometry.similarity import fit_similarity

# MediaPipe's points that lie where landmarks 17 to 67 of the 68 do.
LIKE_LANDMARKS = (
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(168, 197, 5, 4, 98, 97, 2, 326, 327),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)
BROWS = 10  # the first of them: drawn at other heights, they are no guide
IRIS_RADIUS_MM = 5.9
AROUND = ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1))


def place_mesh478(
    vertices: NDArray, triangles: NDArray, landmarks: NDArray, eyes: list[NDArray]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the vertices (478, 3) that carry the points, and their shares (478, 3).

    Args:
        vertices: (V, 3) of the mean, mm. triangles: (T, 3). landmarks: (68, 3) on it.
        eyes: vertex numbers of the left (x > 0) and the right eyeball.
    """
    with np.load(mesh478_path()) as file:
        canonical = file["canonical_cm"].astype(np.float64) * 10
    alike = np.array(LIKE_LANDMARKS)[BROWS:]
    goal = landmarks[17 + BROWS :]
    pose = fit_similarity(canonical[alike][None], goal[None], np.ones(len(goal)))
    placed = pose.apply(canonical[None])[0]
    bend = RBFInterpolator(placed[alike], goal - placed[alike], smoothing=0.5)
    # Far from the landmarks the bending fades; there the surface decides.
    apart = np.linalg.norm(placed[:, None] - placed[alike], axis=2).min(axis=1, keepdims=True)
    placed = placed + bend(placed) * np.clip(1.5 - apart / 50, 0, 1)
    is_eye = np.zeros(len(vertices), bool)
    is_eye[np.concatenate(eyes)] = True
    on_eye = is_eye[triangles].all(axis=1)
    skin, balls = triangles[~is_eye[triangles].any(axis=1)], triangles[on_eye]
    triangle, weights = closest_on_surface(placed, vertices, skin)
    carriers, shares = [skin[triangle]], [weights]
    for own in (eyes[1], eyes[0]):  # 468 to 472 are the subject's right iris
        ball = vertices[own]
        front = 0.5 * (ball.max(axis=0) + ball.min(axis=0))
        front[2] = ball[:, 2].max()
        points = front + IRIS_RADIUS_MM * np.array([(x, y, 0) for x, y in AROUND])
        radius = 0.5 * np.ptp(ball[:, 0])
        points[1:, 2] -= radius - np.sqrt(radius**2 - IRIS_RADIUS_MM**2)
        triangle, weights = closest_on_surface(points, vertices, balls)
        carriers.append(balls[triangle])
        shares.append(weights)
    return np.concatenate(carriers), np.round(np.concatenate(shares), 4)
