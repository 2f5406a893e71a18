from __future__ import annotations

import numpy as np
import pytest

from edge3d.geometry.pose import rotation_from_angles
from edge3d.tracker.one_euro import OneEuro, RotationFilter, VectorFilter


def test_known_steps() -> None:
    # At rest with a cutoff of 1 Hz and steps of 1 / (2 pi) s a step takes half of the way.
    smooth = VectorFilter(OneEuro(min_cutoff_hz=1.0, beta=0.0), joint=False)
    step_s = 1 / (2 * np.pi)
    assert smooth(0.0, step_s)[0] == 0
    assert smooth(8.0, step_s)[0] == pytest.approx(4)
    assert smooth(8.0, step_s)[0] == pytest.approx(6)
    # With beta the cutoff rises by the smoothed speed: 8 / step halved, and halved again.
    fast = VectorFilter(OneEuro(min_cutoff_hz=1.0, beta=1.0, speed_cutoff_hz=1.0), joint=False)
    fast(0.0, step_s)
    cutoff = 1 + 0.5 * 8 / step_s
    assert fast(8.0, step_s)[0] == pytest.approx(8 * cutoff / (cutoff + 1))


def test_rotations_are_smoothed_along_the_shortest_turn() -> None:
    smooth = RotationFilter(OneEuro(min_cutoff_hz=1.0, beta=0.0))
    step_s = 1 / (2 * np.pi)
    first, second = (rotation_from_angles(np.array(yaw), 0.0, 0.0) for yaw in (10.0, 50.0))
    smooth(first, step_s)
    found = smooth(second, step_s)
    np.testing.assert_allclose(found, rotation_from_angles(np.array(30.0), 0.0, 0.0), atol=1e-6)
