from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge3d.datasets.faces import FaceCrops
from edge3d.datasets.labels.apertures import aperture_model, fit_aperture_model
from edge3d.datasets.labels.observation_model import (
    AFLW_LANDMARKS,
    GATE,
    ObservationModel,
    correct,
    fit_observation_model_em,
)
from edge3d.datasets.labels.pseudo_labels import load_pseudo_labelled
from edge3d.datasets.labels.test_time_augmentation import predict_tta
from edge3d.errors import ContractError
from edge3d.face_model import FaceModel
from edge3d.geometry.landmarks68 import GAPS, LID_GAPS
from edge3d.geometry.pose import angles_from_rotation, rotation_from_6d
from edge3d.model.contract import contract_for
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import make_layout
from edge3d.networks.checkpoint import save_checkpoint
from edge3d.networks.mobilenet import make_student
from edge3d.train.initialise import whitening
from tests.samples import random_params

MARKS = np.zeros((21, 68))
for _row, _members in enumerate(AFLW_LANDMARKS):
    MARKS[_row, list(_members)] = 1 / len(_members)


def human(params: np.ndarray, open_model: FaceModel) -> np.ndarray:
    """Return what a faultless human would mark, (N, 21, 2)."""
    landmarks = Decoder(open_model, make_layout("rotation6d", open_model)).landmarks(params)
    return np.stack([landmarks[:, list(own), :2].mean(axis=1) for own in AFLW_LANDMARKS], axis=1)


