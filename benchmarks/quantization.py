"""Measures what each remedy does to an int8 student, and the error layer by layer.

    python -m benchmarks.quantization [CHECKPOINT] --data DIR [--calibration SET]

DIR is AFLW2000-3D. In ONNX Runtime: `plain` quantizes everything, `last layer` keeps the last
one's activations in float32, `equalized` makes channels alike as well (what `edge3d export` does).
SQNR: the power of an activation over that of its error, in dB, on the calibration set's crops.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization.qdq_loss_debug import (
    collect_activations,
    compute_activation_error,
    create_activation_matching,
    modify_model_output_intermediate_tensors,
)

from edge3d.bundled import default_checkpoint_path
from edge3d.calibration.calibration_set import load_calibration_set
from edge3d.evaluate import load_aflw2000
from edge3d.evaluate.validation import faces_of
from edge3d.export.deploy_module import DeployModule
from edge3d.export.equalize import equalized
from edge3d.export.quiet import quiet
from edge3d.export.targets import onnx as onnx_target
from edge3d.face_model import load_face_model
from edge3d.model.contract import InputSpec
from edge3d.model.decoder import Decoder
from edge3d.networks.checkpoint import load_checkpoint

BATCH = 50


def run(path: Path, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return whitened parameters (N, P) of crops by a .onnx file."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    parts = [
        session.run(["params"], {"image": crops[start : start + BATCH]})[0]
        for start in range(0, len(crops), BATCH)
    ]
    return np.concatenate(parts)


def sqnr_db(whole: Path, small: Path, crops: NDArray[np.uint8]) -> dict[str, float]:
    """Return the SQNR of the activations that both files have, by name."""
    found = []
    for path in (whole, small):
        out = path.with_name(f"{path.stem}-all.onnx")
        modify_model_output_intermediate_tensors(path, out)
        reader = onnx_target.Calibration("image", crops)
        found.append(collect_activations(str(out), reader))
    matching: Any = create_activation_matching(found[1], found[0])
    errors = compute_activation_error(matching)
    return {name: float(entry["xmodel_err"]) for name, entry in errors.items()}


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkpoint", type=Path, nargs="?", default=default_checkpoint_path())
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--calibration", type=Path)
    arguments = parser.parse_args()
    calibration = load_calibration_set(arguments.calibration).crops
    network, contract = load_checkpoint(arguments.checkpoint)
    face_model = load_face_model(contract.face_model)
    decoder = Decoder(face_model, contract.layout)
    faces = faces_of(load_aflw2000(arguments.data))
    with tempfile.TemporaryDirectory() as folder:
        whole: dict[str, Path] = {}
        for name in ("as it is", "equalized"):
            model = DeployModule(network, contract.layout, face_model).eval()
            if name == "equalized":
                model.network = equalized(model.network, calibration)
            whole[name] = Path(folder) / f"{name}.onnx"
            with quiet():
                onnx_target.convert(model, InputSpec(), "fp32", whole[name], calibration[:0])
        right = decoder.landmarks(decoder.params(run(whole["as it is"], faces.crops)))
        nme = faces.nme(right)
        assert nme is not None
        print(f"float32: balanced NME {nme['balanced']:.3f} %")
        layers: dict[str, float] = {}
        for name, source, keep_last in (
            ("plain", "as it is", False),
            ("last layer", "as it is", True),
            ("equalized", "equalized", True),
        ):
            path = Path(folder) / f"{name}.onnx"
            graph = onnx.load(whole[source])
            with quiet():
                onnx.save(onnx_target.quantized(graph, InputSpec(), calibration, keep_last), path)
            found = decoder.landmarks(decoder.params(run(path, faces.crops)))
            own_nme = faces.nme(found)
            assert own_nme is not None
            drift = np.linalg.norm(found - right, axis=-1)
            print(
                f"{name}: change {own_nme['balanced'] - nme['balanced']:+.3f} points, drift "
                f"{drift.mean():.3f} px mean, {np.percentile(drift, 99):.3f} px 99 %"
            )
            if name == "last layer":
                with quiet():
                    layers = sqnr_db(whole[source], path, calibration[:16])
    print("SQNR of the activations of `last layer`, dB, the worst first:")
    for name, value in sorted(layers.items(), key=lambda item: item[1]):
        print(f"{name:28s} {value:6.1f}")


if __name__ == "__main__":
    main()
