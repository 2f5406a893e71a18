from __future__ import annotations

from pathlib import Path

import numpy as np

from edge3d.datasets.labels.transfer import convert_labels, keep_labels
from edge3d.face_model import FaceModel
from edge3d.face_model.bfm import import_bfm
from edge3d.face_model.dense_points import find_dense_points
from edge3d.face_model.store import read_face_model
from edge3d.geometry.landmarks68 import MIRROR
from edge3d.geometry.mirror import mirror_points
from edge3d.geometry.pose import rotation_from_angles
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout


def params62(rng: np.random.Generator, count: int) -> np.ndarray:
    """3DDFA parameters of the stand-in model: millimetre-sized faces in micrometres."""
    matrix = np.zeros((count, 3, 4))
    matrix[:, :, :3] = 0.57e-3 * rotation_from_angles(*rng.uniform(-40, 40, (3, count)))
    matrix[:, :2, 3] = 60.0
    identity = rng.normal(0, 700, (count, 40))
    expression = rng.uniform(0, 0.5, (count, 10))
    return np.concatenate([matrix.reshape(count, 12), identity, expression], axis=1)


def off_percent(found: np.ndarray, known: np.ndarray) -> float:
    box = np.sqrt(np.prod(np.ptp(known[..., :2], axis=1), axis=1))
    return float((100 * np.linalg.norm(found - known, axis=2).mean(axis=1) / box).mean())


def check(bfm: FaceModel, target: FaceModel, params: np.ndarray, limit_percent: float) -> None:
    labels = convert_labels(params, bfm, target, find_dense_points(bfm, target, 300))
    count = len(params)
    decoder = Decoder(target, make_layout("rotation6d", target))
    own = decoder.landmarks(labels.params)
    planar = off_percent(own[..., :2], labels.landmarks[..., :2])
    assert planar < limit_percent
    expression = decoder.layout.part(labels.params, "expression")
    assert expression.min() >= 0 and expression.max() <= 1
    # The second half are the same faces, mirrored.
    np.testing.assert_allclose(
        labels.landmarks[count:],
        mirror_points(labels.landmarks[:count][:, MIRROR], 120),
        atol=1e-3,
    )
    mirrored = mirror_points(own[:count][:, MIRROR], 120)
    assert off_percent(own[count:][..., :2], mirrored[..., :2]) < limit_percent


def test_labels_move_to_the_open_model(
    stand_in_bfm: FaceModel, open_model: FaceModel, rng: np.random.Generator
) -> None:
    check(stand_in_bfm, open_model, params62(rng, 12).astype(np.float32), 1.0)


def test_real_labels_move_to_the_open_model(
    data_dir: Path, open_model: FaceModel, tmp_path: Path
) -> None:
    import_bfm(data_dir / "bfm" / "bfm62.npz", tmp_path / "bfm.npz")
    params = np.load(data_dir / "aflw" / "labels.npz")["params62_fit"][::500]
    check(read_face_model(tmp_path / "bfm.npz"), open_model, params, 0.5)


def test_rotations_mean_the_same_in_both_models(
    data_dir: Path, open_model: FaceModel, tmp_path: Path
) -> None:
    import_bfm(data_dir / "bfm" / "bfm62.npz", tmp_path / "bfm.npz")
    bfm = read_face_model(tmp_path / "bfm.npz")
    params = np.load(data_dir / "aflw" / "labels.npz")["params62_fit"][::200]
    labels = convert_labels(params, bfm, open_model, find_dense_points(bfm, open_model))
    own, _ = Decoder(open_model, make_layout("rotation6d", open_model)).rotation_and_scale(
        labels.params[: len(params)]
    )
    other, _ = Decoder(bfm, make_layout("affine", bfm)).rotation_and_scale(params)
    cosine = 0.5 * (np.einsum("bij,bij->b", own, other) - 1)
    assert np.degrees(np.arccos(cosine.clip(-1, 1))).mean() < 1.0


def check_kept(bfm: FaceModel, params: np.ndarray, limit_percent: float) -> None:
    labels = keep_labels(params, bfm, find_dense_points(bfm, bfm, 300))
    count = len(params)
    decoder = Decoder(bfm, make_layout("affine", bfm))
    np.testing.assert_array_equal(labels.params[:count], params)
    own = decoder.landmarks(labels.params)
    np.testing.assert_allclose(own[:count], labels.landmarks[:count], atol=1e-3)
    mirrored = mirror_points(own[:count][:, MIRROR], 120)
    np.testing.assert_allclose(labels.landmarks[count:], mirrored, atol=1e-3)
    # The model is not symmetric: the mirror image's parameters are a fit.
    assert off_percent(own[count:], mirrored) < limit_percent
    dense = decoder.vertices(labels.params[:count])
    ids = find_dense_points(bfm, bfm, 300).source_ids
    np.testing.assert_allclose(labels.dense[:count], dense[:, ids], atol=1e-3)


def test_labels_stay_in_their_own_model(stand_in_bfm: FaceModel, rng: np.random.Generator) -> None:
    check_kept(stand_in_bfm, params62(rng, 6).astype(np.float32), 1.5)


def test_real_labels_stay_in_their_own_model(data_dir: Path, tmp_path: Path) -> None:
    import_bfm(data_dir / "bfm" / "bfm62.npz", tmp_path / "bfm.npz")
    params = np.load(data_dir / "aflw" / "labels.npz")["params62_fit"][:50]
    check_kept(read_face_model(tmp_path / "bfm.npz"), params, 0.7)
