from __future__ import annotations

import numpy as np

from edge3d.geometry.landmarks68 import MIRROR, PARTS


def test_the_parts_hold_each_landmark_once() -> None:
    assert [i for _, start, stop, _ in PARTS for i in range(start, stop)] == list(range(68))


def test_mirroring_twice_changes_nothing() -> None:
    np.testing.assert_array_equal(MIRROR[MIRROR], np.arange(68))
