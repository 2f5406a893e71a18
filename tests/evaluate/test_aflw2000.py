"""The data set's layout, its conventions, and what may be wrong with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge3d.errors import DatasetError
from edge3d.evaluate import load_aflw2000
from edge3d.evaluate.aflw2000 import protocol_boxes


def test_pixels_become_zero_based_and_angles_degrees(small: Path) -> None:
    from scipy.io import savemat

    points = np.tile(np.linspace(1, 120, 68), (3, 1))
    pose = np.array([[0.1, -0.5, 0.2, 0, 0, 0, 1]])  # pitch, yaw, roll
    savemat(small / "image00000.mat", {"pt3d_68": points, "Pose_Para": pose})
    dataset = load_aflw2000(small)
    assert len(dataset) == 3 and dataset.names[0] == "image00000.jpg"
    np.testing.assert_allclose(dataset.landmarks_px[0, 0], (0, 0, 1))
    np.testing.assert_allclose(dataset.pose_deg[0], np.degrees([-0.5, 0.1, 0.2]))
    assert dataset.reannotated_px is None
    # side sqrt(2) * 119 = 168.29 about 60.5: 1-based -24 to 145, so 0-based -25 up to 145.
    np.testing.assert_array_equal(dataset.boxes_xyxy[0], (-25, -25, 144 + 1, 144 + 1))


def test_a_protocol_beside_the_folder_is_used(small: Path) -> None:
    names = np.array([f"image{n:05d}.jpg" for n in (2, 0, 1)])
    again = np.arange(3 * 2 * 68, dtype=np.float32).reshape(3, 2, 68)
    boxes = np.array([[1, 1, 100, 100], [11, 21, 110, 120], [1, 1, 50, 50]], np.float32)
    protocol = small.with_name("small-protocol.npz")
    np.savez(protocol, names=names, roi_box=boxes, pts68_reannotated=again)
    dataset = load_aflw2000(small)
    np.testing.assert_array_equal(dataset.boxes_xyxy[0], (10, 20, 110, 120))
    np.testing.assert_array_equal(dataset.boxes_xyxy[2], (0, 0, 100, 100))
    assert dataset.reannotated_px is not None
    np.testing.assert_array_equal(dataset.reannotated_px[2, 5], again[0, :, 5] - 1)
    np.savez(protocol, names=names[:2], roi_box=boxes[:2])
    with pytest.raises(DatasetError, match=r"lacks 'image00001.jpg'"):
        load_aflw2000(small)
    protocol.write_bytes(b"PK no zip")
    with pytest.raises(DatasetError, match="cannot be read"):
        load_aflw2000(small)


def test_boxes_of_the_real_protocol(data_dir: Path) -> None:
    dataset = load_aflw2000(data_dir / "aflw2000-3d-dev")
    difference = protocol_boxes(dataset.landmarks_px) - dataset.boxes_xyxy
    # The protocol's own rounding differs by a pixel; boxes at the border are cut.
    assert np.median(abs(difference)) <= 1
    assert (abs(difference).max(axis=1) <= 2).mean() > 0.9


def test_what_is_no_data_set_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="not a folder"):
        load_aflw2000(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=r"holds no image\*\.jpg"):
        load_aflw2000(tmp_path / "empty")
    (small / "image00001.mat").write_bytes(b"this is no MATLAB file, but it is long enough" * 9)
    with pytest.raises(DatasetError, match=r"image00001\.mat is not a readable"):
        load_aflw2000(small)
    (small / "image00001.mat").unlink()
    with pytest.raises(DatasetError, match=r"image00001\.mat is missing"):
        load_aflw2000(small)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("pt3d_68", np.full((3, 68), np.nan), "pt3d_68 has shape .* or is not finite"),
        ("pt3d_68", np.zeros((2, 68)), "pt3d_68 has shape"),
        ("Pose_Para", None, "Pose_Para is missing"),
    ],
)
def test_a_wrong_annotation_is_refused(
    small: Path, name: str, value: np.ndarray | None, message: str
) -> None:
    from scipy.io import savemat

    content = {"pt3d_68": np.ones((3, 68)), "Pose_Para": np.zeros((1, 7)), name: value}
    savemat(small / "image00000.mat", {k: v for k, v in content.items() if v is not None})
    with pytest.raises(DatasetError, match=message):
        load_aflw2000(small)
