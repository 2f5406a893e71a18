from __future__ import annotations

import numpy as np
import pytest
import torch

from edge3d.datasets.faces import FaceCrops
from edge3d.face_model import FaceModel
from edge3d.networks.point_decoder import PointDecoder
from edge3d.train.initialise import whitening
from edge3d.train.objectives.supervised import supervised_terms


def target_of(faces: FaceCrops) -> dict[str, torch.Tensor]:
    labels = faces.labels
    return {
        "params": torch.from_numpy(labels.params),
        "landmarks": torch.from_numpy(labels.landmarks),
        "dense": torch.from_numpy(labels.dense),
    }


def terms_at(
    faces: FaceCrops, open_model: FaceModel, shift: tuple[float, float, float] = (0, 0, 0)
) -> dict[str, float]:
    layout = whitening([faces], open_model)
    target = target_of(faces)
    terms = supervised_terms(
        torch.from_numpy(layout.whiten(faces.labels.params)),
        target["landmarks"] + torch.tensor(shift),
        target["dense"] + torch.tensor(shift),
        target,
        torch.from_numpy(layout.std),
        torch.from_numpy(layout.mean),
    )
    return {name: float(value) for name, value in terms.items()}


def test_truth_costs_nothing(open_model: FaceModel, faces: FaceCrops) -> None:
    assert all(value < 0.03 for value in terms_at(faces, open_model).values())


def test_landmark_term_is_the_nme(open_model: FaceModel, faces: FaceCrops) -> None:
    planar = faces.labels.landmarks[..., :2]
    size = np.sqrt(np.prod(np.ptp(planar, axis=1), axis=1))
    expected = (100 * 5.0 / size).mean()  # a shift of (3, 4) is 5 px
    assert terms_at(faces, open_model, (3, 4, 0))["landmarks_2d"] == pytest.approx(
        expected, rel=1e-4
    )


def test_a_lid_that_is_too_low_costs_its_gap(open_model: FaceModel, faces: FaceCrops) -> None:
    layout, target = whitening([faces], open_model), target_of(faces)
    whitened = torch.from_numpy(layout.whiten(faces.labels.params))
    std, mean = torch.from_numpy(layout.std), torch.from_numpy(layout.mean)
    moved = target["landmarks"] + 5.0  # where the face is does not matter
    moved[:, 37, 1] += 3.5  # one upper lid
    terms = supervised_terms(whitened, moved, target["dense"], target, std, mean)
    planar = faces.labels.landmarks[..., :2]
    size = np.sqrt(np.prod(np.ptp(planar, axis=1), axis=1))
    expected = (100 * 3.5 / 7 / size).mean()  # one gap of seven
    assert terms["gaps"].item() == pytest.approx(expected, rel=0.05)


def test_a_shift_in_depth_costs_nothing(open_model: FaceModel, faces: FaceCrops) -> None:
    terms = terms_at(faces, open_model, (0, 0, 9))
    assert terms["landmarks_z"] < 0.03 and terms["dense_3d"] < 0.03


def test_a_bounded_coefficient_finds_back(open_model: FaceModel, faces: FaceCrops) -> None:
    layout = whitening([faces], open_model)
    whitened = torch.from_numpy(layout.whiten(faces.labels.params)).clone()
    whitened[:, layout.slices["expression"][0] :] = -50.0
    whitened.requires_grad_(True)
    landmarks, _ = PointDecoder(open_model, layout, faces.points)(whitened)
    landmarks.square().sum().backward()
    assert whitened.grad is not None
    assert (whitened.grad[:, layout.slices["expression"][0] :] != 0).any()


def test_a_parameter_far_off_is_pulled_back(open_model: FaceModel, faces: FaceCrops) -> None:
    layout = whitening([faces], open_model)
    target = target_of(faces)
    whitened = torch.from_numpy(layout.whiten(faces.labels.params)).clone()
    whitened[:, -1] += 500.0
    whitened.requires_grad_(True)
    std, mean = torch.from_numpy(layout.std), torch.from_numpy(layout.mean)
    terms = supervised_terms(whitened, target["landmarks"], target["dense"], target, std, mean)
    terms["params"].backward()
    assert whitened.grad is not None and (whitened.grad[:, -1] > 0).all()
    assert terms["params"].item() == pytest.approx((8 * 500 - 16) / layout.size, rel=1e-3)


def test_what_is_not_known_costs_nothing_and_teaches_nothing(
    open_model: FaceModel, faces: FaceCrops
) -> None:
    layout = whitening([faces], open_model)
    whitened = torch.from_numpy(layout.whiten(faces.labels.params)).clone().requires_grad_(True)
    decoder = PointDecoder(open_model, layout, faces.points)
    landmarks, dense = decoder(whitened)
    target = {name: value.clone() for name, value in target_of(faces).items()}
    unknown = slice(0, 8)  # half of the faces have 2D landmarks alone
    target["params"][unknown] = torch.nan
    target["dense"][unknown] = torch.nan
    target["landmarks"][unknown, :, 2] = torch.nan
    target["landmarks"][unknown, :, 0] += 6
    target["landmarks"][0, 5] = torch.nan
    terms = supervised_terms(whitened, landmarks, dense, target, decoder.std, decoder.mean)
    assert all(value.isfinite() for value in terms.values())
    assert terms["params"] < 1e-3 and terms["landmarks_z"] < 0.05 and terms["dense_3d"] < 0.05
    assert terms["landmarks_2d"] > 1
    sum(terms.values(), torch.zeros(())).backward()
    assert whitened.grad is not None and whitened.grad.isfinite().all()


def test_a_batch_without_labels_is_no_error(open_model: FaceModel, faces: FaceCrops) -> None:
    layout = whitening([faces], open_model)
    whitened = torch.from_numpy(layout.whiten(faces.labels.params))
    decoder = PointDecoder(open_model, layout, faces.points)
    landmarks, dense = decoder(whitened)
    target = {name: torch.full_like(value, torch.nan) for name, value in target_of(faces).items()}
    terms = supervised_terms(whitened, landmarks, dense, target, decoder.std, decoder.mean)
    assert {float(value) for value in terms.values()} == {0.0}