def disturbed(params: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return parameters with a student's errors."""
    seen = params.copy()
    seen[:, :6] += 0.05 * rng.standard_normal((len(params), 6))
    seen[:, :6] = rotation_from_6d(seen[:, :6])[:, :2].reshape(-1, 6)
    seen[:, 6] *= np.exp(0.03 * rng.standard_normal(len(params)))
    seen[:, 7:9] += 1.5 * rng.standard_normal((len(params), 2))
    seen[:, 9:89] += 0.2 * rng.standard_normal((len(params), 80))
    return seen.astype(np.float32)


def landmark_error(params: np.ndarray, truth: np.ndarray, open_model: FaceModel) -> float:
    decoder = Decoder(open_model, make_layout("rotation6d", open_model))
    difference = (decoder.landmarks(params) - decoder.landmarks(truth))[..., :2]
    return float(np.linalg.norm(difference, axis=2).mean())


def test_human_landmarks_bring_faces_nearer_to_the_truth(
    open_model: FaceModel, rng: np.random.Generator
) -> None:
    truth = random_params(rng, 300)
    seen = disturbed(truth, rng)
    marks = human(truth, open_model) + 0.5 * rng.standard_normal((300, 21, 2))
    correction = fit_observation_model_em(seen, truth, marks, open_model)
    corrected = correct(seen, marks, correction, open_model)
    before, after = (landmark_error(params, truth, open_model) for params in (seen, corrected))
    assert after < 0.5 * before
    assert 0.35 < correction.noise_px < 0.65
    expression = corrected[:, 89:]
    assert expression.min() >= 0 and expression.max() <= 1


def test_what_landmarks_are_worth_is_learned_beside_wrong_labels(
    open_model: FaceModel, rng: np.random.Generator
) -> None:
    truth = random_params(rng, 400)
    seen, labels = disturbed(truth, rng), disturbed(truth, rng)
    for noise_px in (0.5, 2.5):
        marks = human(truth, open_model) + noise_px * rng.standard_normal((400, 21, 2))
        corrections = [
            fit_observation_model_em(seen, known, marks, open_model) for known in (truth, labels)
        ]
        assert corrections[1].noise_px == pytest.approx(noise_px, rel=0.3)
        best, found = (
            landmark_error(correct(seen, marks, correction, open_model), truth, open_model)
            for correction in corrections
        )
        assert found < 1.1 * best


def test_where_humans_mark_elsewhere_is_learned(
    open_model: FaceModel, rng: np.random.Generator
) -> None:
    truth = random_params(rng, 400)
    seen = disturbed(truth, rng)
    marks = human(truth, open_model)
    aside = np.array([4.0, -3.0, 0.0])  # mm, of the nose's left side, on the head
    camera = truth[:, 6, None, None] * rotation_from_6d(truth[:, :6])[:, :2] * [[1], [-1]]
    marks[:, 13] += camera @ aside
    correction = fit_observation_model_em(seen, truth, marks, open_model)
    np.testing.assert_allclose(correction.offsets[13, :2], aside[:2], atol=0.8)
    assert np.abs(correction.offsets[[0, 5, 12, 16, 17, 20], :2]).max() < 1.0


def test_a_face_without_human_landmarks_stays_as_it_was_seen(
    open_model: FaceModel, rng: np.random.Generator
) -> None:
    seen = random_params(rng, 3)
    correction = ObservationModel(MARKS, np.zeros((21, 3)), 0.01 * np.eye(137), 1.0)
    kept = correct(seen, np.full((3, 21, 2), np.nan), correction, open_model)
    np.testing.assert_allclose(kept, seen, atol=1e-4)


def test_a_mistaken_landmark_counts_for_nothing(
    open_model: FaceModel, rng: np.random.Generator
) -> None:
    seen = random_params(rng, 2)
    marks = human(seen, open_model)
    marks[0, 14] += 60.0  # the nose's tip, far off
    correction = ObservationModel(MARKS, np.zeros((21, 3)), 1e-4 * np.eye(137), 1.0)
    corrected = correct(seen, marks, correction, open_model)
    assert GATE < 60.0
    assert landmark_error(corrected, seen, open_model) < 0.02


def test_views_agree_on_a_network_that_says_one_thing(
    faces: FaceCrops, open_model: FaceModel
) -> None:
    """Whatever is seen is taken back through each view; a fixed answer averages to its middle."""
    layout = whitening([faces], open_model)
    network = make_student("student-025", layout.size).eval()
    network.head.weight.data.zero_()
    network.head.bias.data.zero_()
    frontal = layout.mean.copy()
    frontal[:9] = [1, 0, 0, 0, 1, 0, 0.5, 59.5, 60]
    layout = make_layout("rotation6d", open_model, frontal, layout.std)
    contract = contract_for("student-025", layout, open_model)
    seen = predict_tta(network, contract, faces.crops[:2], faces.points, open_model)
    yaw, _, roll = angles_from_rotation(rotation_from_6d(seen[:, :6]))
    assert np.abs(yaw).max() < 1.0 and np.abs(roll).max() < 1.0  # the mirror image cancels
    np.testing.assert_allclose(seen[:, 7], 59.5, atol=0.5)


def test_labels_are_kept_and_belong_together(
    faces: FaceCrops, open_model: FaceModel, tmp_path: Path
) -> None:
    layout = whitening([faces], open_model)
    network = make_student("student-025", layout.size)
    contract = contract_for("student-025", layout, open_model)
    save_checkpoint(tmp_path / "a.safetensors", network, contract)
    marks = human(faces.labels.params[:8], open_model)
    calls: list[int] = []

    def load() -> FaceCrops:
        return load_pseudo_labelled(
            faces,
            marks,
            tmp_path / "a.safetensors",
            open_model,
            tmp_path / "cache",
            lambda done, total: calls.append(done),
        )

    made = load()
    assert calls[-1] == 8 and len(made.labels.params) == 16
    decoder = Decoder(open_model, make_layout("rotation6d", open_model))
    # The first half is decoded from its parameters, the mirrored half is fitted to its mirror.
    np.testing.assert_allclose(
        made.labels.landmarks[:8], decoder.landmarks(made.labels.params[:8]), atol=0.02
    )
    drift = decoder.landmarks(made.labels.params[8:]) - made.labels.landmarks[8:]
    assert np.abs(drift[..., :2]).mean() < 1.0
    calls.clear()
    np.testing.assert_array_equal(load().labels.params, made.labels.params)
    assert not calls


def test_a_checkpoint_of_another_face_model_is_refused(
    faces: FaceCrops, open_model: FaceModel, stand_in_bfm: FaceModel, tmp_path: Path
) -> None:
    layout = make_layout("rotation6d", stand_in_bfm)
    contract = contract_for("student-025", layout, stand_in_bfm)
    save_checkpoint(tmp_path / "b.safetensors", make_student("student-025", layout.size), contract)
    marks = human(faces.labels.params[:8], open_model)
    with pytest.raises(ContractError, match="face_model"):
        load_pseudo_labelled(faces, marks, tmp_path / "b.safetensors", open_model, tmp_path)


def test_gaps_close_eyes_and_open_mouths(open_model: FaceModel, rng: np.random.Generator) -> None:
    truth = random_params(rng, 300)
    names = list(open_model.expression_names)
    told = [89 + names.index(name) for name in ("eyeBlinkLeft", "eyeBlinkRight", "jawOpen")]
    truth[:, told] = rng.uniform(0, 1, (300, 3))
    seen = truth.copy()
    seen[:, told[:2]] = 0.1  # what no label has told
    seen[:, told[2]] = np.clip(truth[:, told[2]] + 0.15 * rng.standard_normal(300), 0, 1)
    landmarks = Decoder(open_model, make_layout("rotation6d", open_model)).landmarks(truth)
    above, below = np.array(GAPS).T
    gaps = (landmarks[:, above] - landmarks[:, below])[..., :2]
    gaps += 0.3 * rng.standard_normal(gaps.shape)
    gaps[:100] = np.nan  # faces that the mesh is not sure of
    corrected = correct(seen, gaps, aperture_model(open_model), open_model)
    np.testing.assert_allclose(corrected[:, :89], seen[:, :89], atol=1e-6)
    np.testing.assert_allclose(corrected[:100], seen[:100], atol=1e-6)
    for column in told[:2]:
        followed = np.corrcoef(corrected[100:, column], truth[100:, column])[0, 1]
        assert followed > 0.9, names[column - 89]
    decoder = Decoder(open_model, make_layout("rotation6d", open_model))
    errors = []
    for params in (seen, corrected):
        found = decoder.landmarks(params)
        lips = (
            found[:, above[4:]]
            - found[:, below[4:]]
            - (landmarks[:, above] - landmarks[:, below])[:, 4:]
        )
        errors.append(np.abs(lips[100:, :, :2]).mean())
    assert errors[1] < 0.3 * errors[0]


def test_lips_of_the_scheme_are_farther_apart(
    open_model: FaceModel, rng: np.random.Generator
) -> None:
    labels = random_params(rng, 300)
    landmarks = Decoder(open_model, make_layout("rotation6d", open_model)).landmarks(labels)
    above, below = np.array(GAPS).T
    gaps = (landmarks[:, above] - landmarks[:, below])[..., :2]
    apart = np.array([0.0, 2.5, 0.0])  # mm on the head
    turned = labels[:, 6, None] * (rotation_from_6d(labels[:, :6]) @ apart)[:, :2] * [1, -1]
    gaps[:, len(LID_GAPS) :] -= turned[:, None]  # what the mesh sees
    gaps[:, : len(LID_GAPS)] -= 1.0  # lids, of which labels know nothing
    gaps += 0.5 * rng.standard_normal(gaps.shape)
    gaps[:100] = np.nan
    offsets = fit_aperture_model(labels, gaps, open_model).offsets
    np.testing.assert_allclose(offsets[len(LID_GAPS) :], -np.tile(apart, (3, 1)), atol=0.3)
    assert (offsets[: len(LID_GAPS)] == 0).all()
