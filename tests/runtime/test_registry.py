"""Opening model files: what runs, and what is refused with which words."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge3d.errors import ContractError, MissingExtraError
from edge3d.model.contract import ModelContract
from edge3d.runtime import RUNNERS, open_runner, read_contract

Write = Callable[[Path, str | None], Path]
SUFFIXES = sorted(RUNNERS)


def test_runs(
    write_model: Write, tmp_path: Path, contract: ModelContract, images: np.ndarray,
    expected: np.ndarray,
) -> None:  # fmt: skip
    runner = open_runner(write_model(tmp_path / "model", contract.to_json()))
    found = runner(images)
    assert found.dtype == np.float32
    assert found.shape == (3, contract.layout.size)
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_batch_is_its_images(
    write_model: Write, tmp_path: Path, contract: ModelContract, images: np.ndarray
) -> None:
    runner = open_runner(write_model(tmp_path / "model", contract.to_json()), threads=2)
    singles = np.concatenate([runner(images[i : i + 1]) for i in range(len(images))])
    np.testing.assert_allclose(runner(images), singles, atol=1e-5)
    assert runner(images[:0]).shape == (0, contract.layout.size)


def test_pictures_are_not_changed_and_may_be_views(
    write_model: Write, tmp_path: Path, contract: ModelContract, images: np.ndarray
) -> None:
    runner = open_runner(write_model(tmp_path / "model", contract.to_json()))
    before = images.copy()
    view = images[:, :, ::-1]  # not contiguous
    np.testing.assert_allclose(runner(view), runner(np.ascontiguousarray(view)))
    assert (images == before).all()


def test_all_outputs(
    write_model: Write, tmp_path: Path, contract: ModelContract, images: np.ndarray
) -> None:
    runner = open_runner(write_model(tmp_path / "model", contract.to_json()))
    outputs = runner.outputs(images)  # type: ignore[attr-defined]
    assert list(outputs) == ["params"]
    np.testing.assert_array_equal(outputs["params"], runner(images))


def test_contract_without_runtime(
    write_model: Write, tmp_path: Path, contract: ModelContract, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_model(tmp_path / "model", contract.to_json())
    for package in ("ai_edge_litert.interpreter", "onnxruntime", "openvino", "torch"):
        monkeypatch.setitem(sys.modules, package, None)
    assert read_contract(path).to_json() == contract.to_json()
    extra = RUNNERS[path.suffix].extra
    with pytest.raises(MissingExtraError, match=rf"edge3d\[{extra}\]"):
        open_runner(path)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((1, 120, 120, 3), np.float32),
        np.zeros((120, 120, 3), np.uint8),
        np.zeros((1, 3, 120, 120), np.uint8),
        np.zeros((1, 112, 112, 3), np.uint8),
        np.zeros((0,), np.uint8),
    ],
    ids=lambda images: f"{images.shape}-{images.dtype}",
)
def test_other_pixels(
    write_model: Write, tmp_path: Path, contract: ModelContract, images: np.ndarray
) -> None:
    runner = open_runner(write_model(tmp_path / "model", contract.to_json()))
    with pytest.raises(ValueError, match=r"\(B, 120, 120, 3\) uint8 RGB") as error:
        runner(images)
    assert str(images.shape) in str(error.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_missing_file(suffix: str, tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=f"gone{suffix}: no such file"):
        open_runner(tmp_path / f"gone{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_folder(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"folder{suffix}").mkdir()
    with pytest.raises(ContractError, match="is a folder"):
        open_runner(tmp_path / f"folder{suffix}")


@pytest.mark.parametrize("name", ["model.pth", "model", "model.tflite.zip"])
def test_unknown_suffix(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"anything")
    with pytest.raises(ContractError, match="unknown suffix") as error:
        open_runner(tmp_path / name)
    assert all(suffix in str(error.value) for suffix in RUNNERS)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"TFL3",
        b"\x1c\0\0\0TFL3",
        b"\xff\xff\xff\xffTFL3" + bytes(100),
        b"\xff" * 1000,
        bytes(1000),
        b"\x89PNG\r\n\x1a\n" + bytes(64),
        b"[1, 2]",
        b"\x02\0\0\0\0\0\0\0{}",
        b"\x02\0\0\0\0\0\0\0[]",
    ],
    ids=range(10),
)
def test_no_model(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"odd{suffix}"
    path.write_bytes(content)
    with pytest.raises(ContractError, match=f"odd{suffix}: (is not a|has no contract)"):
        open_runner(path)


def test_cut_off(write_model: Write, tmp_path: Path, contract: ModelContract) -> None:
    path = write_model(tmp_path / "model", contract.to_json())
    whole = path.read_bytes()
    lengths = np.random.default_rng(2).integers(0, len(whole), 40)
    for length in [*lengths, len(whole) - 1, len(whole) - 4, len(whole) - 16]:
        path.write_bytes(whole[:length])
        with pytest.raises(ContractError, match=r"cut off or damaged|has no contract"):
            open_runner(path)


def test_wild_offsets_never_crash_the_reader(
    write_model: Write, tmp_path: Path, contract: ModelContract
) -> None:
    path = write_model(tmp_path / "model", contract.to_json())
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        at = int(rng.integers(0, len(whole) - 4))
        damaged[at : at + 4] = rng.bytes(4)
        path.write_bytes(damaged)
        try:
            read_contract(path)
        except ContractError:
            refused += 1
    assert refused > 0


def test_weights_that_do_not_belong(
    write_xml: Write, tmp_path: Path, contract: ModelContract
) -> None:
    path = write_xml(tmp_path / "model.xml", contract.to_json())
    weights = path.with_suffix(".bin")
    whole = bytearray(weights.read_bytes())
    whole[-1] ^= 1
    weights.write_bytes(whole)
    with pytest.raises(ContractError, match=r"model\.bin: is not the file that belongs to model"):
        open_runner(path)
    weights.unlink()
    with pytest.raises(ContractError, match=r"model\.xml: its weights are not there; copy model"):
        open_runner(path)


def test_no_contract(write_model: Write, tmp_path: Path) -> None:
    path = write_model(tmp_path / "plain", None)
    with pytest.raises(ContractError, match="has no contract") as error:
        open_runner(path)
    assert path.name in str(error.value)
    assert "edge3d_contract" in str(error.value)
    assert "edge3d export" in str(error.value)


@pytest.mark.parametrize(("schema", "remedy"), [(99, "update edge3d"), (0, "export")])
def test_unknown_schema(
    write_model: Write, tmp_path: Path, contract: ModelContract, schema: int, remedy: str
) -> None:
    text = json.dumps({**json.loads(contract.to_json()), "schema": schema})
    path = write_model(tmp_path / "other", text)
    with pytest.raises(ContractError, match=f"schema {schema}.*{remedy}"):
        open_runner(path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("colour", "BGR"),
        ("value_range", (0.0, 1.0)),
        ("layout", "NCHW"),
        ("dtype", "float32"),
        ("dtype", "float64"),
        ("shape", (3, 120, 120)),
    ],
)
def test_contract_of_other_pixels(
    write_model: Write, tmp_path: Path, contract: ModelContract, field: str, value: object
) -> None:
    spec = dataclasses.replace(contract.input, **{field: value})
    path = write_model(tmp_path / "other", contract.replace(input=spec).to_json())
    named = "shape" if field == "layout" else field  # the layout says which shape is right
    with pytest.raises(ContractError, match=rf"other.*field input\.{named} is") as error:
        open_runner(path)
    assert "export" in str(error.value)


def test_contract_of_other_outputs(
    write_model: Write, tmp_path: Path, contract: ModelContract
) -> None:
    params = contract.outputs[0]
    two = (params, dataclasses.replace(params, name="landmarks", shape=(68, 3)))
    path = write_model(tmp_path / "two", contract.replace(outputs=two).to_json())
    with pytest.raises(ContractError, match=r"field outputs\.landmarks .* is missing"):
        open_runner(path)
    wide = (dataclasses.replace(params, shape=(62,)),)
    path = write_model(tmp_path / "wide", contract.replace(outputs=wide).to_json())
    with pytest.raises(ContractError, match=r"field outputs\.params is \(62,\)"):
        open_runner(path)
    path = write_model(tmp_path / "none", contract.replace(outputs=two[1:]).to_json())
    with pytest.raises(ContractError, match="field outputs has no 'params'"):
        open_runner(path)


def test_threads(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="threads is 0"):
        open_runner(tmp_path / "model.tflite", threads=0)


def test_import_loads_no_runtime() -> None:
    code = (
        "import sys, edge3d.runtime; "
        "heavy = ('torch', 'onnxruntime', 'ai_edge_litert', 'onnx', 'openvino'); "
        "print([m for m in heavy if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
