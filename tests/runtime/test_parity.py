"""The parity check: what it measures, and what it must not let pass."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from edge3d.export.parity_images import parity_images
from edge3d.face_model import FaceModel
from edge3d.model.contract import ModelContract, OutputSpec, contract_for
from edge3d.model.decoder import Decoder
from edge3d.model.parameters import ParameterLayout
from edge3d.runtime.parity import BUDGETS, Parity, compare_faces


class FakeRunner:
    """Gives the same parameters for all images but what `change` does to them."""

    def __init__(
        self, contract: ModelContract, change: Callable[[np.ndarray], None] = lambda _: None
    ) -> None:
        self.contract = contract
        self._change = change

    def __call__(self, images: np.ndarray) -> np.ndarray:
        whitened = np.zeros((len(images), self.contract.layout.size), np.float32)
        whitened[:, 6] = images[:, 0, 0, 0] / 255.0
        self._change(whitened)
        return whitened


@pytest.fixture(scope="module")
def contract(layout: ParameterLayout, open_model: FaceModel) -> ModelContract:
    return contract_for("tiny", layout, open_model)


@pytest.fixture(scope="module")
def decoder(layout: ParameterLayout, open_model: FaceModel) -> Decoder:
    return Decoder(open_model, layout)


def test_same_runner_has_no_drift(contract: ModelContract, decoder: Decoder) -> None:
    runner = FakeRunner(contract)
    parity = compare_faces(runner, runner, parity_images(3), decoder)
    assert parity == Parity(3, 0, 0, 0, 0, 0, 0, 0, 0)
    assert parity.excesses(BUDGETS["fp32"]) == []


def test_figures_of_a_shift(contract: ModelContract, decoder: Decoder) -> None:
    images = np.zeros((40, 120, 120, 3), np.uint8)
    images[35, 0, 0, 0] = 255

    def shift(whitened: np.ndarray) -> None:
        # 3 and 4 px to the side, for the one image in which a pixel is set
        whitened[whitened[:, 6] == 1, 7:9] += np.array([3, 4]) / decoder.layout.std[7:9]

    parity = compare_faces(FakeRunner(contract, shift), FakeRunner(contract), images, decoder)
    assert parity.n == 40
    assert parity.worst_index == 35
    assert parity.params_max == pytest.approx(1.0)
    assert parity.params_mean == pytest.approx(1.75 / 40 / contract.layout.size)
    assert parity.landmark_px_max == pytest.approx(5.0, rel=1e-4)
    assert parity.landmark_px_mean == pytest.approx(5.0 / 40, rel=1e-4)
    assert parity.landmark_px_p99 == pytest.approx(5.0, rel=1e-4)  # 2.5 % of the points
    assert parity.vertex_px_max == pytest.approx(5.0, rel=1e-4)
    assert len(parity.excesses(BUDGETS["fp32"])) == 2


def test_points_of_the_graph_count(contract: ModelContract, decoder: Decoder) -> None:
    spec = OutputSpec("landmarks", (68, 3), "crop", "pixel")
    runner = FakeRunner(contract.replace(outputs=(*contract.outputs, spec)))

    def outputs(images: np.ndarray) -> dict[str, np.ndarray]:
        whitened = runner(images)
        landmarks = decoder.landmarks(decoder.params(whitened))
        landmarks[1, 17, 2] += 0.5
        return {"params": whitened, "landmarks": landmarks}

    runner.outputs = outputs  # type: ignore[attr-defined]
    parity = compare_faces(runner, FakeRunner(contract), parity_images(2), decoder)
    assert parity.params_max == 0
    assert parity.landmark_px_max == pytest.approx(0.5, rel=1e-4)
    assert parity.worst_index == 1
    assert parity.vertex_px_max == 0


def test_not_a_number_is_over_budget(contract: ModelContract, decoder: Decoder) -> None:
    def spoil(whitened: np.ndarray) -> None:
        whitened[:, 0] = np.nan

    parity = compare_faces(
        FakeRunner(contract, spoil), FakeRunner(contract), parity_images(2), decoder
    )
    assert len(parity.excesses(BUDGETS["fp32"])) == 2


def test_budget_is_inclusive() -> None:
    parity = Parity(1, 0, 0, 0, 0.02, 0.05, 0, 0, 0)
    assert parity.excesses(BUDGETS["fp32"]) == []
    (excess,) = dataclasses.replace(parity, landmark_px_p99=0.021).excesses(BUDGETS["fp32"])
    assert excess == "landmark_px_p99 0.021 is over 0.02"


def test_no_images(contract: ModelContract, decoder: Decoder) -> None:
    runner = FakeRunner(contract)
    with pytest.raises(ValueError, match="no images"):
        compare_faces(runner, runner, parity_images(0), decoder)


def test_parity_images() -> None:
    images = parity_images(12)
    assert images.shape == (12, 120, 120, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(images, parity_images(12))
    np.testing.assert_array_equal(images[:5], parity_images(5))
    differences = abs(images[:, None].astype(int) - images[None]).mean(axis=(2, 3, 4))
    assert (differences + 100 * np.eye(12) > 10).all()  # no two alike
    assert images[:, 40:80, 40:80].std(axis=(1, 2)).min() > 5  # there is a face in each


def test_budgets_look_at_their_own_figures() -> None:
    coarse = Parity(1, 0, 0, 0.4, 3.0, 9.0, 0, 0, 0)
    assert coarse.excesses(BUDGETS["int8"]) == []
    assert coarse.excesses(BUDGETS["fp16"]) == ["landmark_px_p99 3 is over 0.1"]
    worse = dataclasses.replace(coarse, landmark_px_mean=0.6)
    assert worse.excesses(BUDGETS["int8"]) == ["landmark_px_mean 0.6 is over 0.5"]
