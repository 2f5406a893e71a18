"""A .tflite file on a phone: TFLite's own benchmark binary, by adb."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from edge3d.errors import Edge3dError, shortened

FOLDER = "/data/local/tmp"


def bench_android(files: list[Path], binary: Path | None, threads: int) -> list[dict[str, Any]]:
    """Return `file`, `threads` and `network_ms` (`mean`) of .tflite files on an attached phone.

    Args:
        files: others than .tflite are left out.
        binary: TensorFlow Lite's `benchmark_model` for arm64.
        threads: of the network.

    Raises:
        Edge3dError: adb, the phone, the binary or a .tflite file is missing, or the run failed.
    """
    if shutil.which("adb") is None:
        raise Edge3dError("--device android: adb is missing; install Android's platform-tools")
    attached = [line for line in _adb("devices").splitlines()[1:] if line.endswith("\tdevice")]
    if not attached:
        raise Edge3dError(
            "--device android: no phone is attached; connect one with USB debugging allowed, "
            "and check with `adb devices`"
        )
    if binary is None or not binary.is_file():
        raise Edge3dError(
            "--device android: the benchmark binary is missing; download TensorFlow Lite's "
            "android_aarch64_benchmark_model and name it with --android-binary"
        )
    models = [path for path in files if path.suffix.lower() == ".tflite"]
    if not models:
        raise Edge3dError("--device android: there is no .tflite file among the files")
    _adb("push", str(binary), f"{FOLDER}/benchmark_model")
    _adb("shell", "chmod", "755", f"{FOLDER}/benchmark_model")
    rows = []
    for path in models:
        _adb("push", str(path), f"{FOLDER}/edge3d.tflite")
        options = f"--graph={FOLDER}/edge3d.tflite --num_threads={threads}"
        text = _adb("shell", f"{FOLDER}/benchmark_model {options}")
        rows.append({"file": path.name, "threads": threads, "network_ms": {"mean": mean_ms(text)}})
    return rows


def mean_ms(text: str) -> float:
    """Return the mean latency in what the benchmark binary prints.

    Raises:
        Edge3dError: it is not in there.
    """
    found = re.findall(r"Inference \(avg\): ([0-9.e+]+)", text)
    if not found:
        raise Edge3dError(f"the benchmark binary printed no latency: {shortened(text)}")
    return float(found[-1]) / 1e3


def _adb(*arguments: str) -> str:
    done = subprocess.run(["adb", *arguments], capture_output=True, text=True)
    if done.returncode != 0:
        reason = shortened(done.stderr or done.stdout)
        raise Edge3dError(f"adb {arguments[0]} failed: {reason}; check with `adb devices`")
    return done.stdout + done.stderr
