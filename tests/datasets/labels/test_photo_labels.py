from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge3d.datasets.labels import photo_labels
from edge3d.datasets.labels.face_landmarker import BLENDSHAPES
from edge3d.datasets.labels.face_square import FaceSquare
from edge3d.datasets.labels.mesh_labels import (
    DISAGREE,
    NO_PRESENCE,
    load_mesh_labels,
    pack_labels,
    save_mesh_labels,
)
from edge3d.datasets.labels.mesh_topology import mesh_mirror
from edge3d.datasets.labels.photo_labels import (
    NO_FACE,
    UNREADABLE,
    Photo,
    folder_photos,
    label_photos,
    read_shards,
)
from edge3d.errors import DatasetError, ImageError
from tests.datasets.labels.stub_landmarker import RADIUS_PX, StubLandmarker, draw_face, template

SQUARE = FaceSquare((149.5, 129.5), 180.0)


def drawn(folder: Path, count: int) -> list[Photo]:
    """Photographs with a face at known places, all different."""
    return [
        Photo(f"{n}.png", draw_face(folder / f"{n}.png", (140 + n % 12, 125 + n % 7)), SQUARE)
        for n in range(count)
    ]


def test_labels_lie_where_the_face_is(tmp_path: Path) -> None:
    photos = drawn(tmp_path / "photos", 4)
    run = label_photos(photos, StubLandmarker(), tmp_path / "out", pairs=3)
    (shard,) = read_shards(tmp_path / "out")
    assert run.labelled == 4
    for n, points in enumerate(shard["points_px"]):
        expected = RADIUS_PX * template() + [140 + n, 125 + n, 0]
        assert np.abs(points - expected).max() < 1.0  # pixel edges of the drawn disc
    assert np.median(shard["spread"]) < 0.02  # not 0: a disc does not show the roll of the views
    assert shard["presence"].shape == (4, 6)


def test_photographs_that_cannot_be_labelled_are_counted(tmp_path: Path) -> None:
    photos = drawn(tmp_path, 3)
    (tmp_path / "text.jpg").write_text("no image")
    photos += [Photo("text.jpg", tmp_path / "text.jpg", SQUARE)]
    photos += [Photo("missing.jpg", tmp_path / "missing.jpg", SQUARE)]
    photos += [Photo("unfound.png", photos[0].path)]
    photos += [Photo("empty.png", draw_face(tmp_path / "empty.png", grey=0), SQUARE)]
    photos += [Photo("unsure.png", draw_face(tmp_path / "unsure.png", grey=120), SQUARE)]
    run = label_photos(
        photos, StubLandmarker(), tmp_path / "out", pairs=2, find_face=lambda _: None
    )
    assert run.left_out == {UNREADABLE: 2, NO_FACE: 1}
    labels = pack_labels([tmp_path / "out"], {})
    assert labels.names.tolist() == ["0.png", "1.png", "2.png"]
    assert labels.record["left_out"] == {UNREADABLE: 2, NO_FACE: 1, NO_PRESENCE: 1, DISAGREE: 1}


def test_an_interrupted_run_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_labels, "SHARD", 2)
    photos = drawn(tmp_path / "photos", 5)

    class Interrupted(StubLandmarker):
        def meshes(self, crops):
            if self.calls == 6:  # two calls for each photograph: in the fourth one
                raise KeyboardInterrupt
            return super().meshes(crops)

    with pytest.raises(KeyboardInterrupt):
        label_photos(photos, Interrupted(), tmp_path / "out", pairs=2)
    assert len(list(read_shards(tmp_path / "out"))) == 1
    rest = StubLandmarker()
    run = label_photos(photos, rest, tmp_path / "out", pairs=2)
    assert rest.calls == 2 * 3
    assert run.labelled == 5
    label_photos(photos, StubLandmarker(), tmp_path / "whole", pairs=2)
    for resumed, whole in zip(
        read_shards(tmp_path / "out"), read_shards(tmp_path / "whole"), strict=True
    ):
        np.testing.assert_array_equal(resumed["points_px"], whole["points_px"])


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    photos = drawn(tmp_path / "photos", 3)
    label_photos(photos, StubLandmarker(), tmp_path / "out", pairs=1)
    with pytest.raises(DatasetError, match=r"another run \(pairs differ\)"):
        label_photos(photos, StubLandmarker(), tmp_path / "out", pairs=2)
    with pytest.raises(DatasetError, match="photographs, names_sha256 differ"):
        label_photos(photos[:2], StubLandmarker(), tmp_path / "out", pairs=1)


def test_no_photographs_and_repeated_names_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no photographs to label"):
        label_photos([], StubLandmarker(), tmp_path / "out")
    photo = drawn(tmp_path, 1)
    with pytest.raises(DatasetError, match=r"two photographs are named 0\.png"):
        label_photos(photo * 2, StubLandmarker(), tmp_path / "out")
    with pytest.raises(DatasetError, match="make them with edge3d label"):
        next(read_shards(tmp_path / "nowhere"))


