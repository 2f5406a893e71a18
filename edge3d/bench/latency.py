"""Time and memory of model files, beside two yardsticks, in rounds that hit all alike."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge3d.bench.memory import peak_mb
from edge3d.bench.reference_model import WIDTHS, write_mobilenet_v1
from edge3d.bundled import portrait_path
from edge3d.errors import MissingExtraError
from edge3d.geometry.crop import CROP_SIZE_PX, crop_face
from edge3d.io.image import read_image
from edge3d.reconstruct.reconstructor import FaceReconstructor
from edge3d.runtime import RUNNERS, model_bytes, open_runner

IN_A_ROW = 5  # calls of each file in a round
PARTS = ("network", "crop", "decode", "whole")
# The crop box of the face in the portrait, so that no detector is needed.
BOX_XYXY = np.array([157.0, 65.0, 287.0, 195.0])

Call = Callable[[], object]


class _Way:
    """The way of one file from frame to mesh, tracking one face: its identity is held fixed."""

    def __init__(self, path: Path, threads: int, image: NDArray[np.uint8]) -> None:
        reconstructor = FaceReconstructor(path, threads=threads)  # imports the runtime
        start = time.perf_counter()
        runner = open_runner(path, threads=threads)
        self.load_ms = _since(start)
        self._runner, self._decoder = runner, reconstructor.decoder
        self._image = image
        self._crop = self.crop()
        start = time.perf_counter()
        self._whitened = self.network()
        self.first_ms = _since(start)
        params = self._decoder.params(self._whitened)
        part = self._decoder.layout.part(params, "identity")
        self._identity_shape = self._decoder.identity_shape(part[0])

    def crop(self) -> NDArray[np.uint8]:
        return crop_face(self._image, BOX_XYXY).pixels[None]

    def network(self) -> NDArray[np.float32]:
        return self._runner(self._crop)

    def decode(self) -> object:
        return self._mesh(self._whitened)

    def whole(self) -> object:
        return self._mesh(self._runner(self.crop()))

    def _mesh(self, whitened: NDArray[np.float32]) -> object:
        params = self._decoder.params(whitened)
        vertices = self._decoder.vertices_of_identity(params, self._identity_shape)
        return vertices, self._decoder.face_model.landmarks(vertices)


def bench(
    files: Sequence[Path],
    threads: int = 1,
    rounds: int = 100,
    progress: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Measure model files on the CPU.

    Args:
        files: of `edge3d export`, or checkpoints.
        threads: of each network.
        rounds: in each of which every file and yardstick has its turn, see `interleaved_ms`.
        progress: called after each round.

    Returns:
        `threads`, `rounds`, `yardsticks` and `files`: a row for each with times in ms, median
        and 90 % (`network_ms`, ...), and `ratios` of its network to the yardsticks' medians.

    Raises:
        ContractError: a file cannot be opened.
        MissingExtraError: a runtime is not installed.
    """
    image = read_image(portrait_path())
    ways = [_Way(path, threads, image) for path in files]
    with tempfile.TemporaryDirectory() as folder:
        yardsticks = {f"MobileNetV1 {w}": _yardstick(w, threads, Path(folder)) for w in WIDTHS}
    calls: dict[tuple[str, str], Call] = {(n, "network"): c for n, c in yardsticks.items()}
    for number, way in enumerate(ways):
        calls |= {(str(number), part): getattr(way, part) for part in PARTS}
    times = interleaved_ms(calls, rounds, progress)
    rulers = {name: _summary(times[name, "network"]) for name in yardsticks}
    rows = []
    for number, (path, way) in enumerate(zip(files, ways, strict=True)):
        parts = {f"{part}_ms": _summary(times[str(number), part]) for part in PARTS}
        median = parts["network_ms"]["median"]
        rows.append(
            {
                "file": path.name,
                "runtime": RUNNERS[path.suffix.lower()].name,
                "megabytes": model_bytes(path) / 1e6,
                "load_ms": way.load_ms,
                "first_ms": way.first_ms,
                **parts,
                "whole_over_network": parts["whole_ms"]["median"] / median,
                "peak_mb": peak_mb(path, threads),
                "ratios": {name: median / ruler["median"] for name, ruler in rulers.items()},
            }
        )
    return {"threads": threads, "rounds": rounds, "yardsticks": rulers, "files": rows}


def interleaved_ms(
    calls: dict[tuple[str, str], Call], rounds: int, progress: Callable[[], None] | None = None
) -> dict[tuple[str, str], list[float]]:
    """Return the times of calls in ms, `rounds` times `IN_A_ROW` of each.

    They take turns, and in each turn the first two calls, which find another one's data in the
    caches, do not count.
    """
    times: dict[tuple[str, str], list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            call()
            call()
            for _ in range(IN_A_ROW):
                start = time.perf_counter()
                call()
                times[name].append(_since(start))
        if progress is not None:
            progress()
    return times


def _yardstick(width: float, threads: int, folder: Path) -> Call:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("the yardsticks", "onnx", "onnxruntime") from error
    path = folder / f"{width}.onnx"
    write_mobilenet_v1(path, width)
    options = onnxruntime.SessionOptions()
    # As edge3d.runtime opens .onnx files.
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(0)
    image = rng.normal(0, 1, (1, 3, CROP_SIZE_PX, CROP_SIZE_PX)).astype(np.float32)
    return lambda: session.run(None, {"image": image})


def _summary(times_ms: list[float]) -> dict[str, float]:
    p90 = float(np.percentile(times_ms, 90))
    return {"median": statistics.median(times_ms), "p90": p90}


def _since(start: float) -> float:
    return 1e3 * (time.perf_counter() - start)
