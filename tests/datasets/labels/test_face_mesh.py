from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge3d.datasets.labels import face_mesh
from edge3d.datasets.labels.face_mesh import (
    CONTOUR_POINTS,
    EYE_FILE,
    EYE_PAIRS,
    EYES,
    FACE_FILE,
    VERTICES,
    FaceMesh,
    measure_apertures,
)
from edge3d.errors import DatasetError
from edge3d.geometry.landmarks68 import GAPS

EYE_PX, LID_PX, LIP_PX = 10.0, 3.0, 6.0  # half an eye's width, half the gaps, in the picture


class FakeNetwork:
    """Stands in for a network. It knows where the face is by two dots at the eyes' middles.

    Red is the eye on the image's left, green the other one. What it answers is a face whose lids
    and lips are apart by known distances, seen in its own square.
    """

    logit = 3.0

    def __init__(self, model_path: str, num_threads: int) -> None:
        self.is_face = Path(model_path).name == FACE_FILE
        self.size, self.count = (192, VERTICES) if self.is_face else (64, CONTOUR_POINTS)

    def allocate_tensors(self) -> None:
        pass

    def get_input_details(self) -> list[dict[str, Any]]:
        return [{"index": 0, "shape": np.array([1, self.size, self.size, 3])}]

    def get_output_details(self) -> list[dict[str, Any]]:
        others = 1 if self.is_face else 15
        return [{"index": 1, "shape": [1, 3 * self.count]}, {"index": 2, "shape": [1, others]}]

    def set_tensor(self, _: int, picture: np.ndarray) -> None:
        assert picture.shape == (1, self.size, self.size, 3) and picture.max() <= 1
        self.picture = picture[0]

    def invoke(self) -> None:
        pass

    def get_tensor(self, index: int) -> np.ndarray:
        if index == 2:
            return np.full((1, 1 if self.is_face else 15), self.logit, np.float32)
        points = np.zeros((self.count, 3))
        if self.is_face:
            left, right = self.middle(0), self.middle(1)
            px = np.linalg.norm(right - left) / 40  # a pixel of the picture: eyes are 40 apart
            points[:, :2] = left
            x, y = (right - left) / (40 * px), np.array([0.0, 1.0])
            for (outer, inner), middle, out in zip(EYES, (left, right), (-1, 1), strict=True):
                points[outer, :2] = middle + out * EYE_PX * px * x
                points[inner, :2] = middle - out * EYE_PX * px * x
            for above, below in ((81, 178), (13, 14), (311, 402)):
                points[above, :2] = (left + right) / 2 + (35 * px - LIP_PX * px) * y
                points[below, :2] = (left + right) / 2 + (35 * px + LIP_PX * px) * y
        else:
            px = 64 / (2.3 * 2 * EYE_PX)
            for above, below in EYE_PAIRS:
                points[above, :2] = [32, 32 - LID_PX * px]
                points[below, :2] = [32, 32 + LID_PX * px]
        return points.astype(np.float32)[None]

    def middle(self, channel: int) -> np.ndarray:
        light = self.picture[..., channel] ** 4
        rows, columns = np.indices(light.shape)
        return np.array([(light * columns).sum(), (light * rows).sum()]) / light.sum()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(face_mesh, "interpreter_class", lambda what: FakeNetwork)


def face(turn_deg: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a picture with two dots, 68 landmarks, and the face's turn (2, 2)."""
    angle = np.radians(turn_deg)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    eyes = np.array([[-20.0, -10.0], [20.0, -10.0]]) @ turn.T + [60, 60]
    rows, columns = np.indices((120, 120))
    picture = np.zeros((120, 120, 3), np.uint8)
    for channel, (x, y) in enumerate(eyes):
        light = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 18)
        picture[..., channel] = np.round(255 * light)
    around = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    landmarks = 40 * np.column_stack([np.cos(around), np.sin(around)]) @ turn.T + [60, 60]
    landmarks[36:42], landmarks[42:48] = eyes
    return picture, landmarks, turn


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("turn_deg", [0.0, 30.0, -150.0])
def test_gaps_are_those_of_the_picture(turn_deg: float) -> None:
    picture, landmarks, turn = face(turn_deg)
    gaps = FaceMesh("any").gaps(picture, landmarks)
    lids, lips = [0, -2 * LID_PX], [0, -2 * LIP_PX]
    assert gaps is not None
    np.testing.assert_allclose(gaps, np.array(4 * [lids] + 3 * [lips]) @ turn.T, atol=0.4)


@pytest.mark.usefixtures("fake")
def test_a_face_that_is_turned_or_unsure_has_no_gaps(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, landmarks, _ = face(10)
    crops, calls = np.stack([picture] * 3), []
    found = measure_apertures(
        crops,
        np.stack([landmarks] * 3),
        np.array([10.0, -70.0, -44.0]),
        "any",
        lambda done, _: calls.append(done),
    )
    assert found.shape == (3, len(GAPS), 2) and calls == [1, 3]
    assert np.isfinite(found[[0, 2]]).all() and np.isnan(found[1]).all()
    monkeypatch.setattr(FakeNetwork, "logit", -3.0)
    assert FaceMesh("any").gaps(picture, landmarks) is None


@pytest.mark.parametrize("content", [b"", b"no flat buffer" * 10])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    pytest.importorskip("ai_edge_litert", reason="pip install 'edge3d[tflite]'")
    (tmp_path / FACE_FILE).write_bytes(content)
    with pytest.raises(DatasetError, match=f"{FACE_FILE} is not MediaPipe's network"):
        FaceMesh(tmp_path)


def test_another_network_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert", reason="pip install 'edge3d[tflite]'")
    from edge3d.bundled import default_model_path

    for name in (FACE_FILE, EYE_FILE):
        (tmp_path / name).write_bytes(default_model_path().read_bytes())
    with pytest.raises(DatasetError, match="it takes"):
        FaceMesh(tmp_path)