def test_copies_in_a_folder_are_left_out(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        draw_face(tmp_path / name)
    draw_face(tmp_path / "c.png", (100, 100))
    photos, copies = folder_photos(tmp_path)
    assert [photo.name for photo in photos] == ["a.png", "c.png"]
    assert copies == 1
    with pytest.raises(ImageError):
        folder_photos(tmp_path / "nowhere")


def test_a_folder_without_faces_is_told(tmp_path: Path) -> None:
    photos = [Photo(f"{n}.png", draw_face(tmp_path / f"{n}.png", grey=0), SQUARE) for n in "ab"]
    label_photos(photos, StubLandmarker(), tmp_path / "out", pairs=1)
    with pytest.raises(DatasetError, match="0 photographs have usable labels.*no face in its"):
        pack_labels([tmp_path / "out"], {})


def test_packed_labels_come_back(tmp_path: Path) -> None:
    photos = drawn(tmp_path / "photos", 12)
    label_photos(photos, StubLandmarker(), tmp_path / "out", pairs=2)
    labels = pack_labels([tmp_path / "out"], {"licence": "CC0-1.0"})
    save_mesh_labels(tmp_path / "labels.npz", labels)
    loaded = load_mesh_labels(tmp_path / "labels.npz")
    assert loaded.record == labels.record
    assert loaded.record["photographs"]["licence"] == "CC0-1.0"
    assert loaded.record["labeller"]["licence"] == "Apache-2.0"
    assert loaded.record["labeller"]["sha256"] == StubLandmarker.sha256
    (shard,) = read_shards(tmp_path / "out")
    rows = loaded.rows_of(["7.png", "2.png"])
    decoded = loaded.decode(rows)
    assert np.abs(decoded.points_px - shard["points_px"][[7, 2]]).max() < 0.1
    assert decoded.blendshapes[0, BLENDSHAPES.index("mouthSmileLeft")] == pytest.approx(
        0.5, abs=2e-3
    )
    np.testing.assert_allclose(decoded.presence, 0.9, atol=1e-3)
    assert (decoded.weights > 0.3).all() and (decoded.weights <= 0.9).all()
    assert loaded.size_px[0].tolist() == [260, 300]
    with pytest.raises(DatasetError, match=r"1 photographs have no label, such as x\.png"):
        loaded.rows_of(["1.png", "x.png"])


def test_a_point_with_a_wide_spread_weighs_less(tmp_path: Path) -> None:
    label_photos(drawn(tmp_path / "photos", 3), StubLandmarker(), tmp_path / "out", pairs=1)
    path = tmp_path / "out" / "labels-000000.npz"
    with np.load(path) as content:
        shard = dict(content)
    shard["spread"][:, 13] = 0.1  # a point of the lips
    np.savez(path, **shard)
    weights = pack_labels([tmp_path / "out"], {}).decode().weights
    assert (weights[:, 14] < 0.3 * weights[:, 5]).all()  # lips against the nose


def test_labels_of_different_tasks_or_shared_photographs_do_not_mix(tmp_path: Path) -> None:
    photos = drawn(tmp_path / "photos", 3)
    other = StubLandmarker()
    other.sha256 = "other"
    label_photos(photos, StubLandmarker(), tmp_path / "a", pairs=1)
    label_photos(photos, other, tmp_path / "b", pairs=1)
    with pytest.raises(DatasetError, match="2 different task files"):
        pack_labels([tmp_path / "a", tmp_path / "b"], {})
    label_photos(photos, StubLandmarker(), tmp_path / "c", pairs=1)
    with pytest.raises(DatasetError, match="share photographs"):
        pack_labels([tmp_path / "a", tmp_path / "c"], {})


def test_damaged_and_foreign_label_files_are_refused(tmp_path: Path) -> None:
    label_photos(drawn(tmp_path / "photos", 3), StubLandmarker(), tmp_path / "out", pairs=1)
    path = tmp_path / "labels.npz"
    save_mesh_labels(path, pack_labels([tmp_path / "out"], {}))
    whole = path.read_bytes()
    with np.load(path) as content:
        arrays = dict(content)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match="holds no mesh labels"):
        load_mesh_labels(path)
    head = json.loads(str(arrays["head"]))
    np.savez(path, **{**arrays, "head": np.array(json.dumps({**head, "format": "other"}))})
    with pytest.raises(DatasetError, match="has format other"):
        load_mesh_labels(path)
    np.savez(path, **{**arrays, "names": arrays["names"][:1]})
    with pytest.raises(DatasetError, match="differ in length"):
        load_mesh_labels(path)
    with pytest.raises(DatasetError, match="holds no mesh labels"):
        load_mesh_labels(tmp_path / "missing.npz")


def test_a_mirrored_photograph_has_mirrored_labels(tmp_path: Path) -> None:
    path = draw_face(tmp_path / "a.png", (135, 128))
    cv2.imwrite(str(tmp_path / "b.png"), cv2.imread(str(path))[:, ::-1])
    photos = [Photo(n, tmp_path / n, SQUARE) for n in ("a.png", "b.png")]
    label_photos(photos, StubLandmarker(), tmp_path / "out", pairs=3)
    (shard,) = read_shards(tmp_path / "out")
    plain, mirrored = shard["points_px"][..., :2]
    back = (mirrored * [-1, 1] + [299, 0])[mesh_mirror()]
    np.testing.assert_allclose(back, plain, atol=1e-3)
