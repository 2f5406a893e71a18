from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from edge3d.errors import ContractError
from edge3d.face_model import FaceModel
from edge3d.model.contract import ModelContract, contract_for
from edge3d.model.parameters import make_layout


@pytest.fixture
def contract(open_model: FaceModel, rng: np.random.Generator) -> ModelContract:
    size = make_layout("rotation6d", open_model).size
    layout = make_layout(
        "rotation6d", open_model, rng.standard_normal(size), rng.uniform(0.1, 2, size)
    )
    return contract_for("student-050", layout, open_model, provenance={"data": "aflw"})


def test_json_round_trip_keeps_everything(contract: ModelContract) -> None:
    back = ModelContract.from_json(contract.to_json(), "here")
    assert back.to_json() == contract.to_json()
    np.testing.assert_allclose(back.layout.mean, contract.layout.mean, rtol=1e-6)
    assert back.crop == contract.crop
    assert back.input == contract.input


def without(content: dict[str, Any], field: str) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != field}


@pytest.mark.parametrize(
    "field", ["architecture", "input", "crop", "outputs", "parameters", "face_model", "precision"]
)
def test_no_default_fills_a_gap(contract: ModelContract, field: str) -> None:
    text = json.dumps(without(json.loads(contract.to_json()), field))
    with pytest.raises(ContractError, match=rf"model\.onnx.*{field}.*export the model again"):
        ModelContract.from_json(text, "model.onnx")


def test_a_newer_schema_says_to_update(contract: ModelContract) -> None:
    content = json.loads(contract.to_json()) | {"schema": 99}
    with pytest.raises(ContractError, match="schema 99.*update edge3d"):
        ModelContract.from_json(json.dumps(content), "m.tflite")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": "one"}'])
def test_what_is_no_contract_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match="m.tflite"):
        ModelContract.from_json(text, "m.tflite")


def test_whitening_of_the_wrong_length_is_refused(contract: ModelContract) -> None:
    content = json.loads(contract.to_json())
    content["parameters"]["mean"].pop()
    with pytest.raises(ContractError, match="field parameters"):
        ModelContract.from_json(json.dumps(content), "m")


def test_another_face_model_is_refused(contract: ModelContract, open_model: FaceModel) -> None:
    contract.check_face_model(open_model, "m")
    wrong = contract.replace(face_model_sha256="0" * 64)
    with pytest.raises(ContractError, match=r"face_model\.sha256.*face-model import"):
        wrong.check_face_model(open_model, "m.tflite")
