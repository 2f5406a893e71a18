"""The whole evaluation on a small data set whose right answer is known: the model's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import edge3d
from edge3d.evaluate import (
    evaluate_predictions,
    load_aflw2000,
    predict,
    predict_params62,
    predict_with_detector,
)


def test_a_model_agrees_with_its_own_annotation(
    written: Path, reconstructor: edge3d.FaceReconstructor
) -> None:
    dataset = load_aflw2000(written)
    steps: list[int] = []
    own = predict_with_detector(reconstructor, dataset, steps.append)
    assert own.detected.all() and sum(steps) == 3
    result = evaluate_predictions(dataset, own.predictions)
    assert result["nme"]["all"] < 1e-3
    assert result["pose_mae_deg"]["mean"] < 1e-3
    # The protocol's boxes are others than the detector's, the face is the same.
    result = evaluate_predictions(dataset, predict(reconstructor, dataset))
    assert 0 < result["nme"]["all"] < 6
    assert result["pose_mae_deg"]["mean"] < 6


def test_a_face_that_is_not_found_counts_as_such(
    written: Path, reconstructor: edge3d.FaceReconstructor, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = load_aflw2000(written)
    detect = reconstructor.detector.detect
    monkeypatch.setattr(
        reconstructor.detector,
        "detect",
        lambda image: [] if image.shape[0] == 400 else detect(image),
    )
    own = predict_with_detector(reconstructor, dataset)
    assert own.detected.tolist() == [True, False, True]
    assert np.isnan(own.predictions.landmarks_px[1]).all()
    assert evaluate_predictions(dataset, own.predictions)["n"] == 2


def test_params_of_another_number_are_refused(written: Path, open_model: edge3d.FaceModel) -> None:
    with pytest.raises(ValueError, match=r"\(2, 62\), wanted is \(3, 62\)"):
        predict_params62(load_aflw2000(written), np.zeros((2, 62)), open_model)
