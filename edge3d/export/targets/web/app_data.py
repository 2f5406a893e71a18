"""What the page reads beside the model: contract.json, app.json and face_model.bin."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.detector import crop_rule, search
from edge3d.detector.detection import INSIDE_OTHER, SAME_FACE_IOU
from edge3d.face_model import FaceModel
from edge3d.model.contract import ModelContract
from edge3d.reconstruct.reconstructor import REFINED_IOU
from edge3d.tracker import evidence, face_tracker, smoothing, track


def write_data(model: str, contract: ModelContract, face_model: FaceModel, out: Path) -> None:
    """Write contract.json, app.json and face_model.bin.

    Args:
        model: name of the model file. contract: of it. face_model: that the contract names.
        out: the folder.
    """
    arrays, content = _face_model(face_model)
    config = {
        "model": model,
        "wasm": "wasm/",
        "face_model": {
            "file": "face_model.bin",
            "name": face_model.name,
            "sha256": face_model.sha256,
            "unit_mm": face_model.unit_mm,
            "expression_names": face_model.expression_names,
            "expression_bounds": face_model.expression_bounds,
            "arrays": arrays,
        },
        "detector": _detector(),
        "tracking": _tracking(),
        "smoothing": _smoothing(),
    }
    (out / "contract.json").write_text(contract.to_json() + "\n", encoding="utf-8")
    (out / "app.json").write_text(json.dumps(config) + "\n", encoding="utf-8")
    (out / "face_model.bin").write_bytes(content)


def _face_model(model: FaceModel) -> tuple[dict[str, Any], bytes]:
    """Return where each array lies, and the file: little-endian arrays, each at a multiple of 4.

    Bases go mode by mode. Large ones are kept in half precision, which moves a vertex by less than
    0.01 mm; an expression's vertices are those that it moves. Landmarks have a basis of their own,
    in single precision.
    """
    expressions = model.expression_basis.transpose(2, 0, 1)  # (E, V, 3)
    moved = [np.flatnonzero(mode.any(axis=1)) for mode in expressions]
    offsets = [mode[vertices] for mode, vertices in zip(expressions, moved, strict=True)]
    arrays: dict[str, NDArray] = {
        "mean": model.mean.astype("<f4"),
        "identity_basis": model.identity_basis.transpose(2, 0, 1).astype("<f2"),
        "expression_counts": np.array([len(vertices) for vertices in moved], "<u4"),
        "expression_vertices": np.concatenate(moved).astype("<u4"),
        "expression_offsets": np.concatenate(offsets).astype("<f2"),
        "landmark_mean": model.landmarks(model.mean).astype("<f4"),
        "landmark_basis": model.landmark_basis.transpose(2, 0, 1).astype("<f4"),
        "triangles": model.triangles.astype("<u4"),
        "mask": model.mask.astype("<f4"),
    }
    table, content = {}, bytearray()
    for name, array in arrays.items():
        table[name] = {
            "dtype": array.dtype.name, "shape": array.shape, "offset": len(content)
        }  # fmt: skip
        content += np.ascontiguousarray(array).tobytes()
        content += bytes(-len(content) % 4)
    return table, bytes(content)


def _detector() -> dict[str, Any]:
    return {
        "short_range": "blazeface_short_range.tflite",
        "back_camera": "blazeface_back.tflite",
        "grids": search.GRIDS,
        "min_score": search.MIN_SCORE,
        "sure_score": search.SURE_SCORE,
        "clear_size": search.CLEAR_SIZE,
        "short_range_hint": search.SHORT_RANGE_HINT,
        "back_camera_hint": search.BACK_CAMERA_HINT,
        "second_looks": search.SECOND_LOOKS,
        "unseen_score": search.UNSEEN_SCORE,
        "proposal_log_odds": search.PROPOSAL_LOG_ODDS,
        "margin_window": search.MARGIN_WINDOW,
        "min_inside": search.MIN_INSIDE,
        "same_face_iou": SAME_FACE_IOU,
        "inside_other": INSIDE_OTHER,
        "refined_iou": REFINED_IOU,
        "crop_rule": {name: part.tolist() for name, part in crop_rule.CROP_RULE.items()},
        "crop_log_side_range": crop_rule.CROP_LOG_SIDE_RANGE,
    }


def _tracking() -> dict[str, Any]:
    return {
        "max_log_size": evidence.MAX_LOG_SIZE,
        "max_shift": evidence.MAX_SHIFT,
        "max_shape_change": evidence.MAX_SHAPE_CHANGE,
        "look_every_s": face_tracker.LOOK_EVERY_S,
        "search_every_s": face_tracker.SEARCH_LOST_EVERY_S,
        "doubtful_score": face_tracker.DOUBTFUL_SCORE,
        "followed_score": face_tracker.FOLLOWED_SCORE,
        "close_look": face_tracker.CLOSE_LOOK,
        "wide_look": face_tracker.WIDE_LOOK,
        "same_place_iou": face_tracker.SAME_PLACE_IOU,
        "max_step_s": track.MAX_STEP_S,
        "new_velocity": track.NEW_VELOCITY,
    }


def _smoothing() -> dict[str, Any]:
    return {**asdict(smoothing.Smoothing()), "restart_after_s": smoothing.RESTART_AFTER_S}
