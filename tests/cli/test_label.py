"""`edge3d label` in this process, with a stand-in for MediaPipe's networks where it is missing."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge3d.cli import label as command
from edge3d.cli.app import app
from edge3d.datasets.labels.mesh_labels import load_mesh_labels
from edge3d.datasets.labels.photo_labels import NO_FACE
from edge3d.errors import DatasetError, ImageError
from tests.datasets.labels.stub_landmarker import StubDetector, StubLandmarker, draw_face

INDEX = """name,split,age,gender,race,yaw_estimate_deg
train_1,train,20-29,Male,White,3
train_2,train,20-29,Female,White,3
val_1,val,3-9,Female,Indian,5
val_2,val,3-9,Male,Black,5
"""


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge3d.cli.label.FaceLandmarker", lambda _: StubLandmarker())
    monkeypatch.setattr("edge3d.cli.label.FaceDetector", StubDetector)


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["label", *map(str, arguments)])
    if done.exception is not None:
        raise done.exception
    return " ".join(done.output.split())


def test_a_folder_with_faces_and_without(stub: None, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for n in range(3):
        draw_face(photos / f"face-{n}.png", (150 + 9 * n, 130))
    draw_face(photos / "face-copy.png", (150, 130))
    draw_face(photos / "nothing.png", grey=0)
    out = tmp_path / "out"
    said = run(photos, "--task", "x.task", "--out", out, "--views", 4, "--licence", "CC0-1.0")
    assert "1 copies of other files are left out" in said
    assert "3 photographs labelled" in said and f"1 left out: {NO_FACE}" in said
    labels = load_mesh_labels(out / command.LABEL_FILE)
    assert labels.names.tolist() == ["face-0.png", "face-1.png", "face-2.png"]
    assert labels.views.tolist() == [4, 4, 4]
    assert labels.record["photographs"] == {"name": "photos", "licence": "CC0-1.0"}


def test_fairface_photographs(stub: None, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (tmp_path / "index.csv").write_text(INDEX)
    for name in ("train_1", "train_2", "train_3", "val_1"):
        draw_face(photos / f"{name}.jpg", (112, 122), size=(224, 224))
    for name in ("wide_1", "wide_2"):
        draw_face(photos / f"{name}.jpg", (224, 230), size=(448, 448))
    options = ("--task", "x.task", "--out", tmp_path / "out", "--views", 8)
    run(photos, *options, "--fairface-index", tmp_path / "index.csv")
    labels = load_mesh_labels(tmp_path / "out" / command.LABEL_FILE)
    views = dict(zip(labels.names.tolist(), labels.views.tolist(), strict=True))
    assert views == {"train_1": 4, "train_2": 4, "wide_1": 8, "wide_2": 8}
    assert labels.record["photographs"]["licence"] == "CC-BY-4.0"


def test_a_folder_without_photographs_and_a_missing_task(stub: None, tmp_path: Path) -> None:
    (tmp_path / "index.csv").write_text(INDEX)
    with pytest.raises(ImageError):
        run(tmp_path, "--task", "x.task", "--out", tmp_path / "out")
    options = ("--task", "x.task", "--out", tmp_path / "out")
    with pytest.raises(DatasetError, match="unpack FairFace there"):
        run(tmp_path, *options, "--fairface-index", tmp_path / "index.csv")
    with pytest.raises(DatasetError, match="is not FairFace's index"):
        run(tmp_path, *options, "--fairface-index", tmp_path / "missing.csv")


def test_a_missing_task_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"download MediaPipe's face_landmarker\.task"):
        run(tmp_path, "--task", tmp_path / "missing.task")
