"""The parity check that all exports share: the face of a file against PyTorch's.

Figures: parameters in whitened units (standard deviations), landmarks and vertices as 3D
distances in crop pixels. Where a file decodes landmarks or vertices in its graph, the larger of
the drift of its own points and of its decoded parameters counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from edge3d.model.decoder import Decoder
from edge3d.runtime.checks import check_images
from edge3d.runtime.runner import GraphRunner, Runner

_CHUNK = 32  # meshes in memory at once


@dataclass(frozen=True)
class Budget:
    """How far an exported file may be from PyTorch; None where there is no limit.

    Attributes:
        landmark_px_mean: mean drift over all landmarks of all images, in crop pixels.
        landmark_px_p99: its 99th percentile.
        landmark_px_max: the farthest one.
        nme_balanced: change of the balanced NME of AFLW2000-3D, in percentage points.
        nme_bin: change of the NME of any one yaw bin, in percentage points.
    """

    landmark_px_mean: float | None = None
    landmark_px_p99: float | None = None
    landmark_px_max: float | None = None
    nme_balanced: float | None = None
    nme_bin: float | None = None


BUDGETS = {
    "fp32": Budget(landmark_px_p99=0.02, landmark_px_max=0.05, nme_balanced=0.001),
    "fp16": Budget(landmark_px_p99=0.1, nme_balanced=0.01),
    "int8": Budget(landmark_px_mean=0.5, nme_balanced=0.05, nme_bin=0.15),
}


@dataclass(frozen=True)
class Parity:
    """How far a file's faces are from PyTorch's.

    Attributes:
        n: number of images.
        params_max, params_mean: absolute difference of whitened parameters.
        landmark_px_mean, landmark_px_p99, landmark_px_max: drift of the 68 landmarks.
        vertex_px_p99, vertex_px_max: drift of the mesh.
        worst_index: the image with the farthest landmark.
    """

    n: int
    params_max: float
    params_mean: float
    landmark_px_mean: float
    landmark_px_p99: float
    landmark_px_max: float
    vertex_px_p99: float
    vertex_px_max: float
    worst_index: int

    def excesses(self, budget: Budget) -> list[str]:
        """Return what is over a budget's drifts, in words; not-a-numbers are."""
        return [
            f"{name} {value:.4g} is over {limit:g}"
            for name, limit in asdict(budget).items()
            if name.startswith("landmark_px") and limit is not None
            if not (value := getattr(self, name)) <= limit
        ]

    def to_content(self) -> dict[str, float | int]:
        """Return the figures for a contract's provenance, rounded to four digits."""
        return {
            name: value if isinstance(value, int) else float(f"{value:.4g}")
            for name, value in asdict(self).items()
        }


def compare_faces(
    runner: Runner, reference: Runner, images: NDArray[np.uint8], decoder: Decoder
) -> Parity:
    """Compare a file's faces with PyTorch's.

    Args:
        runner: of the file; if its contract lists more outputs than `params`, a `GraphRunner`.
        reference: what is right.
        images: (N, 120, 120, 3) uint8 RGB crops, N of 1 or more.
        decoder: of the contract's layout and face model.

    Raises:
        ValueError: no images, or not crops.
    """
    images = check_images(images)
    if len(images) == 0:
        raise ValueError("no images to compare on; give one or more crops")
    params: list[NDArray] = []
    landmarks: list[NDArray] = []
    vertices: list[NDArray] = []
    for start in range(0, len(images), _CHUNK):
        batch = images[start : start + _CHUNK]
        wanted, (found, points) = reference(batch), _outputs(runner, batch)
        params.append(abs(found - wanted))
        for drifts, name, decode in (
            (landmarks, "landmarks", decoder.landmarks),
            (vertices, "vertices", decoder.vertices),
        ):
            drifts.append(_drift(found, wanted, points.get(name), decoder, decode))
    params_drift, landmark_drift = np.concatenate(params), np.concatenate(landmarks)
    vertex_drift = np.concatenate(vertices)
    return Parity(
        n=len(images),
        params_max=float(params_drift.max()),
        params_mean=float(params_drift.mean()),
        landmark_px_mean=float(landmark_drift.mean()),
        landmark_px_p99=float(np.percentile(landmark_drift, 99)),
        landmark_px_max=float(landmark_drift.max()),
        vertex_px_p99=float(np.percentile(vertex_drift, 99)),
        vertex_px_max=float(vertex_drift.max()),
        worst_index=int(landmark_drift.max(axis=1).argmax()),
    )


def _outputs(
    runner: Runner, images: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], dict[str, NDArray[np.float32]]]:
    """Return parameters, and the other outputs by name."""
    if len(runner.contract.outputs) == 1:
        return runner(images), {}
    outputs = cast(GraphRunner, runner).outputs(images)
    return outputs.pop("params"), outputs


def _drift(
    found: NDArray,
    wanted: NDArray,
    points: NDArray | None,
    decoder: Decoder,
    decode: Callable[[NDArray], NDArray],
) -> NDArray[np.float32]:
    """Return the distances (B, N) of points from those of the wanted parameters."""
    right = decode(decoder.params(wanted))
    drift = np.linalg.norm(decode(decoder.params(found)) - right, axis=-1)
    if points is not None:
        drift = np.maximum(drift, np.linalg.norm(points - right, axis=-1))
    return drift
